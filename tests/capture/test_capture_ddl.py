"""Captures and DDL: defined twice, renamed, dropped, refused, locked, dumped and renewed. Writes go
on whatever happens to the table."""

import psycopg
import pytest
from helpers import PATIENCE, begin, drain_all, feed, one, pid, until, waits
from marks import converges, marked, marks_of, refused, walks
from psycopg.rows import namedtuple_row

from pgpublish.migrate import migrate

ITEMS = """
create table item (id int primary key, name text, note text);
create table tag (id int primary key, item_id int, label text);
create view item_view as
  select i.id, i.name, (select string_agg(t.label, ',' order by t.id) from tag t
                         where t.item_id = i.id) as tags
    from item i;
select publish_define('item', 'item_view');
"""


@pytest.fixture
def db(connect):
    db = connect()
    db.execute(ITEMS)
    return db


@pytest.fixture
def captured(db):
    db.execute(
        "select publish_capture('item', 'item');"
        "select publish_capture('item', 'tag', key => 'item_id');"
        "insert into item values (1, 'one'), (2, 'two'); insert into tag values (10, 1, 'x')"
    )
    drain_all(db)
    db.execute("truncate publish.outbox")
    return db


@pytest.fixture
def role(db):
    """Makes roles that are gone after the test."""
    made = []

    def make(name):
        db.execute(f"create role {name} nologin".encode())
        made.append(name)
        return name

    yield make
    db.execute("reset role")
    for name in made:
        db.execute(f"drop owned by {name} cascade; drop role {name}".encode())


def triggers(db, table):
    return one(
        db,
        "select count(*) from pg_trigger where tgrelid = %s::regclass and tgname like 'publish%%'",
        table,
    )


def captures(db):
    return db.execute(
        "select capture_id, publish.captured_table(capture_id)::text as name, key, columns"
        "  from publish.capture order by capture_id"
    ).fetchall()


def problems(db):
    return [
        (r.object.removeprefix("public."), r.problem)
        for r in db.execute("select * from publish_audit()").fetchall()
    ]


def leftovers(db):
    """Functions of captures, which all have a row in publish.capture while that is alive."""
    return one(
        db,
        r"select (select count(*) from pg_proc where proname ~ '^capture_\d')"
        r" + (select count(*) from pg_class where relname ~ '^described_')",
    )


def test_capturing_twice_replaces(captured):
    before = captures(captured)
    for _ in range(2):
        captured.execute("select publish_capture('item', 'item')")
    assert captures(captured) == before
    assert triggers(captured, "item") == 4
    captured.execute("update item set note = 'x' where id = 1")
    rows = captured.execute("select source_ids from publish.outbox").fetchall()
    assert rows == [(["1"],)]
    assert walks(captured) == []


def test_capturing_again_with_another_key_or_other_columns_takes_effect(captured):
    id = captures(captured)[0].capture_id
    note, name = "update item set note = 'x'", "update item set name = 'x' || id"
    captured.execute("select publish_capture('item', 'item', columns => '{name}')")
    assert (marks_of(captured, note), marks_of(captured, name)) == ([], ["1", "2"])
    captured.execute("select publish_capture('item', 'item', always => true, columns => '{name}')")
    assert (marks_of(captured, note), marks_of(captured, name)) == ([], ["1", "2"])
    captured.execute("select publish_capture('item', 'item', columns => '{note}')")
    assert (marks_of(captured, note), marks_of(captured, name)) == (["1", "2"], [])
    captured.execute("select publish_capture('item', 'item', key => 'id + 100')")
    assert marks_of(captured, note) == ["101", "102"]
    captured.execute("alter table item drop column note")  # no capture of before holds it
    assert captures(captured)[0].capture_id == id
    assert triggers(captured, "item") == 4


def test_two_sessions_that_capture_a_table_at_once_make_one_capture(db, connect):
    first, second = connect(autocommit=False), connect()
    first.execute("select publish_capture('item', 'item')")
    waiting = begin(second.execute, "select publish_capture('item', 'item', columns => '{name}')")
    until(lambda: waits(db, pid(second)))
    first.commit()
    waiting.result(PATIENCE)
    assert [(c.name, c.columns) for c in captures(db)] == [("item", ["name"])]
    assert triggers(db, "item") == 4


