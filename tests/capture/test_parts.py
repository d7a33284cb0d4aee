"""Tables with foreign, unlogged and temporary parts, and kinds that are captured."""

import psycopg
import pytest
from helpers import drain, one

ROOT = "create table part_root (id int primary key, n int) partition by range (id);"


def refused(db, statement):
    with pytest.raises(psycopg.errors.DatabaseError) as error:
        db.execute(statement)
    return error.value.sqlstate


def test_a_table_with_a_foreign_part_is_refused(connect):
    db = connect()
    db.execute(
        "create table measured (id int not null, n int);"
        "create foreign data wrapper nothing; create server s foreign data wrapper nothing;"
        "create foreign table far () inherits (measured) server s;"
        "create table flat (id int primary key); select publish_define('flat', 'flat')"
    )
    state = refused(db, "select publish_capture('flat', 'measured', key => 'id')")
    assert state == "PT400"


def test_a_temporary_child_of_some_session_is_left_alone(connect):
    db, other = connect(), connect()
    db.execute("create table base (id int primary key, n int); select publish_define('b', 'base')")
    other.execute("create temp table mine () inherits (base); insert into mine values (9, 9)")
    db.execute("select publish_capture('b', 'base')")
    db.execute("insert into base values (1, 1)")
    drain(db)
    other.execute("insert into mine values (10, 9)")
    assert one(db, "select count(*) from publish_changes()") == 1
    assert one(db, "select count(*) from publish_audit('b')") == 0


def test_an_unlogged_table_that_a_crash_has_emptied_is_walked(connect):
    db = connect()
    db.execute(
        "create unlogged table fast (id int primary key); create table safe (id int primary key);"
        "select publish_define('fast', 'fast'); select publish_define('safe', 'safe');"
        "select publish_capture('fast', 'fast'); select publish_capture('safe', 'safe');"
        "insert into fast values (1), (2); insert into safe values (1)"
    )
    drain(db)
    db.execute(
        "alter table fast disable trigger all; truncate fast;alter table fast enable trigger all"
    )
    db.execute("delete from publish.alive")  # as crash recovery does
    db.execute("insert into safe values (2)")
    drain(db)
    assert (
        one(db, "select e.cause from publish.epoch e order by e.epoch_no desc limit 1") == "crash"
    )
    while one(db, "select d.scanned from publish_drain() d"):
        pass
    assert one(db, "select count(*) from publish_changes(0, base => null) where deleted") == 2
    assert one(db, "select array_agg(kind) from publish.walked") == ["fast"]


def test_a_captured_kind_does_not_become_a_payload_kind(connect):
    db = connect()
    db.execute(
        "create table item (id int primary key); select publish_define('item', 'item'),"
        " publish_capture('item', 'item')"
    )
    assert refused(db, "select publish_define('item')") == "PT400"
    db.execute("select publish_uncapture('item', 'item'); select publish_define('item')")
