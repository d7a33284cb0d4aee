"""Reading the SQL of a key or a lookup runs some of it: a literal of an array of a domain calls
what the domain's CHECK calls. That runs as publish_projector, and may not change the gate."""

import psycopg
import pytest
from helpers import one

SPY = """
create schema a; grant usage on schema a to public;
create table a.loot (who text); grant all on a.loot to public;
create table a.item (id int primary key, n int);
create function a.spy(value int) returns boolean language plpgsql as $$
begin
  insert into a.loot values (current_user);
  {attack};
  return true;
end $$;
create domain a.dom as int check (a.spy(value));
create type a.span as range (subtype = a.dom);
select publish_define('item', 'a.item');
"""
LITERALS = ["('{1}'::a.dom[])[1]", "lower('[1,2)'::a.span)::int"]
ATTACKS = [
    "alter function publish_gate.texts(text, text[], int) security invoker",
    "alter function publish_gate.plan(text) reset all",
    "create or replace function publish_gate.texts(query text, ids text[], most int)"
    " returns setof text language sql as 'select current_user::text'",
    "create function publish_gate.extra() returns int language sql as 'select 1'",
    "create view publish_gate.extra as select 1",
    "grant execute on function publish_gate.texts(text, text[], int) to public",
    "alter default privileges grant execute on functions to publish_reader",
    "create function publish_gate.capture_1_key(int) returns int language sql as 'select 1'",
]


@pytest.fixture
def spied(connect):
    def prepare(attack="null"):
        db = connect()
        db.execute(SPY.replace("{attack}", attack).encode())
        return db

    return prepare


def capture(db, key, lookup):
    statement = "select publish_capture('item', 'a.item', key => %s, lookup => %s)"
    db.execute(statement, [key, lookup])


def ways(literal):
    return {
        f"id + {literal} * 0": None,
        "id": f"select i.id + {literal} * 0 from a.item i where i.id = any ($1)",
    }


@pytest.mark.parametrize("literal", LITERALS)
def test_what_reading_it_runs_is_run_as_publish_projector(spied, literal):
    db = spied()
    for key, lookup in ways(literal).items():
        capture(db, key, lookup)
        capture(db, key, lookup)  # in place of the first
        assert one(db, "select array_agg(distinct l.who) from a.loot l") == ["publish_projector"]
    assert (
        one(
            db,
            "select count(*) from pg_proc p where p.pronamespace = 'publish_gate'::regnamespace"
            " and p.proname ~ '^capture_1_' and p.proowner <> 'publish_owner'::regrole",
        )
        == 0
    )
    assert one(db, "select count(*) from publish.wrong_rights()") == 0
    db.execute("insert into a.item values (1, 1)")
    db.execute("select publish_drain()")
    assert one(db, "select count(*) from publish_changes()") == 1


@pytest.mark.parametrize("attack", ATTACKS)
def test_what_changes_the_gate_is_refused_and_undone(spied, attack):
    db = spied(attack)
    before = one(db, "select publish.gate_state('')")
    for key, lookup in ways(LITERALS[0]).items():
        with pytest.raises(psycopg.errors.DatabaseError) as refused:
            capture(db, key, lookup)
        assert refused.value.sqlstate in ("PT423", "PT400")
    assert one(db, "select publish.gate_state('')") == before


def test_what_its_author_may_not_read_is_not_published(connect, admin):
    db = connect()
    db.execute(
        "create table secret (id int primary key); create table own (id int primary key);"
        "create view v as select * from secret; grant select on v to publish_projector;"
        "grant select on secret to publish_projector; create role eve; grant publish_admin to eve;"
        "grant create on schema public to eve; alter table own owner to eve"
    )
    try:
        db.execute("set role eve")
        for statement in (
            "select publish_define('stolen', 'v')",
            "select publish.define(kind => 'stolen', view => 'v', key => '{id}',"
            " schema_version => 1, validator => null, retention => null)",
        ):
            with pytest.raises(psycopg.errors.DatabaseError) as refused:
                db.execute(statement)
            assert refused.value.sqlstate == "PT400"
        db.execute("select publish_define('own', 'own')")
        with pytest.raises(psycopg.errors.DatabaseError) as refused:
            db.execute(
                "select publish_capture('own', 'own', lookup => 'select id from public.secret')"
            )
        assert refused.value.sqlstate == "PT400"
        db.execute("select publish_capture('own', 'own')")
    finally:
        db.execute("reset role; drop owned by eve cascade; drop role eve")