def test_captures_are_part_of_the_transaction_that_makes_them(db, connect):
    with db.transaction(force_rollback=True):
        db.execute("select publish_capture('item', 'item')")
        db.execute("insert into item values (1)")
        assert marked(db) == ["1"]
    assert (captures(db), triggers(db, "item"), leftovers(db)) == ([], 0, 0)
    db.execute("insert into item values (1)")
    assert marked(db) == []


def test_renames_of_table_column_and_schema_are_harmless(captured):
    captured.execute("select publish_capture('item', 'item', columns => '{name}')")
    captured.execute(
        "alter table item rename to thing; alter table thing rename id to thing_id;"
        "alter table thing rename name to title; alter table tag rename item_id to of_item;"
        "create schema moved; alter table thing set schema moved; alter schema moved rename to m2;"
        # New columns and tables of the old names are other ones.
        "alter table m2.thing add id int default 77; alter table m2.thing add name text;"
        "alter table tag add item_id int default 78; create table item (id int, name text)"
    )
    captured.execute("insert into item values (5)")
    captured.execute("insert into m2.thing values (3, 'three'); insert into tag values (30, 3)")
    assert marked(captured) == ["3"]
    assert marks_of(captured, "update m2.thing set id = 5, name = 'x', note = 'y'") == []
    assert marks_of(captured, "update m2.thing set title = 'z' where thing_id = 2") == ["2"]
    assert marks_of(captured, "update tag set of_item = 2") == ["1", "2", "3"]
    assert problems(captured) == []
    assert one(captured, "select captured from publish_kinds()") == ["m2.thing", "public.tag"]
    captured.execute("update m2.thing set title = 'last'")
    assert set(converges(captured, "item")) == {"1", "2", "3"}
    assert one(captured, "select publish_uncapture('item', 'm2.thing')") == 1
    assert triggers(captured, "m2.thing") == 0


def test_row_triggers_survive_renames_too(db):
    db.execute(
        "select publish_capture('item', 'item', columns => '{name}', always => true);"
        "insert into item values (1, 'one'); truncate publish.outbox;"
        "alter table item rename to thing; alter table thing rename id to thing_id;"
        "alter table thing rename name to title; alter table thing add name text"
    )
    assert marks_of(db, "update thing set name = 'x', note = 'y'") == []
    assert marks_of(db, "update thing set title = 'x'") == ["1"]
    assert problems(db) == [("tag", "the view reads this table, but it is not captured")]


@pytest.mark.parametrize("always", ["false", "true"])
@pytest.mark.parametrize("column", ["item_id", "label"])
def test_a_column_that_is_read_is_dropped_only_with_cascade_and_then_writes_go_on(
    captured, column, always
):
    captured.execute(
        "create or replace view item_view as select id, name, null::text as tags from item"
    )
    captured.execute(
        f"select publish_capture('item', 'tag', 'item_id', '{{label}}', {always});".encode()
    )
    id = captures(captured)[1].capture_id
    assert refused(captured, f"alter table tag drop column {column}") == "2BP01"
    assert marks_of(captured, "update tag set label = 'y'") == ["1"]
    captured.execute(f"alter table tag drop column {column} cascade".encode())
    captured.execute("insert into tag (id) values (11); update tag set id = 12 where id = 11")
    captured.execute("delete from tag where id = 12")
    captured.execute("insert into item values (3)")
    # What these writes marked is not known: the drain walks the kind instead.
    assert (marked(captured), walks(captured)) == (["3"], ["item"])
    view = "item_view"  # it was replaced, and the walks that were asked for are not made here
    assert {object for object, _ in problems(captured)} - {view} == {"tag"}
    captured.execute("select publish_capture('item', 'tag', key => 'id')")
    assert walks(captured) == ["item"]
    assert captures(captured)[1].capture_id == id
    assert {object for object, _ in problems(captured)} <= {view}
    captured.execute("update tag set id = 2; truncate tag")
    assert (marked(captured), walks(captured)) == (["10", "2"], ["item"])


