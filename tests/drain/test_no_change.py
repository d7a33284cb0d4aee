"""Guarantees 4 and 5: no change, no rev; and a key keeps its pub_id whatever happens to it."""

import pytest
from helpers import ARTICLES, drain, drain_all, enqueue, feed, head, one, row


@pytest.fixture
def db(connect):
    db = connect()
    db.execute(ARTICLES)
    db.execute("select publish_define('note')")
    db.execute("insert into author (id, name) values (1, 'author')")
    db.execute("insert into article (id, author_id, title) values (1, 1, 'title')")
    enqueue(db, "note", "a", '{"a": 1, "b": 1}')
    drain_all(db)
    return db


WRITES = [
    "update article set title = title",
    "update author set name = name",
    "update article set title = 'other'; update article set title = 'title'",
    "select publish_enqueue('article', '1')",
    "select publish_enqueue('article', '999')",
    "select publish_backfill('article')",
    "delete from article; insert into article (id, author_id, title) values (1, 1, 'title')",
    "insert into article (id, title, live) values (2, 'never shown', false)",
    "insert into article (id, title) values (3, 'gone'); delete from article where id = 3",
    """select publish_enqueue('note', 'a', '{"b":1,   "a":1}')""",
    """select publish_enqueue('note', 'a', '{"b": 0, "a": 1, "b": 1}')""",
    "select publish_define('article', 'article_view')",
    "select publish_define('article', 'article_view', retention => interval '1 year')",
]


def test_a_write_that_changes_nothing_shown_gets_no_rev(db):
    published = "select * from publish.published order by rev"
    before = [r._replace(payload_no=0) for r in db.execute(published).fetchall()]
    assert [r.rev for r in before] == [1, 2]
    for write in WRITES:
        db.execute(write.encode())
        assert drain_all(db) == 0, write
        after = db.execute(published).fetchall()
        assert [r._replace(payload_no=0) for r in after] == before


def test_an_unchanged_key_is_counted_as_such(db):
    db.execute("update article set title = title")
    enqueue(db, "note", "b", "1")
    done = drain(db)
    assert (done.scanned, done.keys, done.published, done.unchanged) == (2, 2, 1, 1)


def test_equal_numbers_of_different_text_are_a_change(db):
    enqueue(db, "note", "a", '{"a": 1, "b": 1.0}')
    assert drain_all(db) == 1
    assert one(db, "select payload::text from publish.published where kind = 'note'") == (
        '{"a": 1, "b": 1.0}'
    )


def test_an_empty_payload_is_a_payload_and_no_tombstone(db):
    for payload in ["null", "{}", "[]", "false", '""', "0"]:
        enqueue(db, "note", "a", payload)
        assert drain_all(db) == 1, payload
        assert not row(db, "note", "a").deleted
        enqueue(db, "note", "a", payload)
        assert drain_all(db) == 0, payload


def test_a_new_schema_version_publishes_every_key_again(db):
    db.execute("insert into article (id, title) select i, 'x' from generate_series(2, 9) i")
    db.execute("delete from article where id = 9")
    drain_all(db)
    before = row(db, "article", "1")
    db.execute("select publish_define('article', 'article_view', schema_version => 2)")

    assert drain_all(db) == 8
    after = row(db, "article", "1")
    assert (after.schema_version, after.pub_id) == (2, before.pub_id)
    assert (after.payload, after.payload_hash) == (before.payload, before.payload_hash)
    db.execute("select publish_define('article', 'article_view', schema_version => 2)")
    assert drain_all(db) == 0


SETTINGS = {
    "timezone": ["UTC", "Asia/Tokyo"],
    "datestyle": ["ISO, MDY", "German, DMY"],
    "intervalstyle": ["postgres", "sql_standard"],
    "extra_float_digits": ["1", "-5"],
    "bytea_output": ["hex", "escape"],
    "search_path": ["public", "pg_catalog"],
}


