"""Guarantee 9 against what stops a drain instead of failing it: a timeout, a cancel, a kill. It
gets past that by nothing but `select * from publish_drain(500)`, again and again as from cron."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from typing import Any, LiteralString, NamedTuple

import psycopg
import pytest
import servers
from conftest import Connect, Connection
from helpers import (
    GATE,
    PATIENCE,
    begin,
    check_feed,
    drain,
    enqueue,
    feed,
    one,
    pid,
    quarantine,
    running_cluster,
    until,
    waits,
)
from psycopg.rows import namedtuple_row

from pgpublish.migrate import migrate

TIMEOUT_S = 0.5
KEYS = {str(n) for n in range(1, 501)}
SCHEMA = f"""
{GATE}
create table item (id int primary key, n int not null default 0);
create view item_feed as select i.id, i.n, gate(i.id) as gate from item i;
create table other (id int primary key, n int not null default 0);
create view other_feed as select o.id, o.n, gate(1000 + o.id) as gate from other o;
select publish_define('item', 'item_feed'), publish_capture('item', 'item');
select publish_define('other', 'other_feed'), publish_capture('other', 'other');
"""


class Call(NamedTuple):
    """One call of publish_drain: its row, or the SQLSTATE it failed with, and how long it took."""

    done: Any
    sqlstate: str | None
    seconds: float

    @property
    def timed_out(self) -> bool:
        return self.seconds > 0.95 * TIMEOUT_S


@pytest.fixture
def db(db: Connection) -> Connection:
    db.execute(SCHEMA.encode())
    return db


@pytest.fixture
def cron(connect: Connect) -> Connection:
    """A session that drains under a statement_timeout."""
    return connect(options=f"-c statement_timeout={round(TIMEOUT_S * 1000)}")


def call(conn: Connection, batch: int = 500) -> Call:
    began = time.monotonic()
    done, sqlstate = None, None
    try:
        done = drain(conn, batch)
    except psycopg.Error as error:
        sqlstate = error.sqlstate or "no answer"
    return Call(done, sqlstate, time.monotonic() - began)


def calls(conn: Connection, batch: int = 500) -> list[Call]:
    """Calls until one finds nothing to do."""
    made: list[Call] = []
    while not made or made[-1].sqlstate or made[-1].done.scanned:
        assert len(made) < 100, "it gets past nothing"
        made.append(call(conn, batch))
    return made


def calls_in_sessions(
    connect: Callable[[], Connection], until_done: Callable[[Connection, Any], Any]
) -> list[Call]:
    """The same, but each call in a session of its own."""
    made: list[Call] = []
    while not made or made[-1].sqlstate or made[-1].done.scanned:
        assert len(made) < 100, "it gets past nothing"
        with connect() as conn:
            calling = begin(call, conn)
            until_done(conn, calling)
            made.append(calling.result(PATIENCE))
    return made


def timeouts(made: list[Call]) -> int:
    return sum(c.timed_out for c in made)


def errors(made: list[Call]) -> list[str]:
    return [c.sqlstate for c in made if c.sqlstate]


def calls_stopped(db: Connection, connect: Connect, stop: Callable[[int], Any]) -> list[Call]:
    """The same; each call that comes to wait is stopped there."""

    def stop_it(conn: Connection, calling: Any) -> None:
        until(lambda: calling.done() or waits(db, pid(conn)))
        if not calling.done():
            stop(pid(conn))

    return calls_in_sessions(connect, stop_it)


def terminate(db: Connection) -> Callable[[int], Any]:
    return lambda backend: one(db, "select pg_terminate_backend(%s, 30000)", backend)


def cancel(db: Connection) -> Callable[[int], Any]:
    return lambda backend: one(db, "select pg_cancel_backend(%s)", backend)


def close(conn: Connection, *keys: int) -> None:
    """From now on the view waits at these keys; those of `other` are 1000 and more."""
    for key in keys:
        conn.execute("select pg_advisory_lock(1, %s)", [key])


def open(conn: Connection) -> None:
    conn.execute("select pg_advisory_unlock_all()")


def due(conn: Connection) -> None:
    conn.execute("update publish.deferred set due_at = now()")


def waits_for_its_backoff(conn: Connection, *keys: str) -> bool:
    """These keys, and no others, are quarantined, and due in some seconds at least."""
    later = one(conn, "select bool_and(due_at > now() + '3 s'::interval) from publish.quarantine")
    return bool(later) and quarantine(conn) == dict.fromkeys(keys, "57014")


# --- statement_timeout


def test_one_key_of_500_that_always_times_out_costs_few_timeouts_and_no_other_key(
    db: Connection, cron: Connection
) -> None:
    close(db, 137)
    db.execute("insert into item select generate_series(1, 500)")
    made = calls(cron)
    assert errors(made) == []
    assert timeouts(made) <= 6
    assert set(feed(db, "item")) == KEYS - {"137"}
    assert waits_for_its_backoff(db, "137")
    check_feed(db)


def test_its_retry_costs_one_timeout_and_live_changes_wait_for_one_drain(
    db: Connection, cron: Connection
) -> None:
    close(db, 137)
    db.execute("insert into item select generate_series(1, 500)")
    calls(cron)
    for n in (1, 2):
        due(db)
        db.execute("update item set n = n + 1 where id <> 137")
        db.execute("insert into other values (%s)", [n])
        two = [call(cron), call(cron)]
        assert sum(c.done.published for c in two) == 500
        assert timeouts(two + calls(cron)) == 1
        assert waits_for_its_backoff(db, "137")
    open(db)
    due(db)
    assert timeouts(calls(cron)) == 0
    assert set(feed(db, "item")) == KEYS
    assert quarantine(db) == {}


def test_forty_slow_keys_are_published_in_parts_beside_another_kind(
    db: Connection, cron: Connection
) -> None:
    db.execute(
        "create table report (id int primary key);"
        "create view report_feed as select id, pg_sleep(0.04)::text as slow from report;"
        "select publish_define('report', 'report_feed'), publish_capture('report', 'report');"
        "insert into report select generate_series(1, 40);"
        "insert into other select generate_series(1, 5)"
    )
    made = [call(cron), call(cron)]
    assert len(feed(db, "other")) == 5, "the other kind waits for one drain"
    made += [call(cron) for _ in range(4)]
    assert len(feed(db, "report")) > 0
    made += calls(cron)
    assert (errors(made), len(feed(db, "report")), quarantine(db)) == ([], 40, {})
    assert timeouts(made) <= 6


def test_slow_keys_keep_no_live_change_of_another_kind_for_more_than_a_drain(
    db: Connection, cron: Connection
) -> None:
    close(db, *range(1, 41))
    db.execute("insert into item select generate_series(1, 500)")
    call(cron), call(cron)
    for n in range(1, 13):
        db.execute("insert into other values (%s)", [n])
        call(cron), call(cron)
        assert str(n) in feed(db, "other")
    open(db)
    due(db)
    calls(cron)
    assert set(feed(db, "item")) == KEYS


STUBBORN: LiteralString = """
create function stubborn(key int) returns int language plpgsql as $$
begin
  return public.gate(key);
