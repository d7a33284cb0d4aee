"""What Python adds to publish_drain: it calls, waits and reports, and leaves the session as it was.

How a drain gets past slow keys is the database's part: see test_stopped.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from threading import Event
from typing import LiteralString

import pooler
import psycopg
import pytest
from conftest import Connect, Connection
from helpers import begin, one, pid, until, waits

from pgpublish import database, drain
from pgpublish.drain import Drained
from pgpublish.embedded import Cluster
from pgpublish.errors import BadArgument, ConnectionFailed, DatabaseError


@pytest.fixture
def notes(db: Connection) -> Connection:
    db.execute("select publish_define('note')")
    return db


def enqueue(db: Connection, count: int) -> None:
    """count payloads, each in a transaction of its own."""
    for number in range(count):
        db.execute("select publish_enqueue('note', %s::text, '{}')", [number])


EMPTY: LiteralString = "select depth = 0 from publish_status()"


def run_until_empty(conn: Connection, *, batch: int) -> tuple[list[Drained], list[str]]:
    """The loop, stopped by the first look at the clock when nothing is to be drained."""
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
        conn,
        stop,
        batch=batch,
        report=reports.append,
        warn=warnings.append,
        clock=lambda: next(ticks),
    )
    return reports, warnings


def test_the_loop_drains_everything_in_batches(notes: Connection, connect: Connect) -> None:
    enqueue(notes, 23)
    reports, warnings = run_until_empty(connect(), batch=5)
    assert [report.scanned for report in reports] == [5, 5, 5, 5, 3]
    assert warnings == []


def test_the_loop_maintains_each_minute(notes: Connection, connect: Connect) -> None:
    """Two tombstones of long ago, the second of them after the first was pruned."""
    enqueue(notes, 2)
    drain.drain(notes)
    stop, ticks = Event(), iter(range(0, 10_000, 30))

    def bury(key: str) -> None:
        notes.execute("select publish_enqueue('note', %s, deleted => true)", [key])
        drain.drain(notes)
        notes.execute(
            "update publish.published set updated_at = now() - interval '31 days' where deleted"
        )

    def clock() -> float:
        now = next(ticks)
        if now == 300:
            assert one(notes, "select count(*) from publish.published") == 1
            bury("1")
        if now > 600:
            stop.set()
        return float(now)

    bury("0")
    drain.run(connect(), stop, clock=clock)
    assert one(notes, "select count(*) from publish.published") == 0


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


def test_a_loop_that_stands_by_does_not_spin(notes: Connection, connect: Connect) -> None:
    waited: list[float | None] = []

    class Stop(Event):
        def wait(self, timeout: float | None = None) -> bool:
            waited.append(timeout)
            return super().wait(0)

    stop, ticks = Stop(), iter(range(100))

    def clock() -> float:
        now = next(ticks)
        if now > 3:
            stop.set()
        return now / 1000

    other = connect(autocommit=False)
    other.execute("select publish_drain(1)")
    drain.run(connect(), stop, clock=clock)
    assert waited == [drain.BUSY_WAIT_S] * 4


# --- errors


def test_an_error_that_a_later_call_meets_too_ends_the_loop(
    notes: Connection, connect: Connect
) -> None:
    loop = connect()
    loop.execute("set role publish_reader")
    with pytest.raises(DatabaseError) as caught:
        drain.run(loop, Event())
    assert caught.value.sqlstate == "42501"
    assert one(loop, "select 1") == 1, "the session is not left in a failed transaction"


@pytest.fixture
def blocked(notes: Connection, connect: Connect) -> Iterator[tuple[Connection, Connection]]:
    """A session whose drains fail with 55P03, and the one that makes them fail until it ends."""
    enqueue(notes, 3)
    blocker, loop = connect(autocommit=False), connect()
    blocker.execute("lock table publish.drain in access exclusive mode")
    loop.execute("set lock_timeout = '20ms'")
    yield loop, blocker
    blocker.rollback()


def test_after_a_retryable_error_the_loop_warns_and_calls_again(
    blocked: tuple[Connection, Connection],
) -> None:
    loop, blocker = blocked
    stop, warnings = Event(), []

    def warn(message: str) -> None:
        warnings.append(message)
        if len(warnings) == 3:
            blocker.rollback()

    drain.run(loop, stop, warn=warn, report=lambda drained: stop.set())
    assert len(warnings) == 3
    assert one(loop, "select head from publish_status()") == 3


def test_it_calls_again_at_once_the_first_time_and_then_waits_longer_and_longer(
    blocked: tuple[Connection, Connection], monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    stop = Event()

    def wait(seconds: float) -> bool:
        waits.append(seconds)
        if len(waits) == 9:
            stop.set()
        return stop.is_set()

    monkeypatch.setattr(stop, "wait", wait)
    drain.run(blocked[0], stop)
    assert waits[0] == 0
    assert waits == sorted(waits)
    assert 0 < waits[1] <= 0.1
    assert waits[-1] == 1


def test_drain_all_gives_up_on_an_error_that_stays(blocked: tuple[Connection, Connection]) -> None:
    warnings: list[str] = []
    with pytest.raises(DatabaseError) as caught:
        list(drain.drain_all(blocked[0], warn=warnings.append))
    assert caught.value.sqlstate == "55P03"
    assert len(warnings) == drain.TRIES - 1


def test_a_timeout_in_maintenance_does_not_end_the_loop(
    notes: Connection, connect: Connect
) -> None:
    enqueue(notes, 1)
    stop, warnings = Event(), []
    blocker = connect(autocommit=False)
    blocker.execute("lock table publish.epoch in access exclusive mode")
    loop = connect()
    loop.execute("set lock_timeout = '100ms'")
    loop.execute("set statement_timeout = '10s'")

    def warn(message: str) -> None:
        warnings.append(message)
        if len(warnings) == 2:
            blocker.rollback()

    ticks = iter(range(0, 1_000_000, 30))

    def clock() -> float:
        if notes.execute("select head from publish_status()").fetchone() == (1,):
            stop.set()
        return float(next(ticks))

    # publish_status reads publish.epoch too: ask it only once the lock is gone.
    drain.run(
        loop,
        stop,
        warn=warn,
        clock=lambda: float(next(ticks)) if len(warnings) < 2 else clock(),
    )
    assert len(warnings) >= 2
    assert notes.execute("select head from publish_status()").fetchone() == (1,)


def test_a_session_that_the_server_ends_is_a_lost_connection(
    notes: Connection, connect: Connect
) -> None:
    enqueue(notes, 1)
    blocker, loop = connect(autocommit=False), connect()
    blocker.execute("lock table publish.drain in access exclusive mode")
    drained = begin(drain.drain, loop)
    until(lambda: waits(notes, pid(loop)))
    notes.execute("select pg_terminate_backend(%s)", [pid(loop)])
    with pytest.raises(ConnectionFailed):
        drained.result(30)
    if notes.info.server_version >= 170000:
        loop = connect()
        loop.execute("set transaction_timeout = '100ms'")
        with pytest.raises(ConnectionFailed) as caught:
            drain.drain(loop)
        assert caught.value.sqlstate == "25P04"
    blocker.rollback()
    assert drain.drain(notes).published == 1


def test_it_is_refused_inside_a_transaction(notes: Connection) -> None:
    with pytest.raises(BadArgument), notes.transaction():
        drain.drain(notes)


# --- settings


def settings(conn: Connection) -> dict[str, str]:
    return dict(
        conn.execute(
            "select s.name, s.setting from pg_settings s"
            " where s.name not in ('in_hot_standby', 'transaction_isolation')"
        ).fetchall()
    )


@pytest.fixture
def seen(db: Connection) -> Connection:
    """A kind whose payload tells under which settings it was projected."""
    db.execute("create table thing (id int primary key)")
    db.execute(
        "create view thing_feed as"
        " select id, current_setting('transaction_isolation') as isolation,"
        "        current_setting('statement_timeout') as timeout from thing"
    )
    db.execute("select publish_define('thing', 'thing_feed')")
    db.execute("insert into thing values (1), (2)")
    return db


def test_a_drain_has_ten_seconds_unless_the_session_has_a_limit_of_its_own(
    seen: Connection, connect: Connect
) -> None:
    loop = connect()
    for key, limit in [("1", "10s"), ("2", "3min")]:
        seen.execute("select publish_enqueue('thing', %s)", [key])
        drain.drain(loop)
        loop.execute("set statement_timeout = '3min'")
        payload = one(seen, "select payload from publish.published where source_id = %s", key)
        assert (payload["timeout"], payload["isolation"]) == (limit, "read committed")


def test_the_loop_leaves_the_session_as_it_found_it(seen: Connection, connect: Connect) -> None:
    seen.execute("select publish_enqueue('thing', '1')")
    loop = connect()
    loop.execute("set default_transaction_isolation = 'serializable'")
    drain.drain(loop)  # loads PL/pgSQL, which has settings of its own
    before = settings(loop)
    ticks = iter(range(0, 1_000_000, 30))
    stop = Event()

    def clock() -> float:
        now = next(ticks)
        if now > 200:  # maintenance is among it
            stop.set()
        return float(now)

    drain.run(loop, stop, clock=clock)
    list(drain.drain_all(loop))
    assert settings(loop) == before
    assert one(loop, "select count(*) from pg_prepared_statements") == 0
    assert one(seen, "select publish_head()") == 1


def test_the_commands_connections_prepare_nothing(url: str) -> None:
    with database.connect(url) as conn:
        for _ in range(10):
            database.call(conn, "select public.publish_head() + %s", 1)
        assert one(conn, "select count(*) from pg_prepared_statements") == 0


def test_the_loop_shares_a_transaction_pooler_with_an_application_that_is_serializable(
    seen: Connection, cluster: Cluster, database: str
) -> None:
    seen.execute(
        f"alter database {database} set default_transaction_isolation = serializable".encode()
    )
    seen.execute("select publish_enqueue('thing', '1')")
    with (
        pooler.pooled(cluster, database, size=1) as url,
        psycopg.connect(url, autocommit=True, prepare_threshold=None) as app,
        psycopg.connect(url, autocommit=True, prepare_threshold=None) as loop,
    ):
        server = one(app, "select pg_backend_pid()")
        assert one(app, "show transaction_isolation") == "serializable"
        reports, warnings = run_until_empty(loop, batch=5)
        assert [report.published for report in reports] == [1]
        assert warnings == []
        assert one(app, "select pg_backend_pid()") == server
        assert one(app, "show transaction_isolation") == "serializable"
        assert one(app, "show statement_timeout") == "0"


@pytest.mark.parametrize("isolation", ["repeatable read", "serializable"])
def test_a_session_that_defaults_to_another_isolation_wakes_up_too(
    notes: Connection, connect: Connect, monkeypatch: pytest.MonkeyPatch, isolation: str
) -> None:
    """In a snapshot of its own, await_work would see nothing new until its time is over."""
    monkeypatch.setattr(drain, "WAIT_MS", 60_000)
    loop, stop = connect(), Event()
    loop.execute(f"set default_transaction_isolation = '{isolation}'".encode())
    running = begin(lambda: drain.run(loop, stop, batch=1, report=lambda drained: stop.set()))
    asleep = "select wait_event = 'PgSleep' from pg_stat_activity where pid = %s"
    until(lambda: one(notes, asleep, pid(loop)))
    enqueue(notes, 1)
    running.result(20)
    assert one(notes, "select publish_head()") == 1
