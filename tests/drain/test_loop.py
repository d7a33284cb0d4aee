"""The harness's loop around publish_drain."""

from __future__ import annotations

from collections.abc import Iterator
from threading import Event
from typing import LiteralString

import pytest
from conftest import Connect, Connection

from pgpublish import drain
from pgpublish.drain import Drained
from pgpublish.errors import DatabaseError


@pytest.fixture
def notes(db: Connection) -> Connection:
    db.execute("select publish_define('note')")
    return db


def enqueue(db: Connection, count: int) -> None:
    """count payloads, each in a transaction of its own."""
    for number in range(count):
        db.execute("select publish_enqueue('note', %s::text, '{}')", [number])


EMPTY: LiteralString = """
select depth = 0 and not exists (select from publish.rescan r where r.next_page_at <= now())
  from publish_status()
"""


def run_until_empty(conn: Connection, *, batch: int) -> tuple[list[Drained], list[str]]:
    """The loop, stopped by the first look at the clock when nothing is to be drained or walked."""
    reports: list[Drained] = []
    warnings: list[str] = []
    stop = Event()

    def clock() -> Iterator[float]:
        for tick in range(1_000_000):
            if conn.execute(EMPTY).fetchone() == (True,):
                stop.set()
            yield tick / 1000
        raise AssertionError("the loop did not get through")

    ticks = clock()
    drain.run(
        conn, stop, batch=batch, report=reports.append, warn=warnings.append,
        clock=lambda: next(ticks),
    )  # fmt: skip
    return reports, warnings


def test_the_loop_drains_everything_in_batches(notes: Connection, connect: Connect) -> None:
    enqueue(notes, 23)
    reports, warnings = run_until_empty(connect(), batch=5)
    assert [report.scanned for report in reports] == [5, 5, 5, 5, 3]
    assert warnings == []


def test_statement_timeouts_shrink_the_batch_until_it_gets_through(
    db: Connection, connect: Connect
) -> None:
    db.execute("create table thing (id int primary key)")
    db.execute("create view thing_feed as select id, pg_sleep(0.02)::text as slow from thing")
    db.execute("select publish_define('thing', 'thing_feed')")
    db.execute("insert into thing select generate_series(1, 60)")
    for number in range(1, 61):
        db.execute("select publish_enqueue('thing', %s::text)", [number])
    loop = connect()
    loop.execute("set statement_timeout = '500ms'")
    reports, warnings = run_until_empty(loop, batch=60)
    assert len(warnings) >= 1
    assert sum(report.published for report in reports) == 60
    assert db.execute("select count(*) from publish.quarantine").fetchone() == (0,)


def test_a_batch_shrunk_by_a_slow_drain_grows_back(notes: Connection, connect: Connect) -> None:
    enqueue(notes, 60)
    stop = Event()
    times = iter([0.0, 0.0, 2.0, 2.0])  # start, then the first drain takes two seconds
    last = 2.0

    def clock() -> float:
        nonlocal last
        last = next(times, last + 0.001)
        return last

    sizes: list[int] = []

    def report(drained: Drained) -> None:
        sizes.append(drained.scanned)
        if sum(sizes) == 60:
            stop.set()

    drain.run(connect(), stop, batch=16, report=report, clock=clock)
    assert sizes == [16, 8, 16, 16, 4]


def test_an_error_that_no_smaller_batch_mends_ends_the_loop(
    notes: Connection, connect: Connect
) -> None:
    loop = connect()
    loop.execute("set role publish_reader")
    with pytest.raises(DatabaseError) as caught:
        drain.run(loop, Event())
    assert caught.value.sqlstate == "42501"


def test_the_loop_maintains_each_minute(notes: Connection, connect: Connect) -> None:
    enqueue(notes, 1)
    drain.drain(notes)
    # A tombstone of long ago, to be pruned.
    notes.execute("select publish_enqueue('note', '0', deleted => true)")
    drain.drain(notes)
    notes.execute("update publish.published set updated_at = now() - interval '31 days'")
    stop, ticks = Event(), iter(range(0, 10_000, 30))

    def clock() -> float:
        now = next(ticks)
        if now > 200:
            stop.set()
        return float(now)

    drain.run(connect(), stop, clock=clock)
    assert notes.execute("select floor from publish_status()").fetchone() == (2,)


def test_a_loop_beside_a_drain_that_runs_waits_and_goes_on(
    notes: Connection, connect: Connect
) -> None:
    enqueue(notes, 3)
    other = connect(autocommit=False)
    other.execute("select publish_drain(1)")
    loop = connect()
    assert drain.drain(loop).busy
    assert [d.busy for d in drain.drain_all(loop)] == [True]
    other.rollback()
    reports, _ = run_until_empty(loop, batch=10)
    assert [report.scanned for report in reports] == [3]


def define_with_a_slow_key(db: Connection) -> None:
    """Kind thing, whose key 3 takes 30 seconds to project."""
    db.execute("create table thing (id int primary key)")
    db.execute(
        "create view thing_feed as"
        " select id, case when id = 3 then pg_sleep(30)::text end as slow from thing"
    )
    db.execute("select publish_define('thing', 'thing_feed')")


