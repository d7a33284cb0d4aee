"""pg_dump and restore with rows still in the outbox: nothing is missed, pub_ids stay, cursors that
cannot go on are told so."""

import itertools

import psycopg
import pytest
from helpers import (
    ARTICLES,
    burn_transaction_ids,
    check_feed,
    drain,
    drain_all,
    enqueue,
    feed,
    head,
    one,
    running_cluster,
)
from psycopg import sql
from psycopg.rows import namedtuple_row

ROLES = ["owner", "writer", "reader", "worker", "admin", "projector", "server"]
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def elsewhere(server_kind):
    """Another cluster, just made: its transaction ids are far below those of the source."""
    with running_cluster(server_kind) as cluster:
        with psycopg.connect(cluster.url(), autocommit=True) as conn:
            for role in ROLES:
                conn.execute(f"create role publish_{role} nologin".encode())
            conn.execute("grant publish_projector to publish_owner")
        yield cluster


@pytest.fixture
def restored(cluster, url, elsewhere):
    """Dumps this test's database, restores it into a new database, returns a session there."""
    opened = []

    def restore(into=elsewhere, dump=None):
        name = f"restored_{next(_numbers)}"
        file = dump or dump_now()
        with psycopg.connect(into.url(), autocommit=True) as conn:
            conn.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
        into.run("pg_restore", "--exit-on-error", "--dbname", into.url(name), file)
        conn = psycopg.connect(into.url(name), autocommit=True, row_factory=namedtuple_row)
        opened.append(conn)
        return conn

    def dump_now():
        file = str(cluster.folder / f"{next(_numbers)}.dump")
        cluster.run("pg_dump", "--format", "custom", "--file", file, "--dbname", url)
        return file

    restore.dump = dump_now
    yield restore
    for conn in opened:
        conn.close()


@pytest.fixture
def source(connect, admin):
    """A database whose transaction ids a new cluster will not reach for a while."""
    db = connect()
    burn_transaction_ids(db)
    db.execute(ARTICLES)
    db.execute("select publish_define('note')")
    return db


def causes(conn):
    """Of each epoch, oldest first."""
    return one(conn, "select array_agg(e.cause order by e.epoch_no) from publish.epoch e")


def test_what_a_drained_database_still_had_in_its_outbox_is_published_elsewhere(source, restored):
    source.execute("insert into article (id, title) values (1, 'kept'), (2, 'changed')")
    enqueue(source, "note", "a", '"old"')
    drain_all(source)
    source.execute("update article set title = 'after' where id = 2")
    source.execute("insert into article (id, title) values (3, 'new')")
    enqueue(source, "note", "a", '"new"')
    pub_ids = "select source_id, pub_id from publish.published where kind = 'article'"
    known = dict(source.execute(pub_ids).fetchall())

    conn = restored()
    assert drain_all(conn) == 3
    assert feed(conn, "article") == {
        str(id): {"id": id, "title": title, "author": None}
        for id, title in [(1, "kept"), (2, "after"), (3, "new")]
    }
    assert feed(conn, "note") == {"a": "new"}
    assert known.items() <= dict(conn.execute(pub_ids).fetchall()).items()
    assert head(conn) == 6
    assert causes(conn) == ["start", "moved"]


def test_what_a_never_drained_database_had_in_its_outbox_is_published_elsewhere(source, restored):
    source.execute("insert into article (id, title) select i, 'x' from generate_series(1, 30) i")
    enqueue(source, "note", "a", '"lower"')
    enqueue(source, "note", "a", '"higher"')

    conn = restored()
    assert drain_all(conn, batch=10) == 31
    assert feed(conn, "note") == {"a": "higher"}
    assert len(feed(conn, "article")) == 30
    assert causes(conn) == ["start"]


def test_a_drain_cut_inside_a_transaction_is_continued_elsewhere(source, restored):
    source.execute("insert into article (id, title) select i, 'x' from generate_series(1, 30) i")
    assert drain(source, batch=10).published == 10

    conn = restored()
    drain_all(conn, batch=7)
    assert len(feed(conn, "article")) == 30
    assert head(conn) == 30


