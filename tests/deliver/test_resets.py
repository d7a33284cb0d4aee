"""Data that was delivered and then lost: who follows the consumer's rule of docs/deliver.md ends
exact, whatever a promotion or a restore took back. A copy of the database sends nothing by itself.
"""

from __future__ import annotations

import random
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
import servers
from conftest import Connect, Connection
from delivery import claim, failure, notes, settle, subscribe
from helpers import drain_all, enqueue, one, replay, running_cluster, standby_of, until
from psycopg.rows import namedtuple_row

from pgpublish.embedded import Cluster
from pgpublish.migrate import migrate

NIL = "00000000-0000-0000-0000-000000000000"

# As a server that was promoted, or restored to a point in time, finds it.
PROMOTED = """
delete from publish.alive;
update publish.epoch e
   set timeline = e.timeline + 7, database_oid = d.oid
  from pg_database d
 where d.datname = current_database();
"""

Copy = Callable[[], Connection]


@pytest.fixture
def copy(
    cluster: Cluster, database: str, connect: Connect, new_database: Callable[[str | None], str]
) -> Iterator[Copy]:
    """Copies this test's database as it is now, and opens a session there."""
    opened: list[Connection] = []

    def make() -> Connection:
        with psycopg.connect(cluster.url("postgres"), autocommit=True) as admin:
            admin.execute(
                "select pg_terminate_backend(a.pid) from pg_stat_activity a where a.datname = %s",
                [database],
            )
        conn = psycopg.connect(
            cluster.url(new_database(database)), autocommit=True, row_factory=namedtuple_row
        )
        opened.append(conn)
        return conn

    yield make
    for conn in opened:
        conn.close()


class Consumer:
    """Keeps the newest change of each subject, by the rule, and each message once."""

    def __init__(self) -> None:
        self.held: dict[str, Any] = {}
        self.ids: set[str] = set()
        self.events: list[str] = []

    def take(self, row: Any) -> None:
        if row.id in self.ids:
            return
        self.ids.add(row.id)
        if row.part == "control":
            self.events.append(row.kind)
            if row.kind == "pgpublish.resynced":
                life = row.sequence[:10]
                self.held = {s: h for s, h in self.held.items() if h.sequence[:10] >= life}
        elif row.pub_id not in self.held or self.held[row.pub_id].sequence < row.sequence:
            self.held[row.pub_id] = row

    def deliver(self, conn: Connection, limit: int = 7, fails: random.Random | None = None) -> None:
        for _ in range(1000):
            batch = claim(conn, "s", limit=limit)
            if not batch:
                if not conn.execute("select * from publish.deliverable()").fetchall():
                    return
                continue
            failed = [
                row for row in batch if fails and row.part != "control" and fails.random() < 0.2
            ]
            for row in batch:
                if row not in failed:
                    self.take(row)
            settle(conn, batch, [failure(row, "rejected") for row in failed])
        raise AssertionError("there is always more")

    def shows(self) -> dict[str, Any]:
        return {s: h.payload for s, h in self.held.items() if not h.deleted}


def published(conn: Connection) -> dict[str, Any]:
    rows = conn.execute("select pub_id, payload from publish.published where not deleted")
    return dict(rows.fetchall())


def state(conn: Connection) -> tuple[str, str | None]:
    row = conn.execute("select state, paused_reason from publish_subscriptions()").fetchone()
    assert row is not None
    return row[0], row[1]


def write(conn: Connection, first: int, last: int, text: str) -> None:
    for n in range(first, last + 1):
        enqueue(conn, "note", str(n), f'"{text} {n}"')
    drain_all(conn)


@pytest.mark.parametrize("lanes", [1, 3])
@pytest.mark.parametrize("seed", [1, 2])
def test_a_consumer_that_follows_the_rule_is_exact_after_lost_data(
    db: Connection, copy: Copy, connect: Connect, lanes: int, seed: int
) -> None:
    notes(db, 30)
    subscribe(db, "s", lanes=lanes, max_attempts=1000, backoff_min="1 us", backoff_max="2 us")
    consumer = Consumer()
    consumer.deliver(db)
    restored = copy()
    restored.execute(PROMOTED.encode())

    lost = connect()
    write(lost, 5, 40, "lost")  # 31 to 40 are born in the lost changes
    enqueue(lost, "note", "1", deleted=True)
    drain_all(lost)
    consumer.deliver(lost)
    assert consumer.shows() == published(lost)

    write(restored, 20, 25, "kept")  # at revs that the lost changes had
    assert consumer.shows() != published(restored)
    consumer.deliver(restored, fails=random.Random(seed))
    assert consumer.events == ["pgpublish.reset", "pgpublish.resynced"]
    assert consumer.shows() == published(restored)
    assert state(restored) == ("active", None)

    write(restored, 1, 50, "more")
    consumer.deliver(restored, fails=random.Random(seed))
    assert consumer.shows() == published(restored)
    assert len(consumer.events) == 2