def test_a_key_that_times_out_alone_is_set_aside_and_the_others_go_on(
    db: Connection, connect: Connect
) -> None:
    define_with_a_slow_key(db)
    db.execute("insert into thing select generate_series(1, 8)")
    for number in range(1, 9):
        db.execute("select publish_enqueue('thing', %s::text)", [number])
    loop = connect()
    loop.execute("set statement_timeout = '300ms'")
    run_until_empty(loop, batch=8)
    assert db.execute("select count(*) from publish.published").fetchone() == (7,)
    aside = db.execute("select source_id, sqlstate from publish.quarantine").fetchall()
    assert aside == [("3", "57014")]


def test_of_keys_that_share_an_outbox_row_only_the_one_that_times_out_is_set_aside(
    db: Connection, connect: Connect
) -> None:
    define_with_a_slow_key(db)
    db.execute("select publish_capture('thing', 'thing')")
    db.execute("insert into thing select generate_series(1, 8)")
    assert db.execute("select count(*) from publish.outbox").fetchone() == (1,)
    loop = connect()
    loop.execute("set statement_timeout = '300ms'")
    run_until_empty(loop, batch=8)
    assert db.execute("select count(*) from publish.published").fetchone() == (7,)
    aside = db.execute("select source_id, sqlstate from publish.quarantine").fetchall()
    assert aside == [("3", "57014")]


@pytest.fixture
def slow(db: Connection) -> Connection:
    """Kind slow, of which key 3 is shown only after 30 seconds, and kind quick."""
    db.execute("create table thing (id int primary key)")
    db.execute(
        "create function slowly(id int) returns boolean stable language plpgsql as"
        " $$ begin if id = 3 then perform pg_sleep(30); end if; return true; end $$"
    )
    db.execute("create view slow_feed as select id from thing where slowly(id)")
    db.execute("create view quick_feed as select id, 1 as version from thing")
    db.execute("select publish_define('slow', 'slow_feed')")
    db.execute("select publish_define('quick', 'quick_feed')")
    db.execute("insert into thing select generate_series(1, 8)")
    return db


def test_a_walk_whose_page_times_out_costs_live_changes_one_drain(
    slow: Connection, connect: Connect
) -> None:
    slow.execute("select publish_define('slow', 'slow_feed', schema_version => 2)")
    slow.execute("select publish_enqueue('quick', '1')")
    loop = connect()
    loop.execute("set statement_timeout = '300ms'")
    reports, warnings = run_until_empty(loop, batch=64)
    assert len(warnings) == 1
    assert sum(report.published for report in reports) == 1
    walk = slow.execute("select attempts, page, message is not null from publish.rescan").fetchone()
    assert walk == (1, 32, True)
    slow.execute("update publish.rescan set next_page_at = now(), page = 2")
    slow.execute("update thing set id = 9 where id = 3")
    list(drain.drain_all(loop))
    published = slow.execute("select count(*) from publish.published where kind = 'slow'")
    assert published.fetchone() == (8,)


def test_a_retry_of_a_key_that_times_out_costs_live_changes_one_drain(
    slow: Connection, connect: Connect
) -> None:
    slow.execute("select publish_enqueue('slow', '3')")
    loop = connect()
    loop.execute("set statement_timeout = '300ms'")
    run_until_empty(loop, batch=1)
    slow.execute("update publish.quarantine set next_attempt_at = now()")
    slow.execute("select publish_enqueue('quick', id::text) from thing")
    reports, warnings = run_until_empty(loop, batch=64)
    assert len(warnings) == 1
    assert sum(report.published for report in reports) == 8
    assert slow.execute("select attempts from publish.quarantine").fetchone() == (2,)


def test_a_table_locked_for_long_costs_other_kinds_no_timeout_and_loses_nothing(
    slow: Connection, connect: Connect
) -> None:
    slow.execute("select publish_define('note')")
    slow.execute("select publish_enqueue('quick', '1')")
    slow.execute("select publish_enqueue('note', '1', '{}')")
    altering = connect(autocommit=False)
    altering.execute("lock table thing in access exclusive mode")
    stop, warnings = Event(), []

    def report(drained: Drained) -> None:
        if drained.published:
            stop.set()

    loop = connect()
    loop.execute("set statement_timeout = '5s'")
    drain.run(loop, stop, batch=1, warn=warnings.append, report=report)
    assert warnings == []
    status = slow.execute(
        "select depth, delayed, quarantined, lag > '0' from publish_status()"
    ).fetchone()
    assert status == (1, 0, 0, True), "what was put off is still to be drained"
    altering.rollback()
    slow.execute("update publish.delayed set available_at = now()")
    list(drain.drain_all(loop))
    assert slow.execute("select count(*) from publish.published").fetchone() == (2,)


