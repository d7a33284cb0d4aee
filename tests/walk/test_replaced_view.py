"""What a view shows can change without a write: it, or what it reads, is replaced. publish_maintain
finds that and asks for a walk; until then the audit says it."""

import pytest
from helpers import drain, drain_all, feed, one, waits

SOURCE = """
create type mood as enum ('sad', 'glad');
create table item (id int primary key, n int, mood mood);
create function doubled(n int) returns int immutable language sql as 'select n * 2';
create function tripled(n int) returns int immutable language sql return n * 3;
create view inner_view as select id, n, mood from item;
create view item_feed as
  select i.id, i.n, i.mood, doubled(i.n) as d, tripled(i.n) as t from inner_view i;
select publish_define('item', 'item_feed', key => '{id}'), publish_capture('item', 'item');
insert into item values (1, 1, 'sad'), (2, 2, 'glad');
"""
CHANGES = {
    "create or replace view item_feed as select i.id, -i.n as n, i.mood, 0 as d, 0 as t"
    " from inner_view i": ("n", -1),
    "create or replace view inner_view as select id, n + 5 as n, mood from item": ("n", 6),
    "create or replace function doubled(n int) returns int immutable language sql"
    " as 'select n * 20'": ("d", 20),
    "create or replace function tripled(n int) returns int immutable language sql return n * 30": (
        "t",
        30,
    ),
    "alter type mood rename value 'sad' to 'blue'": ("mood", "blue"),
}


@pytest.fixture
def db(connect):
    db = connect()
    db.execute(SOURCE)
    drain_all(db)
    return db


def problems(db):
    return [p for (p,) in db.execute("select problem from publish_audit('item')").fetchall()]


@pytest.mark.parametrize("change", CHANGES)
def test_what_was_replaced_is_told_by_the_audit_and_walked_by_maintenance(db, change):
    db.execute("select publish_maintain()")
    assert one(db, "select count(*) from publish.walk") == 0
    assert problems(db) == []
    db.execute(change.encode())
    assert len(problems(db)) == 1
    for _ in range(2):
        db.execute("select publish_maintain()")
        assert one(db, "select count(*) from publish.walk") == 1
    assert problems(db) == []
    drain_all(db)
    column, value = CHANGES[change]
    assert feed(db, "item")["1"][column] == value
    db.execute("select publish_maintain()")
    assert one(db, "select count(*) from publish.walk") == 0
    assert problems(db) == []


def test_a_view_replaced_while_its_walk_is_under_way_is_walked_again(db):
    db.execute("select publish_walk('item')")
    drain(db, 1)
    assert one(db, "select count(*) from publish.walk where position is not null") == 1
    db.execute("create or replace view inner_view as select id, n + 5 as n, mood from item")
    db.execute("select publish_maintain()")
    assert one(db, "select count(*) from publish.walk") == 2
    drain_all(db, 1)
    assert {key: payload["n"] for key, payload in feed(db, "item").items()} == {"1": 6, "2": 7}
    db.execute("select publish_maintain()")
    assert one(db, "select count(*) from publish.walk") == 0


def test_columns_of_a_table_that_is_published_itself_are_part_of_it(db):
    db.execute("select publish_define('table', 'item'), publish_capture('table', 'item')")
    db.execute("select publish_walk('table')")
    drain_all(db)
    for change in (
        "alter table item add colour text default 'red'",
        "alter table item rename n to m",
    ):
        db.execute(change.encode())
        db.execute("select publish_maintain()")
        assert one(db, "select count(*) from publish.walk where kind = 'table'") == 1
        drain_all(db)
    assert feed(db, "table")["1"] == {"id": 1, "m": 1, "mood": "sad", "colour": "red"}


def test_a_schema_that_nobody_of_ours_may_use_keeps_no_maintenance(connect):
    db = connect()
    db.execute(
        'create schema shop; create table shop."Item" (id int primary key);'
        "select publish_define('item', 'shop.\"Item\"');"
        "revoke usage on schema shop from publish_owner, publish_projector;"
        'alter table shop."Item" add n int; select publish_maintain()'
    )
    assert one(db, "select count(*) from publish.walk") == 1


def test_maintenance_waits_for_no_table_that_is_being_replaced(db, connect):
    other = connect()
    other.execute("begin")
    other.execute("lock item, item_feed, inner_view in access exclusive mode")
    db.execute("set statement_timeout = '10s'")
    db.execute("select publish_maintain()")
    assert not waits(other, db.info.backend_pid)
    other.execute("rollback")
