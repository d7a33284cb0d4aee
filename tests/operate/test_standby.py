"""A hot standby serves readers; after its promotion the feed goes on in a new epoch."""

import signal

import psycopg
import pytest
from helpers import (
    ARTICLES,
    cut,
    drain,
    drain_all,
    enqueue,
    feed,
    head,
    one,
    replay,
    running_cluster,
    standby_of,
)
from psycopg.rows import namedtuple_row

from pgpublish import follow
from pgpublish.errors import SchemaMismatch
from pgpublish.migrate import migrate


@pytest.fixture
def pair(server_kind):
    """Sessions on a primary with a feed, and on its standby."""
    with running_cluster(server_kind) as primary:
        sessions = []

        def connect(cluster):
            conn = psycopg.connect(cluster.url(), autocommit=True, row_factory=namedtuple_row)
            sessions.append(conn)
            return conn

        db = connect(primary)
        migrate(db)
        db.execute(ARTICLES)
        db.execute("select publish_define('note')")
        with standby_of(primary, server_kind) as standby:
            yield db, connect(standby), primary
            for conn in sessions:
                conn.close()


def test_a_standby_reads_the_feed_and_goes_on_with_it_after_its_promotion(pair):
    db, copy, primary = pair
    assert one(copy, "select pg_is_in_recovery()")
    db.execute("insert into article (id, title) select i, 'x' from generate_series(1, 9) i")
    enqueue(db, "note", "a", "1")
    drain_all(db)
    db.execute("delete from article where id = 9")
    drain_all(db)
    db.execute("insert into article (id, title) values (10, 'still in the outbox')")
    replay(db, copy)

    # Every reading function says the same as on the primary.
    for query in (
        "select * from publish_changes()",
        "select * from publish_changes(3, 4, '{article}', 2)",
        "select publish_page(null, 5)",
        "select publish_head()",
        "select publish_pub_id('article', '9')",
        "select * from publish_get('article', publish_pub_id('article', '1'))",
        "select head, depth, delayed, quarantined, epoch, floor from publish_status()",
    ):
        assert copy.execute(query).fetchall() == db.execute(query).fetchall(), query
    told = [list(follow(conn.info.dsn, wait=False)) for conn in (db, copy)]
    assert told[0] == told[1]
    assert one(copy, "select depth from publish_status()") == 1
    acts = "select cardinality(publish.serve_actions('postgres', null))"
    db.execute("select publish_grant('postgres', '{*}')")
    replay(db, copy)
    assert (one(db, acts), one(copy, acts)) == (5, 0)
    shown = one(copy, "select publish_serve_overview('postgres')")
    assert (shown["is_standby"], shown["may"], shown["feed"]["head"]) == (True, [], head(db))
    copy.execute("select pg_create_physical_replication_slot('reader', true)")
    found = {name for (name,) in copy.execute("select name from publish_doctor()")}
    assert found == {"standby", "replication_slot"}
    copy.execute("select pg_drop_replication_slot('reader')")
    for statement in ("select publish_drain()", "select publish_enqueue('note', 'a', '1')"):
        with pytest.raises(psycopg.Error) as refused:
            copy.execute(statement)
        assert refused.value.sqlstate in ("25006", "55000")

    # From here on the standby gets nothing more of what the primary publishes.
    shared = head(db)
    older = one(copy, "select publish_page(null, 5)")["cursor"]
    at_head = one(copy, "select publish_page()")["cursor"]
    cut(copy)
    for n in range(3):
        enqueue(db, "note", f"lost {n}", "1")
    drain_all(db)
    lost = one(db, "select publish_page(%s)", at_head)
    assert lost["head"] == shared + 4
    primary.stop(signal.SIGQUIT)

    assert one(copy, "select pg_promote(true, 60)")
    enqueue(copy, "note", "b", "1")
    copy.execute("insert into article (id, title) select i, 'y' from generate_series(11, 19) i")
    assert drain_all(copy) == 1 + 1 + 9
    assert set(feed(copy, "article")) == {str(i) for i in [*range(1, 9), *range(10, 20)]}
    epochs = copy.execute("select e.cause, e.first_rev from publish.epoch e order by e.epoch_no")
    assert [tuple(epoch) for epoch in epochs.fetchall()] == [("start", 0), ("promotion", shared)]

    for cursor, since in [(older, 5), (at_head, shared)]:
        page = one(copy, "select publish_page(%s)", cursor)
        assert not page["reset"]
        assert page["changes"][-1]["rev"] == head(copy)
        assert page["changes"][0]["rev"] == since + 1
    assert one(copy, "select publish_page(%s)", lost["cursor"])["reset"]
    changes = "select * from publish_changes(%s, epoch => %s)"
    assert len(copy.execute(changes, [shared, lost["epoch"]]).fetchall()) == 11
    with pytest.raises(psycopg.Error) as refused:
        copy.execute(changes, [shared + 1, lost["epoch"]])
    assert refused.value.sqlstate == "PT410"
    assert drain(copy).scanned == 0


def test_migrate_on_a_standby_is_refused_in_words(pair):
    db, copy, _ = pair
    assert migrate(copy) == []
    db.execute("delete from publish.file where path like '%/publish_head.sql'")
    replay(db, copy)
    with pytest.raises(SchemaMismatch) as refused:
        migrate(copy)
    assert "standby" in refused.value.message
    assert "primary" in refused.value.hint