def test_columns_that_no_capture_reads_are_dropped_added_and_retyped_freely(captured):
    captured.execute("select publish_capture('item', 'tag', 'item_id', columns => '{label}')")
    captured.execute(
        "alter table item drop column note; alter table item add more numeric default 1;"
        "alter table item alter more type text; alter table tag add x int;"
        "alter table tag drop column x; alter table tag add x text"
    )
    captured.execute("update item set more = 'y' where id = 1; update tag set label = 'z', x = 'y'")
    assert marked(captured) == ["1"]
    assert problems(captured) == []


@pytest.mark.parametrize("always", ["false", "true"])
def test_the_type_of_a_column_that_is_read_changes_only_while_it_is_not_captured(db, always):
    db.execute(
        "create table t (id int primary key, n int, other int);"
        "create table feed_of (id text primary key); select publish_define('t', 'feed_of');"
        f"select publish_capture('t', 't', 'id', '{{n}}', {always})".encode()
    )
    for column in ("id", "n"):
        assert refused(db, f"alter table t alter {column} type bigint") == "0A000"
    db.execute("alter table t alter other type bigint")
    db.execute("insert into t values (1); update t set n = 1")
    assert marked(db) == ["1"]
    with db.transaction():
        db.execute("select publish_uncapture('t', 't')")
        db.execute("alter table t alter id type bigint, alter n type text")
        db.execute(f"select publish_capture('t', 't', 'id', '{{n}}', {always})".encode())
    db.execute("insert into t values (5000000000)")
    assert marked(db) == ["5000000000"]


def test_a_table_is_dropped_only_with_cascade_and_its_successor_is_captured_anew(captured):
    assert refused(captured, "drop table tag") == "2BP01"
    id = captures(captured)[1].capture_id
    captured.execute("drop table tag cascade")  # and the view
    captured.execute("create or replace view item_view as select id, name from item")
    captured.execute("select publish_define('item', 'item_view', schema_version => 2)")
    assert ("tag", "the captured table is gone") in problems(captured)
    captured.execute("update item set name = 'x' where id = 1")
    assert set(converges(captured, "item")) == {"1", "2"}
    captured.execute("create table tag (id int primary key, item_id int, label text)")
    captured.execute("insert into tag values (1, 2)")
    assert marked(captured) == []
    assert [object for object, _ in problems(captured)][:1] == ["tag"]
    captured.execute("select publish_capture('item', 'tag', key => 'item_id')")
    assert (walks(captured), problems(captured)) == (["item"], [])
    assert captures(captured)[1].capture_id == id
    captured.execute("update tag set label = 'x'")
    assert marked(captured) == ["2"]


def test_uncapture_removes_everything_of_one_or_of_all_and_leaves_what_is_published(captured):
    captured.execute("update item set name = 'x'")
    assert one(captured, "select publish_uncapture('item', 'tag')") == 1
    assert (triggers(captured, "tag"), triggers(captured, "item")) == (0, 4)
    assert one(captured, "select publish_uncapture('item')") == 1
    assert one(captured, "select publish_uncapture('item')") == 0
    assert (triggers(captured, "item"), captures(captured), leftovers(captured)) == (0, [], 0)
    captured.execute("update item set note = 'x'; truncate tag")
    assert walks(captured) == []
    drain_all(captured)
    assert set(feed(captured, "item")) == {"1", "2"}


@pytest.mark.parametrize("name", ["public.tag", "tag"])
def test_uncapture_of_a_table_that_is_gone_takes_the_name_it_had(captured, name):
    captured.execute("drop table tag cascade")
    assert refused(captured, "select publish_uncapture('item', 'other')") == "PT404"
    assert one(captured, "select publish_uncapture('item', %s)", name) == 1
    assert [c.name for c in captures(captured)] == ["item"]
    assert refused(captured, "select publish_uncapture('item', %s)", name) == "PT404"


