"""What a drain puts aside is not lost, blames nobody else, and is in nobody's way."""

from __future__ import annotations

import psycopg
import pytest
from conftest import Connect, Connection
from helpers import (
    GATE,
    PATIENCE,
    begin,
    check_feed,
    drain,
    drain_all,
    enqueue,
    feed,
    one,
    pid,
    quarantine,
    until,
    waits,
)

SCHEMA = f"""
{GATE}
create table item (id int primary key, n int not null default 0);
create view item_feed as select i.id, i.n, gate(i.id) from item i;
select publish_define('item', 'item_feed'), publish_capture('item', 'item');
select publish_define('note');
"""


@pytest.fixture
def db(db: Connection) -> Connection:
    db.execute(SCHEMA.encode())
    return db


def close(conn: Connection, *keys: int) -> None:
    """From now on views wait at these keys."""
    for key in keys:
        conn.execute("select pg_advisory_lock(1, %s)", [key])


def terminated(db: Connection, connect: Connect, query: str = "select publish_drain()") -> bool:
    """Runs a query that drains; terminates it, and is true, if it comes to wait for a key."""
    conn = connect()
    draining = begin(lambda: conn.execute(query.encode()).fetchall())
    until(lambda: draining.done() or waits(db, pid(conn)))
    if draining.done():
        draining.result()
        return False
    assert one(db, "select pg_terminate_backend(%s, 30000)", pid(conn))
    with pytest.raises(psycopg.OperationalError):
        draining.result(PATIENCE)
    return True


def stopped(db: Connection, kind: str, phase: int = 0) -> None:
    """As if the last drain had been stopped while it worked on this kind."""
    db.execute(
        "select setval('publish.attempt', k.kind_no * 4 + %s)"
        "  from publish.kind k where k.kind = %s",
        [phase, kind],
    )


# --- walks


def test_walks_of_two_kinds_that_end_the_session_do_not_undo_each_others_postponement(
    db: Connection, connect: Connect
) -> None:
    db.execute(
        "create view a as select i.id from item i where gate(101) = 101;"
        "create view b as select i.id from item i where gate(102) = 102;"
        "insert into item values (1);"
        "select publish_define('a', 'a'), publish_define('b', 'b');"
        "select publish_walk('a'), publish_walk('b')"
    )
    close(db, 101, 102)
    enqueue(db, "note", "x", "1")
    assert [terminated(db, connect) for _ in range(5)] == [True, False, True, False, False]
    assert set(feed(db, "note")) == {"x"}
    assert set(feed(db, "item")) == {"1"}
    assert one(db, "select array_agg(w.attempts) from publish.walk w") == [1, 1]


def test_a_walk_that_a_drain_asked_for_and_that_ends_the_session_holds_nothing_up(
    db: Connection, connect: Connect
) -> None:
    db.execute(
        "create table part (id int primary key);"
        "select publish_capture('item', 'part', lookup => 'select 1 / (id - id) from part');"
        "insert into item values (1)"
    )
    drain_all(db)
    db.execute("create or replace view item_feed as"
               " select i.id, i.n, gate(i.id) from item i where gate(101) = 101")  # fmt: skip
    close(db, 101)
    db.execute("insert into part values (1)")
    enqueue(db, "note", "x", "1")
    assert [terminated(db, connect) for _ in range(4)] == [False, True, False, False]
    assert set(feed(db, "note")) == {"x"}


def test_a_walk_that_waits_for_a_table_until_the_timeout_takes_no_drain_back(
    db: Connection, connect: Connect
) -> None:
    db.execute("create table plain (id int primary key); select publish_define('plain', 'plain')")
    rewriting, cron = connect(autocommit=False), connect()
    enqueue(db, "note", "first", "1")
    drain(cron)  # plans are made: what follows takes a few milliseconds
    db.execute("select publish_walk('plain')")
    rewriting.execute("lock table plain in access exclusive mode")
    cron.execute("set statement_timeout = '90ms'")
    for n in range(3):
        enqueue(db, "note", str(n), "1")
        assert drain(cron).published == 1


# --- several drains in a transaction


