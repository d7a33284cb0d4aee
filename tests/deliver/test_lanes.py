"""Two sessions on one subscription: leases, fencing tokens, locks, and lanes that change."""

import random
import time
from datetime import timedelta
from typing import LiteralString

import psycopg
import pytest
from conftest import Connect, Connection
from delivery import claim, failure, notes, settle, subscribe
from helpers import GATE, PATIENCE, begin, drain_all, enqueue, one, pid, until, waits


def test_two_claims_at_once_get_different_lanes(db: Connection, connect: Connect) -> None:
    notes(db, 40)
    subscribe(db, "s", lanes=2)
    first, second = connect(autocommit=False), connect(autocommit=False)
    one_batch, other_batch = claim(first, "s"), claim(second, "s")  # neither has committed
    assert one_batch[0].lane != other_batch[0].lane
    assert {row.pub_id for row in one_batch}.isdisjoint(row.pub_id for row in other_batch)
    assert len(one_batch) + len(other_batch) == 40
    assert claim(connect(), "s") == []


def test_a_claim_never_waits_for_another(db: Connection, connect: Connect) -> None:
    notes(db, 5)
    subscribe(db, "s")
    first = connect(autocommit=False)
    assert len(claim(first, "s")) == 5
    db.execute("set lock_timeout = '1ms'")
    assert claim(db, "s") == []
    first.rollback()
    assert len(claim(db, "s")) == 5


def test_a_lane_leased_between_look_and_lock_is_left_alone(
    db: Connection, connect: Connect
) -> None:
    notes(db, 5)
    subscribe(db, "s")
    late, holder = connect(), connect(autocommit=False)
    holder.execute("lock table publish.lane in exclusive mode")
    claiming = begin(claim, late, "s")  # has seen a free lane, and waits to lock its row
    until(lambda: waits(db, pid(late)))
    assert len(claim(holder, "s")) == 5
    holder.commit()
    assert claiming.result(PATIENCE) == []


def test_the_lane_served_longest_ago_comes_first(db: Connection) -> None:
    notes(db, 40)
    subscribe(db, "s", lanes=3)
    lanes = []
    for _ in range(9):
        batch = claim(db, "s", limit=1)
        lanes.append(batch[0].lane)
        settle(db, batch)
    assert sorted(lanes[:3]) == [0, 1, 2]
    assert lanes == lanes[:3] * 3


def test_a_claim_that_rolls_back_leaves_nothing(db: Connection, connect: Connect) -> None:
    notes(db, 5)
    subscribe(db, "s")
    before = db.execute("select token, cursor, settled_at from publish.batch").fetchall()
    first = connect(autocommit=False)
    claim(first, "s")
    first.rollback()
    after = db.execute("select token, cursor, settled_at from publish.batch").fetchall()
    assert after == before


def test_a_lease_that_ran_out_is_taken_over_and_its_old_holder_is_fenced(
    db: Connection, connect: Connect
) -> None:
    notes(db, 5)
    subscribe(db, "s")
    old = claim(db, "s", worker="old")
    db.execute("update publish.batch set lease_until = clock_timestamp()")
    other = connect()
    new = claim(other, "s", worker="new")
    assert [row.rev for row in new] == [row.rev for row in old]
    for stale in ("select publish_settle(%s)", "select publish_extend(%s)"):
        with pytest.raises(psycopg.Error) as caught:
            db.execute(stale, [old[0].token])
        assert caught.value.sqlstate == "PT409"
    assert one(db, "select cursor from publish.lane_state") == 0
    assert settle(other, new).sent == 5
    assert one(db, "select cursor from publish.lane_state") == 5


def test_settling_while_another_claims_has_one_winner(db: Connection, connect: Connect) -> None:
    """The old holder settles just as the lease is over: either it moved the cursor, or PT409."""
    notes(db, 5)
    subscribe(db, "s")
    old = claim(db, "s")
    db.execute("update publish.batch set lease_until = clock_timestamp()")
    other = connect(autocommit=False)
    assert len(claim(other, "s")) == 5
    settling = begin(settle, db, old)
    until(lambda: waits(other, pid(db)))
    other.commit()
    with pytest.raises(psycopg.Error) as caught:
        settling.result(PATIENCE)
    assert caught.value.sqlstate == "PT409"

    db.execute("select publish_seek('s', 0)")
    old = claim_expired(db, other)
    settling = connect(autocommit=False)
    assert settle(settling, old).sent == 5
    assert claim(db, "s") == []  # locked, and then settled
    settling.commit()
    assert claim(db, "s") == []