exception when query_canceled then
  return -1;
end $$;
create view stubborn_feed as select i.id, stubborn(i.id) as gate from item i;
select publish_define('item', 'stubborn_feed');
"""


def test_a_view_that_catches_its_timeout_is_published_and_stops_nothing(
    db: Connection, cron: Connection
) -> None:
    db.execute(STUBBORN)
    db.execute("truncate publish.walk; insert into item select generate_series(1, 500)")
    close(db, 137)
    made = calls(cron)
    assert (errors(made), timeouts(made)) == ([], 1)
    assert {key for key, payload in feed(db, "item").items() if payload["gate"] < 0} == {"137"}
    assert set(feed(db, "item")) == KEYS
    assert quarantine(db) == {}
    check_feed(db)


def test_after_a_timeout_that_was_caught_no_other_users_sql_begins_in_that_call(
    db: Connection, cron: Connection
) -> None:
    """No second one would fire: neither in the next kind nor in the page of a walk."""
    db.execute(STUBBORN)
    db.execute("insert into item select generate_series(1, 5); insert into other values (1), (2)")
    db.execute("select publish_walk('other')")
    close(db, 3, 1001)
    made = calls(cron)
    assert errors(made) == []
    assert max(c.seconds for c in made) < 3 * TIMEOUT_S
    assert set(feed(db, "other")) == {"2"}
    assert set(feed(db, "item")) == set("12345")
    assert waits_for_its_backoff(db, "1")


def test_a_view_that_raises_57014_itself_stops_few_drains_and_no_other_key(
    db: Connection, cron: Connection
) -> None:
    db.execute(
        "create function refuse(key int) returns int language plpgsql as $$ begin"
        "  if key = 137 then raise query_canceled; end if; return key; end $$;"
        "create view refusing_feed as select i.id, i.n, refuse(i.id) from item i;"
        "select publish_define('item', 'refusing_feed');"
        "insert into item select generate_series(1, 500);"
        "insert into other values (1)"
    )
    made = calls(cron)
    assert set(errors(made)) == {"57014"}
    assert len(errors(made)) <= 6
    assert set(feed(db, "item")) == KEYS - {"137"}
    assert set(feed(db, "other")) == {"1"}
    assert waits_for_its_backoff(db, "137")
    db.execute("update item set n = 1 where id <= 3")
    assert errors(calls(cron)) == [], "a live change of the kind meets the bad key no more"
    assert feed(db, "item")["3"]["n"] == 1


def test_two_kinds_that_both_stop_the_drain_do_not_undo_each_other(
    db: Connection, cron: Connection
) -> None:
    close(db, 137, 1400)
    db.execute(
        "insert into item select generate_series(1, 500);"
        "insert into other select generate_series(1, 500)"
    )
    made = calls(cron, 1000)
    assert (errors(made), timeouts(made) <= 12) == ([], True)
    assert set(feed(db, "item")) == KEYS - {"137"}
    assert set(feed(db, "other")) == KEYS - {"400"}
    due(db)
    db.execute("update item set n = 1 where id = 1")
    db.execute("update other set n = 1 where id = 1")
    assert call(cron).done.published + call(cron).done.published == 2
    assert timeouts(calls(cron)) <= 2
    assert set(quarantine(db)) == {"137", "400"}


def test_revs_are_whole_and_nothing_is_published_twice_however_often_a_drain_is_stopped(
    db: Connection, cron: Connection
) -> None:
    close(db, 2, 1001)
    for n in range(1, 6):
        with db.transaction():
            db.execute("insert into item values (%s)", [n])
            db.execute("insert into other values (%s)", [n])
    calls(cron, 3)
    open(db)
    due(db)
    calls(cron, 3)
    assert set(feed(db, "item")) == set(feed(db, "other")) == set("12345")
    assert one(db, "select publish_head()") == 10
    check_feed(db)


def test_a_batch_of_payloads_that_is_too_large_for_the_timeout_is_taken_in_parts(
    db: Connection, cron: Connection
) -> None:
    """No users' SQL is to blame, but the time it takes to write."""
    db.execute(
        "create function is_slow() returns trigger language plpgsql as"
        "  $$ begin perform pg_sleep(0.005); return null; end $$;"
        "create trigger is_slow after insert on publish.published"
        "  for each row execute function is_slow();"
        "select publish_define('note')"
    )
    with db.transaction():
        for n in range(200):
            enqueue(db, "note", str(n), "1")
    made = calls(cron)
    assert (errors(made), timeouts(made) <= 3) == ([], True)
    assert len(feed(db, "note")) == 200
    assert quarantine(db) == {}


