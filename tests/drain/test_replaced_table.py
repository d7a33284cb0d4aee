"""TRUNCATE and an ALTER TABLE that rewrites give a table new contents, and whoever waited for their
lock with a snapshot of before sees it empty. Nothing that is read so may reach the feed."""

from __future__ import annotations

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
    until,
    waits,
)

SCHEMA = """
create table author (id int primary key, name text);
create table article (id int, author_id int, title text, primary key (id)) partition by range (id);
create table article_low partition of article for values from (minvalue) to (20);
create table article_high partition of article default;
create index on article (author_id);
create view article_feed as
  select a.id, a.title, u.name from article a left join author u on u.id = a.author_id;
select publish_define('article', 'article_feed');
select publish_capture('article', 'article');
select publish_capture('article', 'author', lookup =>
                       'select id from article where author_id = any ($1)');
insert into author values (1, 'Ada');
insert into article select n, 1, 'old' from generate_series(1, 40) as n;
"""
REWRITE = "alter table {} add column noise float default random()"


@pytest.fixture
def db(connect: Any) -> Any:
    db = connect()
    db.execute(SCHEMA)
    drain_all(db)
    return db


def beside(connect: Any, statement: str, work: Any, *arguments: Any) -> Any:
    """What work returns that waits for the lock of a statement, which then commits."""
    altering, waiting = connect(), connect()
    altering.execute("begin")
    altering.execute(statement.encode())
    future = begin(work, waiting, *arguments)
    until(lambda: future.done() or waits(altering, pid(waiting)))
    altering.execute("commit")
    return future.result(PATIENCE)


def drain_all_now(db: Any) -> None:
    """Also what a drain put off that did not want to wait for a lock."""
    db.execute("update publish.deferred set due_at = now()")
    db.execute("update publish.walk set due_at = now()")
    drain_all(db)


def view(db: Any) -> dict[str, Any]:
    return dict(db.execute("select id::text, to_jsonb(v) from article_feed v").fetchall())


def verify(conn: Any, after: str | None = None) -> Any:
    return conn.execute("select * from publish_verify('article', after => %s)", [after]).fetchone()


@pytest.mark.parametrize("table", ["article", "author"])
def test_a_drain_that_waited_for_a_rewrite_publishes_what_is_in_the_table(
    db: Any, connect: Any, table: str
) -> None:
    db.execute("update article set title = 'new' where id < 30")
    beside(connect, REWRITE.format(table), drain)
    drain_all_now(db)
    assert feed(db, "article") == view(db)


def test_a_lookup_that_waited_for_a_rewrite_finds_every_key(db: Any, connect: Any) -> None:
    db.execute("update author set name = 'Bob'")
    beside(connect, REWRITE.format("article"), drain)
    drain_all_now(db)
    assert feed(db, "article") == view(db)


def test_a_walk_that_waited_for_a_rewrite_goes_over_every_key(db: Any, connect: Any) -> None:
    db.execute("select publish_define('article', 'article_feed', schema_version => 2)")
    beside(connect, REWRITE.format("article"), drain)
    drain_all_now(db)
    assert feed(db, "article") == view(db)
    assert one(db, "select min(schema_version) from publish.published") == 2


def test_a_backfill_that_waited_for_a_rewrite_marks_every_key(db: Any, connect: Any) -> None:
    def backfill(conn: Any) -> int:
        return one(conn, "select marked from publish_backfill('article')")

    assert beside(connect, REWRITE.format("article"), backfill) == 40


@pytest.mark.parametrize("side", [None, "feed:"])
def test_a_verify_that_waited_for_a_rewrite_raises_no_alarm(
    db: Any, connect: Any, side: str | None
) -> None:
    page = beside(connect, REWRITE.format("article"), verify, side)
    assert (page.differences, page.pending) == (None, 0)


@pytest.mark.parametrize(("table", "gone"), [("article", 40), ("article_low", 19)])
def test_a_verify_that_waited_for_a_truncate_counts_what_it_took_as_pending(
    db: Any, connect: Any, table: str, gone: int
) -> None:
    page = beside(connect, f"truncate {table}", verify, "feed:")
    assert (page.differences, page.pending) == (None, gone)


def test_a_drain_that_waited_for_a_truncate_and_a_reload_ends_with_the_reload(
    db: Any, connect: Any
) -> None:
    db.execute("update article set title = 'new'")
    beside(connect, "truncate article; insert into article values (1, 1, 'again')", drain)
    drain_all_now(db)
    assert feed(db, "article") == view(db) == {"1": {"id": 1, "title": "again", "name": "Ada"}}


def test_a_reload_of_one_partition_that_a_drain_waited_for_deletes_nothing(
    db: Any, connect: Any
) -> None:
    record_revs(db)
    db.execute("update article set title = 'new'")
    reload = "insert into article select n, 1, 'again' from generate_series(1, 19) as n"
    beside(connect, f"truncate article_low; {reload}", drain)
    drain_all_now(db)
    assert feed(db, "article") == view(db)
    assert one(db, "select count(*) from rev_given where payload is null") == 0


def test_a_view_that_cannot_be_asked_waits_for_no_table_and_stops_no_other_kind(db: Any) -> None:
    db.execute(
        "create view broken as select id, title from article;"
        "select publish_define('broken', 'broken'); select publish_enqueue('broken', '1');"
        "drop view broken;"
        "update article set title = 'new' where id = 1"
    )
    done = drain(db)
    assert (done.published, done.quarantined) == (1, 1)


@pytest.mark.parametrize(
    ("table", "change"),
    [
        ("author", "update article set title = 'new' where id < 30"),
        ("article", "update author set name = 'Bob'"),
        ("article", "select publish_define('article', 'article_feed', schema_version => 2)"),
    ],
    ids=["marks", "a lookup", "a walk"],
)
def test_a_table_that_is_locked_for_long_holds_up_no_other_kind(
    db: Any, connect: Any, table: str, change: str
) -> None:
    db.execute("set statement_timeout = '20s'; select publish_define('note')")
    altering = connect(autocommit=False)
    altering.execute(f"lock table {table} in access exclusive mode".encode())
    db.execute(change.encode())
    db.execute("select publish_enqueue('note', 'n', '1')")
    drain_all(db)
    assert feed(db, "note") == {"n": 1}
    altering.rollback()
    sums = verify(db)
    assert (sums.differences, quarantine(db)) == (None, {})
    drain_all_now(db)
    assert feed(db, "article") == view(db)
    assert verify(db).pending == 0


def test_many_kinds_over_a_locked_table_hold_up_no_other(db: Any, connect: Any) -> None:
    db.execute("set statement_timeout = '20s'; select publish_define('note')")
    db.execute(
        "do $$ begin for i in 1..30 loop"
        "  perform publish_define('kind ' || i, 'article_feed');"
        "  perform publish_define('kind ' || i, 'article_feed', schema_version => 2);"
        "  perform publish_enqueue('kind ' || i, '1');"
        "end loop; end $$"
    )
    altering = connect(autocommit=False)
    altering.execute("lock table author in access exclusive mode")
    db.execute("select publish_enqueue('note', 'n', '1')")
    assert drain(db).published == 1
    altering.rollback()
    drain_all_now(db)
    assert one(db, "select walks from publish_status()") == 0
    assert len(feed(db, "kind 30")) == 40
