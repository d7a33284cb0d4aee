"""A key that calls a function of somebody else's: it runs as publish_projector, read-only, in a
subtransaction that is undone. Its owner gains nothing by it, and no write fails of it."""

import psycopg
import pytest
from helpers import one
from marks import marked, walks

ITEMS = """
create table item (id int primary key, n int);
create table loot (who text); grant all on loot to public; create table loot2 ();
create function attempt(statement text) returns text language plpgsql as $$
begin
  execute statement;
  return 'done as ' || current_user;
exception when others then
  return sqlstate;
end $$;
select publish_define('item', 'item');
"""

ATTACKS = {
    "insert into public.loot values (current_user)": "25006",
    "create table public.more_loot ()": "25006",
    "create temp table more_loot ()": "25006",
    "set role postgres": "42501",
    "set role publish_owner": "42501",
    "reset role": "42501",
    "set session authorization postgres": "42501",
    "set transaction read write": "25001",
    "select set_config('transaction_read_only', 'off', false)": "25001",
    "insert into publish.outbox (kind, source_ids) values ('item', '{forged}')": "25006",
    "select publish.append_gated_marks('item', '{forged}', null)": "25006",
    "select publish.mark_all('item', 'public.item', 'forged')": "25006",
    "create function publish_gate.x() returns int language sql return 1": "25006",
    "create or replace function publish_gate.capture_1() returns trigger language plpgsql"
    " as 'begin return null; end'": "25006",
    "grant publish_projector to current_user": "25006",
    "select count(*) from publish.published": "42501",
    "select nextval('publish.payload_no')": "42501",
    "select setval('publish.attempt', 99)": "42501",
    "lock table public.item": "42501",
    "commit": "0A000",
}
# What it may do is undone with the subtransaction.
UNDONE = [
    "set search_path = nowhere",
    "set session_replication_role = replica",
    "set publish.headers = '{\"forged\": 1}'",
    "set row_security = on",
    "set lock_timeout = 0",
    "listen loot",
    "notify loot",
    "declare loot cursor with hold for select 1",
    "insert into pg_temp.pocket values (current_user)",
]


@pytest.fixture
def db(connect):
    db = connect()
    db.execute(ITEMS)
    return db


@pytest.fixture
def eve(db):
    db.execute("create role eve; grant usage, create on schema public to eve")
    yield "eve"
    db.execute("reset all; reset role; drop owned by eve cascade; drop role eve")


@pytest.fixture
def warnings(db):
    notices = []
    db.add_notice_handler(lambda diag: notices.append((diag.severity, diag.message_primary)))
    return notices


def key_function(db, body, owner=None):
    """Replaces public.key(int), which the capture of item calls."""
    db.execute(
        "create or replace function public.key(n int) returns text language plpgsql as"
        f" $key$ begin {body}; return n::text; end $key$".encode()
    )
    if owner:
        db.execute(f"alter function public.key(int) owner to {owner}".encode())


def capture(db, **arguments):
    more = "".join(f", {name} => {value}" for name, value in arguments.items())
    db.execute(f"select publish_capture('item', 'item', key => 'public.key(id)'{more})".encode())


@pytest.mark.parametrize("always", ["false", "true"])
def test_the_owner_of_a_keys_function_gains_nothing(db, eve, warnings, always):
    key_function(db, "null", eve)
    capture(db, always=always)
    for attack, answer in ATTACKS.items():
        key_function(db, f"raise notice '%', public.attempt($a${attack}$a$)")
        warnings.clear()
        db.execute("insert into item values (1, 1); delete from item")
        assert {said for _, said in warnings} == {answer}, attack
    assert one(db, "select count(*) from loot") == 0
    assert one(db, "select array_agg(distinct k) from publish.outbox, unnest(source_ids) k") == [
        "1"
    ]
    assert walks(db) == []


@pytest.mark.parametrize("always", ["false", "true"])
def test_what_a_keys_function_does_to_the_session_is_undone(db, eve, warnings, always):
    db.execute("create temp table pocket (x text); grant all on pocket to public")
    key_function(db, "null", eve)
    capture(db, always=always)
    settings = "select name, setting from pg_settings where name <> 'transaction_isolation'"
    before = db.execute(settings).fetchall()
    for deed in UNDONE:
        key_function(db, f"raise notice '%', public.attempt($a${deed}$a$)")
        warnings.clear()
        db.execute("insert into item values (1, 1); delete from item")
        assert len(warnings) == 2
        assert db.execute(settings).fetchall() == before, deed
    assert one(db, "select current_user = session_user")
    assert one(db, "select count(*) from pocket") == 0
    assert db.execute("select pg_listening_channels()").fetchall() == []
    assert db.execute("select name from pg_cursors").fetchall() == []
    assert one(db, "select count(headers) from publish.outbox") == 0


