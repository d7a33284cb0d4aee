"""publish_audit names what cannot be published or captured; capturing again repairs it."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from helpers import drain_all, feed, one

SCHEMA = """
create table author (id int primary key, name text);
create table article (id int primary key, author_id int, title text, note text);
create index on article (author_id);
create view names as select u.id, u.name from author u;
create view article_feed as
  select a.id, a.title, n.name from article a left join names n on n.id = a.author_id;
select publish_define('article', 'article_feed');
select publish_capture('article', 'article', columns => '{title,author_id}');
select publish_capture('article', 'author', lookup =>
                       'select id from article where author_id = any ($1)');
"""


@pytest.fixture
def db(connect: Any) -> Any:
    db = connect()
    db.execute(SCHEMA)
    return db


def audit(db: Any, kind: str | None = None) -> list[tuple[str, str]]:
    rows = db.execute("select * from publish_audit(%s)", [kind]).fetchall()
    assert all(row.hint for row in rows)
    return [(row.object.removeprefix("public."), row.problem) for row in rows]


def test_nothing_is_wrong_with_what_is_captured(db: Any) -> None:
    assert audit(db) == audit(db, "article") == []


CAPTURE_AGAIN = "select publish_capture('article', 'article', columns => '{title,author_id}')"


@pytest.mark.parametrize(
    ("damage", "object", "problem"),
    [
        ("drop trigger publish_1_insert on article", "article", "no trigger for insert"),
        ("alter table article disable trigger publish_1_update", "article", "disabled for update"),
        ("alter table article disable trigger user", "article",
         "disabled for delete, insert, truncate, update"),
        ("alter table article enable replica trigger publish_1_delete", "article",
         "disabled for delete"),
        ("create function other() returns trigger language plpgsql as 'begin return null; end';"
         "create or replace trigger publish_1_insert after insert on article"
         "  for each row execute function other()", "article",
         "a trigger was replaced by another"),
        ("create or replace function publish_gate.capture_1() returns trigger language plpgsql"
         " as 'begin return null; end'", "article",
         "the trigger function is not what publish_capture made of it"),
        ("drop function publish_gate.capture_1_key cascade", "article",
         "functions of the capture are gone, as what they read was dropped with CASCADE"),
        ("create table part () inherits (article)", "part",
         "a new partition or child is not captured"),
        ("select publish_capture('article', 'article', columns => '{title}')", "article",
         "the view reads author_id, but an update of that alone is not captured"),
    ],
)  # fmt: skip
def test_a_broken_capture_is_named_repaired_by_capturing_again_and_the_kind_is_walked(
    db: Any, damage: str, object: str, problem: str
) -> None:
    db.execute(damage.encode())
    assert (object, problem) in audit(db)
    db.execute("insert into article values (5, null, 'not captured')")
    db.execute(CAPTURE_AGAIN.encode())
    assert audit(db) == []
    if "columns => '{title}'" not in damage:
        drain_all(db)
        assert set(feed(db, "article")) == {"5"}


def test_a_lookup_without_an_index_is_named_with_its_table(db: Any) -> None:
    db.execute("insert into article select n, n % 900, 'title' from generate_series(1, 3000) n")
    db.execute("insert into author select n, 'author' from generate_series(0, 899) n")
    db.execute("analyze")
    assert [row for row in audit(db) if "lookup" in row[1]] == []
    db.execute("drop index article_author_id_idx")
    assert [row[0] for row in audit(db) if "lookup" in row[1]] == ["article"]


def test_a_lookup_that_is_gone_is_named(db: Any) -> None:
    db.execute("drop function publish_gate.capture_2_lookup")
    assert [p.split(",")[0] for _, p in audit(db)] == ["functions of the capture are gone"]


def test_a_new_partition_is_named_for_what_its_clones_do_not_see(db: Any) -> None:
    db.execute(
        "create table t (id int, part int, primary key (id, part)) partition by list (part);"
        "select publish_define('t', 't', '{id,part}'); select publish_capture('t', 't');"
        "create table t_1 partition of t for values in (1)"
    )
    assert audit(db) == [("t_1", "no trigger for truncate")]
    db.execute("select publish_capture('t', 't')")
    assert audit(db) == []


@pytest.mark.parametrize(
    ("view", "reads"),
    [
        ("select id, title from article", ["article"]),
        ("select a.id, n.name from article a join names n on n.id = a.author_id",
         ["article", "author"]),
        ("select a.id, author_name(a.author_id) from article a", ["article", "author"]),
        ("select a.id, (select count(*) from author) from article a", ["article", "author"]),
    ],
)  # fmt: skip
def test_tables_that_nobody_captures_are_found_through_views_and_parsed_functions(
    db: Any, view: str, reads: list[str]
) -> None:
    db.execute(
        "create function author_name(int) returns text language sql stable"
        " begin atomic select name from names where id = $1; end"
    )
    db.execute(f"create view other as {view}".encode())
    db.execute("select publish_define('other', 'other')")
    problem = "the view reads this table, but it is not captured"
    assert audit(db, "other") == [(table, problem) for table in reads]
    assert audit(db, "article") == []


def test_a_trigger_attached_by_hand_counts_for_its_kind_only(db: Any) -> None:
    db.execute(
        "create table t (id int primary key); select publish_define('t', 't');"
        "select publish_define('u', 't');"
        "create trigger t after insert or update or delete on t"
        "  for each row execute function publish_enqueue('t', 'id')"
    )
    assert audit(db, "t") == []
    assert len(audit(db, "u")) == 1
    db.execute(
        "create function mark() returns trigger language plpgsql as"
        " $$ begin perform publish_enqueue('u', new.id::text); return null; end $$;"
        "create trigger u after insert on t for each row execute function mark()"
    )
    assert audit(db, "u") == []


BY_HAND = """
create table t (id int primary key);
create function mark() returns trigger language plpgsql as
$$ begin perform publish_enqueue('t', new.id::text); return null; end $$;
create trigger mark {} on t {};
"""


@pytest.mark.parametrize("kind", ["naïve", "a\\b", "a'b", "ключ"])
def test_a_trigger_attached_by_hand_is_known_by_a_kind_of_any_name(db: Any, kind: str) -> None:
    db.execute("create table t (id int primary key)")
    db.execute("select publish_define(%s, 't')", [kind])
    assert len(audit(db, kind)) == 1
    name = kind.replace("'", "''")
    db.execute(
        "create trigger mark after insert or update or delete on t"
        f" for each row execute function publish_enqueue(E'{name}', 'id')".replace(
            "\\", "\\\\"
        ).encode()
    )
    assert audit(db, kind) == []


@pytest.mark.parametrize(
    ("trigger", "damage"),
    [
        ("for each row execute function publish_enqueue('t', 'id')", "disable trigger mark"),
        ("for each row execute function publish_enqueue('t', 'id')", "enable replica trigger mark"),
        ("for each row execute function mark()", "disable trigger mark"),
        ("for each row execute function mark()", "enable replica trigger mark"),
    ],
)
def test_a_trigger_attached_by_hand_counts_while_it_is_enabled(
    db: Any, trigger: str, damage: str
) -> None:
    db.execute(BY_HAND.format("after insert or update or delete", trigger).encode())
    db.execute("select publish_define('t', 't')")
    assert audit(db, "t") == []
    db.execute(f"alter table t {damage}".encode())
    problem = "the view reads this table, but it is not captured"
    assert audit(db, "t") == [("t", problem)]
    db.execute("alter table t enable always trigger mark")
    assert audit(db, "t") == []


def test_a_trigger_of_truncate_alone_does_not_count(db: Any) -> None:
    trigger = "for each statement execute function publish_enqueue('t')"
    db.execute(BY_HAND.format("after truncate", trigger).encode())
    db.execute("select publish_define('t', 't')")
    assert len(audit(db, "t")) == 1


def test_a_captured_table_may_be_renamed_and_moved(db: Any) -> None:
    db.execute(
        "create schema elsewhere; alter table article rename to paper;"
        "alter table paper rename column title to heading;"
        "alter table paper set schema elsewhere; alter table author set schema elsewhere"
    )
    assert audit(db) == []
    db.execute("insert into elsewhere.paper values (1, null, 'x')")
    drain_all(db)
    assert set(feed(db, "article")) == {"1"}


def test_a_watched_column_that_is_dropped_fails_no_write_and_is_named(db: Any) -> None:
    db.execute("create table t (id int primary key, a int, b int); create view v as select id, a"
               " from t; select publish_define('v', 'v');"
               "select publish_capture('v', 't', columns => '{a,b}')")  # fmt: skip
    db.execute("alter table t drop column b cascade")
    assert "functions of the capture are gone" in [p.split(",")[0] for _, p in audit(db, "v")]
    db.execute("insert into t values (1, 1); update t set a = 2")
    db.execute("select publish_capture('v', 't', columns => '{a}')")
    assert audit(db, "v") == []
    drain_all(db)
    assert feed(db, "v") == {"1": {"id": 1, "a": 2}}


def test_a_table_that_became_a_partition_is_named(db: Any) -> None:
    db.execute(
        "create table t (id int not null, primary key (id)); select publish_define('t', 't');"
        "select publish_capture('t', 't');"
        "create table whole (id int not null, primary key (id)) partition by range (id)"
    )
    db.execute("create table parent (id int); alter table t inherit parent")
    assert [p.split(",")[0] for _, p in audit(db, "t")] == ["it has become a partition or a child"]
    db.execute("select publish_capture('t', 't')")
    assert audit(db, "t") == []


def test_a_walk_that_failed_is_named_until_it_goes_through(db: Any) -> None:
    db.execute("insert into article values (1, null, 't')")
    drain_all(db)
    db.execute(
        "create view fails as select id, 1 / (title <> 't')::int as one from article;"
        "select publish_define('article', 'fails', '{one}')"
    )
    drain_all(db)
    assert ("article", "a walk over the kind fails: division by zero") in audit(db)
    db.execute("update article set title = 'u'; update publish.walk set due_at = now()")
    drain_all(db)
    assert [problem for _, problem in audit(db) if "walk" in problem] == []


def test_a_key_that_no_index_serves_is_named(db: Any) -> None:
    db.execute(
        "insert into article select n, null, 't' from generate_series(1, 5000) as n;"
        "analyze article;"
        "create view cast_feed as select a.id::text as id, a.title from article a;"
        "select publish_define('cast', 'cast_feed'); select publish_capture('cast', 'article',"
        " key => 'id')"
    )
    problem = "reading one key of the view costs as much as reading all of it"
    assert ("cast_feed", problem) in audit(db, "cast")
    assert audit(db, "article") == []


def test_a_small_table_that_was_never_analyzed_needs_no_index(db: Any) -> None:
    db.execute(
        "create table small (id int primary key); insert into small values (1);"
        "create view cast_feed as select s.id::text as id from small s;"
        "select publish_define('cast', 'cast_feed');"
        "select publish_capture('cast', 'small', key => 'id')"
    )
    (expected,) = db.execute(
        "select rows from publish.read_plan('table public.cast_feed')"
    ).fetchone()
    assert expected > 1000
    assert audit(db, "cast") == []


def test_what_changes_without_triggers_is_named(db: Any) -> None:
    db.execute(
        "create materialized view m as select id, title from article;"
        "create view over_m as select id, title from m;"
        "select publish_define('m', 'm'); select publish_define('over_m', 'over_m')"
    )
    problem = "a refresh of a materialized view is not captured"
    assert ("m", problem) in audit(db, "m")
    assert ("m", problem) in audit(db, "over_m")
    assert [o for o, p in audit(db, "over_m") if "not captured" in p and "refresh" not in p] == []


@pytest.mark.parametrize(
    ("damage", "part"),
    [
        ("drop view article_feed", "the view or its key column is gone"),
        ("alter view article_feed rename column id to ident", "the view or its key column is gone"),
        ("revoke select on article_feed from publish_projector", "permission denied"),
    ],
)
def test_a_view_that_cannot_be_read_is_named(db: Any, damage: str, part: str) -> None:
    db.execute(damage.encode())
    assert any(part in problem for _, problem in audit(db))


def test_a_validator_a_walk_a_key_and_a_table_that_are_gone_are_named(db: Any) -> None:
    db.execute(
        "create function valid(jsonb) returns boolean language sql as 'select true';"
        "create table t (id int primary key, n int unique); select publish_define('t', 't');"
        "select publish_capture('t', 't');"
        "select publish_define('v', 't', validator => 'valid(jsonb)'); drop function valid;"
        "create table s (id int primary key); select publish_define('s', 's');"
        "select publish_capture('s', 's'); drop table s cascade"
    )
    assert ("valid", "the validator does not exist") in audit(db, "v")
    assert ("s", "the captured table is gone") in audit(db, "s")
    assert one(db, "select publish_uncapture('s', 'public.s')") == 1
    db.execute("select publish_define('t', 't', '{n}')")
    assert ("t", "the kind has another key since the table was captured") in audit(db, "t")
    db.execute("select publish_capture('t', 't')")
    assert audit(db, "t") == []
    db.execute("insert into t values (1, 0)")
    db.execute("create view bad as select id, 1 / n as q from t; select publish_define('bad', 't')")
    db.execute("select publish_define('bad', 'bad', schema_version => 2)")
    db.execute("update publish.walk set message = 'division by zero' where kind = 'bad'")
    assert ("bad", "a walk over the kind fails: division by zero") in audit(db, "bad")


@pytest.mark.parametrize(
    "damage",
    [
        "revoke execute on function checks.valid from public",
        "revoke usage on schema checks from publish_projector",
    ],
)
def test_a_validator_that_may_not_be_run_is_named_and_the_hint_helps(db: Any, damage: str) -> None:
    db.execute(
        "create schema checks; grant usage on schema checks to publish_projector;"
        "create function checks.valid(jsonb) returns boolean language sql as 'select true';"
        "select publish_define('v', 'article_feed', validator => 'checks.valid(jsonb)')"
    )
    problem = ("checks.valid", "publish_projector may not run the validator")
    assert problem not in audit(db, "v")
    db.execute(damage.encode())
    assert problem in audit(db, "v")
    hint = one(db, "select hint from publish_audit('v') where object = 'checks.valid'")
    db.execute(hint.encode())
    assert problem not in audit(db, "v")


def test_an_unknown_kind_is_refused(db: Any) -> None:
    with pytest.raises(psycopg.Error) as refused:
        audit(db, "none")
    assert refused.value.sqlstate == "PT404"