def claim_expired(db: Connection, conn: Connection):
    conn.autocommit = True
    db.execute("update publish.batch set lease_until = clock_timestamp() where settled_at is null")
    batch = claim(conn, "s")
    db.execute("update publish.batch set lease_until = clock_timestamp() where settled_at is null")
    return batch


def test_seek_and_lane_changes_fence_batches_in_flight(db: Connection, connect: Connect) -> None:
    notes(db, 30)
    subscribe(db, "s", lanes=2)
    other = connect()
    for move in (
        "select publish_seek('s', 0)",
        "select publish_subscribe('s', 'stdout', lanes => 3)",
    ):
        batch = claim(other, "s")
        db.execute(move.encode())
        with pytest.raises(psycopg.Error) as caught:
            settle(other, batch)
        assert caught.value.sqlstate == "PT409"
    revs = []
    while batch := claim(other, "s", limit=4):
        revs += [row.rev for row in batch]
        settle(other, batch)
    assert sorted(revs) == list(range(1, 31))


@pytest.mark.parametrize("part", ["fresh", "retries"])
@pytest.mark.parametrize("kind", ["rejected", "unsent"])
def test_a_kind_that_was_taken_out_while_a_batch_was_in_flight_is_never_sent_again(
    db: Connection, kind: str, part: str
) -> None:
    """Neither a change that fails for the first time, nor a retry that fails again."""
    for name in ("open", "secret"):
        db.execute("select publish_define(%s)", [name])
        for key in ("1", "2"):
            enqueue(db, name, key, "1")
    drain_all(db)
    subscribe(db, "s", backoff_min="1 us", backoff_max="2 us")
    first = claim(db, "s", limit=3)
    settle(db, first, [failure(row, "rejected") for row in first if row.kind == "secret"])
    batch = claim(db, "s")
    if part == "fresh":
        settle(db, batch)
        batch = claim(db, "s")
    assert [(row.kind, row.part) for row in batch] == [("secret", part)]
    subscribe(db, "s", kinds=["open"])
    assert settle(db, batch, [failure(row, kind) for row in batch]).sent == 0
    assert claim(db, "s") == []
    assert one(db, "select count(*) from publish.parked") == 0


def test_a_lane_change_takes_retries_along(db: Connection) -> None:
    notes(db, 30)
    subscribe(db, "s", lanes=5, backoff_min="1 hour", backoff_max="1 hour")
    while batch := claim(db, "s"):
        settle(db, batch, [failure(row, "rejected") for row in batch])
    db.execute("select publish_subscribe('s', 'stdout', lanes => 2)")
    db.execute("update publish.parked set next_attempt_at = clock_timestamp()")
    revs = []
    while batch := claim(db, "s", limit=7):
        revs += [row.rev for row in batch]
        assert all(row.attempts == 1 for row in batch)
        settle(db, batch)
    assert sorted(revs) == list(range(1, 31))


def test_pause_waits_for_no_delivery_and_nothing_is_claimed_after_it(
    db: Connection, connect: Connect
) -> None:
    notes(db, 5)
    subscribe(db, "s")
    batch = claim(db, "s", limit=2)
    other = connect()
    other.execute("set lock_timeout = '1s'")
    other.execute("select publish_pause('s')")
    assert settle(db, batch).sent == 2
    assert claim(db, "s") == []


@pytest.mark.parametrize(
    "change",
    [
        "publish_pause('s')", "publish_resume('s')", "publish_seek('s', 0)",
        "publish_redrive('s')", "publish_subscribe('s', 'stdout', lanes => 2)",
    ],
)  # fmt: skip
def test_a_lease_is_extended_whoever_leaves_a_transaction_open(
    db: Connection, connect: Connect, change: str
) -> None:
    notes(db, 5)
    subscribe(db, "s")
    batch = claim(db, "s")
    admin = connect(autocommit=False)
    admin.execute(f"select {change}".encode())
    db.execute("set lock_timeout = '1ms'")
    until_ = one(db, "select publish_extend(%s)", batch[0].token)
    if "resume" in change:  # it holds the batch's row, and nobody can claim meanwhile
        assert until_ == batch[0].lease_until
    else:
        assert until_ > batch[0].lease_until
    admin.rollback()
    assert one(db, "select publish_extend(%s)", batch[0].token) > until_