def test_a_statement_that_the_session_prepared_is_not_replaced_by_another(db, eve, connect):
    """A driver executes its prepared statements by name, with the rights of who is logged in."""
    key_function(db, "null", eve)
    capture(db)
    key_function(
        db,
        "deallocate all;"
        " execute 'prepare _pg3_0 (smallint) as insert into public.loot values (current_user)'",
    )
    app = connect(prepare_threshold=0)
    query = "select n from item where id = %s"
    app.execute(query, [1], prepare=True)
    assert one(app, "select name from pg_prepared_statements where not from_sql") == "_pg3_0"
    app.execute("insert into item values (1, 1)", prepare=False)
    with pytest.raises(psycopg.errors.InvalidSqlStatementName):
        app.execute(query, [1], prepare=True)
    assert one(db, "select count(*) from loot") == 0
    assert marked(db) == ["1"]


def test_functions_that_planning_calls_are_called_behind_the_gate_too(db, eve, warnings):
    db.execute(
        "create function public.fixed(n int) returns text immutable language plpgsql as $$ begin"
        " raise notice '%', public.attempt('insert into public.loot values (current_user)');"
        " return n::text; end $$; alter function public.fixed(int) owner to eve;"
        "select publish_capture('item', 'item', key => 'public.fixed(7)');"
        "select * from publish_audit('item'); select publish.renew_captures();"
    )
    assert warnings == []  # nobody called it
    db.execute("insert into item values (1, 1)")
    assert {said for _, said in warnings} == {"25006"}
    assert marked(db) == ["7"]
    assert one(db, "select count(*) from loot") == 0


ERRORS = [
    "perform 1 / 0",
    "raise 'refused'",
    "raise sqlstate 'PTGAT'",
    "raise sqlstate 'PT404'",
    "raise sqlstate '40001'",
    "raise sqlstate '40P01'",
    "raise sqlstate '53200'",
    "raise sqlstate '55P03'",
    "raise query_canceled",
    "raise admin_shutdown",
    "assert false",
    "execute 'no SQL'",
    "perform no_such_function()",
    "perform n from no_such_table",
    "perform from public.loot2",  # which publish_projector may not read
    "return repeat('x', 2000000000)",
    "perform public.key(n)",  # for ever
]


@pytest.mark.parametrize("always", ["false", "true"])
def test_no_error_of_a_key_fails_the_write(db, warnings, always):
    key_function(db, "null")
    capture(db, always=always)
    for body in ERRORS:
        key_function(db, body)
        warnings.clear()
        db.execute("insert into item values (1, 1); update item set n = 2; delete from item")
        assert [severity for severity, _ in warnings] == ["WARNING"] * 3, body
        assert (marked(db), walks(db)) == ([], ["item"]), body


def test_a_key_that_waits_for_a_lock_is_given_up(db, connect, warnings):
    db.execute("create table other (n int); grant select on other to publish_projector")
    key_function(db, "perform from public.other")
    capture(db)
    with connect(autocommit=False) as holder:
        holder.execute("lock table other")
        db.execute("insert into item values (1, 1)")
        holder.rollback()
    assert [severity for severity, _ in warnings] == ["WARNING"]
    assert (marked(db), walks(db)) == ([], ["item"])


def test_a_person_who_cancels_and_a_timeout_are_obeyed(db):
    key_function(db, "perform pg_sleep(60)")
    capture(db)
    db.execute("set statement_timeout = 200")
    with pytest.raises(psycopg.errors.QueryCanceled):
        db.execute("insert into item values (1, 1)")
    assert one(db, "select count(*) from item") == 0
    assert (marked(db), walks(db)) == ([], [])


def test_rows_that_row_security_would_hide_are_no_key(db, warnings):
    db.execute(
        "create table secret (n int); alter table secret enable row level security;"
        "insert into secret values (1); grant select on secret to publish_projector"
    )
    key_function(db, "perform from public.secret")
    capture(db)
    db.execute("insert into item values (1, 1)")
    assert [severity for severity, _ in warnings] == ["WARNING"]
    assert walks(db) == ["item"]


def test_no_row_costs_a_transaction_id(db):
    def xid():
        return int(one(db, "select pg_current_xact_id()::text"))

    key_function(db, "perform 1 / (n % 2)")
    capture(db, always="true")
    before = xid()
    db.execute(
        "set client_min_messages = error; insert into item select i from generate_series(1, 200) i"
    )
    assert xid() - before == 2  # that of the write, and that of asking
    assert len(marked(db)) == 100


def test_more_keys_than_memory_is_meant_for_are_a_walk(db, warnings):
    db.execute(
        "select publish_capture('item', 'item', key => 'generate_series(1, n)');"
        "insert into item values (1, 1000000)"
    )
    assert one(db, "select sum(cardinality(source_ids)) from publish.outbox") == 1_000_000
    assert warnings == []
    db.execute("truncate publish.outbox; insert into item values (2, 1000001)")
    assert [severity for severity, _ in warnings] == ["WARNING"]
    assert (marked(db), walks(db)) == ([], ["item"])