@pytest.mark.parametrize("outbox", ["empty", "drained"])
def test_new_writes_are_captured_and_published_elsewhere_with_lower_transaction_ids(
    source, restored, outbox
):
    source.execute("insert into article (id, title) values (1, 'x')")
    drain_all(source)
    if outbox == "empty":
        source.execute("truncate publish.outbox")

    conn = restored()
    assert one(conn, "select pg_current_xact_id()::text::bigint") < one(
        source, "select pg_snapshot_xmin(pg_current_snapshot())::text::bigint"
    )
    for round in range(3):
        drain_all(conn)
        conn.execute("update article set title = %s where id = 1", [f"round {round}"])
        conn.execute("insert into article (id, title) values (%s, 'new')", [10 + round])
        assert drain_all(conn) == 2
        assert feed(conn, "article")["1"]["title"] == f"round {round}"
    assert causes(conn) == ["start", "moved"]


def test_writes_before_the_first_drain_elsewhere_are_not_thrown_away_with_a_slot(source, restored):
    source.execute("insert into article (id, title) values (1, 'x')")
    drain_all(source)
    source.execute("truncate publish.outbox")

    conn = restored()
    conn.execute("update publish.drain set at = at - interval '1 hour'")
    conn.execute("update article set title = 'written elsewhere'")
    previous_slot(conn)
    assert one(conn, "select slots_emptied from publish_maintain()") == 0
    drain_all(conn)
    assert feed(conn, "article")["1"]["title"] == "written elsewhere"


def test_the_first_drain_elsewhere_does_not_vouch_for_what_it_left_in_a_slot(source, restored):
    source.execute("insert into article (id, title) values (1, 'x')")
    drain_all(source)
    source.execute("truncate publish.outbox")

    conn = restored()
    conn.execute("update publish.drain set at = at - interval '1 hour'")
    for id in range(2, 6):
        conn.execute("insert into article (id, title) values (%s, 'written elsewhere')", [id])
    previous_slot(conn)
    assert drain(conn, batch=1).scanned == 1
    assert one(conn, "select slots_emptied from publish_maintain()") == 0
    drain_all(conn)
    assert set(feed(conn, "article")) == {"1", "2", "3", "4", "5"}


def previous_slot(conn):
    """As if all that is in the outbox had been written five minutes ago."""
    conn.execute(
        "update publish.outbox set slot = (floor(extract(epoch from now()) / 300)::bigint + 2) % 3"
    )


def test_a_quarantined_key_that_was_retried_does_not_stop_the_feed_elsewhere(source, restored):
    source.execute(
        "create table misspelt (id int);"
        "create trigger publish after insert on misspelt"
        " for each row execute function publish_enqueue('undefined', 'id');"
        "insert into misspelt values (1)"
    )
    for _ in range(3):
        assert drain(source).quarantined == 1
        source.execute("update publish.deferred set due_at = now() where reason = 'failed'")

    conn = restored()
    conn.execute("insert into article (id, title) values (1, 'x')")
    drain_all(conn)
    assert set(feed(conn, "article")) == {"1"}


def test_a_cursor_above_the_restored_head_is_refused_and_an_older_one_goes_on(source, restored):
    source.execute("insert into article (id, title) values (1, 'x'), (2, 'x')")
    drain_all(source)
    low = one(source, "select publish_page()")["cursor"]
    dump = restored.dump()
    source.execute("insert into article (id, title) values (3, 'lost'), (4, 'lost')")
    drain_all(source)
    high = one(source, "select publish_page()")
    epoch = high["epoch"]

    conn = restored(dump=dump)
    assert one(conn, "select publish_page(%s)", high["cursor"])["reset"]
    conn.execute("insert into article (id, title) select i, 'y' from generate_series(5, 9) i")
    drain_all(conn)
    assert head(conn) > 4
    assert one(conn, "select publish_page(%s)", high["cursor"])["reset"]
    page = one(conn, "select publish_page(%s)", low)
    assert not page["reset"]
    assert [change["rev"] for change in page["changes"]] == [3, 4, 5, 6, 7]
    changes = "select * from publish_changes(%s, epoch => %s)"
    assert len(conn.execute(changes, [2, epoch]).fetchall()) == 5
    with pytest.raises(psycopg.Error) as refused:
        conn.execute(changes, [4, epoch])
    assert refused.value.sqlstate == "PT410"


