"""Keeps one SQLite file equal to the feeds of several databases, which deliver to one NATS stream.

    python examples/nats_replica.py FILE NATS_URL…

Table held has the newest event of each subject of each source. A batch of messages and how far the
stream was read are one transaction of SQLite, and a message that comes twice changes nothing. So
the consumer, the stream's nodes and the databases may be killed at any moment.

The position is kept here, and not by a durable consumer of NATS: that sends what was not
acknowledged again after what came later, so pgpublish.resynced would delete what is still to come.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import sys
from contextlib import suppress

import nats
from nats.errors import Error
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
from nats.js.client import JetStreamContext

SCHEMA = """
create table if not exists held (
  source text, subject text, sequence text not null, kind text not null, data text,
  primary key (source, subject)
);
create table if not exists life (source text primary key, life text not null);
create table if not exists stream (name text primary key, read_to integer not null);
insert or ignore into stream values ('FEED', 0);
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
    """Reads on from where the last transaction came to, until a message is missing."""
    (read_to,) = db.execute("select read_to from stream").fetchone()
    state = (await stream.stream_info("FEED")).state
    if state.last_seq < read_to:
        read_to = 0  # it was made again
    if state.first_seq > read_to + 1:
        print(f"messages {read_to + 1} to {state.first_seq - 1} are no longer in the stream:"
              " call publish_resync for each subscription", file=sys.stderr)  # fmt: skip
        read_to = state.first_seq - 1
    start = ConsumerConfig(
        deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
        opt_start_seq=read_to + 1,
        ack_policy=AckPolicy.NONE,
    )
    subscription = await stream.pull_subscribe("", stream="FEED", config=start)
    while True:
        messages = []
        with suppress(TimeoutError):
            messages = await subscription.fetch(100, timeout=1)
        with db:
            for message in messages:
                read_to += 1
                if message.metadata.sequence.stream != read_to:
                    raise OSError("a message was lost on its way")
                take(db, json.loads(message.data))
            if messages:
                db.execute("update stream set read_to = ?", [read_to])


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
