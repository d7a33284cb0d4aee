"""Counters and histograms count from the beginning, and a span of time is a difference of two."""

from __future__ import annotations

import json

import psycopg
import pytest
from helpers import drain, drain_all, enqueue, one, running_cluster

from pgpublish.migrate import migrate

PUBLISHED = "pgpublish_publish_latency_seconds"
DELIVERED = "pgpublish_delivery_latency_seconds"


@pytest.fixture
def db(connect):
    db = connect()
    db.execute("select publish_define('note')")
    return db


def metrics(db):
    """name → {labels as text: value}"""
    found = {}
    for name, labels, value in db.execute("select name, labels, value from publish_metrics()"):
        assert found.setdefault(name, {}).setdefault(json.dumps(labels), value) == value
    return found


def histogram(db, name):
    return [
        value
        for (value,) in db.execute(
            "select m.value from publish_metrics() m where m.name = %s || '_bucket'"
            " order by (m.labels ->> 'le')::float8",
            [name],
        )
    ]


def publish(db, keys, waited="0 s"):
    """Publishes so many changes whose marks are this old."""
    for n in range(keys):
        enqueue(db, "note", str(n), json.dumps(one(db, "select random()")))
    db.execute(
        "update publish.outbox o set enqueued_at = o.enqueued_at - %s::interval"
        " where not pg_visible_in_snapshot(o.xid, coalesce((select d.drained from publish.drain d"
        " order by d.drain_id desc limit 1), '3:3:'))",
        [waited],
    )
    drain_all(db)


def age(db, span):
    """What happened so far happened this much earlier."""
    for table in ("drain", "drain_sample", "delivered"):
        db.execute(f"update publish.{table} set at = at - '{span}'::interval")


def spans(db, step="published"):
    rows = db.execute("select * from publish.latency where step = %s", [step]).fetchall()
    return {row.span.total_seconds(): row for row in rows}


@pytest.mark.parametrize("keys", [3, 30])
def test_each_published_change_is_counted_once_in_the_bucket_of_its_age(db, keys):
    publish(db, keys, "7 s")
    publish(db, keys, "2 days")
    bounds = [*one(db, "select publish.age_bounds()"), float("inf")]
    counts = dict(zip(bounds, histogram(db, PUBLISHED), strict=True))
    assert [counts[le] for le in (5, 10, 3600, float("inf"))] == [0, keys, keys, 2 * keys]
    assert list(metrics(db)[PUBLISHED + "_count"].values()) == [2 * keys]
    (seconds,) = metrics(db)[PUBLISHED + "_sum"].values()
    assert keys * (7 + 172800) <= seconds <= keys * (7 + 172800) + 600


def test_an_age_that_is_a_bound_is_in_the_bucket_of_that_bound_and_none_is_negative(db):
    ages = (
        "select (publish.add_ages(publish.no_ages(), array[%s::timestamptz - %s::interval],"
        " %s)).counts"
    )
    at = one(db, "select now()")
    assert one(db, ages, at, "5 s", at).index(1) == 9
    assert one(db, ages, at, "5.000001 s", at).index(1) == 10
    assert one(db, ages, at, "-1 h", at).index(1) == 0


def test_what_is_unchanged_has_no_age_and_counts_as_suppressed(db):
    enqueue(db, "note", "a", "1")
    drain_all(db)
    enqueue(db, "note", "a", "1")
    drain_all(db)
    now = metrics(db)
    assert now["pgpublish_keys_unchanged_total"] == {"{}": 1}
    assert now["pgpublish_marks_drained_total"] == {"{}": 2}
    assert now["pgpublish_changes_published_total"] == {"{}": 1}
    assert histogram(db, PUBLISHED)[-1] == 1