def test_the_settings_of_the_draining_session_change_no_hash(connect):
    db = connect()
    db.execute(
        "create table t (id int primary key, at timestamptz, span interval, f float8, b bytea);"
        "insert into t values (1, '2024-03-04 05:06:07+00', '-1 day -2 hours', 1/3::float8, 'abc');"
        "create view v as select t.*, at::text as at_text, at::date::text as day, span::text as"
        " span_text, f::text as f_text, b::text as b_text, to_json(t)::text as row_text,"
        " date_trunc('day', at) as midnight from t;"
        "select publish_define('t', 'v')"
    )
    enqueue(db, "t", "1")
    assert drain_all(db) == 1
    for name, values in SETTINGS.items():
        for value in values:
            other = connect()
            other.execute("select set_config(%s, %s, false)", [name, value])
            enqueue(db, "t", "1")
            assert other.execute("select published from public.publish_drain()").fetchone() == (0,)
    assert head(db) == 1


def test_a_tombstone_has_no_payload_and_no_hash_and_keeps_who_it_was(db):
    before = row(db, "article", "1")
    db.execute("delete from article")
    assert drain_all(db) == 1

    after = row(db, "article", "1")
    assert (after.rev, after.deleted, after.payload, after.payload_hash) == (3, True, None, None)
    assert (after.pub_id, after.created_at) == (before.pub_id, before.created_at)
    assert after.updated_at > before.updated_at
    db.execute("select publish_enqueue('article', '1')")
    assert drain_all(db) == 0


def test_a_key_that_is_deleted_and_created_again_keeps_its_pub_id(db):
    pub_ids = {row(db, "article", "1").pub_id}
    for round in range(3):
        db.execute("delete from article")
        assert drain_all(db) == 1
        pub_ids.add(row(db, "article", "1").pub_id)
        db.execute("insert into article (id, title) values (1, %s)", [f"round {round}"])
        assert drain_all(db) == 1
        pub_ids.add(row(db, "article", "1").pub_id)
    assert len(pub_ids) == 1


def test_a_payload_key_that_is_deleted_and_created_again_keeps_its_pub_id(db):
    pub_ids = {row(db, "note", "a").pub_id}
    for payload in ("1", None, "2", None, None, "2"):
        if payload:
            enqueue(db, "note", "a", payload)
        else:
            enqueue(db, "note", "a", deleted=True)
        drain_all(db)
        pub_ids.add(row(db, "note", "a").pub_id)
    assert len(pub_ids) == 1
    assert head(db) == 7


def test_pub_ids_are_random_and_differ_between_kinds_and_keys(db):
    db.execute("select publish_define('other')")
    for kind in ("note", "other"):
        for key in "abc":
            enqueue(db, kind, key, "1")
    drain_all(db)
    assert one(db, "select count(distinct pub_id) from publish.published") == 7
    # The version digit of a random UUID.
    assert one(db, "select bool_and(substr(pub_id::text, 15, 1) = '4') from publish.published")


def test_a_tombstone_of_an_unknown_payload_key_is_published_once(db):
    for _ in range(2):
        enqueue(db, "note", "never seen", deleted=True)
        drain_all(db)
    assert row(db, "note", "never seen").rev == 3
    assert head(db) == 3


def test_revs_of_one_drain_follow_the_order_of_enqueue_over_all_kinds(db):
    enqueue(db, "note", "x", "1")
    db.execute("insert into article (id, title) values (7, 'x')")
    enqueue(db, "note", "y", "1")
    db.execute("insert into article (id, title) values (6, 'x')")
    enqueue(db, "note", "x", "2")
    drain_all(db)
    order = "select source_id from publish.published where rev > 2 order by rev"
    assert [key for (key,) in db.execute(order).fetchall()] == ["7", "y", "6", "x"]
    assert feed(db, "note")["x"] == 2


@pytest.mark.parametrize("setting", ["array_nulls = off", "quote_all_identifiers = on"])
def test_what_a_session_calls_a_value_is_no_change(db, setting):
    db.execute(
        "create table t (id int primary key);"
        "create view v as select id, id::text::regtype::text as type,"
        "                        ('{' || 'null,' || id || '}')::text[] as list from t;"
        "select publish_define('t', 'v'); insert into t values (23)"
    )
    enqueue(db, "t", "23")
    assert drain(db).published == 1
    db.execute(f"set {setting}".encode())
    enqueue(db, "t", "23")
    assert drain(db).unchanged == 1
