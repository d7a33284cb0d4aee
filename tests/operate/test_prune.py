"""Retention: old tombstones and old events go, the floor moves with them, nothing else goes."""

import psycopg
import pytest
from helpers import ARTICLES, check_feed, drain, drain_all, enqueue, feed, head, one, row


@pytest.fixture
def db(connect):
    db = connect()
    db.execute("select publish_define('note')")
    db.execute("select publish_define('event', retention => interval '7 days')")
    for n in range(5):
        enqueue(db, "note", str(n), "1")
        enqueue(db, "event", str(n), "1")
    drain_all(db)
    return db


def age(db, days, where="true"):
    db.execute(
        "update publish.published set updated_at = updated_at - make_interval(days => %s)"
        f" where {where}".encode(),
        [days],
    )


def prune(db, batch=10000):
    return one(db, "select rows_pruned from publish_maintain(batch => %s)", batch)


def floor(db):
    return one(db, "select floor from publish_status()")


def delete(db, *keys):
    for key in keys:
        enqueue(db, "note", key, deleted=True)
    drain_all(db)


def test_tombstones_older_than_their_retention_are_pruned_and_live_rows_are_not(db):
    delete(db, "0", "1")
    age(db, 29)
    age(db, 2, "source_id = '0'")
    assert prune(db) == 1 + 5
    assert row(db, "note", "0") is None
    assert row(db, "note", "1").deleted
    assert set(feed(db, "note")) == {"2", "3", "4"}
    assert feed(db, "event") == {}
    check_feed(db)


def test_the_tombstone_retention_is_a_setting_of_the_installation_or_of_a_kind(db):
    delete(db, "0")
    assert prune(db) == 0
    age(db, 2)
    db.execute("select publish_set('tombstone_retention', '1 day')")
    db.execute("select publish_set('tombstone_retention', '3 days', 'note')")
    assert prune(db) == 0
    db.execute("select publish_set('tombstone_retention', kind => 'note')")
    assert prune(db) == 1


def test_rows_of_a_kind_with_a_retention_are_pruned_when_last_published_before_it(db):
    age(db, 6)
    assert prune(db) == 0
    enqueue(db, "event", "4", "2")
    drain_all(db)
    age(db, 2, "rev <= 10")
    assert prune(db) == 4
    assert set(feed(db, "event")) == {"4"}
    assert len(feed(db, "note")) == 5


def test_of_a_projected_kind_with_a_retention_only_tombstones_are_pruned(db):
    db.execute(ARTICLES)
    db.execute("select publish_define('article', 'article_view', retention => '7 days')")
    db.execute("insert into article (id, title) values (1, 'x'), (2, 'x'), (3, 'x')")
    drain_all(db)
    reader = one(db, "select publish_page()")["cursor"]
    age(db, 60, "kind = 'article'")
    assert prune(db) == 0
    assert set(feed(db, "article")) == {"1", "2", "3"}

    db.execute("delete from article where id = 1")
    drain_all(db)
    page = one(db, "select publish_page(%s)", reader)
    assert [change["deleted"] for change in page["changes"]] == [True]
    age(db, 6, "deleted")
    assert prune(db) == 0
    age(db, 2, "deleted")
    assert prune(db) == 1
    assert row(db, "article", "1") is None
    assert set(feed(db, "article")) == {"2", "3"}
    assert one(db, "select publish_page(%s)", reader)["reset"]
    assert not one(db, "select publish_page(%s)", page["cursor"])["reset"]


def test_tombstones_of_a_projected_kind_with_a_long_retention_outlive_those_of_others(db):
    db.execute(ARTICLES)
    db.execute("select publish_define('article', 'article_view', retention => '1 year')")
    db.execute("insert into article (id, title) select i, 'x' from generate_series(1, 5) i")
    drain_all(db)
    db.execute("delete from article")
    drain_all(db)
    delete(db, "0")
    age(db, 60, "deleted")
    assert prune(db, batch=1) == 1
    assert row(db, "note", "0") is None
    assert prune(db) == 0
    age(db, 366, "deleted")
    assert prune(db) == 5


def floors(db):
    return dict(db.execute("select f.kind, max(f.floor) from publish.floor f group by f.kind"))


def test_each_kind_has_its_own_floor(db):
    db.execute("select publish_define('rare')")
    enqueue(db, "rare", "a", "1")
    drain_all(db)
    delete(db, "0", "1")
    age(db, 60, "kind = 'note' or rev <= 4")
    assert prune(db) == 2 + 2
    assert floors(db) == {"event": 4, "note": 13}
    assert floor(db) == 13
    enqueue(db, "note", "2", deleted=True)
    drain_all(db)
    age(db, 60, "kind = 'event'")
    assert prune(db) == 3
    assert floors(db) == {"event": 10, "note": 13}
    assert floor(db) == 13


def test_the_floor_moves_in_the_transaction_in_which_the_rows_go(db, connect):
    other = connect()
    delete(db, "0", "1")
    age(db, 60)
    with db.transaction():
        assert prune(db) == 7
        assert floor(db) == 12
        assert floor(other) == 0
        assert len(other.execute("select * from publish_changes(9)").fetchall()) == 3
    assert floor(other) == 12
    with pytest.raises(psycopg.Error) as refused:
        other.execute("select * from publish_changes(9)")
    assert refused.value.sqlstate == "PT410"
    with db.transaction(force_rollback=True):
        delete(db, "2")
        age(db, 60)
        assert prune(db) == 1
    assert floor(db) == 12
    assert row(db, "note", "2") is not None


def test_the_floor_never_goes_back(db):
    delete(db, "0")
    age(db, 60, "deleted")
    prune(db)
    assert floor(db) == 11
    age(db, 8, "kind = 'event'")
    assert prune(db) == 5
    assert floor(db) == 11


def test_pruning_goes_in_batches_oldest_first(db):
    delete(db, "0", "1", "2")
    age(db, 60, "deleted")
    floors = []
    while prune(db, batch=1):
        floors.append(floor(db))
    assert floors == [11, 12, 13]


def test_the_head_stays_where_it_is_when_everything_is_pruned(db):
    delete(db, *map(str, range(5)))
    age(db, 60)
    assert prune(db) == 10
    assert one(db, "select count(*) from publish.published") == 0
    assert head(db) == 15
    enqueue(db, "note", "0", "1")
    assert drain(db).head == 16
    check_feed(db)


def test_pruning_is_skipped_while_a_drain_runs_and_says_so(db, connect):
    other = connect()
    delete(db, "0")
    age(db, 60)
    with other.transaction():
        drain(other)
        done = db.execute("select rows_pruned, busy from publish_maintain()").fetchone()
        assert done == (0, True)
    assert prune(db) == 6


def test_bad_arguments_are_refused(db):
    for arguments in ("0", "-1", "null"):
        with pytest.raises(psycopg.Error) as refused:
            db.execute(f"select * from publish_maintain({arguments})".encode())
        assert refused.value.sqlstate == "PT400"
