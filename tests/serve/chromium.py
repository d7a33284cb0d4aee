"""Headless Chromium, driven by its DevTools protocol over a pipe."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Empty, Queue
from threading import Thread
from typing import Any

from helpers import PATIENCE

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-dev-shm-usage", "--hide-scrollbars", "--remote-debugging-pipe",
)  # fmt: skip


class Browser:
    """Replies by the number of what was asked; events by the session of their page."""

    def __init__(self, program: str, profile: Path) -> None:
        to_it, ours = os.pipe()
        theirs, from_it = os.pipe()
        read, write = theirs, ours
        self.process = subprocess.Popen(
            ["bash", "-c", f'exec "$@" 3<&{to_it} 4>&{from_it}', "bash", program, *FLAGS,
             f"--user-data-dir={profile}", "about:blank"],
            pass_fds=(to_it, from_it), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(to_it)
        os.close(from_it)
        self._in = os.fdopen(write, "wb", buffering=0)
        self._out = os.fdopen(read, "rb", buffering=0)
        self._number = 0
        self._replies: dict[int, Any] = {}
        self._arrived: Queue[dict[str, Any]] = Queue()
        self.pages: dict[str, Page] = {}
        Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        rest = b""
        while got := self._out.read(1 << 16):
            *whole, rest = (rest + got).split(b"\0")
            for text in whole:
                self._arrived.put(json.loads(text))

    def ask(self, method: str, session: str | None = None, **params: Any) -> Any:
        self._number += 1
        number = self._number
        said = {"id": number, "method": method, "params": params}
        if session is not None:
            said["sessionId"] = session
        self._in.write(json.dumps(said).encode() + b"\0")
        deadline = time.monotonic() + PATIENCE
        while number not in self._replies:
            self.hear(deadline - time.monotonic())
        reply = self._replies.pop(number)
        assert "error" not in reply, (method, reply["error"])
        return reply["result"]

    def hear(self, seconds: float) -> None:
        """Takes in the next message."""
        try:
            message = self._arrived.get(timeout=max(seconds, 0.001))
        except Empty:
            raise AssertionError("the browser does not answer") from None
        if "id" in message:
            self._replies[message["id"]] = message
        elif message.get("sessionId") in self.pages:
            self.pages[message["sessionId"]].events.append(message)

    @contextmanager
    def page(self, *, width: int = 1400, height: int = 1000, dark: bool = False) -> Iterator[Page]:
        """A tab with cookies and storage of its own. Anything that it logs as an error fails."""
        context = self.ask("Target.createBrowserContext")["browserContextId"]
        target = self.ask("Target.createTarget", url="about:blank", browserContextId=context)
        session = self.ask("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        page = Page(self, session["sessionId"])
        self.pages[page.session] = page
        for domain in ("Page", "Runtime", "Log", "Network"):
            page.ask(f"{domain}.enable")
        page.ask("Emulation.setFocusEmulationEnabled", enabled=True)
        page.resize(width, height)
        page.media(dark=dark)
        try:
            yield page
            assert page.errors() == []
        finally:
            del self.pages[page.session]
            self.ask("Target.disposeBrowserContext", browserContextId=context)

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(PATIENCE)
        self._in.close()


class Page:
    def __init__(self, browser: Browser, session: str) -> None:
        self.browser = browser
        self.session = session
        self.events: deque[dict[str, Any]] = deque()
        self.expected: list[str] = []

    def ask(self, method: str, **params: Any) -> Any:
        return self.browser.ask(method, self.session, **params)

    def media(self, *, dark: bool = False, still: bool = False) -> None:
        features = [
            {"name": "prefers-color-scheme", "value": "dark" if dark else "light"},
            {"name": "prefers-reduced-motion", "value": "reduce" if still else "no-preference"},
        ]
        self.ask("Emulation.setEmulatedMedia", features=features)

    def resize(self, width: int, height: int = 1000) -> None:
        self.ask("Emulation.setDeviceMetricsOverride", width=width, height=height,
                 deviceScaleFactor=1, mobile=width < 500)  # fmt: skip

    def open(self, url: str) -> None:
        self.ask("Page.navigate", url=url)
        self.until("document.readyState === 'complete'")

    def run(self, code: str) -> Any:
        """What an expression of JavaScript comes to; a promise is waited for."""
        found = self.ask(
            "Runtime.evaluate", expression=code, awaitPromise=True, returnByValue=True,
            userGesture=True, allowUnsafeEvalBlockedByCSP=True,
        )  # fmt: skip
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def until(self, code: str) -> Any:
        """What the expression comes to as soon as it is true."""
        deadline = time.monotonic() + PATIENCE
        while not (found := self.run(code)):
            assert time.monotonic() < deadline, f"never: {code}\n{self.text()}"
            time.sleep(0.02)
        return found

    def text(self) -> str:
        said: str = self.run("document.body?.innerText ?? ''")
        return said

    def press(self, key: str, code: int) -> None:
        text = {"Enter": "\r", " ": " "}.get(key, "")
        for kind in ("keyDown", "keyUp"):
            self.ask("Input.dispatchKeyEvent", type=kind, key=key, windowsVirtualKeyCode=code,
                     **({"text": text} if text and kind == "keyDown" else {}))  # fmt: skip

    def type(self, text: str) -> None:
        """Into the field that has the focus. A browser that is busy drops what comes before it has
        told its renderer so: then again."""
        deadline = time.monotonic() + PATIENCE
        while self.run("document.activeElement.value") != text:
            assert time.monotonic() < deadline, f"never took: {text}\n{self.text()}"
            self.run("document.activeElement.value = ''")
            self.ask("Input.insertText", text=text)

    def errors(self) -> list[str]:
        """What was thrown or logged as an error or warning, but what is expected."""
        self.run("0")  # what came before it is here
        found = []
        for event in self.events:
            params = event["params"]
            if event["method"] == "Runtime.exceptionThrown":
                found.append(str(params["exceptionDetails"]))
            elif event["method"] == "Log.entryAdded" and params["entry"]["level"] in (
                "error", "warning",
            ):  # fmt: skip
                found.append(f"{params['entry']['text']} {params['entry'].get('url', '')}")
            elif event["method"] == "Runtime.consoleAPICalled" and params["type"] in (
                "error", "warning", "assert",
            ):  # fmt: skip
                found.append(str(params["args"]))
        return [one for one in found if not any(text in one for text in self.expected)]

    def requests(self) -> list[str]:
        self.run("0")
        return [
            event["params"]["request"]["url"]
            for event in self.events
            if event["method"] == "Network.requestWillBeSent"
        ]

    def shoot(self, path: Path, *, whole: bool = True) -> None:
        shot = self.ask("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(shot["data"]))


@contextmanager
def browser(profile: Path) -> Iterator[Browser]:
    program = shutil.which("chromium")
    assert program, "tests/install-servers installs Chromium"
    started = Browser(program, profile)
    try:
        started.ask("Browser.getVersion")
        yield started
    finally:
        started.close()
