"""A webhook consumer that processes each message once, also if it or the sender crashes.

    pip install standardwebhooks
    psql "$DATABASE_URL" -c 'create table total (sum int, events int)'
    psql "$DATABASE_URL" -c 'insert into total values (0, 0)'
    DATABASE_URL=… WEBHOOK_SECRET=whsec_… python examples/webhook_consumer.py PORT

The work here adds each note's payload, a number, to a total. The message's id is accepted in the
transaction that does the work: both are committed, or neither. Only then is the answer 204.
"""

from __future__ import annotations

import json
import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import psycopg
from standardwebhooks import Webhook, WebhookVerificationError

CONSUMER = "totals"


def process(conn: psycopg.Connection[Any], event: dict[str, Any]) -> bool:
    """Does the work of one event, once. False: it was done before, or is none of this consumer's:
    pgpublish.reset and pgpublish.resynced, and deletions, which have no data."""
    if event["type"].startswith("pgpublish.") or "data" not in event:
        return False
    with conn.transaction():
        row = conn.execute("select publish_accept(%s, %s)", [CONSUMER, event["id"]]).fetchone()
        if row == (False,):
            return False
        conn.execute("update total set sum = sum + %s, events = events + 1", [event["data"]])
        return True


class Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        try:
            Webhook(os.environ["WEBHOOK_SECRET"]).verify(body, dict(self.headers.items()))
        except WebhookVerificationError:
            self.answer(401)
            return
        with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as conn:
            process(conn, json.loads(body))
        self.answer(204)

    def answer(self, status: int) -> None:
        self.send_response(status)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        pass


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
