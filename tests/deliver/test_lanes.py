"""Two sessions on one subscription: leases, fencing tokens, locks, and lanes that change."""

import random

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


@pytest.mark.parametrize("kind", ["rejected", "unsent"])
def test_a_kind_that_was_taken_out_while_a_batch_was_in_flight_is_never_sent_again(
    db: Connection, kind: str
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
    assert [(row.kind, row.attempts) for row in batch] == [("secret", 0), ("secret", 1)]
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
    assert one(db, "select status from publish.subscription_state") == "disabled"


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
               " failures = 0, resume_at = null")  # fmt: skip
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
    batch = claim(db, "s")
    assert len(batch) == 59
    assert settle(db, batch, [failure(row, "rejected") for row in batch[-2:]]).dead == 2
    assert claim(db, "s") == []


def test_a_change_the_endpoint_breaks_on_leaves_the_probe_to_others(db: Connection) -> None:
    """One key always gets 500: it costs the others its lane's wait, and not more each time."""
    notes(db, 1)
    subscribe(db, "s")
    for n in range(2, 12):
        (poison,) = claim(db, "s")
        settle(db, [poison], [failure(poison, "endpoint")])
        enqueue(db, "note", str(n), "1")
        drain_all(db)
        db.execute("update publish.parked set next_attempt_at = clock_timestamp()")
        db.execute("update publish.batch set resume_at = null")
        (healthy,) = claim(db, "s")
        assert healthy.pub_id != poison.pub_id
        assert settle(db, [healthy]).sent == 1
    assert one(db, "select failures from publish.lane_state") == 0
    assert one(db, "select attempts from publish.parked") == 10


def all_due(conn: Connection) -> None:
    """What failed, and then what was never tried; the lane's wait is over."""
    conn.execute("update publish.parked set next_attempt_at = clock_timestamp()"
                 " where class <> 'unsent' and next_attempt_at is not null")  # fmt: skip
    conn.execute("update publish.parked set next_attempt_at = clock_timestamp()"
                 " where class = 'unsent'")  # fmt: skip
    conn.execute("update publish.batch set resume_at = null")


def failures(conn: Connection) -> int:
    return one(conn, "select failures from publish.lane_state")


def test_what_failed_before_comes_last_in_a_batch(db: Connection) -> None:
    """An endpoint that is given up on after some failures has then had all the others."""
    notes(db, 4)
    subscribe(db, "s")
    first = claim(db, "s", limit=2)
    settle(db, first, [failure(row, "rejected") for row in first])
    all_due(db)
    assert [row.rev for row in claim(db, "s")] == [3, 4, 1, 2]


def test_a_probe_is_of_what_was_never_tried_before_it_is_of_what_failed(db: Connection) -> None:
    notes(db, 6)
    subscribe(db, "s")
    batch = claim(db, "s")
    settle(db, batch, [failure(row, "endpoint" if row.rev <= 3 else "unsent") for row in batch])
    tried = []
    for _ in range(6):
        all_due(db)
        (probe,) = claim(db, "s")
        tried.append(probe.rev)
        settle(db, [probe], [failure(probe, "endpoint")])
    assert tried[:3] == [4, 5, 6]
    assert set(tried[3:]) <= {1, 2, 3}
    all_due(db)
    assert settle(db, claim(db, "s")).sent == 1
    all_due(db)
    assert len(claim(db, "s")) == 5


def test_what_fails_again_lengthens_no_wait_of_the_lane(db: Connection) -> None:
    notes(db, 3)
    subscribe(db, "s", backoff_min="10 s", backoff_max="1 hour")
    batch = claim(db, "s")
    settle(db, batch, [failure(row, "endpoint") for row in batch])
    assert failures(db) == 1
    for number, kind in enumerate(("endpoint", "unknown", "endpoint"), 2):
        all_due(db)
        (probe,) = claim(db, "s")
        settled = settle(db, [probe], [failure(probe, kind)])
        assert failures(db) == number
        assert one(db, "select %s <= clock_timestamp() + interval '10 s'", settled.resume_at)
    enqueue(db, "note", "new", "4")
    drain_all(db)
    all_due(db)
    (probe,) = claim(db, "s")
    assert probe.rev == 4
    settle(db, [probe], [])
    assert failures(db) == 0


def test_an_outage_in_which_nothing_new_comes_costs_each_change_few_attempts(
    db: Connection,
) -> None:
    """The default waits, a thousand times faster, and a claim as often as it can be."""
    notes(db, 40)
    subscribe(db, "s", backoff_min="1 ms", backoff_max="3.6 s")
    probes = 0
    for _ in range(600):
        if batch := claim(db, "s"):
            settle(db, batch, [failure(row, "endpoint") for row in batch])
            probes += 1
    assert 5 < probes < 60
    dead = "select count(*), max(attempts) from publish.parked where next_attempt_at is null"
    assert db.execute(dead).fetchone() == (0, None)
    enqueue(db, "note", "new", "4")
    drain_all(db)
    db.execute("update publish.batch set resume_at = clock_timestamp()")
    (probe,) = claim(db, "s")
    assert probe.rev == 41, "what is new does not wait for what failed"
    settle(db, [probe], [])
    db.execute("select publish_resume('s')")
    assert len(claim(db, "s")) == 40


def test_what_fails_again_while_others_are_sent_makes_no_lane_wait(db: Connection) -> None:
    notes(db, 2)
    subscribe(db, "s")
    (poison, other) = claim(db, "s")
    settle(db, [poison, other], [failure(poison, "endpoint")])
    assert failures(db) == 1
    enqueue(db, "note", "2", '"again"')
    drain_all(db)
    db.execute("select publish_resume('s')")
    all_due(db)
    batch = claim(db, "s")
    assert [row.pub_id for row in batch] == [other.pub_id, poison.pub_id]
    assert settle(db, batch, [failure(batch[1], "endpoint")]).resume_at is None
    assert failures(db) == 0
    all_due(db)
    batch = claim(db, "s")
    settle(db, batch, [failure(batch[0], "endpoint", retry_after=300)])  # it asks for time
    assert failures(db) == 1


@pytest.mark.parametrize(
    ("sent", "more", "attempts"),
    [(True, {}, 3), (True, {"retry_after": 0}, 1), (False, {}, 1)],
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
    subscribe(db, "s", max_attempts=2)
    for _ in range(10):
        batch = claim(db, "s", limit=20)
        settle(db, batch, [failure(row, "endpoint") for row in batch])
        db.execute("update publish.parked set next_attempt_at = clock_timestamp()"
                   " where next_attempt_at is not null")  # fmt: skip
        db.execute("update publish.batch set resume_at = null, failures = 0")
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