def test_maintenance_trims_what_no_open_transaction_removes(
    db: Connection, connect: Connect
) -> None:
    notes(db, 4)
    for name in ("s", "t"):
        subscribe(db, name)
        for _ in range(2):
            settle(db, claim(db, name, limit=2))
    db.execute("update publish.setting set value = '0' where name = 'delivery_log_rows'")
    db.execute("update publish.batch set claimed_at = '2000-01-01'")
    db.execute("update publish.delivered set at = '2000-01-01'")
    rows: LiteralString = (
        "select array[(select count(*) from publish.batch),"
        " (select count(*) from publish.delivered)]"
    )
    before = one(db, rows)
    admin = connect(autocommit=False)
    admin.execute("select publish_unsubscribe('s')")
    db.execute("set lock_timeout = '1s'")
    db.execute("select publish_maintain()")
    beside = one(db, rows)
    admin.rollback()
    db.execute("select publish_maintain()")
    assert [before, beside, one(db, rows)] == [[6, 4], [4, 3], [2, 2]]


def test_a_lane_that_is_gone_is_extended_for_nobody(db: Connection) -> None:
    notes(db, 30)
    subscribe(db, "s", lanes=2)
    batch = next(b for b in (claim(db, "s"), claim(db, "s")) if b[0].lane == 1)
    subscribe(db, "s", lanes=1)
    for stale in ("select publish_settle(%s)", "select publish_extend(%s)"):
        with pytest.raises(psycopg.Error) as caught:
            db.execute(stale, [batch[0].token])
        assert caught.value.sqlstate == "PT409"


def test_a_410_and_a_seek_do_not_deadlock(db: Connection, connect: Connect) -> None:
    """A 410 writes the subscription, as seek does: both lock it before any lane."""
    notes(db, 30)
    subscribe(db, "s", lanes=2)
    batch = claim(db, "s")
    db.execute(GATE)
    db.execute(
        "create function hold() returns trigger security definer language plpgsql as"
        " $$ begin perform public.gate(7); return null; end $$"
    )
    db.execute("create trigger hold after insert on publish.parked execute function hold()")
    holder, seeker = connect(), connect()
    holder.execute("select pg_advisory_lock(1, 7)")
    settling = begin(settle, db, batch, [failure(batch[0], "gone")])
    until(lambda: waits(holder, pid(db)))  # it has the lane, and will write the subscription
    seeking = begin(seeker.execute, "select publish_seek('s', 0)")
    until(lambda: waits(holder, pid(seeker)))
    holder.execute("select pg_advisory_unlock(1, 7)")
    assert settling.result(PATIENCE).disabled
    seeking.result(PATIENCE)
    assert one(db, "select state from publish_subscriptions()") == "disabled"


def test_repeatable_read_may_not_claim(connect: Connect) -> None:
    conn = connect()
    notes(conn, 1)
    subscribe(conn, "s")
    conn.execute("set default_transaction_isolation to 'repeatable read'")
    with pytest.raises(psycopg.Error) as caught:
        claim(conn, "s")
    assert caught.value.sqlstate == "PT400"


def test_claims_read_the_feed_at_the_head_they_name(db: Connection, connect: Connect) -> None:
    """A drain that commits while a claim runs is seen by the next claim, never skipped."""
    notes(db, 3)
    subscribe(db, "s")
    drainer = connect(autocommit=False)
    enqueue(drainer, "note", "later", '"x"')
    drainer.execute("select publish_drain()")
    first = claim(db, "s")
    drainer.commit()
    assert [row.rev for row in first] == [1, 2, 3]
    settle(db, first)
    assert [row.rev for row in claim(db, "s")] == [4]


