"""Keeps one SQLite file equal to the feeds of several databases, which deliver to one NATS stream.

    python examples/nats_replica.py FILE NATS_URL…

Table held has the newest event of each subject of each source. A batch of messages is one
transaction of SQLite, and is acknowledged after it; a message that comes twice changes nothing. So
the consumer, the stream's nodes and the databases may be killed at any moment.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import sys
from contextlib import suppress

import nats
from nats.errors import Error
from nats.js.client import JetStreamContext

SCHEMA = """
create table if not exists held (
  source text, subject text, sequence text not null, kind text not null, data text,
  primary key (source, subject)
);
create table if not exists life (source text primary key, life text not null);
"""
NEWER = """
insert into held values (:source, :subject, :sequence, :type, :data)
on conflict (source, subject) do update set
  sequence = excluded.sequence, kind = excluded.kind, data = excluded.data
where excluded.sequence > held.sequence
"""


def take(db: sqlite3.Connection, event: dict[str, object]) -> None:
    """Of each source, as docs/deliver.md says: what is not above what is held is old. data: null
    for a deletion, which is kept, as an older event may still come."""
    source, life = event["source"], str(event["sequence"])[:10]
    db.execute(
        "insert into life values (?, ?) on conflict (source) do update"
        " set life = max(life, excluded.life)",
        [source, life],
    )
    (newest,) = db.execute("select life from life where source = ?", [source]).fetchone()
    if life < newest:
        return  # it was on its way since before the reset
    if event["type"] == "pgpublish.resynced":  # the others were born in lost changes
        db.execute("delete from held where source = ? and sequence < ?", [source, life])
    elif event["type"] != "pgpublish.reset":
        data = None if event.get("deleted") else json.dumps(event["data"])
        db.execute(NEWER, {**event, "data": data})


async def consume(db: sqlite3.Connection, stream: JetStreamContext) -> None:
    subscription = await stream.pull_subscribe("", durable="replica", stream="FEED")
    while True:
        with suppress(TimeoutError):
            messages = await subscription.fetch(100, timeout=1)
            with db:
                for message in messages:
                    take(db, json.loads(message.data))
            for message in messages:
                await message.ack()


async def main(file: str, servers: list[str]) -> None:
    db = sqlite3.connect(file)
    db.executescript(SCHEMA)
    while True:
        with suppress(Error, OSError, TimeoutError):  # a node is gone: others, or it, will do
            client = await nats.connect(servers, connect_timeout=2, allow_reconnect=False)
            try:
                await consume(db, client.jetstream())
            finally:
                await client.close()
        await asyncio.sleep(0.2)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2:]))
