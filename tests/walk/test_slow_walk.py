"""A walk whose pages or keys run into statement_timeout, with plain calls of publish_drain."""

from __future__ import annotations

import pytest
from conftest import Connect, Connection
from helpers import drain, feed, one


@pytest.fixture
def slow(db: Connection) -> Connection:
    """Kind slow, of which key 3 is shown only after 30 seconds, and kind quick."""
    db.execute("create table thing (id int primary key)")
    db.execute(
        "create function slowly(id int) returns boolean stable language plpgsql as"
        " $$ begin if id = 3 then perform pg_sleep(30); end if; return true; end $$"
    )
    db.execute("create view slow_feed as select id from thing where slowly(id)")
    db.execute("create view each_feed as select id, slowly(id) as slow from thing")
    db.execute("create view quick_feed as select id, 1 as version from thing")
    db.execute("select publish_define('slow', 'slow_feed')")
    db.execute("select publish_define('quick', 'quick_feed')")
    db.execute("insert into thing select generate_series(1, 8)")
    return db


def limited(connect: Connect, timeout: str = "300ms") -> Connection:
    conn = connect()
    conn.execute(f"set statement_timeout = '{timeout}'".encode())
    return conn


def drain_until_idle(conn: Connection, batch: int = 500) -> int:
    """Calls until one finds nothing; returns how many revs there are."""
    for _ in range(200):
        done = drain(conn, batch)
        if done.scanned == 0:
            return done.head
    raise AssertionError("it does not become idle")


def test_a_page_that_times_out_costs_live_changes_one_drain(
    slow: Connection, connect: Connect
) -> None:
    slow.execute("select publish_walk('slow')")
    slow.execute("select publish_enqueue('quick', '1')")
    loop = limited(connect)
    assert drain(loop, 64).published + drain(loop, 64).published == 1
    drain_until_idle(loop, 64)
    walk = slow.execute("select attempts, page, message is not null from publish.walk").fetchone()
    assert walk == (1, 32, True)
    slow.execute("update publish.walk set due_at = now(), page = 2")
    slow.execute("update thing set id = 9 where id = 3")
    drain_until_idle(loop, 64)
    assert len(feed(slow, "slow")) == 8
    assert one(slow, "select walks from publish_status()") == 0


def test_pages_get_smaller_until_all_but_the_slow_key_is_marked(
    slow: Connection, connect: Connect
) -> None:
    """As the view shows key 3 to nobody, its walk stays; what comes before it is published, but
    for key 2: a page also looks whether the key behind its last one is equal to it."""
    slow.execute("select publish_walk('slow')")
    loop = limited(connect)
    pages = []
    while pages[-1:] != [1]:
        drain_until_idle(loop, 8)
        pages.append(one(slow, "select page from publish.walk"))
        slow.execute("update publish.walk set due_at = now()")
    drain_until_idle(loop, 8)
    assert pages[0] == 4
    assert set(feed(slow, "slow")) == {"1"}
    slow.execute("delete from thing where id = 3; update publish.walk set due_at = now()")
    drain_until_idle(loop, 8)
    assert len(feed(slow, "slow")) == 7


def test_a_slow_key_that_a_walk_marks_stops_no_walk(slow: Connection, connect: Connect) -> None:
    slow.execute("select publish_define('slow', 'each_feed', schema_version => 2)")
    drain_until_idle(limited(connect), 4)
    assert len(feed(slow, "slow")) == 7
    assert slow.execute("select source_id from publish.quarantine").fetchall() == [("3",)]
    assert one(slow, "select walks from publish_status()") == 0


def test_a_page_of_a_walk_that_was_put_off_grows_again(slow: Connection) -> None:
    slow.execute("insert into thing select generate_series(9, 300)")
    slow.execute("select publish_walk('quick')")
    slow.execute("update publish.walk set page = 1")
    drains = 0
    while drain(slow, 500).scanned:
        drains += 1
    assert len(feed(slow, "quick")) == 300
    assert drains < 30


def test_a_full_batch_beside_it_does_not_undo_the_limit_of_a_walks_page(slow: Connection) -> None:
    slow.execute("insert into thing select generate_series(9, 300)")
    slow.execute("select publish_define('note')")
    slow.execute("select publish_walk('quick')")
    slow.execute("update publish.walk set page = 62")
    slow.execute("select publish_enqueue('note', i::text, '{}') from generate_series(1, 1000) i")
    drain(slow, 500)
    assert one(slow, "select page from publish.walk") in (62, 124)


def test_a_lookup_that_fails_and_its_walk_that_times_out_hold_up_no_other_kind(
    slow: Connection, connect: Connect
) -> None:
    slow.execute("create table motto (id int primary key)")
    slow.execute(
        "select publish_capture('slow', 'motto', lookup =>"
        " 'select id from thing where id = any ($1) and 1 / (id - id) = 0')"
    )
    slow.execute("truncate publish.walk")
    slow.execute("insert into motto values (1)")
    slow.execute("select publish_enqueue('quick', '1')")
    drain_until_idle(limited(connect), 64)
    assert slow.execute("select kind from publish.published").fetchall() == [("quick",)]
    assert one(slow, "select walks from publish_status()") == 1
