"""A higher schema_version publishes every key again: once, in pages, beside live changes."""

from __future__ import annotations

import signal
from collections import Counter
from typing import Any

import psycopg
import pytest
from helpers import (
    GATE,
    PATIENCE,
    begin,
    drain,
    drain_all,
    feed,
    head,
    one,
    pid,
    record_revs,
    revs_given,
    running_cluster,
    until,
    waits,
)
from psycopg.rows import namedtuple_row

from pgpublish.migrate import migrate

KEYS = 120
SCHEMA = """
create table t (id int primary key, v text);
create view t_feed as select t.id, t.v, gate(t.id) as gate from t where t.v is not null;
select publish_define('t', 't_feed');
select publish_capture('t', 't');
"""


def prepare(db: Any) -> dict[str, Any]:
    """What every key's pub_id is before the version is raised."""
    db.execute(GATE)
    db.execute(SCHEMA)
    db.execute("insert into t select n, 'v' from generate_series(1, %s) as n", [KEYS])
    drain_all(db)
    record_revs(db)
    return pub_ids(db)


def pub_ids(db: Any) -> dict[str, Any]:
    return dict(db.execute("select source_id, pub_id from publish.published").fetchall())


def raise_to(db: Any, version: int) -> None:
    db.execute("select publish_define('t', 't_feed', schema_version => %s)", [version])


def versions(db: Any) -> Counter[int]:
    return Counter(v for (v,) in db.execute("select schema_version from publish.published"))


def times_published(db: Any) -> Counter[str]:
    return Counter(key for (key,) in db.execute("select source_id from rev_given"))


def test_every_key_is_published_once_with_its_pub_id_and_revs_without_a_gap(connect: Any) -> None:
    db = connect()
    before = prepare(db)
    raise_to(db, 2)
    drains = 0
    while drain(db, 10).scanned:
        drains += 1
        assert sum(versions(db).values()) == KEYS
    assert drains >= KEYS / 10
    assert times_published(db) == Counter({str(n): 1 for n in range(1, KEYS + 1)})
    assert (versions(db), pub_ids(db)) == ({2: KEYS}, before)
    assert revs_given(db) == list(range(KEYS + 1, 2 * KEYS + 1))


def test_a_live_change_does_not_wait_for_the_walk_and_is_not_undone_by_it(connect: Any) -> None:
    db = connect()
    prepare(db)
    raise_to(db, 2)
    drain(db, 10)
    db.execute("update t set v = 'live' where id in (3, 119)")
    db.execute("delete from t where id = 118; insert into t values (900, 'new')")
    assert drain(db, 30).published >= 4
    now = feed(db, "t")
    assert (now["3"]["v"], now["119"]["v"], now["900"]["v"]) == ("live", "live", "new")
    assert "118" not in now
    assert versions(db)[1] > 0
    drain_all(db, 10)
    assert feed(db, "t") == dict(
        db.execute("select id::text, to_jsonb(f) from t_feed f").fetchall()
    )
    assert versions(db) == {2: KEYS + 1}
    assert times_published(db)["119"] == 1


def test_raised_again_in_the_middle_of_the_walk_all_end_with_the_last(connect: Any) -> None:
    db = connect()
    before = prepare(db)
    raise_to(db, 2)
    for _ in range(4):
        drain(db, 10)
    raise_to(db, 3)
    drain_all(db, 10)
    assert (versions(db), pub_ids(db)) == ({3: KEYS}, before)
    assert set(times_published(db).values()) == {1, 2}
    assert one(db, "select count(*) from publish.walk") == 0


def test_a_wider_view_in_the_middle_of_the_walk_publishes_also_what_lies_behind_it(
    connect: Any,
) -> None:
    db = connect()
    prepare(db)
    db.execute("update t set v = null where id < 20")
    drain_all(db)
    raise_to(db, 2)
    for _ in range(4):
        drain(db, 10)
    db.execute("create view t_all as select t.id, t.v from t")
    db.execute("select publish_define('t', 't_all', schema_version => 3)")
    drain_all(db, 10)
    assert versions(db) == {3: KEYS}
    assert feed(db, "t")["5"] == {"id": 5, "v": None}


