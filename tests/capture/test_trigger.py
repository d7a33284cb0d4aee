"""Guarantee 11: no business write fails or waits because publishing is misconfigured or down."""

import pytest
from helpers import ARTICLES, drain, drain_all, enqueue, feed, one, quarantine


@pytest.fixture
def db(connect):
    db = connect()
    db.execute(ARTICLES)
    return db


@pytest.fixture
def warnings(db):
    notices = []
    db.add_notice_handler(lambda diag: notices.append(diag.severity_nonlocalized))
    return notices


@pytest.fixture
def app(db):
    """A role that may do nothing but what PUBLIC may."""
    db.execute("create role app nologin")
    yield "app"
    db.execute("reset role; drop owned by app; drop role app")


def attach(db, table, arguments, when="after insert or update or delete", level="row"):
    db.execute(
        f"create trigger t_{one(db, 'select count(*) from pg_trigger')} {when} on {table}"
        f" for each {level} execute function publish_enqueue({arguments})".encode()
    )


def outbox(db):
    rows = db.execute("select source_ids from publish.outbox order by xid, seq")
    return [key for (keys,) in rows for key in keys]


def test_misconfigured_triggers_warn_and_let_every_write_pass(db, warnings):
    for n, (arguments, level) in enumerate([
        ("", "row"),
        ("'article'", "row"),
        ("'article', 'no_such_column'", "row"),
        ("'article', 'ID'", "row"),
        ("'article', 'id', 'no_such_column'", "row"),
        ("'article', ''", "row"),
        ("'article', 'body'", "row"),
        ("'article', 'id'", "statement"),
        ("'', 'id'", "row"),
        (f"'{'too long ' * 23}', 'id'", "row"),
    ]):  # fmt: skip
        table = f"t{n}"
        db.execute(f"create table {table} (id int primary key, body text)".encode())
        attach(db, table, arguments, level=level)
        for write in (
            f"insert into {table} values (1, repeat('x', 3000)), (2, '')",
            f"update {table} set body = repeat('y', 3000)",
            f"update {table} set id = id + 10",
            f"delete from {table} where id = 11",
        ):
            warnings.clear()
            assert db.execute(write.encode()).rowcount > 0
            assert "WARNING" in warnings, (arguments, write)
        assert one(db, f"select count(*) from {table}") == 1
    assert outbox(db) == []


def test_a_key_that_can_be_published_is_marked_beside_one_that_cannot(db):
    db.execute("create table t (id text)")
    attach(db, "t", "'t', 'id'")
    db.execute("insert into t values ('a')")
    db.execute("update t set id = repeat('x', 3000)")
    db.execute("update t set id = null")
    db.execute("update t set id = ''")
    db.execute("update t set id = 'b'")
    assert outbox(db) == ["a", "a", "b"]


def test_inserts_updates_and_deletes_mark_their_key_once(db):
    db.execute("insert into article (id, title) values (1, 'x'), (2, 'y')")
    db.execute("update article set title = 'z' where id = 1")
    db.execute("delete from article where id = 2")
    db.execute("insert into article (id) values (1) on conflict do nothing")
    db.execute("update article set title = 'none' where false")
    assert outbox(db) == ["1", "2", "1", "2"]


def test_an_update_of_the_key_marks_the_old_and_the_new_one(db):
    db.execute("insert into article (id, title) values (1, 'x')")
    drain_all(db)
    db.execute("update article set id = 2")
    assert outbox(db) == ["1", "1", "2"]
    drain_all(db)
    assert feed(db, "article") == {"2": {"id": 2, "title": "x", "author": None}}


def test_a_composite_key_is_marked_as_the_view_spells_it(db):
    db.execute(
        "create table t (a int, b text, primary key (a, b));"
        "select publish_define('t', 't', '{a,b}')"
    )
    attach(db, "t", "'t', 'a', 'b'")
    db.execute("""insert into t values (1, 'x'), (2, '"quoted", é')""")
    db.execute("update t set b = 'y' where a = 1")
    drain_all(db)
    assert set(feed(db, "t")) == {'["1", "y"]', r'["2", "\"quoted\", é"]'}
    assert quarantine(db) == {}


def test_truncate_unpublishes_everything_of_the_kind_and_nothing_else(db):
    attach(db, "article", "'article'", when="after truncate", level="statement")
    db.execute("select publish_define('note')")
    enqueue(db, "note", "a", "1")
    db.execute("insert into article (id, title) select i, 'x' from generate_series(1, 5) i")
    drain_all(db)
    db.execute("truncate article")
    assert drain_all(db) == 5
    assert (feed(db, "article"), feed(db, "note")) == ({}, {"a": 1})