def test_a_transaction_of_many_drains_that_is_ended_in_one_of_them_gets_past_the_key(
    db: Connection, connect: Connect
) -> None:
    close(db, 3)
    db.execute("insert into item select generate_series(1, 5)")
    many = "select publish_drain() from generate_series(1, 6)"
    ended = [terminated(db, connect, many) for _ in range(30)]
    assert not any(ended[-5:])
    db.execute("update publish.deferred set due_at = now() where source_id <> '3'")
    terminated(db, connect, many)
    assert set(feed(db, "item")) == set("1245")


def test_a_transaction_that_put_marks_aside_is_busy_until_it_ends(
    db: Connection, connect: Connect
) -> None:
    close(db, 3)
    db.execute("insert into item select generate_series(1, 5)")
    cron = connect(options="-c statement_timeout=300ms")
    with cron.transaction():
        assert [drain(cron).busy for _ in range(3)] == [False, True, True]
    assert not drain(cron).busy


# --- blame


def test_a_stop_by_payloads_puts_them_aside_and_not_a_view_that_came_before(
    db: Connection, connect: Connect
) -> None:
    db.execute("insert into item values (1)")
    enqueue(db, "note", "x", "1")
    stopped(db, "note")
    assert drain(db).scanned == 1
    assert quarantine(db) == {"x": "57014"}
    drain_all(db)
    assert (set(feed(db, "note")), set(feed(db, "item"))) == ({"x"}, {"1"})


def test_of_payloads_that_were_put_aside_a_newer_one_is_published_and_an_older_one_is_not(
    db: Connection, connect: Connect
) -> None:
    late = connect(autocommit=False)
    enqueue(late, "note", "x", '"older"')
    enqueue(db, "note", "x", '"aside"')
    enqueue(db, "note", "y", '"aside"')
    stopped(db, "note")
    drain(db)
    enqueue(db, "note", "y", '"newer"')
    late.commit()
    drain_all(db)
    assert feed(db, "note") == {"x": "aside", "y": "newer"}
    assert quarantine(db) == {}


def test_payloads_that_take_longer_than_the_timeout_all_get_through(
    db: Connection, connect: Connect
) -> None:
    with db.transaction():
        for n in range(40):
            enqueue(db, "note", str(n), "1")
    db.execute(
        "create function slow() returns trigger language plpgsql as"
        " $$ begin perform pg_sleep(0.02); return new; end $$;"
        "create trigger slow before insert on publish.published"
        " for each row execute function slow()"
    )
    cron = connect(options="-c statement_timeout=400ms")
    for _ in range(30):
        drain(cron)
    assert len(feed(db, "note")) == 40
    assert quarantine(db) == {}


def test_what_is_not_found_to_be_put_aside_is_met_in_smaller_batches(
    db: Connection, connect: Connect
) -> None:
    """The caller that looks for it takes less than the one that was stopped; they take turns."""
    close(db, 3)
    for n in range(10):
        enqueue(db, "note", str(n), "1")
    with db.transaction():
        db.execute("insert into item values (3)")
    large, small = connect(options="-c statement_timeout=300ms"), connect()
    for _ in range(12):
        if not terminated(db, connect, "select publish_drain(500)"):
            drain(large)
        drain(small, 1)
        if len(feed(db, "note")) == 10:
            break
    drain(large)
    assert len(feed(db, "note")) == 10


def test_a_view_that_always_takes_half_of_the_timeout_is_not_asked_for_one_key_at_a_time(
    db: Connection, connect: Connect
) -> None:
    db.execute(
        "create view constant as select i.id, s.slept::text"
        "  from item i, (select pg_sleep(0.5) as slept) s;"
        "select publish_define('item', 'constant');"
        "set session_replication_role = replica;"
        "insert into item select generate_series(1, 300); reset session_replication_role;"
        "select publish_enqueue('item', n::text) from generate_series(1, 300) n"
    )
    cron = connect(options="-c statement_timeout=1000ms")
    calls = 0
    while drain(cron, 50).scanned:
        calls += 1
        assert calls < 40
    assert len(feed(db, "item")) == 300


# --- other sessions


