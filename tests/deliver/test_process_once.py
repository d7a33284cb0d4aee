"""publish_accept makes at-least-once delivery an exactly-once effect."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from threading import Event, Thread

import brokers
from conftest import Connect, Connection
from delivery import notes, subscribe
from helpers import PATIENCE, begin, one, pid, until, waits

from pgpublish import database, deliver

EXAMPLE = Path(__file__).parents[2] / "examples/webhook_consumer.py"
SECRET = "whsec_" + "QUJD" * 8


def test_the_second_to_accept_waits_for_the_first_to_end(db: Connection, connect: Connect) -> None:
    first = connect(autocommit=False)
    assert one(first, "select publish_accept('c', 'm')") is True
    second = connect()
    accepting = begin(one, second, "select publish_accept('c', 'm')")
    until(lambda: waits(db, pid(second)))
    first.commit()
    assert accepting.result(PATIENCE) is False


def test_who_rolls_back_has_accepted_nothing(db: Connection, connect: Connect) -> None:
    first = connect(autocommit=False)
    assert one(first, "select publish_accept('c', 'm')") is True
    second = connect()
    accepting = begin(one, second, "select publish_accept('c', 'm')")
    until(lambda: waits(db, pid(second)))
    first.rollback()
    assert accepting.result(PATIENCE) is True


def test_the_example_consumer_does_each_change_once_under_crashes_and_redelivery(
    db: Connection, url: str
) -> None:
    """The consumer is killed again and again, and everything is replayed twice."""
    count = 60
    db.execute("create table total (sum bigint not null, events int not null)")
    db.execute("insert into total values (0, 0)")
    notes(db, count)
    (port,) = brokers.free_ports(1)
    subscribe(
        db, "s", "webhook", backoff_min="1 ms", backoff_max="20 ms", max_attempts=10_000,
        options={"url": f"http://127.0.0.1:{port}/", "allow_private": True, "secrets": [SECRET]},
    )  # fmt: skip
    stop = Event()
    worker = Thread(target=deliver.run, args=(lambda: database.connect(url), stop),
                    kwargs={"batch": 30, "threads": 1}, daemon=True)  # fmt: skip
    worker.start()
    try:
        for goal in (15, 40, count, count, count):
            consumer = subprocess.Popen(
                [sys.executable, str(EXAMPLE), str(port)],
                env=os.environ | {"DATABASE_URL": url, "WEBHOOK_SECRET": SECRET},
            )
            try:
                until(lambda goal=goal: one(db, "select events >= %s from total", goal))
                if goal == count:
                    until(lambda: one(db, "select behind = 0 and retries = 0 and workers is null"
                                      " from publish_subscriptions()"))  # fmt: skip
                    db.execute("select publish_seek('s', 0)")
            finally:
                consumer.kill()
                consumer.wait(PATIENCE)
    finally:
        stop.set()
        worker.join(PATIENCE)
    assert db.execute("select sum, events from total").fetchone() == (
        count * (count + 1) // 2,
        count,
    )
    assert one(db, "select sum(sent) from publish.recent_batch") >= count * 3