def test_publish_accept_takes_a_correction_and_refuses_its_redelivery(
    db: Connection, copy: Copy, connect: Connect
) -> None:
    """The consumer's own database remembers what it accepted before the data was lost."""
    notes(db, 9)
    subscribe(db, "s")
    restored = copy()
    restored.execute(PROMOTED.encode())
    lost = connect()
    first = claim(lost, "s")
    accept = "select publish_accept('c', %s)"
    assert all(one(lost, accept, row.id) for row in first)
    settle(lost, first)

    (reset,) = claim(restored, "s")
    assert one(lost, accept, reset.id)
    settle(restored, [reset])
    again = claim(restored, "s")
    assert [row.rev for row in again] == [row.rev for row in first]
    assert all(one(lost, accept, row.id) for row in again), "corrections"
    restored.execute("update publish.batch set lease_until = now() where settled_at is null")
    redelivered = claim(restored, "s")
    assert [row.id for row in redelivered] == [row.id for row in again]
    assert not any(one(lost, accept, row.id) for row in redelivered), "redeliveries"


def test_a_claim_notices_a_promotion_that_no_drain_has_seen(db: Connection) -> None:
    notes(db, 3)
    subscribe(db, "s", lanes=3)
    Consumer().deliver(db)
    assert db.execute("select * from publish.deliverable()").fetchall() == []
    db.execute(PROMOTED.encode())
    assert db.execute("select ready from publish.deliverable()").fetchall() == [(1,)]
    (reset,) = claim(db, "s")
    assert (reset.part, reset.kind, str(reset.pub_id)) == ("control", "pgpublish.reset", NIL)
    assert reset.payload == {"life": one(db, "select life from publish_subscriptions()"), "head": 3}
    assert one(db, "select max(cause) from publish.epoch where epoch_no > 1") == "promotion"


def test_the_lease_of_a_worker_of_before_holds_no_reset_up(db: Connection) -> None:
    notes(db, 3)
    subscribe(db, "s")
    flying = claim(db, "s")
    db.execute(PROMOTED.encode())
    assert db.execute("select ready from publish.deliverable()").fetchall() == [(1,)]
    assert [row.kind for row in claim(db, "s")] == ["pgpublish.reset"]
    with pytest.raises(psycopg.Error) as caught:
        settle(db, flying)
    assert caught.value.sqlstate == "PT409"


def test_nobody_sends_before_the_epoch_is_known(db: Connection, connect: Connect) -> None:
    notes(db, 3)
    subscribe(db, "s")
    db.execute(PROMOTED.encode())
    drainer = connect(autocommit=False)
    drainer.execute("lock table publish.writer in exclusive mode")
    assert claim(db, "s") == []
    drainer.rollback()
    assert [row.part for row in claim(db, "s")] == ["control"]


def test_a_start_of_the_server_or_a_crash_resets_nothing(db: Connection) -> None:
    notes(db, 3)
    subscribe(db, "s")
    life = one(db, "select life from publish_subscriptions()")
    for cause in ("start", "crash"):
        db.execute(
            "insert into publish.epoch (epoch_no, cause, first_rev, system_identifier, timeline,"
            "                           database_oid, relation_oid)"
            " select e.epoch_no + 1, %s, 3, e.system_identifier, e.timeline, e.database_oid,"
            "        e.relation_oid"
            "   from publish.epoch e order by e.epoch_no desc limit 1", [cause],
        )  # fmt: skip
        batch = claim(db, "s", limit=1)
        assert [row.part for row in batch] == ["fresh"]
        settle(db, batch)
    assert one(db, "select life from publish_subscriptions()") == life


