"""Marks of publish.deferred that are due and marks of the outbox share a batch, or take turns."""

from __future__ import annotations

import pytest
from conftest import Connection
from helpers import drain, drain_all, enqueue, feed, one, quarantine

LOOKUPS = """
create table country (code text primary key, name text);
create table airport (id int primary key, country text);
create view airport_feed as
  select a.id, c.name as country from airport a left join country c on c.code = a.country;
select publish_define('airport', 'airport_feed'), publish_capture('airport', 'airport'),
       publish_capture('airport', 'country',
                       lookup => 'select id from airport where country = any ($1)');
"""


@pytest.fixture
def events(db: Connection) -> Connection:
    db.execute("select publish_define('event')")
    return db


def due(db: Connection, count: int) -> None:
    """count events whose time has come, drained by nobody yet."""
    db.execute(
        "insert into publish.deferred (due_at, reason, kind, source_id, payload)"
        " select now() - interval '1 s', 'scheduled', 'event', 'due ' || n, '1'"
        "   from generate_series(1, %s) n",
        [count],
    )


def live(db: Connection) -> int:
    return sum(key.startswith("live") for key in feed(db, "event"))


@pytest.mark.parametrize("batch", [1, 2, 3])
def test_many_due_marks_hold_up_no_live_change_however_small_the_batch(
    events: Connection, batch: int
) -> None:
    due(events, 50)
    enqueue(events, "event", "live", "1")
    drain(events, batch), drain(events, batch)
    assert live(events) == 1


@pytest.mark.parametrize("batch", [1, 2, 3])
def test_live_changes_without_end_hold_up_no_due_mark_however_small_the_batch(
    events: Connection, batch: int
) -> None:
    due(events, 1)
    for n in range(10):
        enqueue(events, "event", f"live {n}", "1")
    drain(events, batch), drain(events, batch)
    assert "due 1" in feed(events, "event")


def test_a_transaction_that_fits_into_a_batch_is_published_whole_beside_due_marks(
    events: Connection,
) -> None:
    due(events, 200)
    seen = []
    for number in range(3):
        events.execute(
            "select publish_enqueue('event', format('live %%s %%s', %s::int, n), '1')"
            " from generate_series(1, 80) n",
            [number],
        )
        for _ in range(3):
            drain(events, 100)
            seen.append(live(events) % 80)
    assert seen == [0] * 9
    assert live(events) == 240
    assert len(feed(events, "event")) == 440


def test_due_lookups_beside_rows_of_many_keys_end(db: Connection) -> None:
    """More found than a batch takes: what is tried again must get smaller each time."""
    db.execute(LOOKUPS)
    db.execute("insert into country values ('a', 'old')")
    db.execute("insert into airport select n, 'a' from generate_series(1, 600) n")
    drain_all(db)
    with db.transaction():
        db.execute("set local session_replication_role = replica; update country set name = 'new'")
    db.execute(
        "insert into publish.deferred (due_at, reason, kind, source_id, lookup_id)"
        " select now(), 'locked', 'airport', 'a', c.capture_id"
        "   from publish.capture c where c.lookup is not null"
    )
    db.execute("update airport set country = 'b' where id <= 64")
    db.execute("set statement_timeout = '10s'")
    assert sum(drain(db).published for _ in range(4)) == 600
    assert {payload["country"] for payload in feed(db, "airport").values()} == {None, "new"}
    assert one(db, "select count(*) from publish.deferred") == 0


def test_a_batch_of_any_size_is_taken_beside_due_marks_and_lookups(db: Connection) -> None:
    db.execute(LOOKUPS)
    db.execute("select publish_define('event')")
    db.execute("insert into country values ('a', 'old'), ('b', 'old')")
    db.execute("insert into airport values (1, 'a'), (2, 'b')")
    drain_all(db)
    due(db, 3)
    db.execute("update country set name = 'new' where code = 'a'")
    db.execute("update country set name = 'new' where code = 'b'")
    assert drain(db, 2**31 - 1).published == 5
    assert one(db, "select walks from publish_status()") == 0
    assert quarantine(db) == {}
