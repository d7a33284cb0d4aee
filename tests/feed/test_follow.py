"""pgpublish.follow: a reader in Python that goes on, and is told when it cannot."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from threading import Event
from typing import Any

import pytest
from conftest import Connect, Connection
from helpers import PATIENCE, begin, drain_all, enqueue, one, until
from pooler import pooled

from pgpublish import Change, FeedEvent, Reset, Resynced, follow
from pgpublish.embedded import Cluster
from pgpublish.errors import BadArgument, ConnectionFailed, NotDefined


@pytest.fixture
def notes(db: Connection) -> Connection:
    db.execute("select publish_define('note'); select publish_define('other')")
    publish(db, range(1, 6))
    return db


def publish(db: Connection, numbers: range, kind: str = "note", **more: Any) -> None:
    for number in numbers:
        enqueue(db, kind, str(number), None if more else str(number), **more)
    drain_all(db)


def forget_tombstones(db: Connection) -> None:
    db.execute("update publish.published set updated_at = updated_at - interval '1 year'")
    db.execute("select publish_maintain()")


def told(events: Iterator[FeedEvent] | Any) -> list[Any]:
    """Payloads, None for deletions, and the words reset and resynced."""
    return [
        event.payload if isinstance(event, Change) else type(event).__name__.lower()
        for event in events
    ]


def last_cursor(events: Any) -> str:
    return str(list(events)[-1].cursor)


def test_a_first_reading_is_a_reset_all_that_is_published_and_an_end(
    notes: Connection, url: str
) -> None:
    publish(notes, range(1, 2), deleted=True)
    assert told(follow(url, wait=False)) == ["reset", 2, 3, 4, 5, "resynced"]


def test_a_change_is_typed_and_its_numbers_are_exact(notes: Connection, url: str) -> None:
    notes.execute("select set_config('publish.headers', '{\"traceparent\": \"x\"}', false)")
    enqueue(notes, "other", "a", '{"price": 1.10, "big": 12345678901234567890.5}')
    drain_all(notes)
    (change,) = [e for e in follow(url, kinds=["other"], wait=False) if isinstance(e, Change)]
    assert (change.rev, change.kind, change.deleted, change.schema_version) == (
        6,
        "other",
        False,
        1,
    )
    assert change.payload == {"price": Decimal("1.10"), "big": Decimal("12345678901234567890.5")}
    assert str(change.payload["price"]) == "1.10"
    assert change.headers == {"traceparent": "x"}
    assert change.pub_id == one(notes, "select publish_pub_id('other', 'a')")
    assert change.created_at <= change.updated_at <= datetime.now(UTC)


def test_reading_goes_on_after_the_last_cursor(notes: Connection, url: str) -> None:
    saved = last_cursor(follow(url, wait=False, batch=2))
    assert told(follow(url, cursor=saved, wait=False)) == []
    publish(notes, range(3, 4), deleted=True)
    publish(notes, range(6, 8))
    assert told(follow(url, cursor=saved, wait=False)) == [None, 6, 7]


@pytest.mark.parametrize("batch", [1, 2, 500])
def test_whatever_cursor_was_saved_nothing_is_missed_and_the_end_is_told(
    notes: Connection, url: str, batch: int
) -> None:
    """A reader that saves after each event, and dies after any of them."""
    events = list(follow(url, wait=False, batch=batch))
    for number, event in enumerate(events):
        held = {e.payload for e in events[: number + 1] if isinstance(e, Change)}
        rest = list(follow(url, cursor=event.cursor, wait=False, batch=batch))
        assert held | {e.payload for e in rest if isinstance(e, Change)} == {1, 2, 3, 4, 5}
        assert any(isinstance(e, Resynced) for e in rest) == (number < len(events) - 1)


def test_only_the_last_event_of_a_page_moves_the_cursor(notes: Connection, url: str) -> None:
    cursors = [event.cursor for event in follow(url, wait=False, batch=2)]
    groups = [cursors.index(c) for c in dict.fromkeys(cursors)]
    assert groups == [0, 2, 4, 6], cursors  # Reset and 1; 2, 3; 4, 5; Resynced


def test_a_key_that_moves_during_a_resync_is_not_taken_for_an_orphan(
    notes: Connection, url: str
) -> None:
    events = iter(follow(url, wait=False, batch=2))
    begun = [next(events) for _ in range(3)]
    for number in (4, 5):  # above the head at which the reading began
        enqueue(notes, "note", str(number), str(number * 10))
    drain_all(notes)
    assert told([*begun, *events]) == ["reset", 1, 2, 3, 40, 50, "resynced"]


def test_a_cursor_below_what_was_pruned_is_a_reset(notes: Connection, url: str) -> None:
    saved = last_cursor(follow(url, wait=False))
    publish(notes, range(1, 3), deleted=True)
    forget_tombstones(notes)
    events = list(follow(url, cursor=saved, wait=False))
    assert told(events) == ["reset", 3, 4, 5, "resynced"]
    assert isinstance(events[0], Reset)
    assert "pruned" in events[0].reason
    again = follow(url, cursor=events[0].cursor, wait=False)
    assert told(again) == ["reset", 3, 4, 5, "resynced"], "a reset that was saved is told again"


def test_a_cursor_of_other_kinds_is_a_reset(notes: Connection, url: str) -> None:
    saved = last_cursor(follow(url, kinds=["note"], wait=False))
    publish(notes, range(9, 10), "other")
    assert told(follow(url, kinds=["note", "note"], cursor=saved, wait=False)) == []
    events = told(follow(url, kinds=["note", "other"], cursor=saved, wait=False))
    assert events == ["reset", 1, 2, 3, 4, 5, 9, "resynced"]


def test_a_rev_and_a_cursor_of_a_page_are_cursors(notes: Connection, url: str) -> None:
    assert told(follow(url, cursor="3", wait=False)) == [4, 5]
    page = one(notes, "select publish_page(batch => 4) ->> 'cursor'")
    assert told(follow(url, cursor=page, wait=False)) == [5]


def test_what_can_never_work_is_raised(notes: Connection, url: str) -> None:
    with pytest.raises(BadArgument):
        list(follow(url, cursor="nonsense", wait=False))
    with pytest.raises(NotDefined):
        list(follow(url, kinds=["nope"]))
    with pytest.raises(BadArgument):
        follow(url, kinds="note")  # type: ignore[arg-type]
    with pytest.raises(BadArgument):
        list(follow(url, batch=0))
    with pytest.raises(ConnectionFailed):
        list(follow("host=/nowhere dbname=x"))


def readers(db: Connection) -> list[int]:
    """The sessions of followers."""
    return [
        pid
        for (pid,) in db.execute(
            "select a.pid from pg_stat_activity a where a.datname = current_database()"
            " and a.application_name = 'pgpublish'"
        ).fetchall()
    ]


def test_a_follower_goes_on_after_its_session_was_killed_and_says_so(
    notes: Connection, url: str
) -> None:
    stop = Event()
    warnings: list[str] = []
    events: list[FeedEvent] = []

    def read() -> None:
        for event in follow(url, stop=stop, warn=warnings.append):
            events.append(event)

    reading = begin(read)
    until(lambda: len(events) == 7)
    notes.execute("select pg_terminate_backend(%s)", readers(notes))
    publish(notes, range(6, 7))
    until(lambda: len(events) == 8)
    stop.set()
    reading.result(PATIENCE)
    assert told(events) == ["reset", 1, 2, 3, 4, 5, "resynced", 6]
    assert len(warnings) == 1
    assert warnings[0].startswith("connection lost, trying again in 0.1 s")


def test_a_page_that_runs_into_a_timeout_is_read_in_smaller_parts(
    notes: Connection, url: str, connect: Connect
) -> None:
    saved = last_cursor(follow(url, wait=False))
    publish(notes, range(10, 40))
    blocker = connect(autocommit=False)
    blocker.execute("lock publish.published in access exclusive mode")
    warnings: list[str] = []

    def warn(message: str) -> None:
        warnings.append(message)
        blocker.rollback()

    limited = f"{url} options='-c lock_timeout=50ms'"
    assert told(follow(limited, cursor=saved, wait=False, warn=warn)) == list(range(10, 40))
    assert len(warnings) == 1
    assert "lock timeout" in warnings[0]


def test_behind_a_pooler_it_looks_instead_of_listening(
    notes: Connection, cluster: Cluster, database: str
) -> None:
    with pooled(cluster, database) as pool:
        events = iter(follow(pool))
        assert told(next(events) for _ in range(7)) == ["reset", 1, 2, 3, 4, 5, "resynced"]
        publish(notes, range(6, 7))
        assert told([next(events)]) == [6]
        assert one(notes, "select count(*) from pg_stat_activity a where a.query ilike 'listen%'"
                          " and a.datname = current_database()") == 0  # fmt: skip


def test_async_it_says_the_same_and_leaving_it_ends_its_session(
    notes: Connection, url: str
) -> None:
    async def first(count: int) -> list[FeedEvent]:
        seen: list[FeedEvent] = []
        async for event in follow(url, batch=2):
            seen.append(event)
            if len(seen) == count:
                break
        return seen

    assert told(asyncio.run(first(7))) == ["reset", 1, 2, 3, 4, 5, "resynced"]
    until(lambda: not readers(notes))


def test_an_async_reader_that_waits_does_not_hold_up_others_and_can_be_cancelled(
    notes: Connection, url: str
) -> None:
    async def main() -> list[Any]:
        seen: list[FeedEvent] = []
        arrived = asyncio.Event()

        async def read() -> None:
            async for event in follow(url):
                seen.append(event)
                if isinstance(event, Resynced) or (isinstance(event, Change) and event.rev > 5):
                    arrived.set()

        reading = asyncio.create_task(read())
        await asyncio.wait_for(arrived.wait(), PATIENCE)
        arrived.clear()
        await asyncio.to_thread(publish, notes, range(6, 7))
        await asyncio.wait_for(arrived.wait(), PATIENCE)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(reading, PATIENCE)
        return told(seen)

    assert asyncio.run(main()) == ["reset", 1, 2, 3, 4, 5, "resynced", 6]
    until(lambda: not readers(notes))