def test_a_claim_is_flushed_before_anything_is_sent(db: Connection) -> None:
    notes(db, 3)
    subscribe(db, "s")
    for setting, flushed in [("off", "local"), ("on", "on")]:
        db.execute(f"set synchronous_commit = {setting}".encode())
        with db.transaction():
            claim(db, "s", limit=1)
            assert one(db, "show synchronous_commit") == flushed
        db.execute("update publish.batch set lease_until = now() where settled_at is null")


@pytest.mark.parametrize("drained", [True, False])
def test_a_copy_sends_nothing_and_says_why(db: Connection, copy: Copy, drained: bool) -> None:
    notes(db, 3)
    subscribe(db, "s")
    copied = copy()
    if drained:
        write(copied, 4, 4, "new")
    assert claim(copied, "s") == []
    paused, reason = state(copied)
    assert paused == "paused"
    assert reason is not None
    assert "copied" in reason
    assert "publish_resync" in reason
    assert copied.execute("select * from publish.deliverable()").fetchall() == []
    copied.execute("select publish_resume('s')")
    assert len(claim(copied, "s")) == 3 + drained


def test_a_copy_that_is_resumed_before_any_claim_stays_resumed(db: Connection, copy: Copy) -> None:
    notes(db, 3)
    subscribe(db, "s")
    copied = copy()
    copied.execute("select publish_resume('s')")
    assert len(claim(copied, "s")) == 3


def test_a_copy_that_is_resynced_begins_with_the_reset(db: Connection, copy: Copy) -> None:
    notes(db, 3)
    subscribe(db, "s")
    copied = copy()
    assert claim(copied, "s") == []
    copied.execute("select publish_resync('s')")
    consumer = Consumer()
    consumer.deliver(copied)
    assert consumer.events == ["pgpublish.reset", "pgpublish.resynced"]
    assert consumer.shows() == published(copied)


def test_a_new_subscription_of_a_copy_is_not_paused(db: Connection, copy: Copy) -> None:
    notes(db, 3)
    copied = copy()
    subscribe(copied, "s")
    assert len(claim(copied, "s")) == 3


def test_on_reset_pause_and_continue(db: Connection) -> None:
    notes(db, 3)
    subscribe(db, "s", on_reset="pause")
    Consumer().deliver(db)
    db.execute(PROMOTED.encode())
    write(db, 4, 5, "new")
    assert claim(db, "s") == []
    paused, reason = state(db)
    assert paused == "paused"
    assert reason is not None
    assert "promoted" in reason
    db.execute("select publish_resume('s')")
    subscribe(db, "s", on_reset="continue")
    db.execute(PROMOTED.encode())
    assert [row.rev for row in claim(db, "s")] == [4, 5]
    assert state(db) == ("active", None)


def test_what_a_person_paused_stays_paused_and_is_resynced_later(db: Connection) -> None:
    notes(db, 3)
    subscribe(db, "s")
    Consumer().deliver(db)
    db.execute("select publish_pause('s')")
    db.execute(PROMOTED.encode())
    assert claim(db, "s") == []
    assert state(db) == ("paused", None)
    db.execute("select publish_resume('s')")
    assert [row.kind for row in claim(db, "s")] == ["pgpublish.reset"]


@pytest.mark.parametrize(
    ("kind", "told"),
    [("endpoint", False), ("unknown", False), ("busy", False), ("unsent", False),
     ("rejected", True), ("encoding", True)],
)  # fmt: skip
def test_nothing_is_sent_before_the_consumer_was_told(
    db: Connection, kind: str, told: bool
) -> None:
    notes(db, 9)
    subscribe(db, "s", lanes=3, backoff_min="1 us", backoff_max="2 us")
    db.execute("select publish_resync('s')")
    first = claim(db, "s")
    assert [row.kind for row in first] == ["pgpublish.reset"]
    assert claim(db, "s") == [], "the other lanes wait"
    assert settle(db, first, [failure(first[0], kind)]).dead == 0
    assert one(db, "select count(*) from publish.parked") == 0
    assert [row.part for row in claim(db, "s")][:1] == ["fresh" if told else "control"]