# --- transaction_timeout


def is_before_17(config: pytest.Config) -> bool:
    return servers.major_version(config.getoption("--server")) < 17


@pytest.mark.skipif("is_before_17(config)", reason="transaction_timeout came with PostgreSQL 17")
@pytest.mark.parametrize("catches", [False, True], ids=["a plain view", "one that catches 57014"])
def test_transaction_timeout_ends_few_sessions_and_costs_no_other_key(
    db: Connection, connect: Connect, catches: bool
) -> None:
    if catches:
        db.execute(STUBBORN.replace("return -1", "return public.gate(key)").encode())
    close(db, 137)
    db.execute("insert into item select generate_series(1, 500)")
    milliseconds = round(TIMEOUT_S * 1000)
    limits = f"-c transaction_timeout={milliseconds}" + (
        f" -c statement_timeout={milliseconds * 4 // 5}" if catches else ""
    )
    made = calls_in_sessions(lambda: connect(options=limits), lambda *_: None)
    assert set(errors(made)) == {"25P04"}
    assert len(errors(made)) <= 6
    assert set(feed(db, "item")) == KEYS - {"137"}
    assert waits_for_its_backoff(db, "137")


# --- kill and cancel


def test_a_backend_that_is_terminated_at_one_key_again_and_again_gets_past_it(
    db: Connection, connect: Connect
) -> None:
    close(db, 137)
    db.execute("insert into item select generate_series(1, 500); insert into other values (1)")
    made = calls_stopped(db, connect, terminate(db))
    assert set(errors(made)) == {"57P01"}
    assert len(errors(made)) <= 6
    assert set(feed(db, "item")) == KEYS - {"137"}
    assert set(feed(db, "other")) == {"1"}
    assert waits_for_its_backoff(db, "137")


