"""available_at: an enqueue that waits for its time."""

import psycopg
import pytest
from helpers import ARTICLES, drain, drain_all, enqueue, feed, one


@pytest.fixture
def db(connect):
    db = connect()
    db.execute(ARTICLES)
    db.execute("select publish_define('note')")
    return db


def now_is_later(db):
    """All that waits is due, the last of it just now."""
    db.execute(
        "update publish.deferred set due_at = due_at - (select max(d.due_at) - clock_timestamp()"
        " from publish.deferred d)"
    )


def soon(db):
    return one(db, "select now() + interval '1 hour'")


def test_it_is_not_drained_before_its_time_and_once_after_it(db):
    enqueue(db, "note", "a", "1", available_at=soon(db))
    assert drain(db).scanned == 0
    now_is_later(db)
    assert drain_all(db) == 1
    assert feed(db, "note") == {"a": 1}
    assert drain(db).scanned == 0
    assert one(db, "select count(*) from publish.deferred") == 0


def test_a_time_that_has_passed_delays_nothing(db):
    for n, time in enumerate(["-infinity", "2000-01-01", None]):
        enqueue(db, "note", str(n), "1", available_at=time)
    assert drain_all(db) == 3


def test_infinity_never_comes_and_is_refused(db):
    with pytest.raises(psycopg.Error) as refused:
        enqueue(db, "note", "a", "1", available_at="infinity")
    assert refused.value.sqlstate == "PT400"
    assert one(db, "select count(*) from publish.deferred") == 0


def test_when_its_time_comes_it_counts_as_enqueued_then(db):
    enqueue(db, "note", "a", '"delayed"', available_at=soon(db))
    enqueue(db, "note", "a", '"meanwhile"')
    assert drain_all(db) == 1
    now_is_later(db)
    assert drain_all(db) == 1
    assert feed(db, "note") == {"a": "delayed"}


@pytest.mark.parametrize("batch", [1, 500])
def test_what_was_enqueued_after_its_time_stays_however_late_the_drain_is(db, batch):
    for key in "abc":
        enqueue(db, "note", key, '"delayed"', available_at=soon(db))
    now_is_later(db)
    enqueue(db, "note", "a", '"newer"')
    enqueue(db, "note", "b", None, deleted=True)
    drain_all(db, batch)
    assert feed(db, "note") == {"a": "newer", "c": "delayed"}
    drain_all(db, batch)
    assert feed(db, "note") == {"a": "newer", "c": "delayed"}


def test_what_commits_late_counts_as_enqueued_when_it_was(db, connect):
    late = connect(autocommit=False)
    enqueue(late, "note", "a", '"before"')
    for key in "ab":
        enqueue(db, "note", key, '"delayed"', available_at=soon(db))
    now_is_later(db)
    enqueue(late, "note", "b", '"after"')  # in a transaction that began before
    after = connect(autocommit=False)
    enqueue(after, "note", "a", '"after"')
    drain_all(db)
    assert feed(db, "note") == {"a": "delayed", "b": "delayed"}
    late.commit()
    drain_all(db)
    assert feed(db, "note") == {"a": "delayed", "b": "after"}
    after.commit()
    drain_all(db)
    assert feed(db, "note") == {"a": "after", "b": "after"}


@pytest.mark.parametrize("batch", [1, 500])
def test_of_two_for_the_same_time_the_one_enqueued_later_stays(db, batch):
    time = one(db, "select now() + interval '1 hour'")
    for n in range(5):
        enqueue(db, "note", "a", str(n), available_at=time)
    now_is_later(db)
    drain_all(db, batch)
    assert feed(db, "note") == {"a": 4}


@pytest.mark.parametrize("batch", [1, 500])
def test_of_two_for_the_same_time_the_later_stays_while_publishing_is_off(db, batch):
    time = soon(db)
    for n in range(3):
        enqueue(db, "note", "a", str(n), available_at=time)
    db.execute("select publish_set('publishing', 'off', 'note')")
    now_is_later(db)
    drain_all(db, batch)
    db.execute("select publish_set('publishing', 'on', 'note')")
    assert drain_all(db, batch) == 1
    assert feed(db, "note") == {"a": 2}