def test_a_clock_that_steps_back_loses_no_retry(db: Connection) -> None:
    """What is parked is due no earlier than where the look for retries has come to."""
    notes(db, 2)
    subscribe(db, "s")
    batch = claim(db, "s")
    db.execute(
        "update publish.batch set retry_to = clock_timestamp() + interval '1 h'"
        " where token = %s", [batch[0].token],
    )  # fmt: skip
    settle(db, batch, [failure(row, "unsent") for row in batch])
    db.execute("update publish.parked set next_attempt_at = next_attempt_at - interval '1 h'")
    db.execute("update publish.batch set retry_to = retry_to - interval '1 h'")
    batch = claim(db, "s")
    assert len(batch) == 2

    settle(db, batch, [failure(row, "rejected") for row in batch])
    db.execute("update publish.parked set next_attempt_at = null")
    db.execute("update publish.batch set retry_to = clock_timestamp() + interval '1 h',"
               " fresh_failures = 0, fresh_due_at = null, retries_failures = 0,"
               " retries_due_at = null")  # fmt: skip
    db.execute("select publish_redrive('s')")
    db.execute("update publish.parked set next_attempt_at = next_attempt_at - interval '1 h'")
    db.execute("update publish.batch set retry_to = retry_to - interval '1 h'")
    assert len(claim(db, "s")) == 2


def test_nothing_is_lost_or_reordered_when_many_workers_fail_at_random(
    db: Connection, connect: Connect
) -> None:
    """Four workers on three lanes, each settling with failures or giving up its lease, while the
    feed changes: at the end every key was delivered as it is now, and never an older rev last."""
    chance = random.Random(4)
    notes(db, 50)
    subscribe(db, "s", lanes=3, max_attempts=1000)
    db.execute("update publish.subscription set backoff_min = '1 us', backoff_max = '2 us'")
    workers = [connect() for _ in range(4)]
    last: dict[object, int] = {}
    for round_ in range(400):
        worker = chance.choice(workers)
        batch = claim(worker, "s", limit=chance.choice([1, 3, 20]), worker=str(round_))
        assert len({row.pub_id for row in batch}) == len(batch)
        fails = [row for row in batch if chance.random() < 0.3]
        for row in batch:
            if row not in fails:
                assert row.rev >= last.get(row.pub_id, 0)
                last[row.pub_id] = row.rev
        if batch and chance.random() < 0.2:  # killed between send and settle
            db.execute(
                "update publish.batch set lease_until = clock_timestamp() where token = %s",
                [batch[0].token],
            )
        elif batch:
            kind = chance.choice(["rejected", "endpoint", "unknown", "unsent"])
            settle(worker, batch, [failure(row, kind) for row in fails])
        if chance.random() < 0.3:
            for _ in range(5):
                enqueue(db, "note", str(chance.randint(1, 50)), str(round_))
            drain_all(db)
    while True:
        batch = claim(db, "s")
        if batch:
            settle(db, batch)
            last.update({row.pub_id: row.rev for row in batch})
        elif not db.execute("select * from publish.deliverable()").fetchall():
            break
    now = dict(db.execute("select pub_id, rev from publish.published").fetchall())
    assert last == now
    assert one(db, "select count(*) from publish.parked") == 0


def test_keys_that_are_always_refused_delay_no_other(db: Connection) -> None:
    notes(db, 2)
    subscribe(db, "s", backoff_min="1 hour", backoff_max="1 hour")
    for _ in range(14):
        poison = claim(db, "s")
        assert len(poison) == 2
        settled = settle(db, poison, [failure(row, "rejected") for row in poison])
        assert settled.resume_at is None
        db.execute("update publish.parked set next_attempt_at = clock_timestamp()")
    for n in range(3, 60):
        enqueue(db, "note", str(n), "1")
    drain_all(db)
    fresh = claim(db, "s")  # the parts alternate
    assert len(fresh) == 57
    settle(db, fresh)
    batch = claim(db, "s")
    assert len(batch) == 2
    assert settle(db, batch, [failure(row, "rejected") for row in batch]).dead == 2
    assert claim(db, "s") == []