def test_trimming_loses_no_counter(db):
    for _ in range(5):
        publish(db, 2, "7 s")
    before = {name: value for name, value in metrics(db).items() if name.endswith("_total")}
    buckets = histogram(db, PUBLISHED)
    age(db, "26 hours")
    # As if ten thousand rows were nothing: what the trimming leaves is the newest row.
    db.execute("delete from publish.drain d where d.drain_id < (select max(drain_id) from"
               " publish.drain)")  # fmt: skip
    drain_all(db)
    assert {n: v for n, v in metrics(db).items() if n.endswith("_total")} == before
    assert histogram(db, PUBLISHED) == buckets
    publish(db, 2, "7 s")
    assert histogram(db, PUBLISHED)[-1] == 12


def test_a_span_counts_what_happened_in_it(db):
    publish(db, 4, "7 s")
    age(db, "20 minutes")
    publish(db, 6, "45 s")
    age(db, "2 minutes")
    publish(db, 2, "0.07 s")
    found = spans(db)
    assert {span: row.changes for span, row in found.items()} == {60: 2, 900: 8, 86400: 12}
    assert 0.05 <= found[60].p50 <= 0.1
    assert 30 <= found[900].p95 <= 60
    assert found[900].p50 == pytest.approx(40)  # four of eight: a third into 30 to 60
    assert found[60].per_second == pytest.approx(2 / 60, rel=0.1)
    age(db, "2 days")
    assert {row.changes for row in spans(db).values()} == {0}
    assert {row.p99 for row in spans(db).values()} == {None}


def test_samples_of_ten_seconds_stay_an_hour_and_of_five_minutes_a_day(db):
    publish(db, 1)
    db.execute(
        "insert into publish.drain_sample select d.drain_id, d.at, publish.sample_keep("
        "   d.at - '1 s'::interval, d.at), null, 0, 0, 0, 0, '0', publish.no_ages()"
        "  from (select 1 + n as drain_id, '2020-01-01'::timestamptz + n * '1 s'::interval as at"
        "          from generate_series(1, 7200) n) d"
        " where publish.sample_keep(d.at - '1 s'::interval, d.at) is not null"
    )
    assert one(db, "select count(*) from publish.drain_sample") == 1 + 720
    db.execute(
        "update publish.drain_sample set at = clock_timestamp() + (at - '2020-01-01 02:00')"
        " where drain_id > 1"
    )
    db.execute("select publish_maintain()")
    assert one(db, "select count(*) from publish.drain_sample") == 1 + 12 + 360
    age(db, "1 day")
    db.execute("select publish_maintain()")
    assert 12 <= one(db, "select count(*) from publish.drain_sample") <= 1 + 24
    age(db, "1 hour")
    db.execute("select publish_maintain()")
    assert one(db, "select count(*) from publish.drain_sample") == 0


def test_with_commit_timestamps_a_wait_begins_at_the_commit(server_kind):
    with (
        running_cluster(server_kind, track_commit_timestamp="on") as cluster,
        psycopg.connect(cluster.url(), autocommit=True) as db,
    ):
        migrate(db)
        db.execute("select publish_define('note')")
        with psycopg.connect(cluster.url()) as late:
            enqueue(late, "note", "late", "1")
            late.execute("update publish.outbox set enqueued_at = enqueued_at - '2 h'::interval")
        drain_all(db)
        assert histogram(db, PUBLISHED)[-2] == 1  # not above an hour


# --- delivery


def subscribe(db, **more):
    db.execute("select publish_subscribe('copy', 'stdout')")


def deliver(db, failed=0):
    """Claims a batch and settles it with the first so many changes refused."""
    rows = db.execute("select * from publish_claim('copy', 'w', 100)").fetchall()
    if not rows:
        return 0
    lost = [
        {"pub_id": str(row.pub_id), "rev": row.rev, "class": "rejected", "message": "no"}
        for row in rows[:failed]
    ]
    db.execute("select publish_settle(%s, %s)", [rows[0].token, json.dumps(lost)])
    return len(rows)


