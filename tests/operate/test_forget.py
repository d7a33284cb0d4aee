"""publish_forget: what can never be published is not tried for ever."""

import psycopg
import pytest
from helpers import drain, enqueue, one


def quarantined(db):
    return one(db, "select array_agg(source_id order by source_id) from publish_quarantine()")


def test_a_key_that_cannot_be_one_is_forgotten_and_the_others_stay(connect):
    db = connect()
    db.execute("create table item (id int primary key); select publish_define('item', 'item')")
    for key in ("abc", "xyz", "1e9"):
        enqueue(db, "item", key)
    drain(db)
    assert quarantined(db) == ["1e9", "abc", "xyz"]
    assert one(db, "select publish_forget('item', 'abc')") == 1
    assert quarantined(db) == ["1e9", "xyz"]
    with pytest.raises(psycopg.errors.DatabaseError) as refused:
        db.execute("select publish_forget('item', 'abc')")
    assert refused.value.sqlstate == "PT404"
    assert one(db, "select publish_forget('item')") == 2
    assert quarantined(db) is None
    assert one(db, "select publish_forget('item')") == 0


def test_a_forgotten_key_that_is_marked_again_is_tried_again(connect):
    db = connect()
    db.execute("create table item (id int primary key); select publish_define('item', 'item')")
    enqueue(db, "item", "abc")
    drain(db)
    db.execute("select publish_forget('item')")
    enqueue(db, "item", "abc")
    drain(db)
    assert quarantined(db) == ["abc"]