@pytest.mark.parametrize("name", ["public.item", "item"])
def test_uncapture_never_takes_a_renamed_table_for_the_one_that_has_its_name_now(captured, name):
    captured.execute("alter table item rename to old; create table item (id int primary key)")
    assert refused(captured, "select publish_uncapture('item', %s)", name) == "PT404"
    captured.execute("select publish_capture('item', 'item', key => 'id')")
    assert one(captured, "select publish_uncapture('item', %s)", name) == 1
    assert sorted(c.name for c in captures(captured)) == ["old", "tag"]
    assert marks_of(captured, "update old set name = 'x'") == ["1", "2"]


def test_uncapture_refuses_what_is_not_captured(captured):
    captured.execute("select publish_define('note'); create table other (id int)")
    for arguments in ("'item', 'other'", "'item', 'no_such'", "'note', 'item'", "'undefined'",
                      "'undefined', 'item'", "null"):  # fmt: skip
        sqlstate = refused(captured, f"select publish_uncapture({arguments})")
        assert sqlstate == "PT404", arguments
    assert one(captured, "select publish_uncapture('note')") == 0
    assert len(captures(captured)) == 2


BAD_ARGUMENTS = {
    "'undefined', 'item'": "PT404",
    "null, 'item'": "PT404",
    "'payload', 'item'": "PT404",
    "'gone', 'item'": "PT404",
    "'item', null": "PT400",
    "'item', 'item_view'": "PT400",
    "'item', 'materialized'": "PT400",
    "'item', 'numbers'": "PT400",
    "'item', 'pg_temp.temporary'": "PT400",
    "'item', 'item_pkey'": "PT400",
    "'item', 'publish.outbox', 'source_id'": "PT400",
    "'item', 'tag'": "PT400",
    "'pair', 'item'": "PT400",
    "'item', 'tag', ''": "PT400",
    "'item', 'tag', 'no_such'": "PT400",
    "'item', 'tag', 'item_id, id'": "PT400",
    "'item', 'tag', 'item_id from tag'": "PT400",
    "'item', 'tag', 'item_id; drop table item'": "PT400",
    "'item', 'tag', 'item_id from tag; drop table item; select item_id'": "PT400",
    "'item', 'tag', 'array[item_id]'": "PT400",
    "'item', 'tag', 'tag'": "PT400",
    "'item', 'tag', 'to_jsonb(tag) ->> ''item_id'''": "PT400",
    "'item', 'tag', 'ctid'": "PT400",
    "'item', 'tag', 'tableoid::int'": "PT400",
    "'item', 'tag', 'count(*)'": "PT400",
    "'item', 'tag', 'row_number() over ()'": "PT400",
    "'item', 'tag', '(select max(id) from item)'": "PT400",
    "'item', 'tag', 'item.id'": "PT400",
    "'item', 'tag', 'no_such(item_id)'": "PT400",
    "'item', 'tag', '$1'": "PT400",
    "'item', 'tag', '*'": "PT400",
    "'pair', 'tag', 'item_id'": "PT400",
    "'item', 'tag', 'item_id', '{}'": "PT400",
    "'item', 'tag', 'item_id', '{no_such}'": "PT400",
    "'item', 'tag', 'item_id', '{label,no_such}'": "PT400",
    "'item', 'tag', 'item_id', array[null]": "PT400",
    "'item', 'tag', 'item_id', '{ctid}'": "PT400",
    "'item', 'tag', 'item_id', '{Label}'": "PT400",
    "'item', 'tag', lookup => ''": "PT400",
    "'item', 'tag', lookup => 'select id from no_such where id = any ($1)'": "PT400",
    "'item', 'tag', lookup => 'select id from item where name = any ($1)'": "PT400",
    "'item', 'tag', lookup => 'select id from item where id = any ($2)'": "PT400",
    "'item', 'tag', lookup => 'delete from item returning id'": "PT400",
    "'item', 'tag', lookup => 'select id from item; select 1'": "PT400",
    "'item', 'tag', lookup => 'select 1) x (c); end; drop table item; select (1'": "PT400",
    "'pair', 'tag', lookup => 'select id from item where id = any ($1)'": "PT400",
    "'item', 'without_key', lookup => 'select id from item where id = any ($1)'": "PT400",
    "'item', 'with_two', lookup => 'select id from item where id = any ($1)'": "PT400",
    "'item', 'tag', 'id, item_id', lookup => 'select id from item where id = any ($1)'": "PT400",
    "'item', 'tag', 'no_such', lookup => 'select id from item where id = any ($1)'": "PT400",
}