def test_an_endpoint_that_fails_the_reset_is_not_asked_at_once(db: Connection) -> None:
    notes(db, 3)
    subscribe(db, "s", backoff_min="1 hour", backoff_max="1 hour")
    db.execute("select publish_resync('s')")
    batch = claim(db, "s")
    settled = settle(db, batch, [failure(batch[0], "endpoint")])
    assert one(db, "select %s > clock_timestamp() + interval '20 s'", settled.resume_at)
    assert claim(db, "s") == []
    assert one(db, "select wait_s > 20 from publish.deliverable()")


def test_resynced_comes_after_every_lane_and_every_retry(db: Connection) -> None:
    notes(db, 30)
    subscribe(db, "s", lanes=2, backoff_min="1 hour", backoff_max="1 hour")
    db.execute("select publish_resync('s')")
    settle(db, claim(db, "s"))
    batch = claim(db, "s")
    settle(db, batch, [failure(batch[0], "rejected")])
    assert [row.part for row in claim(db, "s")][:1] == ["fresh"]
    assert claim(db, "s") == [], "a lane is under way"
    db.execute("update publish.batch set lease_until = now() where settled_at is null")
    settle(db, claim(db, "s"))
    assert claim(db, "s") == [], "a retry waits"
    assert state(db) == ("resyncing", None)
    db.execute("update publish.parked set next_attempt_at = clock_timestamp()")
    settle(db, claim(db, "s"))
    (done,) = claim(db, "s")
    assert (done.kind, done.rev, done.payload["head"]) == ("pgpublish.resynced", 30, 30)
    assert settle(db, [done]).sent == 1
    assert claim(db, "s") == []
    assert state(db) == ("active", None)


def test_resynced_waits_for_dead_letters_too(db: Connection) -> None:
    """At it the consumer deletes what it was not sent."""
    notes(db, 3)
    subscribe(db, "s", max_attempts=1)
    first = claim(db, "s")
    assert settle(db, first, [failure(first[0], "rejected")]).dead == 1
    db.execute("select publish_resync('s')")
    settle(db, claim(db, "s"))
    batch = claim(db, "s")
    assert [row.rev for row in batch] == [1, 2, 3], "dead letters of before are tried again"
    assert settle(db, batch, [failure(batch[1], "rejected")]).dead == 1
    assert claim(db, "s") == []
    assert db.execute("select * from publish.deliverable()").fetchall() == []
    assert db.execute("select state, waits_for from publish_subscriptions()").fetchone() == (
        "resyncing",
        "its dead letters",
    )
    db.execute("select publish_redrive('s')")
    settle(db, claim(db, "s"))
    assert [row.kind for row in claim(db, "s")] == ["pgpublish.resynced"]


def test_a_resync_does_not_wait_for_a_retry_of_before(db: Connection) -> None:
    notes(db, 3)
    subscribe(db, "s", backoff_min="1 h", backoff_max="1 h")
    first = claim(db, "s")
    assert settle(db, first, [failure(first[0], "rejected")]).parked == 1
    db.execute("select publish_resync('s')")
    settle(db, claim(db, "s"))
    assert [(row.rev, row.attempts) for row in claim(db, "s")] == [(1, 0), (2, 0), (3, 0)]


def test_a_life_is_above_those_that_a_lost_timeline_may_have_had(db: Connection) -> None:
    """The last one known here may be far below: it is the clock that no lost resync was above."""
    subscribe(db, "s")
    db.execute("update publish.subscription set life = 7")
    now = one(db, "select floor(extract(epoch from clock_timestamp()))::bigint")
    db.execute("select publish_resync('s')")
    assert one(db, "select life from publish_subscriptions()") >= now


@pytest.mark.parametrize("on_reset", ["pause", "resync"])
def test_a_copy_says_why_also_where_a_person_has_paused(
    db: Connection, copy: Copy, on_reset: str
) -> None:
    notes(db, 3)
    subscribe(db, "s", on_reset=on_reset)
    Consumer().deliver(db)
    db.execute("select publish_pause('s')")
    copied = copy()
    assert claim(copied, "s") == []
    paused, reason = state(copied)
    assert paused == "paused"
    assert reason is not None
    assert "its original may send" in reason