def test_a_server_that_one_key_crashes_again_and_again_gets_past_it(server_kind: str) -> None:
    """As when the kernel kills a backend for its memory, on a server where nothing else writes: at
    most two crashes for each step, from the batch to an eighth of it and so on to the key alone."""
    with running_cluster(server_kind, autovacuum="off") as cluster:

        def try_to_connect() -> Connection | None:
            try:
                return psycopg.connect(cluster.url(), autocommit=True, row_factory=namedtuple_row)
            except psycopg.OperationalError:
                return None  # it recovers

        def connect() -> Connection:
            return until(try_to_connect)

        gates: list[Connection] = []

        def connect_behind_gate() -> Connection:
            gates.append(connect())
            close(gates[0], 137)
            return connect()

        def crash(conn: Connection, calling: Any) -> None:
            with gates.pop() as gate:
                until(lambda: calling.done() or waits(gate, pid(conn)))
                if calling.done():
                    return
                if one(gate, "select not exists (select from publish.alive)"):
                    # After a crash the note of what is tried reaches the disk by itself.
                    noted = one(gate, "select pg_current_wal_insert_lsn() - 16384")
                    until(lambda: one(gate, "select pg_current_wal_flush_lsn() >= %s", noted))
                os.kill(pid(conn), signal.SIGKILL)
                with pytest.raises(psycopg.OperationalError):
                    until(lambda: gate.execute("select") is None)

        with connect() as db:
            migrate(db)
            db.execute(SCHEMA.encode())
            db.execute("insert into item select generate_series(1, 500)")
            db.execute("insert into other values (1)")
            db.execute("vacuum freeze")  # a hint bit that a reader sets may be WAL, and flushed
            db.execute("checkpoint")
        assert len(errors(calls_in_sessions(connect_behind_gate, crash))) <= 8
        with connect() as db:
            assert set(feed(db, "item")) == KEYS - {"137"}
            assert set(feed(db, "other")) == {"1"}
            assert waits_for_its_backoff(db, "137")
            check_feed(db)


def test_a_persons_cancel_is_an_error_to_the_caller_and_costs_no_key_anything(
    db: Connection, connect: Connect
) -> None:
    close(db, 137)
    db.execute("insert into item select generate_series(1, 500); insert into other values (1)")
    conn = connect()
    calling = begin(call, conn)
    until(lambda: waits(db, pid(conn)))
    cancel(db)(pid(conn))
    assert calling.result(PATIENCE).sqlstate == "57014"
    assert (quarantine(db), one(db, "select publish_head()")) == ({}, 0)
    open(db)
    assert errors(calls(conn)) == []
    assert set(feed(db, "item")) == KEYS
    assert set(feed(db, "other")) == {"1"}
    assert quarantine(db) == {}