@pytest.mark.parametrize("before", ["uncaptured", "captured"])
def test_bad_arguments_are_refused_and_change_nothing(db, before):
    db.execute(
        "select publish_define('payload'); select publish_define('pair', 'item_view', '{id,tags}');"
        "create view gone as select 1 as id; select publish_define('gone', 'gone'); drop view gone;"
        "create materialized view materialized as select 1 as id; create sequence numbers;"
        "create temp table temporary (id int); create table without_key (id int);"
        "create table with_two (a int, b int, primary key (a, b))"
    )
    keys = ["1", "2"] if before == "captured" else []
    if keys:
        db.execute(
            "select publish_capture('item', 'item', columns => '{name}');"
            "select publish_capture('item', 'tag', 'item_id')"
        )
    kept = captures(db), leftovers(db)
    for arguments, sqlstate in BAD_ARGUMENTS.items():
        assert refused(db, f"select publish_capture({arguments})") == sqlstate, arguments
        assert (captures(db), leftovers(db)) == kept, arguments
        write = "insert into item values (1), (2); insert into tag values (1, 1), (2, null)"
        assert marks_of(db, write) == keys, arguments
    assert one(db, "select count(*) from publish.walk") == 0


def test_a_table_in_use_is_refused_after_five_seconds_and_stays_as_it_was(captured, connect):
    writer = connect(autocommit=False)
    writer.execute("insert into tag values (99, 1); insert into item values (99)")
    capturing, uncapturing = connect(), connect()
    results = [
        begin(refused, capturing, "select publish_capture('item', 'tag', 'id', '{label}')"),
        begin(refused, uncapturing, "select publish_uncapture('item', 'item')"),
    ]
    until(lambda: waits(captured, pid(capturing)) and waits(captured, pid(uncapturing)))
    assert [result.result(PATIENCE) for result in results] == ["PT423", "PT423"]
    writer.commit()
    assert marks_of(captured, "update tag set id = id + 5 where id = 10") == ["1"]
    assert marked(captured) == ["1", "99"]
    assert [c.key for c in captures(captured)] == ["id", "item_id"]
    assert one(uncapturing, "select publish_uncapture('item', 'item')") == 1


def test_readers_are_not_locked_out_while_a_table_is_captured_again(captured, connect):
    reader = connect(options="-c lock_timeout=1")
    with captured.transaction():
        captured.execute("select publish_capture('item', 'item', columns => '{name}')")
        captured.execute("select publish_capture('item', 'tag', 'id', always => true)")
        reader.execute("select from item, tag for key share")
    assert marks_of(captured, "update item set note = 'x'") == []


def test_owners_and_those_with_trigger_rights_capture_as_publish_admin_and_nobody_else(db, role):
    owner, other, stranger = role("table_owner"), role("trigger_right"), role("no_right")
    db.execute(f"grant publish_admin to {owner}, {other}, {stranger}".encode())
    db.execute(
        f"create schema theirs authorization {owner}; set role {owner};"
        "create table theirs.t (id int primary key, n int);"
        "create view theirs.v as select id, n from theirs.t;"
        "select publish_define('t', 'theirs.v'); select publish_capture('t', 'theirs.t');"
        f"grant usage on schema theirs to {other}, {stranger};"
        f"grant trigger, select on theirs.t to {other}; reset role".encode()
    )
    db.execute("insert into theirs.t values (1)")
    assert set(converges(db, "t")) == {"1"}
    db.execute(f"set role {other}; select publish_capture('t', 'theirs.t', 'n')".encode())
    db.execute("reset role; update theirs.t set n = 7")
    assert marked(db) == ["7"]
    db.execute(f"set role {stranger}".encode())
    assert refused(db, "select publish_capture('t', 'theirs.t', 'id + 1')") == "PT400"
    db.execute(f"reset role; revoke publish_admin from {owner}; set role {owner}".encode())
    assert refused(db, "select publish_capture('t', 'theirs.t')") == "42501"
    assert refused(db, "select publish_uncapture('t', 'theirs.t')") == "42501"
    db.execute("reset role; update theirs.t set n = 8")
    assert marked(db) == ["7", "8"]


