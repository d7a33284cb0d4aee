"""A stream that joins, leaves or falls behind while others are told loses no change."""

from __future__ import annotations

import asyncio
import json
import random
from typing import Any

import psycopg
from helpers import PATIENCE, begin, head, one, until
from psycopg.rows import namedtuple_row
from serving import Serving, serving
from test_stream import payloads

from pgpublish.serve import Settings
from pgpublish.serve.hub import Filter, Hub

pytest_plugins = ["served"]


def test_who_shares_a_page_that_was_asked_for_before_it_came_misses_nothing(
    url, orders, put, connect
):
    put("note", "a", "1")
    with serving(url, recheck=60) as server:
        with server.stream() as events:  # its rights are known from now on
            events.until("live")
        blocker = connect(autocommit=False)
        blocker.execute("lock table publish.reader in access exclusive mode")
        with server.stream() as first:
            until(lambda: waits_for(orders, "publish_serve_stream"))
            put("note", "b", "2")
            until(lambda: server.feed.hub.upto == head(orders))
            with server.stream() as second:
                until(lambda: len(server.feed.hub) == 2)
                blocker.rollback()
                assert payloads(first.until("live") + first.changes(1)) == [1, 2]
                assert payloads(second.until("live")) == [1, 2]


def test_a_long_poll_that_shares_a_page_misses_nothing(url, orders, put, connect):
    put("note", "a", "1")
    with serving(url, recheck=60) as server:
        cursor = server.get("/changes").json()["cursor"]
        path = f"/changes?cursor={cursor}&wait=50"
        assert server.get(f"/changes?cursor={cursor}&wait=1").json()["changes"] == []
        blocker = connect(autocommit=False)
        blocker.execute("lock table publish.reader in access exclusive mode")
        first = begin(server.get, path)
        until(lambda: waits_for(orders, "publish_serve_page"))
        put("note", "b", "2")
        until(lambda: server.feed.hub.upto == head(orders))
        second = begin(server.get, path)
        until(lambda: len(server.feed.hub) == 2)
        blocker.rollback()
        for asked in (first, second):
            assert payloads(asked.result(10).json()["changes"]) == [2]


def test_a_stream_whose_changes_were_dropped_during_a_heartbeat_does_not_skip_them(
    url, orders, put, connect
):
    with serving(url, heartbeat=0.1, recheck=0.01, buffer=100) as server:
        with server.stream() as events:
            events.until("live")
            blocker = connect(autocommit=False)
            blocker.execute("lock table publish.reader in access exclusive mode")
            until(lambda: waits_for(orders, "publish_serve_reader"))
            for pair in (("a", "1", "b", "2"), ("c", "3", "d", "4")):  # each in a read of its own
                put("note", *pair)
                until(lambda: server.feed.hub.upto == head(orders))
            blocker.rollback()
            got = []
            while (event := events.next()) is not None:
                got.append(event[1])
        with server.stream(**{"Last-Event-ID": events.last_id}) as events:
            assert payloads(got + events.until("live")) == [1, 2, 3, 4]


class Gated(psycopg.AsyncConnection[Any]):
    """Its queries wait until they may begin, but for the next `free` ones."""

    free = 0
    gate: asyncio.Event

    async def execute(self, *arguments: Any, **more: Any) -> Any:
        if self.free == 0:
            await self.gate.wait()
        self.free -= 1
        return await super().execute(*arguments, **more)


def test_what_comes_while_the_shared_read_begins_again_is_missed_by_nobody(url, orders, put):
    async def begin_again() -> None:
        hub = Hub(url, Settings())
        async with await Gated.connect(url, autocommit=True, row_factory=namedtuple_row) as conn:
            conn.gate, conn.free = asyncio.Event(), 1
            await hub._read_all(conn)
            orders.execute(
                "insert into publish.floor (kind, departed, floor, pruned)"
                " values ('order', true, publish_head() + 1, 1)"
            )
            conn.free = 1  # it learns that its cursor ended, and no more
            reading = asyncio.create_task(hub._read_all(conn))
            while hub.cursor is not None:
                await asyncio.sleep(0.01)
            subscriber = hub.join(Filter(None, None), 1 << 20)  # and reads up to here
            put("note", "a", "1")
            conn.free = 9
            conn.gate.set()
            await reading
            assert subscriber.lost or subscriber.take() is not None

    put("note", "b", "1")
    asyncio.run(begin_again())


def waits_for(db: Any, function: str) -> bool:
    return bool(
        one(
            db,
            "select count(*) from pg_stat_activity a where cardinality(pg_blocking_pids(a.pid)) > 0"
            " and a.query like '%%' || %s || '%%'",
            function,
        )
    )


def test_whoever_joins_moves_or_is_lost_holds_what_the_feed_says(url, orders, put):
    """Streams come, go, are too slow and are read again at random, during writes."""
    random.seed(11)
    ends = 40_000  # the note that ends them
    held: list[dict[str, Any]] = [{} for _ in range(12)]

    def follow(server: Serving, n: int) -> None:
        last: str | None = None
        while True:
            headers = {"Last-Event-ID": last} if last else {}
            leave_after = random.randrange(1, 30)
            with server.stream(**headers) as events:
                while leave_after > 0 and (fields := events.block()):
                    last = events.last_id or last
                    if fields.get("event") == "reset":
                        held[n].clear()
                    if "data" not in fields or "event" in fields:
                        continue
                    leave_after -= 1
                    change = json.loads(fields["data"])
                    held[n].pop(change["pub_id"], None)
                    if not change["deleted"]:
                        held[n][change["pub_id"]] = change["payload"]
                    if change["payload"] == ends and events.last_id is not None:
                        return

    with serving(url, batch=5, buffer=700, heartbeat=0.02, look=0.02) as server:
        following = [begin(follow, server, n) for n in range(len(held))]
        for step in range(400):
            if step % 10 == 0:
                # As if tombstones of scopes had been pruned: the shared read begins again.
                orders.execute(
                    "insert into publish.floor (kind, departed, floor, pruned)"
                    " values ('order', true, publish_head() + 1, 1) on conflict do nothing"
                )
            gone = random.random() < 0.2
            put("note", str(random.randrange(9)), None if gone else str(step))
        put("note", "end", str(ends))
        for future in following:
            future.result(PATIENCE)
        page = one(orders, "select publish_serve_page('publish_reader')")
        want = {c["pub_id"]: c["payload"] for c in page["changes"] if not c["deleted"]}
        for each in held:
            assert each == want