def test_a_slow_key_that_a_walk_marks_stops_no_walk(slow: Connection, connect: Connect) -> None:
    slow.execute("create view each_feed as select id, slowly(id) as slow from thing")
    slow.execute("select publish_define('slow', 'each_feed', schema_version => 2)")
    loop = connect()
    loop.execute("set statement_timeout = '300ms'")
    run_until_empty(loop, batch=4)
    slow.execute("update publish.rescan set next_page_at = now()")
    run_until_empty(loop, batch=4)
    slow.execute("update publish.rescan set next_page_at = now()")
    run_until_empty(loop, batch=4)
    published = slow.execute("select count(*) from publish.published where kind = 'slow'")
    assert published.fetchone() == (7,)
    assert slow.execute("select source_id from publish.quarantine").fetchall() == [("3",)]
    assert slow.execute("select count(*) from publish.rescan").fetchone() == (0,)


def test_a_lookup_that_fails_and_its_walk_that_times_out_hold_up_no_other_kind(
    slow: Connection, connect: Connect
) -> None:
    slow.execute("create table motto (id int primary key)")
    slow.execute(
        "select publish_capture('slow', 'motto', lookup =>"
        " 'select id from thing where id = any ($1) and 1 / (id - id) = 0')"
    )
    slow.execute("truncate publish.rescan")
    slow.execute("insert into motto values (1)")
    slow.execute("select publish_enqueue('quick', '1')")
    loop = connect()
    loop.execute("set statement_timeout = '300ms'")
    run_until_empty(loop, batch=64)
    assert slow.execute("select kind from publish.published").fetchall() == [("quick",)]
    assert slow.execute("select walks from publish_status()").fetchone() == (1,)


def test_a_full_batch_beside_it_does_not_undo_the_limit_of_a_walks_page(
    slow: Connection,
) -> None:
    slow.execute("insert into thing select generate_series(9, 300)")
    slow.execute("select publish_define('quick', 'quick_feed', schema_version => 2)")
    slow.execute("update publish.rescan set page = 62")
    slow.execute("select publish.walk_rescan(50, clock_timestamp())")
    assert slow.execute("select page from publish.rescan").fetchone() == (62,)


def test_a_page_of_a_walk_that_was_put_off_grows_again(slow: Connection, connect: Connect) -> None:
    slow.execute("insert into thing select generate_series(9, 300)")
    slow.execute("select publish_define('quick', 'quick_feed', schema_version => 2)")
    slow.execute("update publish.rescan set page = 1")
    drains = list(drain.drain_all(connect(), 500))
    assert sum(drained.published for drained in drains) == 300
    assert len(drains) < 20


def test_the_batch_grows_back_also_where_a_row_holds_32_keys(
    db: Connection, connect: Connect
) -> None:
    db.execute("create table thing (id int primary key)")
    db.execute("create view thing_feed as select id from thing")
    db.execute("select publish_define('thing', 'thing_feed')")
    db.execute("select publish_capture('thing', 'thing')")
    db.execute("insert into thing select generate_series(1, 1600)")
    stop = Event()
    last, seconds = 0.0, 2.0

    def clock() -> float:
        nonlocal last
        last += seconds
        return last

    sizes: list[int] = []

    def report(drained: Drained) -> None:
        nonlocal seconds
        sizes.append(drained.scanned)
        if len(sizes) == 8:
            seconds = 0.001
        if sum(sizes) == 1600:
            stop.set()

    drain.run(connect(), stop, batch=160, report=report, clock=clock)
    assert sizes[6:8] == [32, 32], "the batch is one or two rows by then"
    assert 160 in sizes[8:]


def test_a_timeout_in_maintenance_does_not_end_the_loop(
    notes: Connection, connect: Connect
) -> None:
    enqueue(notes, 1)
    stop, warnings = Event(), []
    blocker = connect(autocommit=False)
    blocker.execute("lock table publish.epoch in access exclusive mode")
    loop = connect()
    loop.execute("set statement_timeout = '200ms'")

    def warn(message: str) -> None:
        warnings.append(message)
        if len(warnings) == 2:
            blocker.rollback()

    ticks = iter(range(0, 1_000_000, 30))

    def clock() -> float:
        if notes.execute("select head from publish_status()").fetchone() == (1,):
            stop.set()
        return float(next(ticks))

    notes.execute("set statement_timeout = '30s'")
    # publish_status reads publish.epoch too: ask it only once the lock is gone.
    drain.run(
        loop, stop, warn=warn,
        clock=lambda: float(next(ticks)) if len(warnings) < 2 else clock(),
    )  # fmt: skip
    assert len(warnings) >= 2
    assert notes.execute("select head from publish_status()").fetchone() == (1,)


def test_a_database_that_defaults_to_repeatable_read_is_drained(
    notes: Connection, connect: Connect
) -> None:
    enqueue(notes, 1)
    loop = connect()
    loop.execute("set default_transaction_isolation = 'repeatable read'")
    reports, _ = run_until_empty(loop, batch=5)
    assert [report.scanned for report in reports] == [1]
