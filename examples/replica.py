"""A webhook consumer that holds what the feed says, also after the database lost data.

    pip install standardwebhooks
    WEBHOOK_SECRET=whsec_… python examples/replica.py PORT

GET answers what it holds, as JSON. It keeps that in memory; yours keeps it in a database, in the
transaction before the answer 204. The same in JavaScript: replica.mjs.
"""

from __future__ import annotations

import json
import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock
from typing import Any

from standardwebhooks import Webhook, WebhookVerificationError


class Replica:
    """held: the newest event of each subject. A deletion is kept too: an older event may still
    come. life: the highest that was seen."""

    def __init__(self) -> None:
        self.held: dict[str, dict[str, Any]] = {}
        self.life = ""

    def take(self, event: dict[str, Any]) -> None:
        life = event["sequence"][:10]
        if life < self.life:
            return  # it was on its way since before the reset
        self.life = life
        if event["type"] == "pgpublish.resynced":
            for subject, old in list(self.held.items()):
                if old["sequence"][:10] < life:
                    del self.held[subject]  # born in the lost changes
        elif event["type"] != "pgpublish.reset":
            held = self.held.get(event["subject"])
            if held is None or held["sequence"] < event["sequence"]:
                self.held[event["subject"]] = event

    def shows(self) -> dict[str, Any]:
        return {s: e["data"] for s, e in self.held.items() if not e.get("deleted")}


replica = Replica()
lock = Lock()


class Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        try:
            Webhook(os.environ["WEBHOOK_SECRET"]).verify(body, dict(self.headers.items()))
        except WebhookVerificationError:
            self.answer(401)
            return
        events = json.loads(body)
        with lock:
            for event in events if isinstance(events, list) else [events]:
                replica.take(event)
        self.answer(204)

    def do_GET(self) -> None:
        with lock:
            body = json.dumps(replica.shows()).encode()
        self.answer(200, body)

    def answer(self, status: int, body: bytes = b"") -> None:
        self.send_response(status)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        pass


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
