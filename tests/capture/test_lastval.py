"""lastval() of a session that writes is its own: ORMs and PDO ask it for the id of the new row."""

import pytest
from helpers import enqueue, one

TABLES = """
create table parent (id int primary key, name text);
create table item (id int generated always as identity primary key, parent_id int, note text);
create table log (id bigint generated always as identity (start 1000), note text);
create view item_view as select id, note from item;
select publish_define('item', 'item_view'), publish_define('note');
"""

WAYS = {
    "by statement": "select publish_capture('item', 'item')",
    "with columns": "select publish_capture('item', 'item', columns => '{note}')",
    "by row": "select publish_capture('item', 'item', always => true)",
    "an expression": "select publish_capture('item', 'item', key => 'id + 0')",
    "an expression by row": "select publish_capture('item', 'item', 'id + 0', always => true)",
    "a lookup": "select publish_capture('item', 'item',"
    " lookup => 'select id from item where id = any ($1)')",
    "by hand": "create trigger publish after insert or update or delete on item"
    " for each row execute function publish_enqueue('item', 'id')",
}


@pytest.fixture
def db(connect):
    db = connect()
    db.execute(TABLES)
    return db


@pytest.mark.parametrize("way", WAYS)
def test_lastval_after_any_write_to_a_captured_table_is_the_sessions_own(db, way):
    db.execute(WAYS[way].encode())
    db.execute("insert into item (note) select 'x' from generate_series(1, 50)")
    assert one(db, "select lastval()") == 50
    assert db.execute("insert into item (note) values ('y') returning id").fetchone() == (51,)
    assert one(db, "select lastval()") == 51
    db.execute("insert into log (note) values ('z')")
    for statement in (
        "update item set note = 'u' where id = 1",
        "update item set note = note || 'v'",
        "delete from item where id = 2",
        "delete from item",
        "truncate item",
    ):
        db.execute(statement.encode())
        assert one(db, "select lastval()") == 1000, statement
    assert one(db, "select count(*) from publish.outbox") > 0


def test_enqueuing_a_key_of_a_projected_kind_leaves_lastval_alone(db):
    db.execute("insert into item (note) values ('x')")
    enqueue(db, "item", "1")
    assert one(db, "select lastval()") == 1


def test_enqueuing_a_payload_takes_a_number_and_leaves_the_sequences_of_the_tables_alone(db):
    db.execute("insert into item (note) values ('x')")
    number = enqueue(db, "note", "1", "{}")
    assert one(db, "select lastval()") == number
    assert one(db, "select currval('item_id_seq')") == 1
