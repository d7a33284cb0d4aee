"""publish_verify finds what differs, and nothing else."""

from __future__ import annotations

from threading import Event
from typing import Any

import psycopg
import pytest
from helpers import PATIENCE, begin, check_feed, drain, drain_all, feed, one, row
from marks import unseen, verify

SCHEMA = """
create table author (id int primary key, name text not null);
create table article (id int primary key, author_id int references author, title text, body jsonb);
create index on article (author_id);
create view article_feed as
  select a.id, a.title, a.body, u.name as author, 1 / (a.title <> 'bad')::int as good
    from article a left join author u on u.id = a.author_id;
select publish_define('article', 'article_feed');
select publish_capture('article', 'article');
select publish_capture('article', 'author', lookup =>
                       'select id from article where author_id = any ($1)');
insert into author values (1, 'Ada'), (2, 'Bob');
insert into article select n, 1 + n % 2, 'title ' || n, '{"n": 1}' from generate_series(1, 40) as n;
"""


@pytest.fixture
def db(connect: Any) -> Any:
    db = connect()
    db.execute(SCHEMA)
    drain_all(db)
    return db


def test_nothing_differs_after_a_drain_whatever_the_size_of_a_page(db: Any) -> None:
    for batch in (1, 7, 40, 1000):
        sums, found = verify(db, batch=batch)
        assert (sums["checked"], sums["pending"], found) == (40, 0, {})


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("insert into article values (99, 1, 'new')", {"99": "missing"}),
        ("update article set title = 'other' where id = 3", {"3": "stale"}),
        ("update article set body = '{\"n\": 1.0}' where id = 3", {"3": "stale"}),
        ("update author set name = 'Eve' where id = 1",
         {str(n): "stale" for n in range(2, 41, 2)}),
        ("delete from article where id = 3", {"3": "surplus"}),
        ("update article set id = 77 where id = 3", {"3": "surplus", "77": "missing"}),
        ("truncate article", {str(n): "surplus" for n in range(1, 41)}),
        ("update publish.published set payload = '{}', payload_hash = '' where source_id = '5'",
         {"5": "stale"}),
        ("update publish.published set schema_version = 7 where source_id = '5'", {"5": "stale"}),
        ("delete from publish.published where source_id = '5'", {"5": "missing"}),
    ],
)  # fmt: skip
def test_each_difference_is_named_and_repaired(
    db: Any, statement: str, expected: dict[str, str]
) -> None:
    unseen(db, statement)
    drain_all(db)
    sums, found = verify(db, batch=7)
    assert found == expected
    assert sums["repaired"] == 0
    assert one(db, "select depth from publish_status()") == 0
    sums, found = verify(db, repair=True, batch=7)
    assert (sums["repaired"], found) == (len(expected), expected)
    assert verify(db)[0]["pending"] == len(expected)
    drain_all(db)
    assert verify(db)[1] == {}
    view = "select id::text, to_jsonb(v) from article_feed v"
    assert feed(db, "article") == dict(db.execute(view).fetchall())


def test_a_large_backlog_of_another_kind_hides_no_difference(db: Any) -> None:
    unseen(db, "insert into article values (99, 1, 'new')")
    drain_all(db)
    db.execute("select publish_define('note')")
    db.execute(
        "insert into publish.outbox (kind, source_ids, payload_no, payload)"
        " select 'note', '{n}', nextval('publish.payload_no'), '{}' from generate_series(1, 100000)"
    )
    sums, found = verify(db)
    assert (sums["pending"], found) == (0, {"99": "missing"})


def test_beside_a_large_backlog_of_its_kind_a_page_reads_a_part_and_raises_no_alarm(
    db: Any,
) -> None:
    unseen(db, "insert into article values (99, 1, 'new'), (98, 1, 'marked')")
    drain_all(db)
    db.execute(
        "insert into publish.outbox (kind, source_ids)"
        " select 'article', array['1'] || array_fill('2'::text, array[99])"
        "   from generate_series(1, 1000)"
    )
    db.execute("select publish_enqueue('article', '98')")
    sums, found = verify(db)
    assert (sums["pending"], found) == (2, {})
    drain_all(db, 200_000)
    sums, found = verify(db)
    assert (sums["pending"], found) == (0, {"99": "missing"})