def test_a_caller_that_rolls_back_loses_nothing_and_puts_nothing_aside(
    db: Connection, connect: Connect
) -> None:
    db.execute("insert into item select generate_series(1, 500)")
    caller = connect()
    for _ in range(3):
        with caller.transaction(force_rollback=True):
            assert drain(caller).published == 500
    assert (quarantine(db), feed(db, "item")) == ({}, {})
    assert call(db).done.published == 500


def test_a_caller_that_rolls_back_after_a_timeout_loses_nothing(
    db: Connection, cron: Connection
) -> None:
    close(db, 3)
    db.execute("insert into item select generate_series(1, 5)")
    with cron.transaction(force_rollback=True):
        assert call(cron).timed_out
        assert len(quarantine(cron)) == 5
    assert quarantine(db) == {}
    open(db)
    assert call(cron).done.published == 5


# --- keys that are put aside


def test_marks_of_a_key_that_is_put_aside_stop_no_drain_and_its_newest_state_is_published(
    db: Connection, cron: Connection
) -> None:
    close(db, 3)
    db.execute("insert into item select generate_series(1, 5)")
    calls(cron)
    attempts = one(db, "select attempts from publish.quarantine")
    for n in range(1, 4):
        db.execute("update item set n = %s", [n])
        made = calls(cron)
        assert timeouts(made) == 0
        assert made[0].done.published == 4
    assert one(db, "select depth from publish_status()") == 0
    assert one(db, "select attempts from publish.quarantine") == attempts
    open(db)
    due(db)
    calls(cron)
    assert feed(db, "item")["3"]["n"] == 3


def test_a_lookup_that_finds_a_key_that_is_put_aside_stops_no_drain(
    db: Connection, cron: Connection
) -> None:
    db.execute(
        "create table setting (id int primary key);"
        "select publish_capture('item', 'setting', lookup =>"
        "  'select i.id from item i where i.id > any ($1)')"
    )
    close(db, 3)
    db.execute("insert into item select generate_series(1, 5)")
    calls(cron)
    with db.transaction():
        db.execute("set local session_replication_role = replica; update item set n = 1")
    db.execute("insert into setting values (0)")
    made = calls(cron)
    assert timeouts(made) == 0
    assert {key for key, payload in feed(db, "item").items() if payload["n"] == 1} == set("1245")
    assert one(db, "select walks from publish_status()") == 0
    open(db)
    due(db)
    calls(cron)
    assert feed(db, "item")["3"]["n"] == 1


def test_a_key_that_is_put_aside_keeps_what_is_published_of_it_until_it_goes_through(
    db: Connection, cron: Connection
) -> None:
    db.execute("insert into item select generate_series(1, 5)")
    calls(cron)
    close(db, 3)
    db.execute("update item set n = 1")
    calls(cron)
    assert feed(db, "item")["3"]["n"] == 0
    db.execute("delete from item where id = 3")
    calls(cron)
    assert "3" in feed(db, "item")
    assert one(db, "select publish_retry('item', '3')") == 1
    assert timeouts(calls(cron)) == 0, "a key that is gone has no slow row"
    assert set(feed(db, "item")) == set("1245")
    assert quarantine(db) == {}


def test_publish_retry_tries_such_a_key_at_once_and_alone(db: Connection, cron: Connection) -> None:
    close(db, 3)
    db.execute("insert into item select generate_series(1, 5)")
    calls(cron)
    assert one(db, "select publish_retry('item', '3')") == 1
    assert timeouts(calls(cron)) == 1
    assert waits_for_its_backoff(db, "3")
    open(db)
    assert one(db, "select publish_retry()") == 1
    assert timeouts(calls(cron)) == 0
    assert set(feed(db, "item")) == set("12345")


def test_a_new_definition_tries_what_was_put_aside(db: Connection, cron: Connection) -> None:
    close(db, 3)
    db.execute("insert into item select generate_series(1, 5)")
    calls(cron)
    db.execute("create view quick as select i.id, i.n from item i")
    db.execute("select publish_define('item', 'quick')")
    assert timeouts(calls(cron)) == 0
    assert set(feed(db, "item")) == set("12345")
    assert quarantine(db) == {}


# --- lookups and walks