def test_an_open_publish_retry_holds_up_no_drain_that_meets_its_key_again(
    db: Connection, connect: Connect
) -> None:
    db.execute(
        "create view ratio as select i.id, 1 / i.n as ratio from item i;"
        "select publish_define('item', 'ratio');"
        "insert into item values (1, 0), (2, 1)"
    )
    drain_all(db)
    person = connect(autocommit=False)
    person.execute("select publish_retry()")
    db.execute("set statement_timeout = '10s'")
    db.execute("update item set n = 0 where id = 1; update item set n = -1 where id = 2")
    assert drain(db).published == 1
    assert feed(db, "item")["2"]["ratio"] == -1
    db.execute("alter table item disable trigger user; update item set n = 5 where id = 1")
    person.commit()
    db.execute("update publish.deferred set due_at = now()")
    drain_all(db)
    assert set(feed(db, "item")) == {"1", "2"}
    assert quarantine(db) == {}


def test_an_open_verify_that_made_the_projection_first_holds_up_its_kind_alone(
    db: Connection, connect: Connect
) -> None:
    db.execute("insert into item values (1)")
    verifying = connect(autocommit=False)
    verifying.execute("select publish_verify('item')")
    enqueue(db, "note", "x", "1")
    db.execute("set statement_timeout = '10s'")
    drain(db)
    assert set(feed(db, "note")) == {"x"}
    verifying.commit()
    db.execute("update publish.deferred set due_at = now()")
    drain_all(db)
    assert set(feed(db, "item")) == {"1"}


# --- failures


def test_a_payload_that_failed_is_not_replaced_by_one_before_it_that_commits_later(
    db: Connection, connect: Connect
) -> None:
    late = connect(autocommit=False)
    enqueue(late, "note", "x", '"older"')
    enqueue(db, "note", "x", one(db, "select jsonb_agg(n)::text from generate_series(1, 5000) n"))
    db.execute("select publish_set('max_payload', '10kB')")
    assert drain(db).quarantined == 1
    late.commit()
    drain_all(db)
    assert feed(db, "note") == {"x": "older"}
    db.execute("select publish_set('max_payload')")
    assert one(db, "select publish_retry('note')") == 1
    drain_all(db)
    assert feed(db, "note") == {"x": list(range(1, 5001))}
    assert quarantine(db) == {}
    check_feed(db)


def test_of_two_payloads_that_failed_the_later_one_is_kept_whichever_commits_first(
    db: Connection, connect: Connect
) -> None:
    late = connect(autocommit=False)
    large = "select jsonb_agg(n)::text from generate_series(%s::int, 5000) n"
    enqueue(late, "note", "x", one(db, large, 1))
    enqueue(db, "note", "x", one(db, large, 2))
    db.execute("select publish_set('max_payload', '10kB')")
    assert drain(db).quarantined == 1
    late.commit()
    assert drain(db).quarantined == 1
    db.execute("select publish_set('max_payload')")
    db.execute("select publish_retry('note')")
    drain_all(db)
    assert feed(db, "note") == {"x": list(range(2, 5001))}


def test_a_key_spelled_otherwise_stays_quarantined_while_it_fails(db: Connection) -> None:
    db.execute(
        "create function refuses(payload jsonb) returns boolean return payload ->> 'id' <> '1';"
        "select publish_define('item', 'item_feed', validator => 'refuses(jsonb)');"
        "insert into item values (2);"
        "set session_replication_role = replica; insert into item values (1);"
        "reset session_replication_role"
    )
    enqueue(db, "item", "01")
    for _ in range(3):
        drain_all(db)
        assert quarantine(db) == {"1": "PT422"}
        assert one(db, "select publish_retry()") == 1
    db.execute("select publish_define('item', 'item_feed')")
    drain_all(db)
    assert set(feed(db, "item")) == {"1", "2"}
    assert quarantine(db) == {}


def test_a_lookup_that_finds_more_than_a_batch_and_a_key_put_aside_marks_all_the_rest(
    db: Connection, connect: Connect
) -> None:
    db.execute(
        "create table part (id int primary key);"
        "select publish_capture('item', 'part', lookup => 'select i.id from item i, part p"
        "                                                   where p.id = any ($1)')"
    )
    cron = connect(options="-c statement_timeout=300ms")
    close(db, 3)
    db.execute("insert into item select generate_series(1, 30)")
    while drain(cron).scanned:
        pass
    with db.transaction():
        db.execute("set local session_replication_role = replica; update item set n = 1")
    enqueue(db, "note", "x", "1")
    db.execute("insert into part values (1)")
    for batch in (10, 20, 20, 20, 20):
        drain(cron, batch)
    assert [key for key, payload in feed(db, "item").items() if payload["n"] != 1] == []
    assert len(feed(db, "item")) == 29