def test_a_kind_without_keys_and_one_whose_view_fails_end_no_other_walk(connect: Any) -> None:
    """What drains until nothing is left would stop at a page that marks nothing."""
    db = connect()
    prepare(db)
    db.execute("create table empty (id int); select publish_define('empty', 'empty')")
    db.execute("create view bad as select 1 / 0 as id; select publish_define('bad', 'bad')")
    for kind in ("empty", "bad"):
        db.execute("select publish_define(%s, %s, schema_version => 2)", [kind, kind])
    raise_to(db, 2)
    drain_all(db, 10)
    assert versions(db) == {2: KEYS}
    assert [kind for (kind,) in db.execute("select kind from publish.walk")] == ["bad"]


def test_a_definition_that_is_rolled_back_publishes_nothing(connect: Any) -> None:
    db = connect()
    prepare(db)
    with db.transaction(force_rollback=True):
        raise_to(db, 2)
    assert drain_all(db) == 0
    assert versions(db) == {1: KEYS}


def test_a_drain_that_began_before_the_definition_committed_leaves_no_old_version(
    connect: Any,
) -> None:
    db, draining = connect(), connect()
    prepare(db)
    db.execute("update t set v = 'w'")
    with draining.transaction():
        assert drain(draining, 500).published == KEYS
        raise_to(db, 2)
    drain_all(db)
    assert versions(db) == {2: KEYS}


def test_a_tombstone_keeps_its_version_until_its_key_comes_back(connect: Any) -> None:
    db = connect()
    prepare(db)
    db.execute("delete from t where id = 5")
    drain_all(db)
    raise_to(db, 2)
    drain_all(db)
    assert versions(db) == {2: KEYS - 1, 1: 1}
    db.execute("insert into t values (5, 'again')")
    drain_all(db)
    assert versions(db) == {2: KEYS}


def test_a_drain_terminated_inside_a_page_is_followed_by_one_that_goes_on(connect: Any) -> None:
    db, doomed = connect(), connect()
    before = prepare(db)
    raise_to(db, 2)
    drain(db, 10)
    db.execute("select pg_advisory_lock(1, 17)")
    draining = begin(drain, doomed, 10)
    until(lambda: waits(db, pid(doomed)))
    assert one(db, "select pg_terminate_backend(%s)", pid(doomed))
    with pytest.raises(psycopg.Error):
        draining.result(PATIENCE)
    db.execute("select pg_advisory_unlock(1, 17)")
    until(lambda: not drain(db, 10).busy)
    db.execute("update publish.walk set due_at = now(); update publish.deferred set due_at = now()")
    drain_all(db, 10)
    assert (versions(db), pub_ids(db)) == ({2: KEYS}, before)
    assert set(times_published(db).values()) == {1}
    assert revs_given(db) == list(range(KEYS + 1, head(db) + 1))


def test_a_server_that_crashes_in_the_middle_goes_on_after_the_last_committed_page(
    server_kind: str,
) -> None:
    with running_cluster(server_kind) as cluster:
        db = psycopg.connect(cluster.url(), autocommit=True, row_factory=namedtuple_row)
        migrate(db)
        before = prepare(db)
        raise_to(db, 2)
        for _ in range(5):
            drain(db, 10)
        published = versions(db)[2]
        assert 0 < published < KEYS
        db.execute("begin")
        assert drain(db, 10).published == 10
        cluster.stop(signal.SIGQUIT)
        db.close()
        cluster.start()
        with psycopg.connect(cluster.url(), autocommit=True, row_factory=namedtuple_row) as db:
            assert versions(db)[2] == published
            drain_all(db, 10)
            assert (versions(db), pub_ids(db)) == ({2: KEYS}, before)
            assert set(times_published(db).values()) == {1}
