"""What was published can be read by everybody: no page of the feed is too large for PostgreSQL, and
no value is a terabyte of text."""

import psycopg
import pytest
from helpers import drain, enqueue, one
from psycopg.types.json import Jsonb

HUGE = "(select jsonb_agg(1e130000::numeric) from generate_series(1, 20000))"  # 2.6 GB of text
LARGE = "(select jsonb_agg(1e130000::numeric) from generate_series(1, 400))"  # 52 MB
ESCAPES = "to_jsonb(repeat(chr(1), 6000000))"  # 36 MB


@pytest.mark.parametrize("payload", [HUGE, LARGE, ESCAPES])
def test_a_payload_of_too_much_text_is_refused(connect, payload):
    db = connect()
    db.execute("select publish_define('note')")
    with pytest.raises(psycopg.errors.DatabaseError) as refused:
        db.execute(f"select publish_enqueue('note', '1', {payload})".encode())
    assert refused.value.sqlstate == "PT422"


@pytest.mark.parametrize("payload", [HUGE, LARGE, ESCAPES])
def test_a_row_of_too_much_text_is_set_aside_and_the_others_are_published(connect, payload):
    db = connect()
    db.execute(
        "create table item (id int primary key, large boolean);"
        f"create view v as select id, case when large then {payload} end as x from item;"
        "select publish_define('item', 'v'); select publish_capture('item', 'item');"
        "insert into item select i, i = 2 from generate_series(1, 3) i".encode()
    )
    drain(db)
    assert one(db, "select array_agg(source_id) from publish_quarantine()") == ["2"]
    assert one(db, "select count(*) from publish_changes()") == 2


def test_a_setting_cannot_allow_what_no_page_can_carry(connect):
    db = connect()
    db.execute("select publish_define('note')")
    with pytest.raises(psycopg.errors.DatabaseError) as refused:
        db.execute("select publish_set('max_payload', '129MB')")
    assert refused.value.sqlstate == "PT400"
    db.execute("select publish_set('max_payload', '128MB')")
    with pytest.raises(psycopg.errors.DatabaseError) as refused:
        db.execute("select publish_enqueue('note', '1', to_jsonb(repeat('x', 200000000)))")
    assert refused.value.sqlstate == "PT422"


def test_a_page_of_small_rows_with_long_numbers_is_cut_by_its_text(connect):
    db = connect()
    db.execute("select publish_define('note')")
    numbers = "(select jsonb_agg(1e130000::numeric) from generate_series(1, 60))"  # 7.8 MB
    for key in range(12):
        db.execute(f"select publish_enqueue('note', '{key}', {numbers})".encode())
    drain(db)
    cursor, read = None, 0
    while True:
        page = "select p ->> 'cursor', jsonb_array_length(p -> 'changes'), (p ->> 'more')::boolean"
        cursor, changes, more = db.execute(
            f"{page}, octet_length(p::text) from publish_page(%s) p".encode(), [cursor]
        ).fetchone()[:3]
        read += changes
        if not more:
            break
        assert changes < 12
    assert read == 12


@pytest.mark.parametrize(
    "headers", ['{"a": 1e100000}', '{"a": ' + "[" * 20 + "]" * 20 + "}", "[1]", '"x"']
)
def test_headers_that_are_no_small_object_are_refused(connect, headers):
    db = connect()
    db.execute("select publish_define('note')")
    with pytest.raises(psycopg.errors.DatabaseError) as refused:
        db.execute("select publish_enqueue('note', '1', '1', headers => %s::jsonb)", [headers])
    assert refused.value.sqlstate == "PT400"
    enqueue(db, "note", "1", "1", headers=Jsonb({"traceparent": "00-1", "n": [1, {}], "x": None}))
