"""Guarantee 1: what commits late is drained after it commits, whatever its number."""

import pytest
from helpers import ARTICLES, check_feed, drain, drain_all, enqueue, feed, head, one, row


def test_a_projected_row_that_commits_late_is_published_after_it_commits(connect):
    db, late = connect(), connect(autocommit=False)
    db.execute(ARTICLES)
    late.execute("insert into article (id, title) values (1, 'late')")
    db.execute("insert into article (id, title) values (2, 'early')")

    assert drain_all(db) == 1
    assert set(feed(db, "article")) == {"2"}
    late.commit()

    assert drain_all(db) == 1
    assert row(db, "article", "1").rev == 2


def test_each_of_many_stragglers_is_drained_when_it_commits_and_never_when_it_rolls_back(connect):
    db = connect()
    db.execute(ARTICLES)
    stragglers = [connect(autocommit=False) for _ in range(6)]
    for id, straggler in enumerate(stragglers, 1):
        straggler.execute("insert into article (id, title) values (%s, 'x')", [id])
    for id in (5, 2, 4, 1, 3, 6):
        db.execute("insert into article (id, title) values (%s, 'between')", [10 + id])
        if id % 3 == 0:
            stragglers[id - 1].rollback()
            assert drain_all(db) == 1
        else:
            stragglers[id - 1].commit()
            assert drain_all(db) == 2

    assert set(feed(db, "article")) == {"1", "2", "4", "5", *map(str, range(11, 17))}


def test_a_payload_that_commits_late_with_a_lower_seq_loses(connect):
    db, late = connect(), connect(autocommit=False)
    db.execute("select publish_define('note')")
    lower = enqueue(late, "note", "a", '"lower"')
    assert lower < enqueue(db, "note", "a", '"higher"')
    assert drain_all(db) == 1
    late.commit()

    done = drain(db)
    assert (done.scanned, done.published, done.unchanged) == (1, 0, 1)
    assert feed(db, "note") == {"a": "higher"}


def test_a_late_payload_loses_in_one_batch_with_the_higher_seq_too(connect):
    db, late = connect(), connect(autocommit=False)
    db.execute("select publish_define('note')")
    enqueue(late, "note", "a", '"lower"')
    enqueue(db, "note", "a", '"higher"')
    late.commit()

    done = drain(db)
    assert (done.scanned, done.keys, done.published) == (2, 1, 1)
    assert feed(db, "note") == {"a": "higher"}


def test_a_late_payload_loses_against_a_higher_seq_that_changed_nothing(connect):
    db, late = connect(), connect(autocommit=False)
    db.execute("select publish_define('note')")
    enqueue(db, "note", "a", '"same"')
    assert drain_all(db) == 1
    enqueue(late, "note", "a", '"late"')
    enqueue(db, "note", "a", '"same"')
    assert drain_all(db) == 0
    late.commit()

    assert drain_all(db) == 0
    assert feed(db, "note") == {"a": "same"}


def test_a_late_payload_does_not_bring_back_what_a_tombstone_with_a_higher_seq_removed(connect):
    db, late = connect(), connect(autocommit=False)
    db.execute("select publish_define('note')")
    enqueue(late, "note", "a", '"late"')
    enqueue(db, "note", "a", deleted=True)
    assert drain_all(db) == 1
    late.commit()

    assert drain_all(db) == 0
    assert row(db, "note", "a").deleted
    assert head(db) == 1


def test_a_late_tombstone_with_a_lower_seq_does_not_remove_a_newer_payload(connect):
    db, late = connect(), connect(autocommit=False)
    db.execute("select publish_define('note')")
    enqueue(late, "note", "a", deleted=True)
    enqueue(db, "note", "a", '"newer"')
    assert drain_all(db) == 1
    late.commit()

    assert drain_all(db) == 0
    assert feed(db, "note") == {"a": "newer"}


def test_a_straggler_larger_than_the_batch_is_drained_in_pieces_between_newer_rows(connect):
    db, late = connect(), connect(autocommit=False)
    db.execute(ARTICLES)
    late.execute("insert into article (id, title) select i, 'late' from generate_series(1, 25) i")
    db.execute("insert into article (id, title) values (101, 'early')")
    assert drain_all(db) == 1
    late.commit()
    for id in range(102, 105):
        db.execute("insert into article (id, title) values (%s, 'newer')", [id])
        drain(db, batch=10)
        check_feed(db)
    drain_all(db, batch=10)

    assert set(feed(db, "article")) == {str(i) for i in [*range(1, 26), *range(101, 105)]}


def test_a_straggler_does_not_make_a_cut_transaction_begin_again(connect):
    db, late = connect(), connect(autocommit=False)
    db.execute("select publish_define('note')")
    enqueue(late, "note", "late", "1")
    with db.transaction():
        for n in range(25):
            enqueue(db, "note", str(n), "1")
    assert drain(db, batch=10).published == 10
    late.commit()
    assert [drain(db, batch=10).published for _ in range(4)] == [1, 10, 5, 0]


@pytest.mark.parametrize("batch", [1, 500])
def test_rolled_back_savepoints_leave_nothing_and_what_follows_them_is_published(connect, batch):
    db, late = connect(), connect(autocommit=False)
    db.execute("select publish_define('note')")
    enqueue(late, "note", "before", "1")
    late.execute("savepoint s")
    enqueue(late, "note", "within", "1")
    late.execute("rollback to s")
    enqueue(late, "note", "after", "1")
    enqueue(db, "note", "other", "1")
    drain_all(db, batch)
    late.commit()
    drain_all(db, batch)

    assert set(feed(db, "note")) == {"before", "after", "other"}


def test_rows_of_one_transaction_carry_its_top_level_xid_also_from_savepoints(connect):
    late = connect(autocommit=False)
    late.execute("select publish_define('note')")
    enqueue(late, "note", "a", "1")
    late.execute("savepoint s")
    enqueue(late, "note", "b", "1")
    assert one(late, "select count(distinct o.xid) from publish.outbox o") == 1