def test_what_was_put_off_counts_as_enqueued_when_it_was(db, connect):
    db.execute("select publish_set('publishing', 'off', 'note')")
    enqueue(db, "note", "a", '"first"')
    late = connect(autocommit=False)
    enqueue(late, "note", "a", '"second"')
    drain_all(db)
    db.execute("select publish_set('publishing', 'on', 'note')")
    drain_all(db)
    assert feed(db, "note") == {"a": "first"}
    late.commit()
    drain_all(db)
    assert feed(db, "note") == {"a": "second"}


def test_a_clock_that_was_set_back_changes_no_order(db):
    enqueue(db, "note", "a", '"before"')
    hour = 3600_000_000
    ahead = one(db, "select setval('publish.payload_no', publish.next_payload_no() + %s)", hour)
    assert enqueue(db, "note", "a", '"then"') == ahead + 1
    enqueue(db, "note", "a", '"delayed"', available_at=soon(db))
    assert drain_all(db) == 1
    assert feed(db, "note") == {"a": "then"}
    now_is_later(db)
    assert drain_all(db) == 1
    assert feed(db, "note") == {"a": "delayed"}


def test_numbers_go_on_from_the_highest_when_the_clock_is_set_back(db):
    assert one(db, "select publish.microseconds('1970-01-01 00:01:00.000007 UTC')") == 60_000_007
    first = one(db, "select publish.next_payload_no()")
    assert abs(first - one(db, "select publish.microseconds(clock_timestamp())")) < 60_000_000
    db.execute(
        "create or replace function publish.microseconds(at timestamptz) returns bigint"
        " language sql stable as"
        " $$ select (date_part('epoch', microseconds.at - interval '1 hour') * 1000000)::bigint $$"
    )
    assert [one(db, "select publish.next_payload_no()") for _ in range(2)] == [first + 1, first + 2]


def test_only_what_is_due_is_released(db):
    enqueue(db, "note", "due", "1", available_at=soon(db))
    now_is_later(db)
    enqueue(db, "note", "not due", "1", available_at=soon(db))
    assert drain_all(db) == 1
    assert set(feed(db, "note")) == {"due"}
    assert one(db, "select delayed from publish_status()") == 1


def test_due_ones_are_released_in_the_order_of_their_time(db):
    for hours, payload in [(3, "3"), (1, "1"), (2, "2")]:
        time = one(db, "select now() + make_interval(hours => %s)", hours)
        enqueue(db, "note", "a", payload, available_at=time)
    now_is_later(db)
    assert drain(db).scanned == 3
    assert feed(db, "note") == {"a": 3}


def test_more_due_ones_than_the_batch_are_all_drained_in_batches(db):
    for n in range(12):
        enqueue(db, "note", str(n), "1", available_at=soon(db))
    now_is_later(db)
    assert [drain(db, batch=5).published for _ in range(4)] == [5, 5, 2, 0]


def test_it_is_as_transactional_as_any_other(db, connect):
    other = connect()
    with other.transaction(force_rollback=True):
        enqueue(other, "note", "never", "1", available_at=soon(db))
    with db.transaction(force_rollback=True):
        enqueue(db, "note", "a", "1")
        assert drain(db).published == 1
    with other.transaction():
        enqueue(other, "note", "late", "1", available_at=soon(db))
        assert drain(db).published == 0
    enqueue(db, "note", "due", "1", available_at=soon(db))
    now_is_later(db)
    with db.transaction(force_rollback=True):
        assert drain(db).published == 2
    assert drain_all(db) == 2
    assert set(feed(db, "note")) == {"late", "due"}


def test_a_projected_key_shows_what_the_view_says_when_its_time_comes(db):
    db.execute("insert into article (id, title) values (1, 'then')")
    drain_all(db)
    enqueue(db, "article", "1", available_at=soon(db))
    db.execute("alter table article disable trigger publish")
    db.execute("update article set title = 'now'")
    assert drain_all(db) == 0
    now_is_later(db)
    assert drain_all(db) == 1
    assert feed(db, "article")["1"]["title"] == "now"


def test_own_due_rows_and_a_cut_do_not_lose_rows_of_the_same_transaction(db):
    for n in range(4):
        enqueue(db, "note", f"due {n}", "1", available_at=soon(db))
    now_is_later(db)
    with db.transaction():
        for n in range(7):
            enqueue(db, "note", f"own {n}", "1")
        assert drain(db, batch=5).published > 0
        enqueue(db, "note", "due last", "1", available_at=soon(db))
        now_is_later(db)
        drain(db, batch=5)
    drain_all(db)
    assert len(feed(db, "note")) == 12
