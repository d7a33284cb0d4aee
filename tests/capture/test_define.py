"""What can be defined, what is refused, and what defining again does."""

import psycopg
import pytest
from helpers import ARTICLES, drain_all, enqueue, feed, one, quarantine


@pytest.fixture
def db(connect):
    db = connect()
    db.execute(ARTICLES)
    return db


def refused(db, statement, *arguments):
    with pytest.raises(psycopg.Error) as error:
        db.execute(statement, arguments or None)
    return error.value.sqlstate


def test_bad_definitions_are_refused_and_leave_nothing(db):
    for arguments, sqlstate in [
        ("''", "PT400"),
        ("null", "PT400"),
        ("repeat('x', 201)", "PT400"),
        ("'k', 'author'::regclass, '{nothing}'", "PT400"),
        ("'k', 'author'::regclass, '{id,nothing}'", "PT400"),
        ("'k', 'author'::regclass, '{id,id}'", "PT400"),
        ("'k', 'author'::regclass, '{}'", "PT400"),
        ("'k', 'author'::regclass, array[null]", "PT400"),
        ("'k', 'author'::regclass, '{ctid}'", "PT400"),
        ("'k', 'author'::regclass, '{ID}'", "PT400"),
        ("'k', null, '{id}'", "PT400"),
        ("'k', 'no_such_view'", "42P01"),
        ("'k', schema_version => 0", "PT400"),
        ("'k', schema_version => null", "PT400"),
        ("'k', retention => interval '0'", "PT400"),
        ("'k', retention => interval '-1 day'", "PT400"),
        ("'k', validator => 'lower(text)'", "PT400"),
        ("'k', validator => 'jsonb_typeof(jsonb)'", "PT400"),
    ]:
        assert refused(db, f"select publish_define({arguments})".encode()) == sqlstate, arguments
    assert one(db, "select count(*) from publish.kind") == 1


def test_a_view_without_a_column_named_id_needs_a_key(db):
    db.execute("create view nameless as select id as number from author")
    assert refused(db, "select publish_define('k', 'nameless')") == "PT400"
    db.execute("select publish_define('k', 'nameless', '{number}')")


def test_a_dropped_column_is_no_key(db):
    db.execute("create table t (id int, other int); alter table t drop column id")
    assert refused(db, "select publish_define('k', 't')") == "PT400"


def test_a_kind_may_have_any_name_of_up_to_200_bytes(db):
    for name in ["x", " ", "A b", "a\"b'c", "日本", "x" * 200, "é" * 100, "%s", "--"]:
        db.execute("select publish_define(%s)", [name])
        enqueue(db, name, "1", "1")
        assert drain_all(db) == 1
        assert feed(db, name) == {"1": 1}
    assert refused(db, "select publish_define(%s)", "é" * 101) == "PT400"


def test_defining_again_with_another_view_publishes_what_that_shows(db):
    db.execute("insert into article (id, title) values (1, 'x'), (2, 'y')")
    drain_all(db)
    db.execute(
        "create view shout as select id, upper(title) as title from article where id > 1"
        " union all select 3, 'only here';"
        "select publish_define('article', 'shout')"
    )
    drain_all(db)
    assert feed(db, "article") == {
        "2": {"id": 2, "title": "Y"},
        "3": {"id": 3, "title": "only here"},
    }


def test_defining_again_with_another_key_unpublishes_the_old_keys(db):
    db.execute("insert into article (id, title) values (1, 'x'), (2, 'y')")
    drain_all(db)
    for key, shown in [
        ("{id,title}", {'["1", "x"]', '["2", "y"]'}),
        ("{title,id}", {'["x", "1"]', '["y", "2"]'}),
        ("{title}", {"x", "y"}),
        ("{id}", {"1", "2"}),
    ]:
        db.execute("select publish_define('article', 'article_view', %s)", [key])
        drain_all(db)
        assert set(feed(db, "article")) == shown
        assert quarantine(db) == {}


def test_a_payload_kind_that_gets_a_view_shows_what_that_shows(db):
    db.execute("select publish_define('note')")
    enqueue(db, "note", "a", "1")
    enqueue(db, "note", "1", "1")
    drain_all(db)
    db.execute("insert into author (id, name) values (1, 'x'), (2, 'y')")
    db.execute("select publish_define('note', 'author')")
    drain_all(db)
    assert feed(db, "note") == {"1": {"id": 1, "name": "x"}, "2": {"id": 2, "name": "y"}}


def test_defining_again_takes_effect_with_the_transaction(db, connect):
    other = connect()
    db.execute("insert into article (id, title) values (1, 'x')")
    drain_all(db)
    with other.transaction(force_rollback=True):
        other.execute("select publish_define('article', 'author')")
        assert drain_all(db) == 0
    db.execute("update article set title = 'y'")
    drain_all(db)
    assert feed(db, "article")["1"]["title"] == "y"


def test_the_settings_of_who_defines_again_do_not_misspell_keys(db):
    db.execute(
        "create table day (id date primary key);"
        "create view some_days as select id from day where id < '2024-01-01';"
        "select publish_define('day', 'some_days');"
        "insert into day values ('2024-02-01'), ('2024-05-06');"
        "set datestyle = 'German, DMY'; set timezone = 'Asia/Tokyo';"
        "create view all_days as select id, id as day from day;"
        "select publish_define('day', 'all_days')"
    )
    drain_all(db)
    assert set(feed(db, "day")) == {"2024-02-01", "2024-05-06"}


INVOKER = """
create role {admin}; grant publish_admin to {admin};
create table secret (id int primary key, word text); select publish_define('secret', 'secret');
create view shown with (security_invoker = on) as select s.id, s.word from secret s;
create view outer_view as select * from shown;
grant select on shown, outer_view to {admin}, publish_projector;
grant select (id) on secret to {admin};
create table own (id int primary key); alter table own owner to {admin};
select publish_define('own', 'own'); grant select on own to publish_projector;
"""


def test_what_a_view_reads_as_who_asks_is_published_by_who_may_read_it(db):
    if db.info.server_version < 150000:
        pytest.skip("security_invoker came with PostgreSQL 15")
    admin = f"{db.info.dbname}_admin"
    db.execute(INVOKER.format(admin=admin).encode())
    lookup = "select id from shown where id = any ($1)"
    try:
        for statement, *given in [
            ("select publish_define('shown', 'shown')",),
            ("select publish_define('shown', 'outer_view')",),
            ("select publish_capture('own', 'own', lookup => %s)", lookup),
        ]:
            with db.transaction(force_rollback=True):
                db.execute(f"set local role {admin}".encode())
                assert refused(db, statement, *given) == "PT400"
            with db.transaction(force_rollback=True):
                db.execute(f"grant select (word) on secret to {admin}; set role {admin}".encode())
                db.execute(statement, given)
    finally:
        db.execute(f"drop owned by {admin}; drop role {admin}".encode())
