"""The consumers of examples/, as processes of their own and, the one in Python, in this process."""

from __future__ import annotations

import importlib.util
import json
import os
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from brokers import Broker, free_ports, program
from helpers import PATIENCE

from pgpublish.sinks import signature

EXAMPLES = Path(__file__).parents[2] / "examples"
SECRET = "whsec_" + "QUJD" * 8
LANGUAGES = ["python", "node"]


def in_process() -> Any:
    """What examples/replica.py holds, to be given events directly."""
    spec = importlib.util.spec_from_file_location("replica", EXAMPLES / "replica.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Replica()


@dataclass
class Running:
    url: str

    @property
    def options(self) -> dict[str, Any]:
        return {"url": self.url, "allow_private": True, "secrets": [SECRET]}

    def post(self, event: dict[str, Any], secret: str = SECRET) -> int:
        """The status it answers to an event that is signed with this secret."""
        body = json.dumps(event).encode()
        signed = signature.headers(signature.keys([secret]), event["id"], int(time.time()), body)
        request = urllib.request.Request(self.url, body, signed)
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code

    def shows(self) -> dict[str, Any]:
        with urllib.request.urlopen(self.url, timeout=PATIENCE) as answer:
            held: dict[str, Any] = json.load(answer)
            return held


@contextmanager
def running(language: str, log: Path) -> Iterator[Running]:
    """The example in this language, python or node, on a free loopback port."""
    (port,) = free_ports(1)
    command = {
        "python": lambda: [sys.executable, str(EXAMPLES / "replica.py")],
        "node": lambda: [program("node", "nodejs"), str(EXAMPLES / "replica.mjs")],
    }[language]()
    environment = os.environ | {"WEBHOOK_SECRET": SECRET}
    process = Broker([*command, str(port)], port, log, environment)
    process.start()
    try:
        yield Running(f"http://127.0.0.1:{port}/")
    finally:
        process.stop()
