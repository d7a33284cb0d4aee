"""publish_verify beside everything else that happens: other writers, drains, readers, settings."""

from __future__ import annotations

from collections import Counter
from threading import Event
from typing import Any

import pytest
from helpers import (
    PATIENCE,
    begin,
    drain,
    drain_all,
    feed,
    one,
    pid,
    quarantine,
    record_revs,
    revs_given,
    row,
    until,
)
from marks import unseen, verify

SCHEMA = """
create table author (id int primary key, name text not null);
create table article (id int primary key, author_id int references author, title text);
create index on article (author_id);
create view article_feed as
  select a.id, a.title, u.name as author
    from article a left join author u on u.id = a.author_id;
select publish_define('article', 'article_feed');
select publish_capture('article', 'article');
select publish_capture('article', 'author', lookup =>
                       'select id from article where author_id = any ($1)');
insert into author values (1, 'Ada'), (2, 'Bob');
insert into article select n, 1 + n % 2, 'title ' || n from generate_series(1, 40) as n;
"""

# Sleeps while somebody holds advisory lock (1, key). It waits for no lock: verify would not.
GATE = """
create function gate(key int) returns int language plpgsql as $$
begin
  while exists (select from pg_locks l
                 where l.locktype = 'advisory' and l.classid = 1 and l.objid = key) loop
    perform pg_sleep(0.01);
  end loop;
  return key;
end $$;
"""


@pytest.fixture
def db(connect: Any) -> Any:
    db = connect()
    db.execute(SCHEMA)
    drain_all(db)
    return db


def follow(db: Any, viewer: dict[str, Any], since: int) -> None:
    """A viewer, which knows pub_ids only, reads on."""
    for change in db.execute("select * from publish_changes(%s)", [since]).fetchall():
        if change.deleted:
            viewer.pop(str(change.pub_id), None)
        else:
            viewer[str(change.pub_id)] = change.payload


def rows_read(db: Any) -> Counter[str]:
    """How many rows of each table this session has read."""
    if db.info.server_version < 150000:
        pytest.skip("statistics of this session are not at hand before PostgreSQL 15")
    db.execute("select pg_stat_force_next_flush()")
    return Counter(
        dict(
            db.execute(
                "select s.relname, s.seq_tup_read + coalesce(s.idx_tup_fetch, 0)"
                "  from pg_stat_user_tables s where s.relname in ('t', 'published')"
            ).fetchall()
        )
    )


def test_two_rows_of_one_key_become_one_and_readers_of_both_converge(db: Any) -> None:
    record_revs(db)
    head = one(db, "select publish_head()")
    viewer: dict[str, Any] = {}
    follow(db, viewer, 0)
    kept, ghost = row(db, "article", "5").pub_id, row(db, "article", "4").pub_id
    db.execute("update publish.published set source_id = '5' where source_id = '4'")
    assert verify(db, batch=1)[1] == {"4": "missing", "5": "duplicate"}
    assert verify(db, repair=True)[0]["duplicate"] == 1
    drain_all(db)
    assert verify(db)[1] == {}
    assert revs_given(db) == list(range(head + 1, one(db, "select publish_head()") + 1))
    follow(db, viewer, head)
    payloads = sorted(viewer.values(), key=lambda payload: payload["id"])
    assert payloads == sorted(feed(db, "article").values(), key=lambda payload: payload["id"])
    assert [payload["id"] for payload in payloads] == list(range(1, 41))
    assert (str(kept) in viewer, str(ghost) in viewer) == (True, False)


def test_three_rows_of_one_key_are_retired_in_one_repair(db: Any) -> None:
    db.execute("update publish.published set source_id = '5' where source_id in ('4', '6')")
    sums, found = verify(db, repair=True, batch=1)
    assert (sums["duplicate"], found["5"]) == (1, "duplicate")
    assert one(db, "select count(*) from publish.published where deleted") == 2
    drain_all(db)
    assert verify(db)[1] == {}


def test_a_repair_beside_an_open_drain_gives_no_key_two_revs(db: Any, connect: Any) -> None:
    draining = connect()
    head = one(db, "select publish_head()")
    unseen(db, "update article set title = 'unseen' where id = 1")
    db.execute("update article set title = 'seen' where id = 2")
    with draining.transaction():
        assert drain(draining).published == 1
        sums, found = verify(db, repair=True)
        assert (sums["pending"], found) == (1, {"1": "stale"})
    drain_all(db)
    assert one(db, "select publish_head()") == head + 2
    assert verify(db)[1] == {}


def test_what_is_drained_while_a_page_is_read_is_no_difference(db: Any, connect: Any) -> None:
    looking = connect()
    db.execute(GATE)
    db.execute("create view gated as select id, title, gate(id) from article")
    db.execute("select publish_define('article', 'gated')")
    drain_all(db)
    db.execute("update article set title = 'x' where id = 3; delete from article where id = 4")
    db.execute("select pg_advisory_lock(1, 40)")
    looked = begin(verify, looking)
    until(lambda: one(db, "select wait_event = 'PgSleep' from pg_stat_activity where pid = %s",
                      pid(looking)))  # fmt: skip
    assert drain(db).published == 2
    db.execute("select pg_advisory_unlock(1, 40)")
    sums, found = looked.result(PATIENCE)
    assert (sums["pending"], found) == (1, {})


def test_pages_in_one_repeatable_read_transaction_see_one_moment(db: Any, connect: Any) -> None:
    looking = connect()
    looking.execute("begin isolation level repeatable read")
    assert verify(looking, batch=7)[1] == {}
    db.execute("update article set title = 'x' where id < 20; update author set name = 'y'")
    drain(db, 7)
    db.execute("delete from article where id > 30")
    sums, found = verify(looking, batch=7)
    assert (sums["checked"], sums["pending"], found) == (40, 0, {})
    drain_all(db)
    assert verify(looking, batch=7)[1] == {}


