"""A server of the feed on a free loopback port, and a client that reads events from a socket."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Thread
from typing import Any

import httpx
from helpers import PATIENCE, until

from pgpublish.serve import Settings, app
from pgpublish.serve.run import Server, listen


@dataclass
class Serving:
    """feed: what the application holds, to count its reads. token: sent with each request."""

    port: int
    feed: Any = None
    token: str | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def headers(self) -> dict[str, str]:
        return {} if self.token is None else {"Authorization": f"Bearer {self.token}"}

    def get(self, path: str, **more: Any) -> httpx.Response:
        headers = self.headers | more.pop("headers", {})
        return httpx.request(
            more.pop("method", "GET"), self.url + path, headers=headers, timeout=PATIENCE, **more
        )

    def is_ready(self) -> bool:
        try:
            return httpx.get(f"{self.url}/readyz", timeout=5).status_code == 200
        except httpx.TransportError:
            return False

    @contextmanager
    def stream(self, path: str = "/stream", **headers: str) -> Iterator[Events]:
        with socket.create_connection(("127.0.0.1", self.port), PATIENCE) as conn:
            lines = [f"GET {path} HTTP/1.1", "Host: localhost"]
            lines += [f"{k}: {v}" for k, v in (self.headers | headers).items()]
            conn.sendall("\r\n".join([*lines, "", ""]).encode())
            events = Events(conn)
            assert events.line().startswith("HTTP/1.1 200"), events.rest()
            while events.line():
                pass
            yield events


@dataclass
class Events:
    """Reads a chunked answer as server-sent events."""

    conn: socket.socket
    buffer: bytes = b""
    body: str = ""
    last_id: str | None = None
    ended: bool = False
    seen: list[tuple[str, Any]] = field(default_factory=list)

    def line(self) -> str:
        while b"\r\n" not in self.buffer:
            got = self.conn.recv(65536)
            if not got:
                raise EOFError("the connection was closed")
            self.buffer += got
        line, _, self.buffer = self.buffer.partition(b"\r\n")
        return line.decode()

    def rest(self) -> str:
        return self.buffer.decode()

    def _chunk(self) -> None:
        size = int(self.line(), 16)
        while len(self.buffer) < size + 2:
            got = self.conn.recv(65536)
            if not got:
                raise EOFError("the connection was closed")
            self.buffer += got
        self.body += self.buffer[:size].decode()
        self.buffer = self.buffer[size + 2 :]
        self.ended = size == 0

    def block(self) -> dict[str, str]:
        """The next block of fields, "" for a remark. {} once the answer has ended."""
        while "\n\n" not in self.body:
            if self.ended:
                return {}
            self._chunk()
        text, _, self.body = self.body.partition("\n\n")
        fields = dict(
            line.split(": ", 1) if ": " in line else (line, "") for line in text.splitlines()
        )
        self.last_id = fields.get("id", self.last_id)
        return fields

    def next(self) -> tuple[str, Any] | None:
        """The next event with data: its name ("change" without one) and data. None at the end."""
        while fields := self.block():
            if "data" in fields:
                event = (fields.get("event", "change"), json.loads(fields["data"]))
                self.seen.append(event)
                return event
        return None

    def until(self, name: str) -> list[Any]:
        """Data of the events up to the next of this name, without it."""
        found = []
        while (event := self.next()) is not None:
            if event[0] == name:
                return found
            found.append(event[1])
        raise AssertionError(f"the stream ended before {name}")

    def changes(self, count: int) -> list[Any]:
        found = []
        while len(found) < count:
            event = self.next()
            assert event is not None, "the stream ended"
            if event[0] == "change":
                found.append(event[1])
        return found


@contextmanager
def serving(url: str, *, port: int = 0, **settings: Any) -> Iterator[Serving]:
    """In a thread of this process. Without other settings, everybody is publish_reader."""
    chosen = Settings(**{"public": "publish_reader", "heartbeat": 0.3, "recheck": 0.1, **settings})
    application = app(url, chosen)
    listening = listen("127.0.0.1", port, chosen)
    server = Server(application, chosen)
    thread = Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    try:
        running = Serving(listening.getsockname()[1], application.state.server)
        until(running.is_ready)
        yield running
    finally:
        server.should_exit = True
        thread.join(PATIENCE)
        assert not thread.is_alive()
        listening.close()


def free_port() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port: int = held.getsockname()[1]
        return port
