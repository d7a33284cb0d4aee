"""A subscription's filter: what it sends, what it takes back, and what it cannot do."""

import json

import psycopg
import pytest
from click.testing import CliRunner
from delivery import claim, settle, subscribe
from helpers import drain_all, enqueue, one

from pgpublish import cli

EN = "payload ->> 'lang' = 'en'"


@pytest.fixture
def db(connect):
    db = connect()
    db.execute("select publish_define('note')")
    return db


def write(db, *pairs):
    for key, lang in pairs:
        if lang is None:
            enqueue(db, "note", key, deleted=True)
        else:
            enqueue(db, "note", key, json.dumps({"lang": lang}))
    drain_all(db)


def sent(db, size=100):
    """Of each change that is claimed the key, and its language; None: a deletion."""
    batch = claim(db, "s", limit=size)
    if batch:
        settle(db, batch)
    assert all((row.payload is None) == row.deleted for row in batch)
    return [(row.key, row.payload and row.payload["lang"]) for row in batch]


def test_only_matching_keys_are_sent_and_one_that_stops_matching_is_deleted(db):
    write(db, ("1", "en"), ("2", "de"), ("3", "en"))
    subscribe(db, "s", key=True, filter=EN)
    assert sent(db) == [("1", "en"), ("3", "en")]
    write(db, ("1", "de"), ("2", "en"), ("4", "de"), ("3", None))
    assert sent(db) == [("1", None), ("2", "en"), ("3", None)]
    write(db, ("1", "en"))
    assert sent(db) == [("1", "en")]
    assert sent(db) == []
    assert one(db, "select behind from publish_subscriptions()") == 0


def test_pages_without_a_match_are_stepped_over_in_one_claim(db):
    write(db, *[(str(n), "de") for n in range(50)], ("x", "en"), ("y", "de"))
    subscribe(db, "s", key=True, filter=EN)
    assert sent(db, 3) == [("x", "en")]
    assert sent(db, 3) == []
    assert one(db, "select behind from publish_subscriptions()") == 0
    assert one(db, "select count(*) from publish.deliverable()") == 0


def test_a_change_that_failed_is_sent_again_as_it_is_then(db):
    write(db, ("1", "en"))
    subscribe(db, "s", key=True, filter=EN, backoff_min="1 microsecond",
              backoff_max="1 microsecond")  # fmt: skip
    batch = claim(db, "s")
    failed = [{"pub_id": str(batch[0].pub_id), "rev": batch[0].rev, "class": "rejected",
               "message": "no"}]  # fmt: skip
    db.execute("select publish_settle(%s, %s)", [batch[0].token, json.dumps(failed)])
    write(db, ("1", "de"))
    db.execute("update publish.parked set next_attempt_at = clock_timestamp()")
    assert sent(db) == [("1", None)]


def test_a_payload_for_which_it_fails_is_not_sent_and_the_fault_says_so(db):
    enqueue(db, "note", "1", '{"lang": "en", "n": "x"}')
    enqueue(db, "note", "2", '{"lang": "en", "n": "7"}')
    drain_all(db)
    subscribe(db, "s", key=True, filter="(payload ->> 'n')::int > 3")
    assert sent(db) == [("2", "en")]
    assert "invalid input syntax" in one(db, "select fault from publish_subscriptions()")


def test_a_batch_that_was_lost_is_blamed_on_what_was_sent(db):
    write(db, ("1", "de"), ("2", "en"), ("3", "de"), ("4", "en"))
    subscribe(db, "s", key=True, filter=EN, backoff_min="1 h", backoff_max="2 h")
    for sent_keys in (["2", "4"], ["2", "4"], ["2"]):
        assert [row.key for row in claim(db, "s")] == sent_keys
        db.execute("update publish.batch set lease_until = clock_timestamp()")
    assert sent(db) == [("4", "en")]
    assert db.execute(
        "select p.source_id, k.class as reason, k.attempts from publish.parked k"
        "  join publish.published p on p.pub_id = k.pub_id"
    ).fetchall() == [("2", "lost", 1)]


@pytest.mark.parametrize(
    "filter",
    ["payload ->>", "payload -> 'lang'", "lang = 'en'", "true) or (1 = ", "nothing(payload)",
     "payload = (select max(payload) from publish.published)", "x" * 10_001,
     "pg_notify('a', 'b') is null; drop table publish.kind"],
)  # fmt: skip
def test_what_is_no_condition_over_payload_is_refused_when_subscribed(db, filter):
    with pytest.raises(psycopg.Error) as error:
        subscribe(db, "s", filter=filter)
    assert error.value.sqlstate == "PT400"
    assert one(db, "select count(*) from publish_subscriptions()") == 0


def test_it_runs_behind_the_gate_and_can_write_nothing(db):
    db.execute("create table written (n int); grant all on written to public")
    db.execute("create function public.writes() returns boolean language sql as"
               " 'insert into public.written values (1); select true'")  # fmt: skip
    write(db, ("1", "en"))
    subscribe(db, "s", key=True, filter="payload = '{}' or public.writes()")
    assert sent(db) == []
    assert one(db, "select count(*) from written") == 0
    assert "read-only" in one(db, "select fault from publish_subscriptions()")


def test_it_can_be_changed_and_taken_away(db, url):
    write(db, ("1", "en"), ("2", "de"))
    arguments = ["--database-url", url, "subscribe", "s", "stdout", "--key", "--filter"]
    assert CliRunner().invoke(cli.main, [*arguments, EN]).exit_code == 0
    assert one(db, "select filter from publish_subscriptions()") == EN
    db.execute("select publish_subscribe('s', 'stdout', lanes => 1)")
    assert one(db, "select filter from publish_subscriptions()") == EN
    assert CliRunner().invoke(cli.main, [*arguments, ""]).exit_code == 0
    assert one(db, "select filter from publish_subscriptions()") is None
    assert sent(db) == [("1", "en"), ("2", "de")]
