"""publish_backfill: bounded pages in key order that together mark every key of the view."""

import psycopg
import pytest
from helpers import ARTICLES, drain_all, feed, one


@pytest.fixture
def db(connect):
    db = connect()
    db.execute(ARTICLES)
    db.execute("alter table article disable trigger publish")
    db.execute("insert into article (id, title) select i, 'x' from generate_series(1, 25) i")
    return db


def backfill(db, kind, batch):
    """How many keys each page marked."""
    pages, after = [], None
    while True:
        after, marked = db.execute(
            "select next, marked from publish_backfill(%s, %s, %s)", [kind, after, batch]
        ).fetchone()
        pages.append(marked)
        if after is None:
            return pages


def test_pages_mark_every_key_of_the_view_once(db):
    for batch, pages in [(10, [10, 10, 5]), (25, [25, 0]), (100, [25]), (1, [1] * 25 + [0])]:
        assert backfill(db, "article", batch) == pages
    assert drain_all(db) == 25
    assert one(db, "select sum(cardinality(source_ids)) from publish.outbox") == 100


def test_it_can_go_on_after_any_key_and_after_one_that_is_gone(db):
    db.execute("delete from article where id = 20")
    next, marked = db.execute("select * from publish_backfill('article', '020', 3)").fetchone()
    assert (next, marked) == ("23", 3)


def test_bad_arguments_are_refused(db):
    db.execute("select publish_define('note')")
    for arguments, sqlstate in [
        ("'undefined'", "PT404"),
        ("'note'", "PT404"),
        ("'article', batch => 0", "PT400"),
        ("'article', batch => null", "PT400"),
        ("'article', 'abc'", "PT400"),
        ("'article', ''", "PT400"),
    ]:
        with pytest.raises(psycopg.Error) as error:
            db.execute(f"select publish_backfill({arguments})".encode())
        assert error.value.sqlstate == sqlstate, arguments


def test_composite_keys_are_paged_in_order_and_rows_without_a_key_stop_nothing(db):
    db.execute(
        "create table t (a int, b text);"
        "insert into t select a, nullif(b, 3)::text from generate_series(1, 4) a,"
        " generate_series(1, 4) b;"
        "insert into t values (null, 'x');"
        "select publish_define('t', 't', '{a,b}')"
    )
    for batch in (1, 2, 3, 4, 5, 100):
        assert sum(backfill(db, "t", batch)) == 12, batch
        drain_all(db)
        assert len(feed(db, "t")) == 12


def test_rows_without_a_key_stop_nothing(db):
    db.execute(
        "create table t (id text);"
        "insert into t values (null), (''), (repeat('x', 3000)), ('a'), ('z'), (null);"
        "select publish_define('t', 't')"
    )
    for batch in (1, 2, 3, 100):
        assert sum(backfill(db, "t", batch)) == 2, batch
    drain_all(db)
    assert set(feed(db, "t")) == {"a", "z"}


def test_keys_whose_text_depends_on_the_session_are_paged_in_every_session(db):
    db.execute(
        "create table day (id timestamptz primary key);"
        "insert into day select '2024-01-01'::timestamptz + i * interval '7 hours'"
        "  from generate_series(1, 30) i;"
        "select publish_define('day', 'day');"
        "set datestyle = 'German, DMY'; set timezone = 'Asia/Tokyo'"
    )
    assert backfill(db, "day", 7) == [7, 7, 7, 7, 2]
    assert drain_all(db) == 30
