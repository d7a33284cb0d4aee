"""publish_enqueue called by an application: what it takes, and that a refusal loses nothing."""

import json

import psycopg
import pytest
from helpers import ARTICLES, drain_all, enqueue, feed, one, row


@pytest.fixture
def db(connect):
    db = connect()
    db.execute(ARTICLES)
    db.execute("select publish_define('note')")
    return db


def test_bad_arguments_are_refused_and_nothing_is_enqueued(db):
    for arguments, sqlstate in [
        ("'undefined', '1'", "PT404"),
        ("null, '1'", "PT404"),
        ("'', '1'", "PT404"),
        ("'article', null", "PT400"),
        ("'article', ''", "PT400"),
        ("'article', repeat('x', 2001)", "PT400"),
        ("'article', repeat('é', 1001)", "PT400"),
        ("'article', '1', '{}'", "PT400"),
        ("'article', '1', 'null'", "PT400"),
        ("'article', '1', deleted => true", "PT400"),
        ("'article', '1', deleted => null", "PT400"),
        ("'note', '1'", "PT400"),
        ("'note', '1', null, false", "PT400"),
        ("'note', '1', '{}', true", "PT400"),
        ("'note', '1', '{}', null", "PT400"),
        ("'note', null, '{}'", "PT400"),
        ("'note', '', '{}'", "PT400"),
        ("'note', '1', '{}', available_at => 'infinity'", "PT400"),
    ]:
        with pytest.raises(psycopg.Error) as error:
            db.execute(f"select publish_enqueue({arguments})".encode())
        assert error.value.sqlstate == sqlstate, arguments
    assert one(db, "select count(*) from publish.outbox") == 0
    assert one(db, "select count(*) from publish.deferred") == 0


def test_a_refused_enqueue_takes_nothing_of_its_transaction_with_it_but_itself(db):
    with db.transaction():
        enqueue(db, "note", "before", "1")
        with pytest.raises(psycopg.Error), db.transaction():
            enqueue(db, "note", "refused")
        enqueue(db, "note", "after", "1")
    drain_all(db)
    assert set(feed(db, "note")) == {"before", "after"}


def test_json_that_postgresql_refuses_is_its_own_error_and_loses_nothing(db):
    for payload, sqlstate in [(r'{"a": "\u0000"}', "22P05"), ("{", "22P02"), ("", "22P02")]:
        with pytest.raises(psycopg.Error) as error:
            enqueue(db, "note", "1", payload)
        assert error.value.sqlstate == sqlstate
    enqueue(db, "note", "1", r'{"a": "\\u0000"}')
    drain_all(db)
    assert feed(db, "note") == {"1": {"a": "\\u0000"}}


def test_it_returns_seqs_that_rise_over_all_sessions(db, connect):
    other = connect()
    seqs = [enqueue(conn, "note", "1", "1") for conn in (db, other) * 10]
    assert seqs == sorted(set(seqs))
    drain_all(db)
    assert row(db, "note", "1").payload_no == seqs[-1]


def test_a_payload_of_a_megabyte_comes_out_as_it_went_in(db):
    payload = one(
        db, "select jsonb_object_agg('key ' || i, md5(i::text)) from generate_series(1, 20000) i"
    )
    assert len(str(payload)) > 900_000
    db.execute(
        "select publish_enqueue('note', '1', jsonb_object_agg('key ' || i, md5(i::text)))"
        "  from generate_series(1, 20000) i"
    )
    drain_all(db)
    assert feed(db, "note") == {"1": payload}
    assert one(db, "select payload from publish_changes()") == payload


def test_a_payload_that_no_reader_could_take_is_refused(db):
    large = "jsonb_build_object('text', repeat('x', 33 * 1024 * 1024))"
    flat = "(select jsonb_agg(i) from generate_series(1, 5000) i)"
    deep = "(repeat('[', %s) || repeat(']', %s))::jsonb"
    for payload, refused in {
        large: True,
        deep % (1002, 1002): True,
        "jsonb_build_object('a', " + deep % (1001, 1001) + ")": True,
        deep % (1001, 1001): False,
        flat: False,
    }.items():
        query = f"select publish_enqueue('note', '1', {payload})".encode()
        if refused:
            with pytest.raises(psycopg.Error) as error:
                db.execute(query)
            assert error.value.sqlstate == "PT422", payload[:40]
        else:
            db.execute(query)
    db.execute("select publish_set('max_payload', '1kB')")
    with pytest.raises(psycopg.Error) as error:
        enqueue(db, "note", "1", json.dumps("x" * 1100))
    assert error.value.sqlstate == "PT422"
    assert one(db, "select count(*) from publish.outbox") == 2


def test_a_validator_runs_as_publish_projector_and_writes_nothing(db):
    db.execute(
        "create table spy (who text); grant all on spy to public;"
        "create function curious(payload jsonb) returns boolean language plpgsql as $$ begin"
        " insert into public.spy values (current_user); return true; end $$;"
        "create function says(payload jsonb) returns boolean language sql"
        " as $$ select current_user = 'publish_projector' $$;"
        "select publish_define('spied', validator => 'curious(jsonb)');"
        "select publish_define('said', validator => 'says(jsonb)')"
    )
    with pytest.raises(psycopg.Error) as error:
        enqueue(db, "spied", "1", "{}")
    assert error.value.sqlstate == "25006"
    enqueue(db, "said", "1", "{}")
    assert one(db, "select count(*) from spy") == 0


def test_the_longest_keys_are_published(db):
    """2,000 bytes that do not compress, under a kind of 200."""
    kind = one(db, "select left(string_agg(md5(i::text), ''), 200) from generate_series(1, 9) i")
    key = one(db, "select left(string_agg(md5(i::text), ''), 2000) from generate_series(1, 90) i")
    db.execute("select publish_define(%s)", [kind])
    enqueue(db, kind, key, "1")
    enqueue(db, "note", "é" * 1000, "1")
    assert drain_all(db) == 2
    assert one(db, "select publish_pub_id(%s, %s) is not null", kind, key)


def test_headers_travel_with_the_change(db):
    enqueue(db, "note", "1", "1", headers='{"traceparent": "00-a-b-01"}')
    enqueue(db, "article", "7", headers='{"traceparent": "lost with an unchanged key"}')
    db.execute("insert into article (id, title) values (8, 'x')")
    enqueue(db, "article", "8", headers='{"traceparent": "00-c-d-01"}')
    drain_all(db)
    headers = db.execute("select headers from publish_changes()").fetchall()
    assert headers == [({"traceparent": "00-a-b-01"},), ({"traceparent": "00-c-d-01"},)]


def test_a_validator_refuses_what_it_returns_false_for_and_fails_with_its_own_error(db):
    db.execute(
        "create function is_fine(payload jsonb) returns boolean language sql"
        " as $$ select 10 / (payload ->> 'n')::int > 1 $$;"
        "select publish_define('checked', validator => 'is_fine(jsonb)')"
    )
    for payload, sqlstate in [('{"n": 10}', "PT422"), ('{"n": 0}', "22012")]:
        with pytest.raises(psycopg.Error) as error:
            enqueue(db, "checked", "1", payload)
        assert error.value.sqlstate == sqlstate
    enqueue(db, "checked", "1", '{"n": 2}')
    enqueue(db, "checked", "2", deleted=True)
    assert drain_all(db) == 2