def test_what_was_delivered_is_counted_by_its_age_and_what_failed_is_not(db):
    subscribe(db)
    db.execute("update publish.subscription set created_at = created_at - '1 day'::interval")
    publish(db, 3)
    db.execute("update publish.published set updated_at = updated_at - '7 s'::interval")
    publish(db, 2)  # three of them are older, and two newer
    assert deliver(db, failed=1) == 3
    now = metrics(db)
    labels = '{"subscription": "copy"}'
    assert now["pgpublish_subscription_delivered_total"] == {labels: 2}
    assert now["pgpublish_subscription_failures_total"] == {labels: 1}
    counts = histogram(db, DELIVERED)
    assert counts[-1] == 2
    assert counts[7] == 2  # the refused one was the old one
    assert (
        now["pgpublish_subscription_retries"]['{"class": "rejected", "subscription": "copy"}'] == 1
    )


def test_the_ages_of_a_batch_that_one_drain_published_add_up(db):
    subscribe(db)
    db.execute("update publish.subscription set created_at = created_at - '1 day'::interval")
    publish(db, 3)
    db.execute("update publish.published set updated_at = updated_at - '7 s'::interval")
    deliver(db)
    assert histogram(db, DELIVERED)[-1] == 3
    (seconds,) = metrics(db)[f"{DELIVERED}_sum"].values()
    assert 21 <= seconds < 60


def test_a_replay_counts_from_when_it_was_asked_for(db):
    publish(db, 3)
    db.execute("update publish.published set updated_at = updated_at - '2 days'::interval")
    subscribe(db)
    deliver(db)
    assert histogram(db, DELIVERED)[6] == 3
    db.execute("update publish.subscription set created_at = created_at - '1 day'::interval")
    db.execute("select publish_seek('copy', 0)")
    deliver(db)
    assert histogram(db, DELIVERED)[6] == 6


def test_lanes_that_are_no_more_keep_their_counts_and_trimming_keeps_the_newest(db):
    db.execute("select publish_subscribe('copy', 'stdout', lanes => 4)")
    for _ in range(3):
        publish(db, 20)
        while deliver(db):
            pass
    total = histogram(db, DELIVERED)[-1]
    assert total == 60
    db.execute("select publish_subscribe('copy', 'stdout', lanes => 1)")
    age(db, "26 hours")
    db.execute("select publish_maintain()")
    assert one(db, "select count(*) from publish.delivered") == 4
    assert histogram(db, DELIVERED)[-1] == 60
    publish(db, 5)
    deliver(db)
    assert histogram(db, DELIVERED)[-1] == 65
    assert spans(db, "delivered")[60].changes == 5


# --- what waits


def test_depth_costs_the_same_for_a_million_marks_a_held_snapshot_and_an_open_load(db, connect):
    db.execute("select publish_define('bulk')")
    publish(db, 1)
    holder, load = connect(autocommit=False), connect(autocommit=False)
    holder.execute("set transaction isolation level repeatable read")
    holder.execute("select count(*) from publish.outbox")
    db.execute(
        "insert into publish.outbox (kind, source_ids)"
        " select 'note', array[n::text] from generate_series(1, 200000) n"
    )
    load.execute(
        "insert into publish.outbox (kind, source_ids)"
        " select 'note', array[n::text] from generate_series(1, 100000) n"
    )
    db.execute(
        "insert into publish.outbox (kind, source_ids)"
        " select 'bulk', array_agg(n::text) from generate_series(1, 800000) n group by n % 25000"
    )
    explained = one(db, "explain (analyze, buffers, format json) select publish_depth()")
    plan = explained[0]["Plan"]
    assert plan["Shared Hit Blocks"] + plan["Shared Read Blocks"] < 600
    assert 800_000 < one(db, "select publish_depth()") < 1_200_000
    kinds = dict(db.execute("select kind, marks from publish.kind_depth()").fetchall())
    assert set(kinds) == {"note"}  # of the oldest ten thousand
    explained = one(db, "explain (analyze, buffers, format json) select * from publish_metrics()")
    plan = explained[0]["Plan"]
    assert plan["Shared Hit Blocks"] + plan["Shared Read Blocks"] < 6000
    load.rollback()