def test_captures_are_made_with_an_empty_search_path(db):
    for path in ("set search_path = ''", "select set_config('search_path', '', false)"):
        db.execute(path.encode())
        db.execute("select public.publish_capture('item', 'public.item', 'item.id', '{name}')")
    db.execute("reset search_path; insert into item values (1)")
    assert marked(db) == ["1"]


def test_functions_of_the_callers_search_path_are_not_called_in_making_a_capture(db):
    db.execute("create schema trap; create table spy (who text); grant all on spy to public")
    for function in (
        "format(text, text)", "format(text, text, text)", "format(text, text, text, text)",
        "format(text, text, text, text, text, text)", "set_config(text, text, boolean)",
        "quote_ident(name)", "set_config(name, text, boolean)",
    ):  # fmt: skip
        db.execute(
            f"create function trap.{function} returns text language plpgsql as $$ begin"
            " raise exception 'called as %', current_user; end $$".encode()
        )
    db.execute("set search_path = trap, public")
    db.execute("select public.publish_capture('item', 'public.item', 'item.id', '{name}')")
    db.execute(
        "select public.publish_capture('item', 'public.tag', 'id + 0',"
        " lookup => 'select item_id from tag where id = any ($1)')"
    )
    db.execute("insert into item values (1)")
    assert marked(db) == ["1"]


def test_a_key_of_before_the_kind_got_another_is_reported_until_it_is_captured_again(captured):
    captured.execute("select publish_define('item', 'item_view', '{name}')")
    drain_all(captured)
    assert {object for object, _ in problems(captured)} == {"item", "tag"}
    captured.execute("select publish_capture('item', 'item')")
    captured.execute("select publish_capture('item', 'tag', 'label')")
    assert problems(captured) == []
    captured.execute("update item set name = 'uno' where id = 1")
    assert set(converges(captured, "item")) == {"uno", "two"}


def test_triggers_that_were_dropped_or_disabled_are_restored_and_what_they_missed_is_walked(
    captured,
):
    for damage in (
        "drop trigger publish_1_update on item",
        "alter table item disable trigger publish_1_update",
        "alter table item enable replica trigger publish_1_update",
        "drop function publish_gate.capture_1_key(item) cascade",
        "drop function publish_gate.capture_1() cascade",
        "create or replace trigger publish_1_update after update on item"
        " for each row execute function publish_enqueue()",
    ):
        assert problems(captured) == []
        captured.execute(damage.encode())
        captured.execute("set client_min_messages = error; update item set name = name || '!'")
        captured.execute("reset client_min_messages; truncate publish.outbox")
        assert [object for object, _ in problems(captured)][:1] == ["item"], damage
        captured.execute("select publish_capture('item', 'item')")
        assert converges(captured, "item")["1"]["name"].endswith("!"), damage
        assert triggers(captured, "item") == 4


@pytest.mark.parametrize("way", ["migrate", "renew"])
def test_a_trigger_function_of_another_version_is_renewed_without_a_lock(captured, connect, way):
    captured.execute(
        "create or replace function publish_gate.capture_1() returns trigger language plpgsql"
        " security definer set search_path = pg_catalog, pg_temp as 'begin return null; end'"
    )
    captured.execute("update item set name = 'unseen'")
    assert marked(captured) == []
    assert [object for object, _ in problems(captured)] == ["item"]
    writer = connect(autocommit=False)
    writer.execute("insert into item values (9)")
    if way == "migrate":
        captured.execute(
            "update publish.file set checksum = 'old' where path like '%capture_body.sql'"
        )
        migrate(captured)
    else:
        assert one(captured, "select publish.renew_captures()") == 1
    writer.rollback()
    assert one(captured, "select publish.renew_captures()") == 0
    assert problems(captured) == []
    captured.execute("update item set name = 'seen'")
    assert marked(captured) == ["1", "2"]
    config = "select proconfig, prosecdef from pg_proc where proname in ('capture_1', 'capture_2')"
    first, second = captured.execute(config).fetchall()
    assert first == second