def test_two_rows_of_one_key_become_one_and_a_tombstone(db: Any) -> None:
    ghost, five = row(db, "article", "4").pub_id, row(db, "article", "5").pub_id
    db.execute("update publish.published set source_id = '5' where source_id = '4'")
    assert verify(db, batch=1)[1] == {"4": "missing", "5": "duplicate"}
    head = one(db, "select publish_head()")
    assert verify(db, repair=True)[0]["duplicate"] == 1
    drain_all(db)
    check_feed(db)
    changed = db.execute(
        "select pub_id, deleted from publish_changes(%s) where deleted", [head]
    ).fetchall()
    assert len(changed) == 1
    kept = row(db, "article", "5").pub_id
    assert {changed[0].pub_id, kept} == {ghost, five}
    assert verify(db)[1] == {}
    assert set(feed(db, "article")) == {str(n) for n in range(1, 41)}


def test_duplicates_are_retired_only_when_no_drain_runs(db: Any, connect: Any) -> None:
    db.execute("update publish.published set source_id = '5' where source_id = '4'")
    other = connect()
    with other.transaction():
        drain(other)
        with pytest.raises(psycopg.Error) as refused:
            verify(db, repair=True)
        assert refused.value.sqlstate == "PT423"
    sums, found = verify(db)  # 4 was on an earlier page
    assert (sums["pending"], found) == (1, {"5": "duplicate"})


def test_a_view_that_shows_a_key_twice_is_a_duplicate(db: Any) -> None:
    db.execute(
        "create table twice (id int); insert into twice values (1), (2);"
        "select publish_define('twice', 'twice'); select publish_backfill('twice')"
    )
    drain_all(db)
    unseen(db, "insert into twice values (1)")
    assert verify(db, "twice")[1] == {"1": "duplicate"}


def test_what_can_not_be_published_is_named_and_stops_no_page(db: Any) -> None:
    unseen(db, "update article set title = 'bad' where id in (3, 9)")
    sums, found = verify(db, batch=7)
    assert (found, sums["checked"]) == ({"3": "unpublishable", "9": "unpublishable"}, 40)
    db.execute(
        "create table long (id text); insert into long values (repeat('x', 3000)), ('a');"
        "select publish_define('long', 'long')"
    )
    sums, found = verify(db, "long", repair=True)
    assert sorted(found.values()) == ["missing", "unpublishable"]
    assert sums["repaired"] == 1


@pytest.mark.parametrize(
    ("view", "message"),
    [
        ("select 1 / (id <> 20)::int + id as id, title from article", "division by zero"),
        ("select id, title from article where 1 / (id <> 20)::int = 1", "division by zero"),
        ("select id from article; revoke select on bad from publish_projector",
         "permission denied for view bad"),
    ],
)  # fmt: skip
def test_a_view_that_cannot_be_read_is_said_once_and_ends_the_pages(
    db: Any, view: str, message: str
) -> None:
    before, *after = view.split(";")
    db.execute(f"create view bad as {before}; select publish_define('bad', 'bad')".encode())
    db.execute(";".join(after).encode())
    sums, found = verify(db, "bad", repair=True)
    assert (sums["checked"], sums["unpublishable"], sums["repaired"]) == (0, 1, 0)
    assert found == {None: "unpublishable"}
    page = db.execute("select * from publish_verify('bad')").fetchone()
    assert (page.next, page.differences[0]["message"]) == (None, message)


@pytest.mark.parametrize(
    "write",
    [
        "update article set title = 'x' where id < 10",
        "update author set name = 'x'",
        "truncate article",
        "delete from article",
        "insert into article select n, 1, 'x' from generate_series(50, 60) as n",
        "select publish_define('article', 'article_feed', schema_version => 2)",
        "update article set title = 'bad' where id = 3; select publish_drain()",
    ],
)
def test_what_is_still_to_be_drained_or_quarantined_is_pending_not_different(
    db: Any, write: str
) -> None:
    db.execute(write.encode())
    sums, found = verify(db)
    assert sums["pending"] > 0
    assert found == {}


def test_own_undrained_writes_are_pending_too(db: Any) -> None:
    with db.transaction():
        db.execute("update article set title = 'x'")
        assert verify(db)[0]["pending"] == 40
        drain(db)
        sums, found = verify(db)
        assert (sums["pending"], found) == (0, {})


def test_an_open_write_and_an_open_drain_are_no_difference(db: Any, connect: Any) -> None:
    writer, drainer = connect(), connect()
    writer.execute("begin; update article set title = 'x' where id < 20")
    assert verify(db)[0]["pending"] == 0
    writer.execute("commit")
    with drainer.transaction():
        assert drain(drainer).published == 19
        assert verify(db)[0]["pending"] == 19
    sums, found = verify(db)
    assert (sums["pending"], found) == (0, {})


