"""examples/nats_replica.py reads the stream in its order, however often it is killed."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import brokers
import nats
import pytest
from nats.js.client import JetStreamContext

sys.path.append(str(Path(__file__).parents[2] / "examples"))
import nats_replica


def event(kind: str, life: int, rev: int) -> bytes:
    return json.dumps(
        {"source": "/a", "subject": "x", "sequence": f"{life:010d}{rev:019d}", "type": kind,
         "data": life}
    ).encode()  # fmt: skip


def held(db: sqlite3.Connection) -> list[Any]:
    return db.execute("select h.subject, h.data from held h").fetchall()


async def reads(db: sqlite3.Connection, stream: JetStreamContext, last: int) -> None:
    """Consumes until this message of the stream is taken, or what comes raises."""

    async def is_read() -> None:
        while db.execute("select s.read_to from stream s").fetchone() < (last,):
            await asyncio.sleep(0.02)

    consumer = asyncio.create_task(nats_replica.consume(db, stream))
    waiter = asyncio.create_task(is_read())
    try:
        done, _ = await asyncio.wait([consumer, waiter], timeout=20, return_when="FIRST_COMPLETED")
        assert done, "not within 20 s"
        for task in done:
            task.result()
    finally:
        for task in (consumer, waiter):
            task.cancel()
            with suppress(BaseException):
                await task


def on_a_stream(work: Any, **limits: Any) -> None:
    """Runs work(db, stream) with a replica that holds nothing and a stream of no messages."""

    async def run(port: int) -> None:
        client = await nats.connect(f"nats://127.0.0.1:{port}")
        stream = client.jetstream()
        await stream.add_stream(name="FEED", subjects=["feed.>"], **limits)
        db = sqlite3.connect(":memory:")
        db.executescript(nats_replica.SCHEMA)
        await work(db, stream)
        await client.close()

    with brokers.nats_servers() as (node,):
        asyncio.run(asyncio.wait_for(run(node.port), 60))


def test_what_it_fetched_and_lost_comes_before_what_came_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def work(db: sqlite3.Connection, stream: JetStreamContext) -> None:
        await stream.publish("feed.note", event("note", 1, 7))
        await reads(db, stream, 1)
        await stream.publish("feed.reset", event("pgpublish.reset", 2, 0))
        await stream.publish("feed.note", event("note", 2, 5))

        def dies(*_: object) -> None:
            raise KeyError

        with monkeypatch.context() as patched:
            patched.setattr(nats_replica, "take", dies)
            with pytest.raises(KeyError):
                await reads(db, stream, 3)
        assert held(db) == [("x", "1")]
        await stream.publish("feed.resynced", event("pgpublish.resynced", 2, 0))
        await reads(db, stream, 4)
        assert held(db) == [("x", "2")]

    on_a_stream(work)


def test_it_says_so_if_the_stream_dropped_what_it_had_not_read(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async def work(db: sqlite3.Connection, stream: JetStreamContext) -> None:
        for rev in range(1, 6):
            await stream.publish("feed.note", event("note", 1, rev))
        await reads(db, stream, 5)

    on_a_stream(work, max_msgs=2)
    assert "messages 1 to 3 are no longer in the stream" in capsys.readouterr().err
