"""Rows that arrive by logical replication, from another cluster: captured with always => true, and
reported by publish_audit without it."""

import psycopg
import pytest
from helpers import drain_all, one, running_cluster, until
from marks import converges, marked, walks
from psycopg.rows import namedtuple_row

from pgpublish.migrate import migrate

TABLE = "create table item (id int primary key, name text, note text)"
REPORTED = "it receives rows by logical replication, which its triggers do not see"


@pytest.fixture(scope="module")
def subscriber_cluster(server_kind):
    with running_cluster(server_kind, wal_retrieve_retry_interval="50ms") as cluster:
        with psycopg.connect(cluster.url(), autocommit=True) as conn:
            conn.execute("create database template")
        with psycopg.connect(cluster.url("template"), autocommit=True) as conn:
            migrate(conn)
        yield cluster


@pytest.fixture
def source(db):
    """The publishing side, which has nothing of its own to do with capture here."""
    db.execute(TABLE)
    db.execute("insert into item select i, 'copied' from generate_series(1, 40) i")
    return db


@pytest.fixture
def target(source, subscriber_cluster):
    """The subscribing side, which does not follow the source yet."""
    with psycopg.connect(subscriber_cluster.url(), autocommit=True) as admin:
        admin.execute("create database target template template")
        with psycopg.connect(
            subscriber_cluster.url("target"), autocommit=True, row_factory=namedtuple_row
        ) as conn:
            conn.execute(TABLE)
            yield conn
            conn.execute("drop subscription if exists following")
        admin.execute("drop database target with (force)")


def subscribe(source, target, url, tables="item", options=""):
    """Has the target follow these tables of the source; returns after the initial copy."""
    source.execute(f"create publication chosen for table {tables} {options}".encode())
    target.execute(f"create subscription following connection '{url}' publication chosen".encode())
    ready = "select bool_and(srsubstate = 'r') and count(*) > 0 from pg_subscription_rel"
    until(lambda: one(target, ready))


def apply(source, target, *statements):
    """Runs statements on the source and waits until the target has replayed them."""
    for statement in statements:
        source.execute(statement.encode())
    lsn = one(source, "select pg_current_wal_insert_lsn()")
    caught_up = (
        "select count(*) from pg_stat_replication"
        " where application_name = 'following' and replay_lsn >= %s::pg_lsn"
    )
    until(lambda: one(source, caught_up, lsn) == 1)


def problems(conn):
    return [(r.object, r.problem) for r in conn.execute("select * from publish_audit()").fetchall()]


def test_with_always_replicated_rows_are_captured_and_published(source, target, url):
    target.execute(
        "create view item_view as select id, name from item;"
        "select publish_define('item', 'item_view');"
        "select publish_capture('item', 'item', columns => '{name}', always => true)"
    )
    subscribe(source, target, url)
    assert problems(target) == []
    assert len(converges(target, "item")) == 40  # the initial copy
    for statement, keys in {
        "insert into item values (101, 'x'), (102, 'y')": "101 102",
        "update item set name = 'z' where id = 1": "1",
        "update item set note = 'unseen'": "",
        "update item set id = 103, name = 'w' where id = 2": "103 2",
        "delete from item where id in (3, 4)": "3 4",
        "insert into item values (101, 'w') on conflict (id) do update set name = 'w'": "101",
    }.items():
        apply(source, target, statement)
        with target.transaction(force_rollback=True):
            assert marked(target) == keys.split(), statement
        converges(target, "item")
    apply(source, target, "truncate item", "insert into item values (7, 'after')")
    assert converges(target, "item") == {"7": {"id": 7, "name": "after"}}
    target.execute("insert into item values (8, 'local')")
    assert marked(target) == ["8"]


def test_without_always_nothing_is_marked_which_the_audit_reports_and_a_repair_mends(
    source, target, url
):
    target.execute("select publish_define('item', 'item'); select publish_capture('item', 'item')")
    assert problems(target) == []
    subscribe(source, target, url)
    apply(source, target, "insert into item values (101, 'x')", "delete from item where id < 9")
    apply(source, target, "truncate item", "insert into item values (5, 'y')")
    assert (marked(target), walks(target)) == ([], [])
    assert problems(target) == [("public.item", REPORTED)]
    target.execute("select publish_capture('item', 'item', always => true)")
    assert problems(target) == []
    drain_all(target)
    assert set(converges(target, "item")) == {"5"}  # the drain walked what was missed
    apply(source, target, "update item set name = 'z'")
    assert marked(target) == ["5"]


def test_partitions_on_the_subscribers_side_and_a_lookup_are_captured(source, target, url):
    source.execute(
        "create table country (code text primary key, name text);"
        "insert into country values ('a', 'A'), ('b', 'B')"
    )
    target.execute(
        "drop table item; create table country (code text primary key, name text);"
        "create table item (note text, name text, id int primary key) partition by range (id);"
        "create table item_1 partition of item for values from (0) to (100);"
        "create table item_2 (id int not null, junk int, name text, note text);"
        "alter table item_2 drop column junk;"
        "alter table item attach partition item_2 for values from (100) to (200);"
        "create view item_view as select i.id, i.name, c.name as country"
        "  from item i left join country c on c.code = i.note;"
        "select publish_define('item', 'item_view');"
        "select publish_capture('item', 'item', always => true);"
        "select publish_capture('item', 'country', always => true,"
        "                       lookup => 'select id from item where note = any ($1)')"
    )
    subscribe(source, target, url, "item, country")
    assert len(converges(target, "item")) == 40
    apply(
        source, target,
        "insert into item values (150, 'x', 'a')",
        "update item set id = 160, note = 'b' where id = 1",  # moves to the other partition
        "update country set name = 'BB' where code = 'b'",
        "delete from item where id = 2",
    )  # fmt: skip
    published = converges(target, "item")
    assert (published["160"]["country"], published["150"]["country"]) == ("BB", "A")
    assert len(published) == 40
    apply(source, target, "truncate item")
    assert converges(target, "item") == {}


def test_a_publishers_own_capture_is_not_disturbed(source, target, url):
    source.execute("select publish_define('item', 'item'); select publish_capture('item', 'item')")
    subscribe(source, target, url, options="with (publish = 'insert')")
    apply(source, target, "insert into item values (101, 'x')", "delete from item where id = 1")
    assert marked(source) == ["1", "101"]
    assert problems(source) == []