def test_depth_is_exact_up_to_a_thousand_and_counts_what_is_due(db, connect):
    late = connect(autocommit=False)
    enqueue(late, "note", "late", "1")
    for n in range(25):
        enqueue(db, "note", str(n), "1")
    enqueue(db, "note", "later", "1", available_at=one(db, "select now() + '1 day'::interval"))
    assert one(db, "select publish_depth()") == 25
    drain(db, batch=10)
    assert one(db, "select publish_depth()") == 15
    late.commit()
    assert one(db, "select publish_depth()") == 16
    drain_all(db)
    assert one(db, "select publish_depth()") == 0
    db.execute("update publish.deferred set due_at = now()")
    assert one(db, "select publish_depth()") == 1


def test_depth_counts_a_walk_that_waits_as_a_scaled_down_drain_must_come_for_it(db):
    db.execute("create table tree (id int primary key)")
    db.execute("select publish_define('tree', 'tree'); select publish_capture('tree', 'tree')")
    db.execute("insert into tree values (1)")
    drain_all(db)
    assert one(db, "select publish_depth()") == 0
    db.execute("truncate tree")
    assert one(db, "select publish_depth()") == 1
    drain_all(db)
    assert one(db, "select publish_depth()") == 0
    db.execute("select publish_set('publishing', 'off', 'tree'); truncate tree")
    drain_all(db)
    assert one(db, "select publish_depth()") == 0, "a drain would do nothing"


def test_depth_of_a_partial_transaction_is_what_is_left_of_it(db):
    db.execute(
        "insert into publish.outbox (kind, source_ids)"
        " select 'note', array[n::text] from generate_series(1, 5000) n"
    )
    drain(db, batch=2000)
    assert one(db, "select publish_depth()") == pytest.approx(3000, rel=0.05)


def test_what_waits_is_told_by_kind_reason_and_walk(db):
    db.execute(
        "create table t (id int primary key); insert into t select generate_series(1, 50);"
        "select publish_define('thing', 't'), publish_walk('thing')"
    )
    enqueue(db, "note", "a", "1")
    enqueue(db, "note", "b", "1", available_at=one(db, "select now() + '1 day'::interval"))
    db.execute("update publish.outbox set enqueued_at = enqueued_at - '1 h'::interval")
    now = metrics(db)
    assert now["pgpublish_kind_depth"] == {'{"kind": "note"}': 1}
    assert 3600 <= now["pgpublish_kind_oldest_mark_age_seconds"]['{"kind": "note"}'] < 3700
    drain(db, batch=20)
    now = metrics(db)
    assert now["pgpublish_deferred"]['{"reason": "scheduled"}'] == 1
    assert now["pgpublish_walk_marked_keys"] == {'{"kind": "thing"}': 20}


# --- who may see


def test_a_reader_sees_all_but_the_snapshots_of_others_unless_it_may_monitor(db, connect, admin):
    holder = connect(autocommit=False)
    holder.execute("set transaction isolation level repeatable read")
    holder.execute("select 1")
    admin.execute("create role watcher login in role publish_reader")
    try:
        db.execute("set role watcher")
        seen = metrics(db)
        assert "pgpublish_depth" in seen
        assert "pgpublish_oldest_snapshot_age_seconds" not in seen
        admin.execute("grant pg_monitor to watcher")
        assert metrics(db)["pgpublish_oldest_snapshot_age_seconds"]["{}"] > 0
    finally:
        db.execute("reset role")
        admin.execute("drop role watcher")


def test_every_change_that_one_mark_of_a_lookup_finds_is_counted(db):
    db.execute(
        "create table country (code text primary key, name text);"
        "create table airport (id int primary key, country text);"
        "insert into country values ('fr', 'France');"
        "insert into airport select n, 'fr' from generate_series(1, 5) n;"
        "create view airport_view as"
        "  select a.id, c.name from airport a join country c on c.code = a.country;"
        "select publish_define('airport', 'airport_view'),"
        "       publish_capture('airport', 'country', key => 'code',"
        "                       lookup => 'select id from airport where country = any ($1)')"
    )
    db.execute("update country set name = 'French Republic'")
    assert drain(db).published == 5
    assert histogram(db, PUBLISHED)[-1] == 5