def test_a_promotion_that_a_copy_follows_still_resyncs(db: Connection, copy: Copy) -> None:
    notes(db, 3)
    subscribe(db, "s")
    Consumer().deliver(db)
    db.execute(PROMOTED.encode())
    write(db, 4, 4, "new")  # the drain begins the epoch, and nobody claims
    copied = copy()
    assert claim(copied, "s") == []
    assert state(copied)[0] == "paused"
    copied.execute("select publish_resume('s')")
    events = Consumer()
    events.deliver(copied)
    assert events.events == ["pgpublish.reset", "pgpublish.resynced"]


def test_a_retry_is_found_after_the_clock_stepped_back(db: Connection) -> None:
    notes(db, 2)
    subscribe(db, "s", backoff_min="1 hour", backoff_max="1 hour")
    batch = claim(db, "s")
    settle(db, batch, [failure(row, "endpoint") for row in batch])
    db.execute(
        "update publish.parked set next_attempt_at = next_attempt_at + interval '2 s';"
        "update publish.batch set retry_to = clock_timestamp() + interval '1 s'"
    )
    db.execute("select publish_resume('s')")
    until(lambda: claim(db, "s"))


def test_a_failure_of_something_else_than_the_event_is_refused(db: Connection) -> None:
    notes(db, 3)
    subscribe(db, "s")
    row = claim(db, "s")[0]
    db.execute("select publish_resync('s')")
    event = claim(db, "s")
    with pytest.raises(psycopg.Error) as caught:
        settle(db, event, [failure(row, "rejected")])
    assert caught.value.sqlstate == "PT400"


def test_a_resync_sends_tombstones_and_fences_what_was_in_flight(db: Connection) -> None:
    notes(db, 3)
    enqueue(db, "note", "2", deleted=True)
    drain_all(db)
    subscribe(db, "s")
    flying = claim(db, "s")
    assert [row.rev for row in flying] == [1, 3]
    db.execute("select publish_resync('s')")
    with pytest.raises(psycopg.Error) as caught:
        settle(db, flying)
    assert caught.value.sqlstate == "PT409"
    settle(db, claim(db, "s"))
    again = claim(db, "s")
    assert [(row.rev, row.deleted) for row in again] == [(1, False), (3, False), (4, True)]
    assert again[0].sequence > flying[-1].sequence
    assert {row.id for row in again}.isdisjoint(row.id for row in flying)


def test_a_seek_forward_ends_a_resync_and_one_to_0_does_not(db: Connection) -> None:
    notes(db, 3)
    subscribe(db, "s")
    db.execute("select publish_resync('s')")
    settle(db, claim(db, "s"))
    db.execute("select publish_seek('s', 0)")
    assert state(db) == ("resyncing", None)
    db.execute("select publish_seek('s', 3)")
    assert state(db) == ("active", None)
    assert claim(db, "s") == []


# --- real ones


def session(cluster: Cluster, name: str = "postgres") -> Connection:
    return psycopg.connect(cluster.url(name), autocommit=True, row_factory=namedtuple_row)


@pytest.mark.parametrize("lost", [True, False], ids=["a lost tail", "nothing lost"])
def test_a_promoted_standby_makes_its_consumers_exact(server_kind: str, lost: bool) -> None:
    with running_cluster(server_kind) as primary:
        db = session(primary)
        migrate(db)
        notes(db, 20)
        subscribe(db, "s", lanes=2)
        consumer = Consumer()
        consumer.deliver(db)
        with standby_of(primary, server_kind) as standby:
            copy = session(standby)
            replay(db, copy)
            assert copy.execute("select * from publish.deliverable()").fetchall() == []
            assert state(copy) == ("active", None)
            if lost:
                copy.execute("alter system set primary_conninfo = ''")
                copy.execute("select pg_reload_conf()")
                until(lambda: one(copy, "select count(*) from pg_stat_wal_receiver") == 0)
            write(db, 15, 30, "late")
            consumer.deliver(db)
            if not lost:
                replay(db, copy)
            primary.stop(signal.SIGQUIT)
            assert one(copy, "select pg_promote(true, 60)")
            write(copy, 1, 5, "after")
            assert consumer.shows() != published(copy)
            consumer.deliver(copy)
            assert consumer.events == ["pgpublish.reset", "pgpublish.resynced"]
            assert consumer.shows() == published(copy)
            copy.close()


