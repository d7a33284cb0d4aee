"""The setting publish.headers: captured with every row in every way, carried to the feed, and never
a reason for a write to fail."""

import json

import pytest
from helpers import drain_all, enqueue, one, row
from psycopg.types.json import Jsonb

TABLES = """
select publish_define('note');
create table plain (id int primary key, name text);
create table by_row (id int primary key, name text);
create table expression (id int primary key, name text);
create table by_hand (id int primary key, name text);
select publish_define(t, t::regclass)
  from unnest(array['plain', 'by_row', 'expression', 'by_hand']) t;
select publish_capture('plain', 'plain', columns => '{name}');
select publish_capture('by_row', 'by_row', always => true);
select publish_capture('expression', 'expression', 'id + 0');
create trigger publish after insert or update or delete on by_hand
  for each row execute function publish_enqueue('by_hand', 'id');
"""
WAYS = ["plain", "by_row", "expression", "by_hand"]
TRACE = {"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "n": [1, {}]}

# JSON that is not an object, or no JSON that jsonb takes.
GARBAGE = {
    "a word": "x",
    "blank": " ",
    "a number": "1",
    "a string": '"s"',
    "null": "null",
    "an array": '[{"a": 1}]',
    "half an object": '{"a": 1',
    "two objects": "{} {}",
    "a zero byte": r'{"a": "\u0000"}',
    "half a character": r'{"a": "\ud800"}',
    "too deep": '{"a": ' + "[" * 100_000,
}


@pytest.fixture
def db(connect):
    db = connect()
    db.execute(TABLES)
    return db


@pytest.fixture
def warnings(db):
    notices = []
    db.add_notice_handler(lambda diag: notices.append(diag.severity_nonlocalized))
    return notices


def set_headers(conn, headers, local=False):
    text = headers if isinstance(headers, str) else json.dumps(headers)
    conn.execute("select set_config('publish.headers', %s, %s)", [text, local])


def captured(conn):
    """The headers of the rows in the outbox, which is emptied."""
    found = [headers for (headers,) in conn.execute("select headers from publish.outbox")]
    conn.execute("truncate publish.outbox")
    return found


@pytest.mark.parametrize("way", WAYS)
def test_every_statement_captures_the_headers_and_the_feed_shows_them(db, way):
    for number, statement in enumerate([
        f"insert into {way} values (1, 'x'), (2, 'y'), (3, 'z')",
        f"update {way} set name = 'w' where id = 1",
        f"update {way} set id = 9 where id = 2",
        f"delete from {way} where id = 3",
        f"insert into {way} select i, 'bulk' from generate_series(100, 199) i",
    ]):  # fmt: skip
        headers = {**TRACE, "number": number}
        with db.transaction():
            set_headers(db, headers, local=True)
            db.execute(statement.encode())
        since = one(db, "select publish_head()")
        assert drain_all(db) > 0
        changes = db.execute("select headers from publish_changes(%s)", [since]).fetchall()
        assert {json.dumps(c.headers, sort_keys=True) for c in changes} == {
            json.dumps(headers, sort_keys=True)
        }, statement


def test_headers_of_one_transaction_are_not_those_of_the_next(db):
    with db.transaction():
        set_headers(db, TRACE, local=True)
        db.execute("insert into plain values (1)")
        set_headers(db, {"second": 2}, local=True)
        db.execute("insert into plain values (2)")
        with db.transaction(force_rollback=True):
            set_headers(db, {"rolled": "back"}, local=True)
        db.execute("insert into plain values (3)")
    db.execute("insert into plain values (4)")
    set_headers(db, {})
    db.execute("insert into plain values (5)")
    assert captured(db) == [TRACE, {"second": 2}, {"second": 2}, None, {}]


@pytest.mark.parametrize("way", WAYS)
def test_what_is_not_a_json_object_is_left_out_with_a_warning_and_the_write_passes(
    db, warnings, way
):
    for what, garbage in GARBAGE.items():
        set_headers(db, garbage)
        for statement, rows in {
            f"insert into {way} values (1, 'x')": 1,
            f"update {way} set name = 'y'": 1,
            f"insert into {way} select i from generate_series(10, 19) i": 10,
            f"delete from {way}": 11,
        }.items():
            warnings.clear()
            db.execute(statement.encode())
            expected = rows if way in ("by_row", "by_hand") else 1
            assert warnings == ["WARNING"] * expected, (what, statement)
            assert set(captured(db)) == {None}, (what, statement)
    assert one(db, "select count(*) from publish.walk") == 0


def test_publish_enqueue_leaves_garbage_out_too_and_keeps_the_headers_it_is_given(db, warnings):
    for what, garbage in GARBAGE.items():
        set_headers(db, garbage)
        warnings.clear()
        enqueue(db, "note", "1", "{}")
        enqueue(db, "plain", "1")
        enqueue(db, "note", "2", "{}", headers=Jsonb(TRACE))
        assert warnings == ["WARNING"] * 3, what
        assert captured(db) == [None, None, TRACE], what


def test_an_empty_setting_is_none_and_warns_of_nothing(db, warnings):
    set_headers(db, "")
    for way in WAYS:
        db.execute(f"insert into {way} values (1)".encode())
    enqueue(db, "note", "1", "{}")
    assert (warnings, captured(db)) == ([], [None] * 5)


def test_publish_enqueue_puts_its_headers_over_those_of_the_setting(db):
    set_headers(db, {"a": 1, "b": 1})
    for headers in (None, {}, {"b": 2, "c": 2}):
        more = {} if headers is None else {"headers": Jsonb(headers)}
        enqueue(db, "note", "1", "{}", **more)
        enqueue(db, "plain", "1", **more)
    merged = [{"a": 1, "b": 1}, {"a": 1, "b": 1}, {"a": 1, "b": 2, "c": 2}]
    assert captured(db) == [headers for headers in merged for _ in range(2)]
    enqueue(db, "note", "1", '"x"', headers=Jsonb({"c": 3}))
    drain_all(db)
    assert row(db, "note", "1").headers == {"a": 1, "b": 1, "c": 3}


def test_a_delayed_enqueue_keeps_the_headers_of_when_it_was_called(db):
    set_headers(db, TRACE)
    enqueue(db, "note", "1", "{}", available_at="2999-01-01")
    set_headers(db, {"later": 1})
    db.execute("update publish.deferred set due_at = now()")
    drain_all(db)
    assert row(db, "note", "1").headers == TRACE


def test_headers_alone_are_no_change(db):
    for way in WAYS:
        db.execute(f"insert into {way} values (1, 'x')".encode())
    drain_all(db)
    set_headers(db, TRACE)
    for way in WAYS:
        db.execute(f"update {way} set name = 'x'".encode())
    assert drain_all(db) == 0
    assert row(db, "by_hand", "1").headers is None


def test_a_deletion_carries_the_headers_of_whoever_deleted(db):
    db.execute("insert into plain values (1)")
    drain_all(db)
    set_headers(db, TRACE)
    db.execute("delete from plain")
    drain_all(db)
    gone = row(db, "plain", "1")
    assert (gone.deleted, gone.headers) == (True, TRACE)