def test_a_repair_that_is_rolled_back_leaves_nothing(db: Any) -> None:
    unseen(db, "update article set title = 'other'")
    with db.transaction(force_rollback=True):
        assert verify(db, repair=True)[0]["repaired"] == 40
    assert drain_all(db) == 0


def test_no_false_alarm_beside_writers_and_drains(db: Any, connect: Any) -> None:
    stop = Event()

    def writes(number: int) -> None:
        conn = connect()
        for n in range(100_000):
            if stop.is_set():
                return
            key = 1 + (n * 7 + number) % 45
            conn.execute("update article set title = %s where id = %s", [f"{n}", key])
            conn.execute("update author set name = %s where id = %s", [f"{n}", 1 + n % 2])
            conn.execute("delete from article where id = %s", [key + 1])
            conn.execute("insert into article values (%s, 1, 'again') on conflict do nothing",
                         [key + 1])  # fmt: skip

    def drains() -> None:
        conn = connect()
        while not stop.is_set():
            drain(conn, 13)

    others = [begin(writes, 0), begin(writes, 20), begin(drains)]
    try:
        for round in range(60):
            assert verify(db, batch=(11, 1000)[round % 2])[1] == {}
    finally:
        stop.set()
        for other in others:
            other.result(PATIENCE)
    drain_all(db)
    assert verify(db)[1] == {}


def test_composite_keys(db: Any) -> None:
    db.execute(
        "create table t (a int, b text, c int, primary key (a, b));"
        "insert into t select n, 'b,\"' || n, n from generate_series(1, 20) as n;"
        "select publish_define('t', 't', '{a,b}'); select publish_backfill('t')"
    )
    drain_all(db)
    unseen(db, "update t set c = 0 where a = 3; delete from t where a = 4")
    assert verify(db, "t", batch=3)[1] == {'["3", "b,\\"3"]': "stale", '["4", "b,\\"4"]': "surplus"}


def test_a_kind_with_another_key_type_shows_its_old_keys_as_surplus(db: Any) -> None:
    db.execute(
        "create table t (id text, n int); insert into t values ('a', 1), ('b', 2);"
        "select publish_define('t', 't'); select publish_backfill('t')"
    )
    drain_all(db)
    db.execute("select publish_define('t', 't', '{n}'); delete from publish.walk")
    found = verify(db, "t")[1]
    assert found == {"1": "missing", "2": "missing", "a": "surplus", "b": "surplus"}


@pytest.mark.parametrize(
    ("key", "keys"),
    [("{id,n}", {'["1", "1"]', '["12", "2"]'}), ("{d}", {"1", "2"})],
    ids=["composite", "domain"],
)
def test_keys_that_the_new_key_of_a_kind_cannot_even_read_are_surplus_and_then_retired(
    db: Any, key: str, keys: set[str]
) -> None:
    db.execute(
        "create domain digit as int check (value < 10);"
        "create table t (id text, n int, d digit); insert into t values ('1', 1, 1), ('12', 2, 2);"
        "select publish_define('t', 't'); select publish_backfill('t')"
    )
    drain_all(db)
    db.execute("select publish_define('t', 't', %s)", [key])
    sums, found = verify(db, "t", batch=1)
    assert (sums["pending"] > 0, found) == (True, {})
    with db.transaction(force_rollback=True):
        db.execute("delete from publish.walk")
        found = verify(db, "t")[1]
        assert {k for k, problem in found.items() if problem == "surplus"} == {"1", "12"} - keys
        assert {k for k, problem in found.items() if problem == "missing"} == keys - {"1", "12"}
    drain_all(db)
    assert verify(db, "t")[1] == {}
    assert set(feed(db, "t")) == keys


def test_after_is_refused_when_a_domain_does_not_take_it(db: Any) -> None:
    db.execute(
        "create domain digit as int check (value < 10); create table t (id digit);"
        "select publish_define('t', 't')"
    )
    for call in ("publish_verify('t', after => 'view:12')", "publish_backfill('t', '12')"):
        with pytest.raises(psycopg.Error) as refused:
            db.execute(f"select {call}".encode())
        assert refused.value.sqlstate == "PT400"