@pytest.mark.parametrize("settings", [1, 40])
def test_a_lookup_that_always_times_out_becomes_a_walk(
    db: Connection, cron: Connection, settings: int
) -> None:
    db.execute(
        "create table setting (id int primary key);"
        "select publish_capture('item', 'setting', lookup =>"
        "  'select i.id from item i where gate(999) = any ($1) or i.id > any ($1)');"
        "insert into item select generate_series(1, 5)"
    )
    calls(cron)
    with db.transaction():
        db.execute("set local session_replication_role = replica; update item set n = 1")
    close(db, 999)
    db.execute("insert into setting select generate_series(1, %s)", [settings])
    db.execute("insert into other values (1)")
    made = [call(cron), call(cron)]
    assert set(feed(db, "other")) == {"1"}, "another kind waits for one drain"
    made += calls(cron)
    assert (errors(made), timeouts(made) <= 8) == ([], True)
    assert {payload["n"] for payload in feed(db, "item").values()} == {1}
    assert quarantine(db) == {}
    assert one(db, "select walks from publish_status()") == 0


@pytest.mark.parametrize("how", ["times out", "is terminated"])
def test_a_page_of_a_walk_that_stops_the_drain_is_halved_and_others_go_on(
    db: Connection, cron: Connection, connect: Connect, how: str
) -> None:
    db.execute(
        "insert into item select generate_series(1, 100);"
        "create view gated as select i.id, i.n from item i where gate(i.id) > 0;"
        "select publish_define('item', 'gated', schema_version => 2);"
        "truncate publish.outbox; insert into other values (1)"
    )
    close(db, 3)
    if how == "times out":
        made = calls(cron)
        stops = timeouts(made)
        assert errors(made) == []
    else:
        made = calls_stopped(db, connect, terminate(db))
        stops = len(errors(made))
        assert set(errors(made)) == {"57P01"}
    assert stops <= 2
    assert set(feed(db, "other")) == {"1"}
    walk = db.execute("select page, attempts, due_at > now() from publish.walk").fetchall()
    assert walk == [(500 // 2**stops, stops, True)]
    open(db)
    db.execute("update publish.walk set due_at = now()")
    assert timeouts(calls(cron)) == 0
    assert len(feed(db, "item")) == 100
    assert one(db, "select walks from publish_status()") == 0


def test_new_keys_of_a_kind_that_hangs_do_not_hold_up_another_kind(
    db: Connection, cron: Connection
) -> None:
    """Between two calls from cron there is always a new one of both kinds."""
    db.execute(
        "create or replace function gate(key int) returns int language plpgsql as"
        " $$ begin perform pg_sleep(case when key < 1000 then 30 else 0 end); return key; end $$"
    )
    for n in range(1, 13):
        db.execute("insert into item values (%s)", [n])
        db.execute("insert into other values (%s)", [n])
        call(cron)
        assert n - len(feed(db, "other")) <= 2  # at most two calls after it was written
    assert feed(db, "item") == {}
    db.execute("create or replace function gate(key int) returns int language sql return key")
    for _ in range(40):
        call(cron)
        db.execute("update publish.deferred set due_at = now() where sqlstate = '57014'")
    assert len(feed(db, "item")) == len(feed(db, "other")) == 12
    assert quarantine(db) == {}


def test_what_came_before_in_the_same_message_is_no_time_of_the_drain(
    db: Connection, cron: Connection
) -> None:
    """statement_timeout counts from the statement, statement_timestamp() from the message."""
    db.execute("insert into other select generate_series(1, 1000)")
    for _ in range(4):
        cron.execute("select pg_sleep(0.3); select pg_sleep(0.3); select publish_drain(500)")
    assert len(feed(db, "other")) == 1000


def test_a_call_that_began_late_takes_its_timeout_for_no_cancel(
    db: Connection, cron: Connection
) -> None:
    """As on a loaded server: the timer runs before the drain looks at the clock."""
    db.execute("insert into item values (1); insert into other values (1)")
    close(db, 1)
    late = "select d.* from pg_sleep(0.06) s, publish_drain(case when s::text = '' then 500 end) d"
    for _ in range(3):
        cron.execute(late)
    assert set(feed(db, "other")) == {"1"}