def test_a_change_the_endpoint_breaks_on_leaves_the_probe_to_others(db: Connection) -> None:
    """One key always gets 500: once others were taken, they do not wait for it at all."""
    notes(db, 1)
    subscribe(db, "s")
    (poison,) = claim(db, "s")
    settle(db, [poison], [failure(poison, "endpoint")])
    for n in range(2, 12):
        enqueue(db, "note", str(n), "1")
        drain_all(db)
        all_due(db)
        (healthy,) = claim(db, "s")
        assert healthy.pub_id != poison.pub_id
        assert settle(db, [healthy]).sent == 1
        all_due(db)
        (again,) = claim(db, "s")
        assert again.pub_id == poison.pub_id
        assert settle(db, [again], [failure(again, "endpoint")]).resume_at is None
    assert circuits(db) == (0, 1)
    assert one(db, "select attempts from publish.parked") == 10


def all_due(conn: Connection) -> None:
    """What failed, and then what was never tried; no part of the lane waits."""
    conn.execute("update publish.parked set next_attempt_at = clock_timestamp()"
                 " where class <> 'unsent' and next_attempt_at is not null")  # fmt: skip
    conn.execute("update publish.parked set next_attempt_at = clock_timestamp()"
                 " where class = 'unsent'")  # fmt: skip
    conn.execute("update publish.batch set fresh_due_at = null, retries_due_at = null")


def circuits(conn: Connection) -> tuple[int, int]:
    """Batches in a row that were answered with nothing: of fresh changes, of retries."""
    row = conn.execute("select fresh_failures, retries_failures from publish.lane_state").fetchone()
    assert row is not None
    return row[0], row[1]


def test_fresh_changes_and_retries_alternate(db: Connection) -> None:
    notes(db, 6)
    subscribe(db, "s")
    first = claim(db, "s", limit=2)
    settle(db, first, [failure(row, "rejected") for row in first])
    parts = []
    for _ in range(4):
        all_due(db)
        batch = claim(db, "s", limit=1)
        parts.append(batch[0].part)
        settle(db, batch)
    assert parts == ["retries", "fresh", "retries", "fresh"]


def test_a_probe_is_of_what_was_never_tried_before_it_is_of_what_failed(db: Connection) -> None:
    notes(db, 6)
    subscribe(db, "s", backoff_min="1 us", backoff_max="2 us")
    batch = claim(db, "s")
    settle(db, batch, [failure(row, "endpoint" if row.rev <= 3 else "unsent") for row in batch])
    tried = []
    for _ in range(6):
        (probe,) = claim(db, "s")
        tried.append(probe.rev)
        settle(db, [probe], [failure(probe, "endpoint")])
    assert tried == [4, 5, 6, 1, 2, 3]
    assert settle(db, claim(db, "s")).sent == 1
    assert len(claim(db, "s")) == 5


def test_retries_that_fail_lengthen_no_wait_of_fresh_changes(db: Connection) -> None:
    notes(db, 3)
    subscribe(db, "s", backoff_min="10 s", backoff_max="1 hour")
    batch = claim(db, "s")
    settle(db, batch, [failure(row, "endpoint") for row in batch])
    assert circuits(db) == (1, 1)
    for number, kind in enumerate(("endpoint", "unknown", "endpoint"), 2):
        all_due(db)
        (probe,) = claim(db, "s")
        settled = settle(db, [probe], [failure(probe, kind)])
        assert circuits(db) == (1, number)
        assert settled.resume_at is None
    enqueue(db, "note", "new", "4")
    drain_all(db)
    all_due(db)
    (probe,) = claim(db, "s")
    assert probe.rev == 4
    settle(db, [probe], [])
    assert circuits(db) == (0, 0)


def test_an_outage_costs_no_attempt_and_ends_soon_after_the_endpoint_is_back(
    db: Connection,
) -> None:
    """The default waits, a thousand times faster, and a claim as often as it can be."""
    notes(db, 40)
    subscribe(db, "s", backoff_min="1 ms", backoff_max="3.6 s")
    db.execute("update publish.subscription set backoff_max = '60 ms'")  # the lane's longest wait
    probes = 0
    for _ in range(600):
        if batch := claim(db, "s"):
            settle(db, batch, [failure(row, "endpoint") for row in batch])
            probes += 1
    assert 5 < probes < 300
    assert db.execute("select count(*), max(attempts) from publish.parked").fetchone() == (40, 0)
    enqueue(db, "note", "new", "4")
    drain_all(db)
    db.execute("update publish.batch set fresh_due_at = clock_timestamp()")
    (probe,) = claim(db, "s")
    assert probe.rev == 41, "what is new does not wait for what failed"
    settle(db, [probe], [])
    assert len(claim(db, "s")) == 40, "and what failed goes on as soon as something is answered"