@pytest.mark.parametrize("batch", [1, 2, 3, 1000])
def test_a_page_that_ends_with_the_empty_key_does_not_begin_again(db: Any, batch: int) -> None:
    db.execute(
        "create table t (id text); insert into t values (''), (''), (E'a\nb'), (E'a\nc'),"
        " ('view:');"
        "select publish_define('t', 't')"
    )
    sums, found = verify(db, "t", repair=True, batch=batch)
    assert sums["checked"] == 5
    assert found == {"": "unpublishable", "a\nb": "missing", "a\nc": "missing", "view:": "missing"}
    drain_all(db)
    assert verify(db, "t", batch=batch)[1] == {"": "unpublishable"}


def test_a_delayed_mark_that_is_due_is_still_to_be_drained(db: Any) -> None:
    """A view may show what its time has come for before the drain was there. What is delayed longer
    differs."""
    db.execute(
        "create table t (id int, at timestamptz default clock_timestamp());"
        "create view due as select id from t where at <= now();"
        "select publish_define('t', 'due'); insert into t values (1), (2);"
        "insert into publish.deferred (due_at, reason, kind, source_id)"
        "  select case id when 1 then at else at + interval '1 h' end, 'scheduled', 't', id from t"
    )
    sums, found = verify(db, "t")
    assert (sums["pending"], found) == (1, {"2": "missing"})
    drain_all(db)
    assert verify(db, "t")[1] == {"2": "missing"}


@pytest.mark.parametrize("key", ["{id}", "{part,id}"])
def test_a_key_column_of_another_collation_is_found_by_index(db: Any, key: str) -> None:
    db.execute(
        'create table t (id text collate "C" primary key, part text collate "POSIX" default 1);'
        "insert into t select n from generate_series(1, 3000) as n;"
        "create unique index on t (part, id); analyze t"
    )
    db.execute("select publish_define('t', 't', %s)", [key])
    db.execute("select publish_backfill('t', batch => 3000)")
    drain_all(db, batch=3000)
    db.execute("analyze publish.published")
    read = (
        "select seq_tup_read + coalesce(idx_tup_fetch, 0) from pg_stat_xact_user_tables"
        " where relname = 'published'"
    )
    with db.transaction():
        page = "select checked, differences from publish_verify('t', batch => 10)"
        before = one(db, read)
        assert db.execute(page).fetchone() == (10, None)
        assert one(db, read) - before <= 20


def test_a_key_that_is_respelled_where_collation_sees_no_difference_moves(db: Any) -> None:
    try:
        db.execute(
            "create collation no_case"
            " (provider = icu, locale = 'und-u-ks-level2', deterministic = false)"
        )
    except psycopg.errors.FeatureNotSupported:
        pytest.skip("this server is built without ICU, which alone has such collations")
    db.execute(
        "create table t (id text collate no_case primary key);"
        "select publish_define('t', 't'); select publish_capture('t', 't');"
        "insert into t values ('A'), ('b')"
    )
    drain_all(db)
    db.execute("update t set id = 'a' where id = 'A'")
    drain_all(db)
    assert set(feed(db, "t")) == {"a", "b"}
    assert verify(db, "t")[1] == {}


@pytest.mark.parametrize("isolation", ["repeatable read", "serializable"])
def test_duplicates_are_retired_by_no_transaction_with_an_older_snapshot(
    db: Any, connect: Any, isolation: str
) -> None:
    db.execute("update publish.published set source_id = '5' where source_id = '4'")
    other = connect()
    other.execute(f"begin isolation level {isolation}".encode())
    other.execute("select from article")
    db.execute("update article set title = 'x' where id = 9")
    drain(db)
    with pytest.raises(psycopg.Error) as refused:
        other.execute("select publish_verify('article', true, 'feed:')")
    assert refused.value.sqlstate == "PT400"
    other.execute("rollback")
    assert verify(db, repair=True)[0]["duplicate"] == 1
    drain_all(db)
    assert verify(db)[1] == {}


@pytest.mark.parametrize(
    ("arguments", "sqlstate"),
    [
        ("'none'", "PT404"), ("'note'", "PT404"), ("null", "PT404"),
        ("'article', batch => 0", "PT400"), ("'article', batch => null", "PT400"),
        ("'article', after => 'x'", "PT400"), ("'article', after => 'view:x'", "PT400"),
    ],
)  # fmt: skip
def test_refused_arguments(db: Any, arguments: str, sqlstate: str) -> None:
    db.execute("select publish_define('note')")
    with pytest.raises(psycopg.Error) as refused:
        db.execute(f"select publish_verify({arguments})".encode())
    assert refused.value.sqlstate == sqlstate
