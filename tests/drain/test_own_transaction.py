"""Enqueue and drain in one transaction: for tests, and for applications that publish and return."""

from helpers import ARTICLES, check_feed, drain, drain_all, enqueue, feed, head, one, row


def test_a_drain_publishes_what_its_own_transaction_enqueued(connect):
    db, other = connect(), connect()
    db.execute(ARTICLES)
    with db.transaction():
        db.execute("insert into article (id, title) values (1, 'own')")
        assert drain(db).published == 1
        assert set(feed(db, "article")) == {"1"}
        assert feed(other, "article") == {}
    assert set(feed(other, "article")) == {"1"}
    assert drain_all(db) == 0


def test_what_a_transaction_enqueues_between_and_after_its_drains_is_published_once(connect):
    db, other = connect(), connect()
    db.execute("select publish_define('note')")
    with db.transaction():
        enqueue(db, "note", "a", "1")
        assert drain(db).published == 1
        enqueue(db, "note", "a", "2")
        enqueue(db, "note", "b", "1")
        enqueue(other, "note", "other", "1")
        assert drain(db).published == 3
        enqueue(db, "note", "c", "1")
    done = drain(other)
    assert (done.scanned, done.published) == (1, 1)
    assert feed(db, "note") == {"a": 2, "b": 1, "c": 1, "other": 1}
    assert drain_all(db) == 0


def test_a_transaction_that_drained_and_rolls_back_leaves_nothing(connect):
    db, other = connect(), connect()
    db.execute("select publish_define('note')")
    enqueue(other, "note", "committed", "1")
    with db.transaction(force_rollback=True):
        enqueue(db, "note", "own", "1")
        assert drain(db).published == 2
        enqueue(db, "note", "own", "2")
        assert drain(db).published == 1
    assert head(db) == 0
    assert drain_all(other) == 1
    assert feed(db, "note") == {"committed": 1}


def test_its_own_transaction_may_be_larger_than_the_batch_and_goes_on_in_the_next_drains(connect):
    db, other = connect(), connect()
    db.execute("select publish_define('note')")
    with db.transaction():
        for i in range(25):
            enqueue(db, "note", f"own {i}", "1")
        enqueue(other, "note", "other", "1")
        assert [drain(db, batch=10).scanned for _ in range(5)] == [1, 10, 10, 5, 0]
        for i in range(25, 40):
            enqueue(db, "note", f"own {i}", "1")
        assert [drain(db, batch=10).scanned for _ in range(1)] == [10]
    assert [drain(other, batch=10).scanned for _ in range(2)] == [5, 0]
    assert set(feed(db, "note")) == {"other", *(f"own {i}" for i in range(40))}
    check_feed(db)


def test_savepoints_rolled_back_between_its_drains_leave_nothing(connect):
    db = connect()
    db.execute("select publish_define('note')")
    with db.transaction():
        enqueue(db, "note", "before", "1")
        with db.transaction(force_rollback=True):
            enqueue(db, "note", "within", "1")
            assert drain(db).published == 2
        assert drain(db).published == 1
        with db.transaction():
            enqueue(db, "note", "kept", "1")
            assert drain(db).published == 1
        with db.transaction(force_rollback=True):
            enqueue(db, "note", "within again", "1")
        enqueue(db, "note", "after", "1")
        assert drain(db).published == 1
    assert feed(db, "note") == {"before": 1, "kept": 1, "after": 1}
    assert drain_all(db) == 0


def test_others_that_begin_and_commit_around_an_own_drain_are_published_too(connect):
    db, first, second = connect(), connect(autocommit=False), connect(autocommit=False)
    db.execute("select publish_define('note')")
    enqueue(first, "note", "first", "1")
    with db.transaction():
        enqueue(db, "note", "own", "1")
        enqueue(second, "note", "second", "1")
        second.commit()
        assert drain(db).published == 2
        first.commit()
        enqueue(second, "note", "second again", "1")
        assert drain(db).published == 1
    second.commit()
    assert drain_all(db) == 1
    assert set(feed(db, "note")) == {"first", "own", "second", "second again"}


def test_a_row_that_fits_beside_others_but_not_with_them_waits_for_the_next_own_drain(connect):
    db, other = connect(), connect()
    db.execute("select publish_define('note')")
    with db.transaction():
        for i in range(6):
            enqueue(db, "note", f"own {i}", "1")
        with other.transaction():
            for i in range(6):
                enqueue(other, "note", f"other {i}", "1")
        assert [drain(db, batch=10).scanned for _ in range(3)] == [6, 6, 0]
    assert drain_all(other) == 0


def test_a_retry_of_a_key_this_transaction_enqueued_before_goes_through(connect):
    db = connect()
    db.execute(
        "create table draft (id int primary key);"
        "create trigger publish after insert on draft"
        " for each row execute function publish_enqueue('draft', 'id')"
    )
    with db.transaction():
        db.execute("insert into draft values (1)")
        assert drain(db).quarantined == 1
        db.execute("select publish_define('draft', 'draft')")
        db.execute("update publish.deferred set due_at = now() where reason = 'failed'")
        assert drain(db).published == 1
        assert one(db, "select count(*) from publish.quarantine") == 0
    assert row(db, "draft", "1").rev == 1
    assert drain_all(db) == 0


def test_a_retry_is_tried_also_by_a_transaction_that_has_drained_before(connect):
    db = connect()
    db.execute(
        "select publish_define('note');"
        "create table draft (id int primary key);"
        "create trigger publish after insert on draft"
        " for each row execute function publish_enqueue('draft', 'id');"
        "insert into draft values (1)"
    )
    assert drain(db).quarantined == 1
    with db.transaction():
        enqueue(db, "note", "a", "1")
        assert drain(db).published == 1
        db.execute("update publish.deferred set due_at = now() where reason = 'failed'")
        assert drain(db).quarantined == 1
        assert one(db, "select attempts from publish.quarantine") == 2
    assert drain_all(db) == 0
