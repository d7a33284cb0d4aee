"""Guarantee 6: a drain's cut falls inside a transaction only if that alone exceeds the batch."""

import pytest
from helpers import check_feed, drain, drain_all, enqueue, feed, one


@pytest.fixture
def db(connect):
    db = connect()
    db.execute("select publish_define('note')")
    return db


def commit(conn, name, rows):
    """A transaction of its own that enqueues `rows` keys of this name; returns its keys."""
    keys = {f"{name}.{i}" for i in range(rows)}
    with conn.transaction():
        for key in sorted(keys):
            enqueue(conn, "note", key, "1")
    return keys


def test_transactions_that_do_not_fit_any_more_stay_whole_for_the_next_drain(db):
    first, second, third = (commit(db, name, rows) for name, rows in [("a", 6), ("b", 6), ("c", 3)])
    assert drain(db, batch=10).scanned == 6
    assert set(feed(db, "note")) == first
    assert drain(db, batch=10).scanned == 9
    assert set(feed(db, "note")) == first | second | third


def test_transactions_that_fill_the_batch_exactly_are_taken_together(db):
    commit(db, "a", 6)
    commit(db, "b", 4)
    commit(db, "c", 1)
    assert [drain(db, batch=10).scanned for _ in range(3)] == [10, 1, 0]


def test_a_transaction_larger_than_the_batch_is_cut_and_goes_on_where_it_was_cut(db):
    large = commit(db, "large", 25)
    done = [drain(db, batch=10) for _ in range(4)]
    assert [(d.scanned, d.published) for d in done] == [(10, 10), (10, 10), (5, 5), (0, 0)]
    assert set(feed(db, "note")) == large
    check_feed(db)


def test_a_transaction_larger_than_the_batch_waits_for_a_drain_that_it_begins(db):
    small = commit(db, "small", 3)
    commit(db, "large", 25)
    assert drain(db, batch=10).scanned == 3
    assert set(feed(db, "note")) == small
    assert drain(db, batch=10).scanned == 10


def test_what_is_left_of_a_cut_transaction_is_published_with_later_small_ones(db):
    large = commit(db, "large", 12)
    assert drain(db, batch=10).scanned == 10
    small, next = commit(db, "small", 5), commit(db, "next", 5)
    assert drain(db, batch=10).scanned == 7
    assert set(feed(db, "note")) == large | small
    assert drain(db, batch=10).scanned == 5
    assert set(feed(db, "note")) == large | small | next


def test_stragglers_come_before_the_rest_of_a_cut_transaction_and_nothing_is_missed(db, connect):
    stragglers = [connect(autocommit=False) for _ in range(4)]
    for n, straggler in enumerate(stragglers):
        for i in range([2, 15, 2, 2][n]):
            enqueue(straggler, "note", f"straggler {n}.{i}", "1")
    commit(db, "large", 25)
    for straggler in stragglers:
        assert drain(db, batch=10).scanned > 0
        straggler.commit()
        commit(db, "small", 1)
    drain_all(db, batch=10)
    assert len(feed(db, "note")) == 25 + 2 + 15 + 2 + 2 + 1


def test_a_cut_transaction_is_finished_whatever_batch_comes_next(db):
    for round, batches in enumerate([(1, 24), (24, 1), (10, 500), (3, 7, 11, 500)]):
        large = commit(db, f"large {round}", 25)
        assert sum(drain(db, batch).scanned for batch in batches) == 25
        assert large <= set(feed(db, "note"))
    check_feed(db)


# What a first drain would read; publishing it all would take seconds.
READ = """
select cardinality(b.marks)
  from jsonb_populate_record(null::publish.drain, '{"drained": "3:3:"}') as state,
       publish.read_outbox(state => state, size => 500) b
"""


def test_a_batch_ends_at_64_mb_of_payload_also_if_it_is_stored_compressed(db):
    db.execute(
        "select publish_enqueue('note', i::text, to_jsonb(repeat('x', 150000)))"
        "  from generate_series(1, 450) i"
    )
    assert one(db, READ) == 447


def test_a_payload_larger_than_that_is_a_batch_of_its_own(db):
    db.execute("select publish_set('max_payload', '128MB')")
    db.execute("select publish_enqueue('note', 'a', to_jsonb(repeat('x', 65 * 1024 * 1024)))")
    enqueue(db, "note", "b", "1")
    assert one(db, READ) == 1


def test_due_payloads_of_more_than_64_mb_are_several_batches(db):
    """An array of them all could be larger than PostgreSQL can make."""
    db.execute(
        "select publish_enqueue('note', n::text, to_jsonb(repeat('x', 150000)),"
        " available_at => clock_timestamp() + interval '1 hour') from generate_series(1, 450) n;"
        "update publish.deferred set due_at = now()"
    )
    assert drain(db).published == 447
    assert drain(db).published == 3


def test_marks_with_headers_are_counted_with_them(db):
    db.execute(
        "create table thing (id int primary key);"
        "select publish_define('thing', 'thing'), publish_capture('thing', 'thing');"
        "select set_config('publish.headers',"
        " jsonb_build_object('baggage', string_agg(md5(n::text), ''))::text, false)"
        " from generate_series(1, 450) n;"
        "insert into thing select generate_series(1, 7000)"
    )
    assert 3000 < drain(db, 20000).published < 6000
    drain_all(db, 20000)
    assert one(db, "select count(*) from publish.published") == 7000
