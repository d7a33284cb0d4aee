"""What is pruned of one kind resets nobody who does not read it: no reader, no subscription with
changes, retries or dead letters to deliver, and no subscription that begins."""

import json

import pytest
from conftest import Connection
from helpers import drain_all, enqueue, one

KINDS = "select publish_define('event', retention => '1 hour'); select publish_define('note')"


@pytest.fixture
def pruned(db: Connection) -> Connection:
    """Of `event`, live rows and tombstones were pruned, with revs above all of `note`."""
    db.execute(KINDS)
    db.execute("select publish_subscribe('notes', 'drop', kinds => '{note}', max_attempts => 1)")
    for n in range(3):
        enqueue(db, "note", str(n), "1")
    drain_all(db)
    token, pub_id, rev = db.execute(
        "select token, pub_id, rev from publish_claim('notes', 'w', 1)"
    ).fetchone()
    failed = [{"pub_id": str(pub_id), "rev": rev, "class": "rejected", "message": "no"}]
    db.execute("select publish_settle(%s, %s)", [token, json.dumps(failed)])
    for n in range(5):
        enqueue(db, "event", str(n), "1")
    drain_all(db)
    for n in range(2):
        enqueue(db, "event", str(n), deleted=True)
    drain_all(db)
    db.execute("update publish.published set updated_at = now() - interval '60 days'"
               " where kind = 'event'")  # fmt: skip
    assert one(db, "select rows_pruned from publish_maintain()") == 5
    return db


@pytest.fixture(autouse=True)
def sink(db: Connection) -> None:
    db.execute("select publish_register_sink('drop', '{}')")


def test_a_reader_of_another_kind_goes_on(pruned: Connection) -> None:
    for cursor in (None, "0", "1", "2"):
        page = one(pruned, "select publish_page(%s, 10, '{note}')", cursor)
        assert not page["reset"]
    assert one(pruned, "select count(*) from publish_changes(1, kinds => '{note}')") == 2
    assert one(pruned, "select publish_page('1', 10, '{event}') ->> 'reset'") == "true"
    assert one(pruned, "select publish_page('1', 10, '{note,event}') ->> 'reset'") == "true"


def test_a_subscription_of_another_kind_delivers_what_is_left_and_its_dead_letters(
    pruned: Connection,
) -> None:
    assert one(pruned, "select count(*) from publish_claim('notes', 'w', 10)") == 2
    assert one(pruned, "select redriven from publish_redrive('notes')") == 1
    assert one(pruned, "select s.state from publish_subscriptions() s") == "active"
    pruned.execute("select publish_subscribe('more', 'drop', kinds => '{note}', from_rev => 1)")
    assert one(pruned, "select count(*) from publish_claim('more', 'w', 10)") == 2


def test_a_floor_moves_for_nobody_when_the_pruning_is_rolled_back(db: Connection) -> None:
    db.execute(KINDS)
    enqueue(db, "event", "1", "1")
    drain_all(db)
    db.execute("update publish.published set updated_at = now() - interval '2 hours'")
    with db.transaction(force_rollback=True):
        assert one(db, "select rows_pruned from publish_maintain()") == 1
    assert one(db, "select publish_page('0', 10, '{event}') -> 'changes' -> 0 ->> 'rev'") == "1"