def test_a_lane_waits_a_minute_at_most_however_long_the_backoff(db: Connection) -> None:
    notes(db, 1)
    subscribe(db, "s", backoff_min="1 hour", backoff_max="1 day")
    batch = claim(db, "s")
    settled = settle(db, batch, [failure(batch[0], "endpoint")])
    assert one(db, "select %s - clock_timestamp() <= interval '1 min'", settled.resume_at)


@pytest.mark.parametrize(
    ("sent", "more", "attempts"),
    [(True, {}, 3), (True, {"retry_after": 0}, 0), (False, {}, 0)],
    ids=["others are sent", "the endpoint asks for time", "nothing is sent"],
)
def test_attempts_count_where_the_endpoint_takes_others(
    db: Connection, sent: bool, more: dict[str, int], attempts: int
) -> None:
    notes(db, 4)
    subscribe(db, "s")
    batch = claim(db, "s", limit=4 if sent else 3)
    settle(db, batch, [failure(row, "endpoint", **more) for row in batch[:3]])
    assert one(db, "select sum(attempts) from publish.parked") == attempts


def test_an_outage_makes_no_dead_letters_of_what_it_fails_together(db: Connection) -> None:
    notes(db, 100)
    subscribe(db, "s", max_attempts=2, backoff_min="1 us", backoff_max="2 us")
    for _ in range(20):
        batch = claim(db, "s", limit=20)
        settle(db, batch, [failure(row, "endpoint") for row in batch])
    assert one(db, "select count(*) from publish_dead_letters('s')") == 0


def test_what_a_worker_never_claimed_it_cannot_fail(db: Connection) -> None:
    notes(db, 3)
    subscribe(db, "s")
    batch = claim(db, "s", limit=2)
    with pytest.raises(psycopg.Error) as caught:
        settle(
            db,
            batch,
            [failure(batch[1], "rejected"), failure(batch[0]._replace(rev=3), "rejected")],
        )
    assert caught.value.sqlstate == "PT400"
    assert str(batch[0].pub_id) in caught.value.diag.message_detail
    settled = settle(db, batch, [failure(batch[1], "rejected")])
    assert (settled.sent, settled.parked) == (1, 1)


def test_settling_retries_that_fail_together_reads_each_a_few_times(db: Connection) -> None:
    """Not each for each: an outage parks thousands that come due together."""
    notes(db, 1000)
    subscribe(db, "s", backoff_min="1 hour", backoff_max="1 hour")
    batch = claim(db, "s", limit=1000)
    settle(db, batch, [failure(row, "rejected") for row in batch])
    db.execute("update publish.parked set next_attempt_at = clock_timestamp()")
    batch = claim(db, "s", limit=2000)
    assert len(batch) == 1000
    with db.transaction():
        settle(db, batch, [failure(row, "rejected") for row in batch])
        read = one(db, "select seq_tup_read + idx_tup_fetch from pg_stat_xact_user_tables"
                       " where relid = 'publish.parked'::regclass")  # fmt: skip
    assert read < 10_000


def test_a_waiting_retry_and_another_kinds_retention_break_no_subscription(db: Connection) -> None:
    notes(db, 2)
    db.execute("select publish_define('event', retention => '1 second')")
    subscribe(db, "s", kinds=["note"], backoff_min="1 hour", backoff_max="2 hours")
    batch = claim(db, "s")
    settle(db, batch, [failure(batch[0], "rejected")])
    db.execute("update publish.parked set next_attempt_at = now() + interval '1 hour'")
    for n in range(3):
        enqueue(db, "event", f"{n}", "1")
        drain_all(db)
        db.execute("update publish.published set updated_at = now() - interval '1 h'"
                   " where kind = 'event'")  # fmt: skip
        assert one(db, "select rows_pruned from publish_maintain()") == 1
    enqueue(db, "note", "new", "3")
    drain_all(db)
    assert [row.rev for row in claim(db, "s")] == [one(db, "select publish_head()")]