def test_truncate_without_arguments_warns_and_passes(db, warnings):
    attach(db, "article", "", when="after truncate", level="statement")
    db.execute("truncate article")
    assert warnings == ["WARNING"]


def test_a_role_without_any_right_on_pgpublish_may_write_to_a_captured_table(db, app):
    attach(db, "article", "'article'", when="after truncate", level="statement")
    db.execute("grant all on article to app")
    assert not one(db, "select has_schema_privilege('app', 'publish', 'usage')")
    db.execute("insert into article (id, title) values (9, 'x')")
    drain_all(db)
    db.execute("set role app")
    db.execute("insert into article (id, title) values (1, 'x'), (2, 'y')")
    db.execute("update article set title = 'z' where id = 1; delete from article where id = 2")
    db.execute("reset role")
    assert drain_all(db) == 1
    db.execute("set role app; truncate article; reset role")
    assert drain_all(db) == 2


def test_functions_of_the_writers_own_search_path_are_not_called(db, app):
    db.execute(
        "create schema trap; grant all on schema trap to public; grant all on article to app"
    )
    db.execute("set role app; set search_path = trap, public")
    for function in ("to_jsonb(anyelement) returns jsonb", "octet_length(text) returns int"):
        body = "begin raise division_by_zero; end"
        db.execute(f"create function trap.{function} language plpgsql as '{body}'".encode())
    db.execute("insert into public.article (id, title) values (1, 'x')")
    db.execute("reset role; reset search_path")
    assert outbox(db) == ["1"]


def test_rows_that_jsonb_cannot_hold_are_written_and_marked(db, warnings):
    db.execute("create table t (id int primary key, body json); select publish_define('t', 't')")
    attach(db, "t", "'t', 'id'")
    db.execute(r"""insert into t values (1, '{"a": "\u0000"}'), (2, '{"a": "\u0000"}')""")
    db.execute("update t set id = 3 where id = 2; delete from t where id = 3")
    assert outbox(db) == ["1", "2", "2", "3", "3"]
    db.execute("update t set body = '{}'")
    drain_all(db)
    assert feed(db, "t") == {"1": {"id": 1, "body": {}}}
    assert warnings == []


def test_a_key_that_jsonb_cannot_hold_is_marked_by_its_text(db, warnings):
    db.execute("create table t (id int, body json)")
    attach(db, "t", "'t', 'body'")
    attach(db, "t", "'t', 'no_such_column'")
    db.execute(r"""insert into t values (1, '{"a": "\u0000"}')""")
    db.execute("update t set id = 2; delete from t")
    assert warnings == ["WARNING"] * 3  # of the trigger whose column is not there
    assert outbox(db) == [r'{"a": "\u0000"}'] * 3


def test_writers_do_not_wait_for_a_drain_or_for_maintenance_in_the_middle(db, connect):
    other = connect(options="-c lock_timeout=1")
    db.execute("insert into article (id, title) values (1, 'x')")
    with db.transaction():
        drain(db)
        db.execute("select publish_maintain()")
        other.execute("insert into article (id, title) values (2, 'y')")
        other.execute("update article set title = 'z' where id = 1")
        enqueue(other, "article", "2")
    assert drain_all(db) == 2


def test_a_trigger_row_travels_with_its_transaction_only(db, connect):
    other = connect()
    with other.transaction(force_rollback=True):
        other.execute("insert into article (id, title) values (1, 'x')")
    with other.transaction():
        with other.transaction(force_rollback=True):
            other.execute("insert into article (id, title) values (2, 'x')")
        other.execute("insert into article (id, title) values (3, 'x')")
    assert outbox(db) == ["3"]


def test_a_partitioned_table_is_captured_by_its_row_trigger_also_through_a_leaf(db):
    db.execute(
        "create table t (id int, part int) partition by list (part);"
        "create table t_1 partition of t for values in (1);"
        "create table t_2 partition of t for values in (2);"
        "select publish_define('t', 't')"
    )
    attach(db, "t", "'t', 'id'")
    db.execute("insert into t values (1, 1)")
    db.execute("insert into t_2 values (2, 2)")
    drain_all(db)
    db.execute("update t set part = 3 - part where id = 1")
    drain_all(db)
    assert feed(db, "t") == {"1": {"id": 1, "part": 2}, "2": {"id": 2, "part": 2}}