def test_a_dump_restored_elsewhere_goes_on_capturing(captured, cluster, url, new_database):
    captured.execute(
        "create table country (code text primary key, name text);"
        'create schema "Odd ""one"""; create table "Odd ""one"""."T é" ("K k" int, "v" jsonb,'
        '  region int, gone int, primary key ("K k", region)) partition by list (region);'
        'create table "Odd ""one""".leaf partition of "Odd ""one"""."T é" for values in (1);'
        'alter table "Odd ""one"""."T é" drop column gone;'
        'create view odd as select "K k" as id, v from "Odd ""one"""."T é";'
        "select publish_define('odd ''kind''', 'odd');"
        "select publish_capture('odd ''kind''', '\"Odd \"\"one\"\"\".\"T é\"', columns => '{v}');"
        "select publish_capture('item', 'item', columns => '{name}');"
        "select publish_capture('item', 'tag', 'unnest(array[item_id, id])', always => true);"
        "select publish_capture('item', 'country',"
        "                       lookup => 'select id from item where name = any ($1)');"
        "alter table item rename name to title; insert into country values ('nowhere', 'x')"
    )
    captured.execute("insert into item values (3, 'fr')")
    drain_all(captured)
    expected = captures(captured)
    file = str(cluster.folder / "captures.dump")
    cluster.run("pg_dump", "--format", "custom", "--file", file, "--dbname", url)
    copy = cluster.url(new_database(None))
    cluster.run("pg_restore", "--exit-on-error", "--dbname", copy, file)

    with psycopg.connect(copy, autocommit=True, row_factory=namedtuple_row) as conn:
        assert captures(conn) == expected
        assert problems(conn) == problems(captured)
        assert one(conn, "select publish.renew_captures()") == 0
        conn.execute("update item set note = 'unseen'; update item set title = 'uno' where id = 1")
        conn.execute("update tag set item_id = 2 where id = 10")
        conn.execute("insert into country values ('fr', 'France')")
        conn.execute('insert into "Odd ""one""".leaf values (7, \'1\', 1)')
        assert set(converges(conn, "odd 'kind'")) == {"7"}
        assert set(converges(conn, "item")) == {"1", "2", "3"}
        conn.execute("select publish_capture('item', 'item')")
        conn.execute("create table late (id int primary key)")
        conn.execute("select publish_capture('item', 'late', 'id')")
        assert len(captures(conn)) == len(expected) + 1
        conn.execute("insert into late values (5)")
        conn.execute("set session_replication_role = replica; update tag set item_id = 6")
        assert {"5", "6", "10"} <= set(marked(conn))
        assert one(conn, "select publish_uncapture('item')") == 4


def test_a_capture_that_begins_late_or_sees_more_has_the_kind_walked(db):
    db.execute(
        "create table main (id int primary key, a text, b text);"
        "create table child (id int primary key, main_id int);"
        "create view shown as select m.id, m.a, m.b,"
        "  (select count(*) from child c where c.main_id = m.id) as n from main m;"
        "select publish_define('late', 'shown');"
        "select publish_capture('late', 'main', columns => '{a}');"
        "insert into main values (1, 'a', 'old')"
    )
    drain_all(db)
    db.execute("update main set b = 'new'; insert into child values (1, 1)")
    for capture in (
        "select publish_capture('late', 'main', columns => '{a,b}')",
        "select publish_capture('late', 'child', key => 'main_id')",
    ):
        db.execute(capture.encode())
        assert one(db, "select walks from publish_status()") == 1
        drain_all(db)
    assert feed(db, "late") == {"1": {"id": 1, "a": "a", "b": "new", "n": 1}}
    db.execute("select publish_capture('late', 'main', columns => '{b}')")
    db.execute("select publish_capture('late', 'main', columns => '{b}')")
    assert one(db, "select walks from publish_status()") == 0