def test_a_token_is_not_judged_in_a_snapshot_older_than_the_lane(
    db: Connection, connect: Connect
) -> None:
    notes(db, 1)
    subscribe(db, "s", lease=timedelta(milliseconds=100))
    old = claim(db, "s")
    past = connect()
    past.execute("begin isolation level repeatable read")
    past.execute("select pg_sleep(0.2)")
    settle(db, claim(db, "s"))
    for call in ("publish_settle", "publish_extend"):
        past.execute("savepoint s")
        with pytest.raises(psycopg.Error) as caught:
            past.execute(f"select {call}({old[0].token})".encode())
        assert caught.value.sqlstate == "PT400", call
        past.execute("rollback to s")


def test_a_claim_does_not_wait_for_an_extend_that_is_left_open(
    db: Connection, connect: Connect
) -> None:
    notes(db, 1)
    subscribe(db, "s", lease=timedelta(milliseconds=100))
    claim(db, "s")
    time.sleep(0.15)
    batch = claim(db, "s")
    extending = connect(autocommit=False)
    extending.execute("select publish_extend(%s)", [batch[0].token])
    time.sleep(0.15)  # lost twice, and alone: the change is to blame
    db.execute("set statement_timeout = '5s'")
    assert len(claim(db, "s")) == 1
    extending.rollback()


def test_two_who_make_a_subscription_at_a_time_make_one(db: Connection, connect: Connect) -> None:
    notes(db, 1)
    first, second = connect(autocommit=False), connect()
    first.execute("select publish_subscribe('s', 'stdout')")
    making = begin(second.execute, "select publish_subscribe('s', 'stdout', lanes => 2)")
    until(lambda: waits(db, pid(second)))
    first.commit()
    with pytest.raises(psycopg.Error) as caught:
        making.result(PATIENCE)
    assert caught.value.sqlstate == "PT423"
    second.execute("select publish_subscribe('s', 'stdout', lanes => 2)")
    assert one(db, "select lanes from publish_subscriptions()") == 2


def test_give_up_after_has_a_limit(db: Connection) -> None:
    with pytest.raises(psycopg.Error) as caught:
        subscribe(db, "s", give_up_after=timedelta(days=366_000))
    assert caught.value.sqlstate == "PT400"


def test_a_letter_is_found_again_after_the_clock_stepped_back_during_a_retry(
    db: Connection,
) -> None:
    notes(db, 2)
    subscribe(db, "s", max_attempts=1)
    batch = claim(db, "s")
    settle(db, batch, [failure(batch[0], "rejected")])
    db.execute("update publish.subscription set max_attempts = 5, backoff_min = '1 ms',"
               " backoff_max = '1 ms'")  # fmt: skip
    enqueue(db, "note", "2", '"new"')
    drain_all(db)
    batch = claim(db, "s")
    settle(db, batch, [failure(batch[0], "rejected")])
    until(lambda: (again := claim(db, "s")) and again[0].part == "retries")
    db.execute("update publish.batch set retry_to = now() + interval '1 hour'"
               " where settled_at is null")  # fmt: skip
    db.execute("select publish_redrive('s')")
    assert one(db, "select bool_and(p.next_attempt_at >= b.retry_to) from publish.parked p,"
                   " publish.batch b where b.settled_at is null and p.attempts = 0")  # fmt: skip


def test_resume_puts_no_retry_where_the_clock_has_stepped_back_from(db: Connection) -> None:
    notes(db, 1)
    subscribe(db, "s", backoff_min=timedelta(milliseconds=1), backoff_max=timedelta(milliseconds=1))
    batch = claim(db, "s")
    settle(db, batch, [failure(batch[0], "endpoint")])
    until(lambda: (again := claim(db, "s")) and again[0].part == "retries")
    db.execute("update publish.batch set retry_to = now() + interval '1 hour'"
               " where settled_at is null")  # fmt: skip
    db.execute("update publish.parked set next_attempt_at = now() + interval '2 hours'")
    db.execute("select publish_resume('s')")
    assert one(db, "select p.next_attempt_at = b.retry_to from publish.parked p, publish.batch b"
                   " where b.settled_at is null")  # fmt: skip
