"""What a writer's session or types may be must not decide what is published."""

from __future__ import annotations

import pytest
from conftest import Connect, Connection
from psycopg import sql

from pgpublish.drain import drain_all


@pytest.mark.parametrize(
    ("type_", "value", "setting"),
    [
        ("float8", "0.30000000000000004", "extra_float_digits = 0"),
        ("float4", "0.1", "extra_float_digits = -3"),
        ("daterange", "[2026-01-02,2026-03-04)", "datestyle = 'SQL, DMY'"),
        ("timestamptz", "2026-01-02 03:04:05+00", "timezone = 'Asia/Kathmandu'"),
        ("interval", "1 year 2 days", "intervalstyle = 'iso_8601'"),
        ("bytea", "\\x0001ff", "bytea_output = 'escape'"),
    ],
)
def test_a_key_is_the_same_key_whatever_the_writer_set(
    db: Connection, connect: Connect, type_: str, value: str, setting: str
) -> None:
    db.execute(sql.SQL("create table thing (id {} primary key, x int)").format(sql.SQL(type_)))
    db.execute("select publish_define('thing', 'thing')")
    db.execute(
        "create trigger thing after insert or update or delete on thing"
        " for each row execute function publish_enqueue('thing', 'id')"
    )
    db.execute("insert into thing values (%s, 1)", [value])
    list(drain_all(db))
    writer = connect()
    writer.execute(f"set {setting}")
    writer.execute("update thing set x = 2")
    list(drain_all(db))
    rows = db.execute("select (payload ->> 'x')::int, deleted from publish.published").fetchall()
    assert rows == [(2, False)]


def test_the_trigger_runs_no_cast_of_the_writers(db: Connection, connect: Connect) -> None:
    db.execute("create role maker")
    try:
        db.execute("grant publish_writer to maker; create schema own authorization maker")
        maker = connect()
        maker.execute("set role maker")
        maker.execute("create type own.mood as enum ('fine')")
        maker.execute(
            "create function own.spy(own.mood) returns json language plpgsql as"
            " $$ begin raise exception 'ran as %', current_user; end $$"
        )
        maker.execute("create cast (own.mood as json) with function own.spy(own.mood)")
        maker.execute("create table own.thing (id int primary key, mood own.mood)")
        maker.execute(
            "create trigger thing after insert on own.thing"
            " for each row execute function public.publish_enqueue('thing', 'id')"
        )
        maker.execute("insert into own.thing values (1, 'fine')")
        assert db.execute("select source_ids from publish.outbox").fetchall() == [(["1"],)]
        maker.close()
    finally:
        db.execute("drop owned by maker cascade; drop role maker")


def test_define_calls_nothing_of_its_callers_search_path(db: Connection) -> None:
    db.execute("create schema trap; create table thing (id int)")
    db.execute(
        "create function trap.format(text, text) returns text language plpgsql as"
        " $$ begin raise exception 'trapped'; end $$"
    )
    db.execute("set search_path = trap, public, pg_catalog")
    db.execute("select public.publish_define('thing', 'public.thing')")


@pytest.mark.parametrize(
    "setup",
    [
        "select publish_define('x', 99999::regclass)",
        "create temp view v as select 1 as id; select publish_define('x', 'v')",
        "create sequence s; select publish_define('x', 's', '{last_value}')",
        "create view v as select array[1] as id; select publish_define('x', 'v')",
        "create table t (id int, r pg_class); select publish_define('x', 't', '{r}')",
    ],
)
def test_a_definition_that_could_publish_nothing_is_refused(db: Connection, setup: str) -> None:
    import psycopg

    with pytest.raises(psycopg.Error) as caught:
        db.execute(setup.encode())
    assert caught.value.sqlstate == "PT400"