def test_a_dump_of_a_physical_copy_that_is_ahead_is_drained_like_that_of_another_cluster(
    source, restored, cluster
):
    source.execute("insert into article (id, title) values (1, 'x')")
    drain_all(source)
    source.execute("insert into article (id, title) values (2, 'in the outbox')")

    # A copy made by pg_basebackup has the same system identifier, and its own transactions since.
    conn = restored(into=cluster)
    conn.execute("update publish.drain set drained = '99999999:99999999:', at = at - interval '1h'")
    conn.execute("update publish.outbox set xid = '99999990' where source_ids = '{2}'")
    conn.execute("insert into article (id, title) values (3, 'new')")
    previous_slot(conn)
    assert one(conn, "select slots_emptied from publish_maintain()") == 0
    drain_all(conn)
    assert set(feed(conn, "article")) == {"1", "2", "3"}
    conn.execute("insert into article (id, title) values (4, 'new')")
    assert drain_all(conn) == 1


def test_restored_rows_whose_transactions_are_just_to_come_are_published_once(
    source, restored, cluster
):
    """One of them has the id of the drain's own transaction."""
    drain_all(source)
    source.execute("select publish_enqueue('note', i::text, '1') from generate_series(1, 20) i")
    conn = restored(into=cluster)
    conn.execute(
        "update publish.outbox o"
        "   set xid = (pg_snapshot_xmax(pg_current_snapshot())::text::bigint"
        "              + o.source_ids[1]::int)::text::xid8"
    )
    assert drain_all(conn) == 20
    assert set(feed(conn, "note")) == {str(n) for n in range(1, 21)}


def test_an_older_dump_in_another_database_of_the_same_cluster_begins_a_new_epoch(
    source, restored, cluster
):
    source.execute("insert into article (id, title) values (1, 'x')")
    drain_all(source)
    source.execute("insert into article (id, title) values (2, 'in the outbox')")
    dump = restored.dump()
    drain_all(source)
    source.execute("insert into article (id, title) values (3, 'lost')")
    drain_all(source)
    cursor = one(source, "select publish_page()")["cursor"]

    conn = restored(into=cluster, dump=dump)
    conn.execute("insert into article (id, title) values (4, 'new'), (5, 'new'), (6, 'new')")
    drain_all(conn)
    assert set(feed(conn, "article")) == {"1", "2", "4", "5", "6"}
    assert causes(conn) == ["start", "copied"]
    assert head(conn) > 3
    assert one(conn, "select publish_page(%s)", cursor)["reset"]
    check_feed(conn)


def test_a_database_made_from_a_template_begins_a_new_epoch(source, connect, new_database, cluster):
    source.execute("insert into article (id, title) values (1, 'x')")
    drain_all(source)
    source.execute("insert into article (id, title) values (2, 'in the outbox')")
    cursor = one(source, "select publish_page()")["cursor"]
    name = source.info.dbname
    source.close()
    copy = cluster.url(new_database(name))
    with psycopg.connect(copy, autocommit=True) as conn:
        conn.execute("insert into article (id, title) values (3, 'only here')")
        assert drain_all(conn) == 2
        assert causes(conn) == ["start", "copied"]
        assert not one(conn, "select publish_page(%s)", cursor)["reset"]
        ahead = one(conn, "select publish_page()")["cursor"]
    original = connect()
    drain_all(original)
    assert causes(original) == ["start"]
    assert set(feed(original, "article")) == {"1", "2"}
    assert one(original, "select publish_page(%s)", ahead)["reset"]


def test_an_older_dump_restored_in_place_of_its_database_begins_a_new_epoch(
    source, restored, cluster
):
    source.execute("insert into article (id, title) values (1, 'x')")
    drain_all(source)
    dump = restored.dump()
    source.execute("insert into article (id, title) values (2, 'lost')")
    drain_all(source)
    cursor = one(source, "select publish_page()")["cursor"]
    cluster.run(
        "pg_restore", "--exit-on-error", "--clean", "--dbname", url_of(source, cluster), dump
    )
    source.execute("insert into article (id, title) values (3, 'new')")
    assert drain_all(source) == 1
    assert causes(source) == ["start", "copied"]
    assert one(source, "select publish_page(%s)", cursor)["reset"]


def url_of(conn, cluster):
    return cluster.url(conn.info.dbname)
