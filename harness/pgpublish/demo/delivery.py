"""The demo's last step: a webhook receiver that fails at random, and one airport it never takes."""

from __future__ import annotations

import json
import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, LiteralString

from pgpublish import deliver, drain
from pgpublish.database import Connection, call, connect
from pgpublish.errors import MissingPart

SEED = 7
FAULTS = [500, 503, 429, 422]  # one of these, three times in ten
POISON = "EDDF"
WORK_SECONDS = 20

RAISE: LiteralString = "update airport set elevation_ft = elevation_ft + 1 where country = 'DE'"


@dataclass
class Receiver:
    """Counts what it answered, and keeps what it took: pub_id → payload."""

    port: int = 0
    chance: random.Random = field(default_factory=lambda: random.Random(SEED))
    repaired: bool = False
    answers: Counter[int] = field(default_factory=Counter)
    taken: dict[str, Any] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def answer(self, event: dict[str, Any]) -> int:
        with self.lock:
            status = 204
            if not self.repaired:
                if event["data"]["icao"] == POISON:
                    status = 422
                elif self.chance.random() < 0.3:
                    status = self.chance.choice(FAULTS)
            self.answers[status] += 1
            if status == 204:
                self.taken[event["subject"]] = event["data"]
            return status


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    receiver: Receiver

    def do_POST(self) -> None:
        event = json.loads(self.rfile.read(int(self.headers["content-length"])))
        status = self.receiver.answer(event)
        self.send_response(status)
        if status != 204:
            self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextmanager
def receiving() -> Iterator[Receiver]:
    receiver = Receiver()
    handler = type("Handler", (_Handler,), {"receiver": receiver})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    receiver.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def work(url: str, done: Callable[[], bool]) -> list[deliver.Delivered]:
    """Runs a worker until done() says so; returns its batches. Raises MissingPart, PublishError."""
    batches: list[deliver.Delivered] = []
    warnings: list[str] = []
    stop = threading.Event()

    def report(batch: deliver.Delivered) -> None:
        batches.append(batch)
        if done():
            stop.set()

    timer = threading.Timer(WORK_SECONDS, stop.set)
    timer.daemon = True
    timer.start()
    try:
        deliver.run(
            lambda: connect(url),
            stop,
            names=["demo"],
            threads=1,
            batch=50,
            report=report,
            warn=warnings.append,
        )
    finally:
        timer.cancel()
    if not batches and warnings:
        raise MissingPart(warnings[0], hint="pip install 'pgpublish[demo]'")
    return batches


def state(conn: Connection) -> tuple[int, int, int]:
    """Behind, retries and dead letters of the demo's subscription."""
    behind, retries, dead = call(
        conn, "select s.behind, s.retries, s.dead from public.publish_subscriptions() s"
    )
    return behind, retries, dead


def subscribe(conn: Connection, receiver: Receiver) -> None:
    """From now on, or as before where there is such a subscription."""
    options = {"url": f"http://127.0.0.1:{receiver.port}/", "allow_private": True}
    call(
        conn,
        "select public.publish_subscribe('demo', 'webhook', %s,"
        " from_rev => public.publish_head(), max_attempts => 8, backoff_min => '1 ms',"
        " backoff_max => '50 ms')",
        json.dumps(options),
    )


def play(conn: Connection, url: str, say: Callable[[str], None]) -> None:
    with receiving() as receiver, connect(url) as watcher:
        subscribe(conn, receiver)
        conn.execute(RAISE)
        published = sum(d.published for d in drain.drain_all(conn))
        say(
            f"\nA subscription pushes what changes to a webhook receiver that fails three times in"
            f" ten\nand never takes {POISON}. {published} airports change:"
        )
        batches = work(url, lambda: state(watcher)[:2] == (0, 0))
        said = ", ".join(
            f"{count} x {status}" for status, count in sorted(receiver.answers.items())
        )
        behind, retries, dead = state(conn)
        say(f"  it answered {said};")
        say(
            f"  in {len(batches)} batches it took {len(receiver.taken)} of {published},"
            f" each with its newest state;"
            f" {behind + retries} are left to send, {dead} dead letter"
        )
        row = call(
            conn,
            "select d.class, d.message, d.attempts from public.publish_dead_letters('demo') d",
        )
        say(f"    {row[0]} after {row[2]} attempts: {row[1]}")
        receiver.repaired = True
        call(conn, "select public.publish_redrive('demo')")
        work(url, lambda: state(watcher) == (0, 0, 0))
        say(
            "  The receiver is repaired and the dead letter redriven:"
            f" it has {len(receiver.taken)} of {published}."
        )