def test_no_false_alarm_beside_writers_reloads_and_drains(db: Any, connect: Any) -> None:
    stop = Event()

    def writes(number: int) -> None:
        conn = connect()
        for n in range(100_000):
            if stop.is_set():
                return
            key = 1 + (n * 7 + number) % 45
            conn.execute("update article set title = %s where id = %s", [f"{n}", key])
            conn.execute("update author set name = %s where id = %s", [f"{n}", 1 + n % 2])
            if n % 40 == 7:
                conn.execute(
                    "begin; truncate article; insert into article"
                    " select n, 1, 'reloaded' from generate_series(1, 30) as n; commit"
                )
            conn.execute("delete from article where id = %s", [key + 1])
            conn.execute("insert into article values (%s, 1, 'again') on conflict do nothing",
                         [key + 1])  # fmt: skip

    def drains() -> None:
        conn = connect()
        while not stop.is_set():
            drain(conn, 13)

    others = [begin(writes, 0), begin(writes, 20), begin(drains)]
    try:
        for round in range(200):
            assert verify(db, batch=(11, 1000)[round % 2])[1] == {}
    finally:
        stop.set()
        for other in others:
            other.result(PATIENCE)
    drain_all(db)
    assert verify(db)[1] == {}


@pytest.mark.parametrize("key", ["{id}", "{part,id}"])
def test_a_page_reads_no_more_of_the_view_and_of_the_feed_than_it_compares(
    db: Any, key: str
) -> None:
    db.execute(
        "create table t (id int primary key, part int, unique (part, id));"
        "insert into t select n, n % 7 from generate_series(1, 5000) as n; analyze t"
    )
    db.execute("select publish_define('t', 't', %s)", [key])
    db.execute("select publish_backfill('t', batch => 5000)")
    drain_all(db, batch=5000)
    db.execute("analyze publish.published")
    middle = one(db, "select next from publish_verify('t', batch => 2500)")
    for after in (middle, middle.replace("view", "feed")):
        before = rows_read(db)
        page = db.execute("select * from publish_verify('t', false, %s, 10)", [after])
        assert page.fetchone().next is not None
        read = rows_read(db) - before
        assert read.total() <= 50, (after, read)


def test_plans_of_a_session_that_began_with_a_tiny_feed_read_no_more_than_a_page(db: Any) -> None:
    db.execute(
        "create table t (id int primary key, n int); select publish_define('t', 't');"
        "insert into t select n, n from generate_series(1, 3) as n; select publish_backfill('t')"
    )
    drain_all(db)
    db.execute("vacuum analyze publish.published")
    for _ in range(8):  # plans of functions are kept from the sixth call on
        assert verify(db, "t", batch=2)[1] == {}
    db.execute("insert into t select n, n from generate_series(4, 20000) as n; analyze t")
    db.execute("select publish_backfill('t', batch => 30000)")
    drain_all(db, 10_000)
    unseen(db, "update t set n = 0 where id = 10000")
    middle = one(db, "select next from publish_verify('t', after => 'view:9900', batch => 50)")
    for after in (middle, middle.replace("view", "feed")):
        before = rows_read(db)
        page = db.execute("select * from publish_verify('t', false, %s, 100)", [after]).fetchone()
        assert page.checked + page.pending <= 100
        assert (rows_read(db) - before).total() <= 500, (after, rows_read(db) - before)


def test_keys_and_values_whose_text_depends_on_the_session_are_equal_in_every_session(
    db: Any, connect: Any
) -> None:
    db.execute(
        "create table reading (at timestamptz primary key, took interval, value float8);"
        "insert into reading select '2024-01-01'::timestamptz + n * interval '7 hours',"
        "  n * interval '1 day 3 min', n / 7.0 from generate_series(1, 30) as n;"
        "select publish_define('reading', 'reading', '{at}'); select publish_backfill('reading')"
    )
    drain_all(db)
    other = connect()
    other.execute(
        "set datestyle = 'German, DMY'; set timezone = 'Asia/Tokyo';"
        "set intervalstyle = 'iso_8601'; set extra_float_digits = -3"
    )
    for batch in (1, 7, 1000):
        sums, found = verify(other, "reading", batch=batch)
        assert (sums["checked"], found) == (30, {})


@pytest.mark.parametrize("batch", [1, 2, 3, 1000])
def test_a_key_that_fails_at_the_end_of_a_page_ends_no_walk(db: Any, batch: int) -> None:
    db.execute(
        "create table ratio (a int, b text, divisor int, primary key (a, b));"
        "create view ratio_feed as select a, b, 1 / divisor as r from ratio;"
        "select publish_define('ratio', 'ratio_feed', '{a,b}');"
        "insert into ratio select n, 'k' || n, n % 3 from generate_series(1, 10) as n"
    )
    sums, found = verify(db, "ratio", repair=True, batch=batch)
    bad = {f'["{n}", "k{n}"]' for n in (3, 6, 9)}
    assert {key for key, problem in found.items() if problem == "unpublishable"} == bad
    assert (sums["checked"], sums["missing"], sums["repaired"]) == (10, 7, 7)
    drain_all(db)
    assert quarantine(db) == dict.fromkeys(bad, "22012")
    sums, found = verify(db, "ratio", batch=batch)
    assert (sums["pending"], found) == (3, {})


def test_a_key_that_came_back_unseen_is_missing_and_not_stale(db: Any) -> None:
    db.execute("delete from article where id = 5")
    drain_all(db)
    unseen(db, "insert into article values (5, 1, 'back')")
    assert verify(db)[1] == {"5": "missing"}