@contextmanager
def restored_to(primary: Cluster, kind: str, point: str) -> Iterator[Callable[[], Cluster]]:
    """Takes a base backup; the function restores it, up to the restore point of this name, from
    what the primary has written since."""
    root = servers.new_folder()
    restored = servers.new_cluster(kind, root)

    def restore() -> Cluster:
        for name, text in (
            ("recovery.signal", ""),
            ("postgresql.auto.conf",
             f"restore_command = 'cp {primary.data}/pg_wal/%f %p'\n"
             f"recovery_target_name = '{point}'\nrecovery_target_action = 'promote'\n"),
        ):  # fmt: skip
            (restored.data / name).write_text(text)
            shutil.chown(restored.data / name, restored.data.owner())
        restored.start()
        return restored

    try:
        restored.folder.mkdir()
        restored.folder.chmod(0o700)
        if restored.user:
            shutil.chown(restored.folder, restored.user)
        restored.run("pg_basebackup", "--pgdata", str(restored.data), "--dbname", primary.url(),
                     "--checkpoint", "fast", "--wal-method", "none", "--no-sync")  # fmt: skip
        yield restore
    finally:
        restored.stop(signal.SIGQUIT)
        shutil.rmtree(root, ignore_errors=True)


def test_a_restore_to_a_point_in_time_makes_its_consumers_exact(server_kind: str) -> None:
    with running_cluster(server_kind) as primary:
        db = session(primary)
        migrate(db)
        notes(db, 20)
        subscribe(db, "s", lanes=2)
        consumer = Consumer()
        consumer.deliver(db)
        with restored_to(primary, server_kind, "before the mistake") as restore:
            write(db, 15, 22, "kept")
            db.execute("select pg_create_restore_point('before the mistake')")
            write(db, 21, 30, "a mistake")
            enqueue(db, "note", "1", deleted=True)
            drain_all(db)
            consumer.deliver(db)
            primary.stop(signal.SIGQUIT)
            restored = session(restore())
            until(lambda: not one(restored, "select pg_is_in_recovery()"))
            assert len(published(restored)) == 22
            assert consumer.shows() != published(restored)
            write(restored, 2, 4, "after")
            consumer.deliver(restored)
            assert consumer.events == ["pgpublish.reset", "pgpublish.resynced"]
            assert consumer.shows() == published(restored)
            restored.close()


def test_a_dump_that_is_restored_in_another_cluster_is_paused_until_a_resync(
    db: Connection, cluster: Cluster, url: str, server_kind: str
) -> None:
    notes(db, 9)
    subscribe(db, "s", lanes=2)
    consumer = Consumer()
    consumer.deliver(db)
    file = cluster.folder / "moved.dump"
    cluster.run("pg_dump", "--format", "custom", "--file", str(file), "--dbname", url)
    write(db, 5, 12, "lost")
    consumer.deliver(db)
    with running_cluster(server_kind) as other:
        with session(other) as empty:
            migrate(empty)  # makes the roles
            empty.execute("create database moved template template0")
        other.run("pg_restore", "--exit-on-error", "--dbname", other.url("moved"), str(file))
        with session(other, "moved") as moved:
            write(moved, 1, 3, "new")
            assert claim(moved, "s") == []
            paused, reason = state(moved)
            assert (paused, "moved" in str(reason)) == ("paused", True)
            assert consumer.shows() != published(moved)
            moved.execute("select publish_resync('s')")
            consumer.deliver(moved)
            assert consumer.events == ["pgpublish.reset", "pgpublish.resynced"]
            assert consumer.shows() == published(moved)


def test_a_dump_that_is_restored_elsewhere_sends_nothing(
    db: Connection, cluster: Cluster, url: str, admin: Connection
) -> None:
    notes(db, 3)
    subscribe(db, "s")
    file = str(cluster.folder / "resets.dump")
    cluster.run("pg_dump", "--format", "custom", "--file", file, "--dbname", url)
    admin.execute("create database resets_restored template template0")
    try:
        cluster.run("pg_restore", "--exit-on-error", "--dbname", cluster.url("resets_restored"),
                    file)  # fmt: skip
        with session(cluster, "resets_restored") as restored:
            assert claim(restored, "s") == []
            assert state(restored)[0] == "paused"
            restored.execute("select publish_resume('s')")
            assert len(claim(restored, "s")) == 3
    finally:
        admin.execute("drop database resets_restored with (force)")
