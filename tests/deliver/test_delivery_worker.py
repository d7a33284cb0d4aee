"""The worker against real endpoints: nothing lost, nothing else delayed, and a person sees why."""

from __future__ import annotations

import json
import math
import os
import random
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from threading import Event, Thread, current_thread
from typing import Any, LiteralString

import psycopg
import pytest
import receiver
from conftest import Connect, Connection
from delivery import claim, failure, notes, settle, subscribe
from helpers import PATIENCE, begin, drain_all, enqueue, one, running_cluster, until
from psycopg.pq import TransactionStatus
from psycopg.rows import dict_row, namedtuple_row
from receiver import Receiver, Request, receiving

from pgpublish import database, deliver, sinks
from pgpublish.deliver import pacing
from pgpublish.embedded import Cluster
from pgpublish.errors import NotDefined
from pgpublish.migrate import migrate

QUICK = {"backoff_min": "1 ms", "backoff_max": "20 ms"}


def hook(conn: Connection, endpoint: Receiver, name: str = "s", **settings: Any) -> None:
    options = {"url": endpoint.url, "allow_private": True} | settings.pop("options", {})
    subscribe(conn, name, "webhook", options=options, **(QUICK | settings))


@contextmanager
def working(url: str, **options: Any) -> Iterator[tuple[list[deliver.Delivered], list[str]]]:
    """A worker in this process, with what it reports and warns of."""
    stop = Event()
    reports: list[deliver.Delivered] = []
    warnings: list[str] = []

    def run() -> None:
        deliver.run(lambda: database.connect(url), stop, report=reports.append,
                    warn=warnings.append, **{"threads": 2} | options)  # fmt: skip

    thread = Thread(target=run, daemon=True)
    thread.start()
    try:
        yield reports, warnings
    finally:
        stop.set()
        thread.join(PATIENCE)
        assert not thread.is_alive()


def delivered(endpoint: Receiver) -> dict[str, str]:
    """pub_id → rev of the last request of each key."""
    return {r.event["subject"]: r.event["sequence"][-19:] for r in endpoint.requests}


def feed(conn: Connection) -> dict[str, str]:
    rows = conn.execute("select pub_id::text, lpad(rev::text, 19, '0') from publish.published")
    return dict(rows.fetchall())


def failing(conn: Connection) -> bool:
    return one(
        conn,
        "select count(*) > 0 from publish_subscriptions()"
        " where name = 'bad' and state = 'endpoint failing'",
    )


def settled(conn: Connection) -> bool:
    return one(
        conn,
        "select bool_and(cursor = head and retries = 0 and workers is null)"
        " from publish_subscriptions()",
    )


def test_changes_arrive_as_they_are_drained(db: Connection, url: str) -> None:
    notes(db, 3)
    with receiving() as endpoint:
        hook(db, endpoint)
        with working(url) as (reports, _):
            endpoint.wait(lambda e: len(e.requests) == 3)
            for n in range(4, 10):
                enqueue(db, "note", str(n), str(n))
                drain_all(db)
                endpoint.wait(lambda e, n=n: len(e.requests) == n)
            until(lambda: settled(db))
    assert [r.data for r in endpoint.requests[3:]] == list(range(4, 10))
    assert sum(r.sent for r in reports) == 9
    assert reports[0].subscription == "s"
    assert (reports[-1].first_rev, reports[-1].last_rev, reports[-1].failed) == (9, 9, 0)


def test_one_poison_message_in_10000_delays_no_other(db: Connection, url: str) -> None:
    notes(db, 10_000)
    with receiving(lambda request: 422 if request.data == 5000 else 200) as endpoint:
        hook(db, endpoint, max_attempts=3)
        with working(url):
            until(lambda: one(db, "select dead from publish_subscriptions()") == 1, 60)
            until(lambda: settled(db))
    poison = [r for r in endpoint.requests if r.data == 5000]
    assert len(poison) == 3
    assert len(endpoint.requests) == 10_002
    assert len({r.data for r in endpoint.requests}) == 10_000
    with db.cursor(row_factory=dict_row) as cursor:
        (letter,) = cursor.execute("select * from publish_dead_letters()").fetchall()
    assert (letter["rev"], letter["class"], letter["attempts"]) == (5000, "rejected", 3)
    assert "422" in letter["message"]


def test_many_changes_the_endpoint_always_breaks_on_delay_no_other(
    db: Connection, url: str
) -> None:
    """More of them than may fail in a row before an endpoint is given up on."""
    notes(db, 600)
    with receiving(lambda request: 500 if request.data % 20 == 0 else 200) as endpoint:
        hook(db, endpoint, max_attempts=4, backoff_min="1 ms", backoff_max="20 ms",
             give_up_after="1 s")  # fmt: skip
        with working(url):
            until(lambda: one(db, "select dead from publish_subscriptions()") == 30)
            until(lambda: settled(db))
    assert delivered(endpoint) == feed(db)
    asked = Counter(r.data for r in endpoint.requests)
    assert all(asked[n] == 1 for n in range(1, 601) if n % 20)


def test_a_redriven_dead_letter_is_sent(db: Connection, url: str) -> None:
    notes(db, 3)
    answers = {"status": 422}
    with receiving(lambda request: answers["status"] if request.data == 2 else 200) as endpoint:
        hook(db, endpoint, max_attempts=2)
        with working(url):
            until(lambda: one(db, "select dead from publish_subscriptions()") == 1)
            answers["status"] = 200
            db.execute("select publish_redrive('s')")
            until(lambda: settled(db))
    assert one(db, "select dead from publish_subscriptions()") == 0
    assert [r.data for r in endpoint.requests].count(2) == 3


def test_an_endpoint_that_fails_at_random_gets_everything(db: Connection, url: str) -> None:
    chance = random.Random(7)
    faults = [500, 503, 422, 301, 200, 200, 200, receiver.reset, receiver.garbage]
    notes(db, 200)
    with receiving(lambda request: chance.choice(faults)) as endpoint:
        hook(db, endpoint, max_attempts=1000, lanes=2)
        with working(url):
            for round_ in range(20):
                for _ in range(20):
                    enqueue(db, "note", str(chance.randint(1, 250)), str(round_))
                drain_all(db)
            faults[:] = [200]
            until(lambda: settled(db))
    assert delivered(endpoint) == feed(db)


def test_an_endpoint_that_comes_back_gets_everything_once(db: Connection, url: str) -> None:
    notes(db, 300)
    up = Event()
    with receiving(lambda request: 200 if up.is_set() else 503) as endpoint:
        hook(db, endpoint)
        with working(url):
            endpoint.wait(lambda e: len(e.requests) > 20)
            assert one(db, "select fresh_failures > 0 from publish.lane_state")
            up.set()
            until(lambda: settled(db))
    assert one(db, "select dead from publish_subscriptions()") == 0
    taken = endpoint.requests[-300:]
    assert {r.data for r in taken} == set(range(1, 301))


def test_a_failing_subscription_delays_no_other(db: Connection, url: str) -> None:
    notes(db, 50)
    with receiving(lambda request: receiver.silent) as bad, receiving() as good:
        hook(db, bad, "bad", options={"timeout": 0.3})
        hook(db, good, "good")
        with working(url):
            good.wait(lambda e: len(e.requests) == 50)
            until(lambda: failing(db))


def test_slow_endpoints_never_hold_every_thread(
    db: Connection, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two that are known to be slow hang; two threads are left with one for who is not."""
    monkeypatch.setattr(pacing, "SLOW_S", 0.2)
    notes(db, 1)
    answered = Event()

    def slow(handler: receiver.Handler) -> None:
        if one_batch_each():
            answered.wait(PATIENCE)
        Event().wait(0.3)
        handler.wfile.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")

    def one_batch_each() -> bool:
        with psycopg.connect(url) as conn:
            return one(conn, "select count(*) = 2 from publish.recent_batch b"
                             " where b.settled_at is not null")  # fmt: skip

    with receiving(lambda request: slow) as bad, receiving() as good:
        for name in ("slow 1", "slow 2"):
            hook(db, bad, name, options={"timeout": 60})
        with working(url, threads=2):
            until(one_batch_each)
            enqueue(db, "note", "2", "2")
            drain_all(db)
            bad.wait(lambda e: len(e.requests) == 3)
            hook(db, good, "good")
            good.wait(lambda e: len(e.requests) == 2)
            assert len(bad.requests) == 3
            answered.set()
            until(lambda: settled(db))


def test_a_transaction_left_open_on_one_subscription_stops_no_other(
    db: Connection, url: str, connect: Connect
) -> None:
    notes(db, 1)
    answered = Event()

    def hang(handler: receiver.Handler) -> None:
        answered.wait(PATIENCE)
        handler.wfile.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")

    extended: LiteralString = (
        "select count(*) = 1 from publish.batch b"
        " where b.settled_at is null and b.lease_until > b.claimed_at + interval '1.2 s'"
    )
    admin = connect(autocommit=False)
    with receiving(lambda request: hang) as bad, receiving() as good:
        hook(db, bad, "bad", lease="1 s", options={"timeout": 2 * PATIENCE})
        with working(url):
            bad.wait(lambda e: e.requests)
            admin.execute("select publish_pause('bad')")
            until(lambda: one(db, extended))
            hook(db, good, "good")
            good.wait(lambda e: e.requests)
            admin.rollback()
            answered.set()
            until(lambda: settled(db))
    assert len(bad.requests) == 1


def test_a_batch_that_cannot_be_settled_holds_its_thread_no_longer_than_a_lease(
    db: Connection, url: str, connect: Connect
) -> None:
    notes(db, 1)
    admin = connect(autocommit=False)

    def lock(request: Request) -> int:
        if admin.info.transaction_status == TransactionStatus.IDLE:
            admin.execute("select publish_pause('stuck')")
        return 200

    with receiving(lock) as stuck, receiving() as good:
        hook(db, stuck, "stuck", lease="300 ms")
        with working(url, threads=1):
            stuck.wait(lambda e: e.requests)
            hook(db, good, "good")
            good.wait(lambda e: e.requests)
            assert admin.info.transaction_status == TransactionStatus.INTRANS
            admin.rollback()
            admin.close()
            until(lambda: settled(db))


def test_a_lane_that_was_locked_makes_no_batch_smaller(
    db: Connection, url: str, connect: Connect
) -> None:
    notes(db, 1)
    admin = connect(autocommit=False)
    waiting: LiteralString = "select exists (select from pg_locks l where not l.granted)"

    def lock(request: Request) -> int:
        if admin.info.transaction_status == TransactionStatus.IDLE:
            admin.execute("select publish_pause('s')")
        return 200

    with receiving(lock) as endpoint:
        hook(db, endpoint)
        with working(url, threads=1):
            until(lambda: one(db, waiting))
            until(lambda: not one(db, waiting))
            admin.rollback()
            admin.close()
            until(lambda: settled(db))
            notes(db, 50)
            until(lambda: settled(db))
    assert one(db, "select max(claimed) from publish.recent_batch") >= 40


def test_gone_disables_and_resume_goes_on(db: Connection, url: str) -> None:
    notes(db, 5)
    answers = {"status": 410}
    with receiving(lambda request: answers["status"]) as endpoint:
        hook(db, endpoint)
        with working(url):
            until(lambda: one(db, "select state = 'disabled' from publish_subscriptions()"))
            assert "410" in one(db, "select reason from publish_subscriptions()")
            answers["status"] = 200
            db.execute("select publish_resume('s')")
            until(lambda: settled(db))
    assert delivered(endpoint) == feed(db)


def test_retry_after_is_obeyed(db: Connection, url: str) -> None:
    notes(db, 5)
    with receiving(lambda request: (429, {"retry-after": "300"})) as endpoint:
        hook(db, endpoint, options={"concurrency": 1})
        with working(url):
            until(lambda: one(
                db, "select fresh_due_at > clock_timestamp() + interval '290 s'"
                " from publish.lane_state"))  # fmt: skip
    assert len(endpoint.requests) == 1


def test_a_long_batch_keeps_its_lease(db: Connection, url: str) -> None:
    """The lease is much shorter than the sending: it is extended meanwhile."""
    notes(db, 10)
    go_on = Event()

    def slow(handler: receiver.Handler) -> None:
        go_on.wait(PATIENCE)
        handler.wfile.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")

    with receiving(lambda request: slow) as endpoint:
        hook(db, endpoint, lease="600 ms")
        with working(url) as (_, warnings):
            endpoint.wait(lambda e: len(e.requests) == 10)
            claimed_at = one(db, "select claimed_at from publish.recent_batch")
            until(lambda: one(db, "select lease_until > %s + interval '1500 ms'"
                              " from publish.lane_state", claimed_at))  # fmt: skip
            assert claim(db, "s") == []
            go_on.set()
            until(lambda: settled(db))
    assert len(endpoint.requests) == 10
    assert warnings == []


def test_a_worker_whose_lease_was_taken_settles_nothing(db: Connection, url: str) -> None:
    notes(db, 4)
    go_on = Event()

    def slow(handler: receiver.Handler) -> None:
        go_on.wait(PATIENCE)
        handler.wfile.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")

    with receiving(lambda request: slow) as endpoint:
        hook(db, endpoint, lease="1 h")
        with working(url) as (reports, warnings):
            endpoint.wait(lambda e: len(e.requests) == 4)
            db.execute("update publish.batch set lease_until = clock_timestamp()")
            batch = claim(db, "s", worker="other")
            go_on.set()
            until(lambda: warnings)
            assert settle(db, batch).sent == 4
    assert "another worker" in warnings[0]
    assert reports == []


def test_a_subscription_below_the_floor_says_so_and_the_others_go_on(
    db: Connection, url: str
) -> None:
    notes(db, 3)
    with receiving() as endpoint:
        hook(db, endpoint, "old")
        with working(url):
            endpoint.wait(lambda e: len(e.requests) == 3)
            until(lambda: settled(db))
        enqueue(db, "note", "1", deleted=True)
        drain_all(db)
        db.execute("select publish_pause('old')")
        enqueue(db, "note", "2", '"x"')
        drain_all(db)
        db.execute("select publish_set('tombstone_retention', '0')")
        db.execute("select publish_set('hold_limit', '0')")
        db.execute("select publish_maintain()")
        db.execute("select publish_resume('old')")
        hook(db, endpoint, "new", options={"source": "/new"})
        with working(url) as (_, warnings):
            until(lambda: warnings)
            endpoint.wait(lambda e: sum(r.event["source"] == "/new" for r in e.requests) == 2)
            assert "publish_resync('old')" in warnings[0]
        db.execute("select publish_seek('old', 0)")
        with working(url):
            until(lambda: settled(db))
    assert sorted(r.event["source"] == "/new" for r in endpoint.requests).count(False) == 5


def test_what_cannot_be_made_rests_and_nothing_is_claimed(
    db: Connection, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PGPUBLISH_SECRET_KEY", raising=False)
    notes(db, 1)
    with receiving() as endpoint:
        hook(db, endpoint, options={"secrets": ["env:PGPUBLISH_SECRET_KEY"]})
        with working(url) as (_, warnings):
            until(lambda: warnings)
        assert "PGPUBLISH_SECRET_KEY" in warnings[0]
        assert one(db, "select count(*) from publish.recent_batch") == 0
        monkeypatch.setenv("PGPUBLISH_SECRET_KEY", "c2VjcmV0LW9mLTIwLWJ5dGVz")
        with working(url):
            until(lambda: settled(db))
    assert "webhook-signature" in endpoint.requests[0].headers


def test_a_sink_that_cannot_be_made_says_why(db: Connection, url: str) -> None:
    notes(db, 1)
    with receiving() as endpoint:
        hook(db, endpoint, options={"ca": "/nowhere.pem"})
        with working(url) as (_, warnings):
            until(lambda: warnings)
    assert "Option ca" in warnings[0]


def test_a_thread_that_breaks_ends_the_worker_loudly(db: Connection, url: str) -> None:
    notes(db, 1)

    def report(delivered: deliver.Delivered) -> None:
        raise RuntimeError("nobody reads this log")

    with receiving() as endpoint:
        hook(db, endpoint)
        with pytest.raises(RuntimeError, match="nobody reads"):
            deliver.run(lambda: database.connect(url), Event(), report=report)


def test_no_secret_is_stored_logged_or_reported(
    db: Connection, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even when the endpoint sends it back."""
    monkeypatch.setenv("PGPUBLISH_SECRET_TOKEN", "very-secret-token")
    notes(db, 1)

    def echo(handler: receiver.Handler) -> None:
        text = handler.headers["authorization"].encode()
        handler.wfile.write(b"HTTP/1.1 422 x\r\ncontent-length: %d\r\n\r\n" % len(text) + text)

    with receiving(lambda request: echo) as endpoint:
        hook(
            db,
            endpoint,
            options={"headers": {"authorization": "env:PGPUBLISH_SECRET_TOKEN"}},
            max_attempts=1,
        )
        with working(url) as (reports, warnings):
            until(lambda: one(db, "select dead from publish_subscriptions()") == 1)
            until(lambda: reports)
    assert endpoint.requests[0].headers["authorization"] == "very-secret-token"
    shown = db.execute("select string_agg(k::text, '') from publish.parked k").fetchone()[0]
    shown += db.execute("select string_agg(s::text, '') from publish.subscription s").fetchone()[0]
    assert "***" in shown
    assert "very-secret" not in f"{shown} {reports} {warnings}"


def test_a_reader_of_the_state_learns_nothing_of_a_secret_url(
    db: Connection, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the answer is so long that the cut falls inside of what it quotes."""
    notes(db, 1)

    def echo(handler: receiver.Handler) -> None:
        text = b"x" * 485 + f" no hook at {handler.path}".encode() * 9
        handler.wfile.write(b"HTTP/1.1 410 x\r\ncontent-length: %d\r\n\r\n" % len(text) + text)

    with receiving(lambda request: echo) as endpoint:
        secret = "/services/T0AB/tok-9f8e7d6c"
        monkeypatch.setenv("PGPUBLISH_SECRET_HOOK", endpoint.url.replace("/hook", secret))
        hook(db, endpoint, options={"url": "env:PGPUBLISH_SECRET_HOOK"})
        with working(url) as (reports, _):
            until(lambda: reports)
    assert endpoint.requests[0].path == secret
    db.execute("set role publish_reader")
    reason = one(db, "select reason from publish_subscriptions() where state = 'disabled'")
    for said in (reason, reports[0].reason):
        assert said.startswith("HTTP 410: xxx")
        assert not any(part in said for part in ("serv", "T0AB", "tok", "9f8e"))


def test_once_ends_when_nothing_is_ready(db: Connection, url: str) -> None:
    notes(db, 30)
    with receiving() as endpoint:
        hook(db, endpoint)
        deliver.run(lambda: database.connect(url), Event(), once=True, batch=7)
    assert len(endpoint.requests) == 30
    assert settled(db)


def test_only_named_subscriptions_are_delivered(db: Connection, url: str) -> None:
    notes(db, 2)
    with receiving() as one_, receiving() as other:
        hook(db, one_, "one")
        hook(db, other, "other")
        deliver.run(lambda: database.connect(url), Event(), once=True, names=["one"])
        assert (len(one_.requests), len(other.requests)) == (2, 0)
    with pytest.raises(NotDefined):
        deliver.run(lambda: database.connect(url), Event(), once=True, names=["nope"])


# --- processes that die


@pytest.fixture
def worker(url: str) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: str, url: str = url) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "pgpublish", "--database-url", url, *arguments],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env=os.environ | {"PYTHONUNBUFFERED": "1"},
        )  # fmt: skip
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_a_worker_killed_between_send_and_settle_loses_nothing(
    db: Connection, worker: Callable[..., subprocess.Popen[str]], url: str
) -> None:
    notes(db, 6)
    hang = Event()

    def answer(request: Request) -> receiver.Answer:
        return (lambda handler: hang.wait(PATIENCE) and None) if request.data == 6 else 200

    with receiving(answer) as endpoint:
        hook(db, endpoint, lease="1 h", options={"concurrency": 1})
        process = worker("deliver")
        endpoint.wait(lambda e: len(e.requests) == 6)  # five were taken, none is settled
        process.kill()
        process.wait(PATIENCE)
        hang.set()
        endpoint.answer = lambda request: 200
        assert one(db, "select cursor from publish.lane_state") == 0
        assert one(db, "select worker is not null from publish.lane_state")
        db.execute("update publish.batch set lease_until = clock_timestamp()")  # time goes by
        with working(url):
            until(lambda: settled(db))
    assert [r.data for r in endpoint.requests] == [1, 2, 3, 4, 5, 6, 1, 2, 3, 4, 5, 6]
    ids = [r.event["id"] for r in endpoint.requests]
    assert ids[:6] == ids[6:]  # so that a consumer can tell


def expire(conn: Connection) -> None:
    """Time goes by: what is leased to a dead worker is free."""
    conn.execute("update publish.batch set lease_until = clock_timestamp()")


def test_a_change_that_kills_its_workers_is_set_aside_and_its_neighbours_are_delivered(
    db: Connection, worker: Callable[..., subprocess.Popen[str]]
) -> None:
    notes(db, 20)
    dying: list[subprocess.Popen[str]] = []

    def answer(request: Request) -> receiver.Answer:
        if request.data == 7:
            dying[-1].kill()
            return receiver.silent
        return 200

    with receiving(answer) as endpoint:
        hook(db, endpoint, lease="1 h", options={"concurrency": 1}, backoff_min="1 h",
             backoff_max="2 h")  # fmt: skip
        while (
            not dying
            or dying[-1].wait(PATIENCE) == -signal.SIGKILL
            or not one(db, "select behind = 0 from publish_subscriptions()")
        ):
            assert len(dying) < 15
            expire(db)
            dying.append(worker("deliver", "--once"))
        assert dying[-1].returncode == 7
    assert {r.data for r in endpoint.requests} == set(range(1, 21))
    assert one(db, "select behind = 0 and retries = 1 from publish_subscriptions()")
    parked = db.execute("select rev, attempts, class as reason from publish.parked").fetchall()
    assert parked == [(7, 1, "lost")]


def test_a_change_that_was_lost_once_is_not_to_blame(db: Connection) -> None:
    """Also where maintenance has left nothing of what was before."""
    notes(db, 1)
    subscribe(db, "s", max_attempts=1)
    for _ in range(2):
        (lost,) = claim(db, "s")
        db.execute("delete from publish.batch where token <> %s", [lost.token])
        expire(db)
    (again,) = claim(db, "s")
    assert (again.rev, again.attempts) == (1, 0)
    assert one(db, "select count(*) from publish.parked") == 0


def test_a_newer_change_of_a_dead_letter_that_is_lost_is_blamed_once(db: Connection) -> None:
    notes(db, 1)
    subscribe(db, "s", max_attempts=1)
    batch = claim(db, "s")
    settle(db, batch, [failure(batch[0], "rejected")])
    db.execute("select publish_enqueue('note', '1', '\"again\"')")
    drain_all(db)
    for _ in range(2):
        assert len(claim(db, "s")) == 1
        expire(db)
    assert claim(db, "s") == []
    assert db.execute("select rev, attempts, class as reason from publish.parked").fetchall() == [
        (2, 2, "lost")
    ]


@pytest.mark.parametrize("retried", [False, True], ids=["fresh", "retries"])
def test_no_number_of_lost_batches_holds_up_the_rest(db: Connection, retried: bool) -> None:
    """Also where both parts of the lane have something to send."""
    notes(db, 40)
    subscribe(db, "s", max_attempts=3, backoff_min="1 ms", backoff_max="1 ms")
    if retried:
        batch = claim(db, "s")
        settle(db, batch, [failure(row, "rejected") for row in batch])
        db.execute("select publish_enqueue('note', n::text, '0')"
                   " from generate_series(1, 40) n where n <> 13")  # fmt: skip
        drain_all(db)
    deaths = 0
    for _ in range(100):
        db.execute(
            "update publish.parked set next_attempt_at = clock_timestamp()"
            " where next_attempt_at is not null"
        )
        batch = claim(db, "s")
        if any(row.rev == 13 for row in batch):
            deaths += 1
            expire(db)
        elif batch:
            settle(db, batch)
    assert one(db, "select behind = 0 and retries = 0 and dead = 1 from publish_subscriptions()")
    assert deaths < 40  # three attempts, and for each it is looked for by halves


def test_sigterm_finishes_what_is_in_flight_and_hands_back_the_rest(
    db: Connection, worker: Callable[..., subprocess.Popen[str]], url: str
) -> None:
    notes(db, 100)
    process: subprocess.Popen[str] | None = None
    stopped = Event()

    def answer(request: Request) -> int:
        if request.data == 10 and process is not None:
            process.send_signal(signal.SIGTERM)
            stopped.wait(0.5)
        return 200

    with receiving(answer) as endpoint:
        hook(db, endpoint, lease="1 h", options={"concurrency": 1})
        process = worker("deliver", "--json")
        _, errors = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0, errors
        count = len(endpoint.requests)
        assert 10 <= count < 100
        report = json.loads(errors.splitlines()[0])
        assert (report["sent"], report["failed"]) == (count, 100 - count)
        assert one(db, "select worker is null from publish.lane_state")  # nobody has to wait
        process = None
        with working(url):
            until(lambda: settled(db))
    assert len(endpoint.requests) == 100
    assert one(db, "select count(*) from publish.parked") == 0


def test_a_lost_connection_is_opened_again_and_the_batch_settled(db: Connection, url: str) -> None:
    notes(db, 5)

    def answer(request: Request) -> int:
        if request.data == 5 and len(endpoint.requests) == 5:
            db.execute(
                "select pg_terminate_backend(a.pid) from pg_stat_activity a"
                " where a.application_name = 'pgpublish' and a.datname = current_database()"
            )
        return 200

    with receiving(answer) as endpoint:
        hook(db, endpoint, options={"concurrency": 1})
        with working(url):
            until(lambda: settled(db))
            enqueue(db, "note", "6", "6")
            drain_all(db)
            endpoint.wait(lambda e: len(e.requests) >= 6)
            until(lambda: settled(db))
    assert [r.data for r in endpoint.requests] == [1, 2, 3, 4, 5, 6]


def test_a_connection_lost_while_a_thread_opens_it_is_opened_again(
    db: Connection, url: str
) -> None:
    notes(db, 3)
    cut = Event()
    warnings: list[str] = []
    stop = Event()

    def connect() -> database.Connection:
        conn = database.connect(url)
        if current_thread() is not runner and not cut.is_set():
            cut.set()
            db.execute("select pg_terminate_backend(%s, 10000)", [conn.info.backend_pid])
        return conn

    with receiving() as endpoint:
        hook(db, endpoint)
        runner = Thread(target=deliver.run, args=(connect, stop), daemon=True,
                        kwargs={"threads": 2, "warn": warnings.append})  # fmt: skip
        runner.start()
        try:
            endpoint.wait(lambda e: len(e.requests) == 3)
        finally:
            stop.set()
            runner.join(PATIENCE)
    assert cut.is_set()
    assert len(warnings) == 1


def test_a_database_error_that_breaks_a_thread_is_no_lost_connection(
    db: Connection, url: str
) -> None:
    notes(db, 1)
    stop = Event()

    def report(delivered: deliver.Delivered) -> None:
        raise psycopg.OperationalError("of a database that keeps the reports")

    with receiving() as endpoint:
        hook(db, endpoint)
        running = begin(partial(deliver.run, report=report), lambda: database.connect(url), stop)
        try:
            with pytest.raises(psycopg.OperationalError, match="keeps the reports"):
                running.result(PATIENCE)
        finally:
            stop.set()


class Waits(Event):
    """Remembers how long it was to be waited for, and waits less."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.asked.append(timeout or 0.0)
        return super().wait(0.001)


def test_a_server_that_ends_each_session_is_asked_less_and_less(db: Connection, url: str) -> None:
    db.execute(
        "create or replace function publish.deliverable(names text[] default null)"
        " returns table (name text, ready int, wait_s float8) language plpgsql"
        " as $$ begin perform pg_terminate_backend(pg_backend_pid()); end $$"
    )
    stop = Waits()
    running = begin(deliver.run, lambda: database.connect(url), stop)
    until(lambda: len(stop.asked) >= 6)
    stop.set()
    running.result(PATIENCE)
    assert stop.asked[:5] == [0.1, 0.2, 0.4, 0.8, 1.6]


def test_a_server_restart_in_the_middle_loses_nothing(server_kind: str) -> None:
    with running_cluster(server_kind) as cluster:
        check_server_restart(cluster)


def check_server_restart(cluster: Cluster) -> None:
    def open_session() -> Any:
        return psycopg.connect(cluster.url(), autocommit=True, row_factory=namedtuple_row)

    with open_session() as conn:
        migrate(conn)
        notes(conn, 400)
    seen = Event()

    def answer(request: Request) -> int:
        if request.data == 150:
            seen.set()
        return 200

    with receiving(answer) as endpoint:
        with open_session() as conn:
            hook(conn, endpoint, options={"concurrency": 2}, lease="1 s")
        with working(cluster.url(), batch=50):
            assert seen.wait(PATIENCE)
            cluster.stop(signal.SIGQUIT)
            cluster.start()
            with open_session() as conn:
                until(lambda: settled(conn))
                assert delivered(endpoint) == feed(conn)


def test_two_workers_share_the_lanes_and_send_each_change_once(
    db: Connection, url: str, connect: Connect
) -> None:
    notes(db, 300)
    with receiving() as endpoint:
        hook(db, endpoint, lanes=4)
        with working(url, batch=10), working(url, batch=10):
            endpoint.wait(lambda e: len(e.requests) == 300)
            until(lambda: settled(db))
    assert sorted(r.data for r in endpoint.requests) == list(range(1, 301))


def test_lanes_may_change_while_workers_run(db: Connection, url: str) -> None:
    notes(db, 400)
    with receiving() as endpoint:
        hook(db, endpoint)
        with working(url, batch=10) as (_, warnings):
            for lanes in (4, 2, 7, 1):
                seen = len(endpoint.requests)
                endpoint.wait(lambda e, seen=seen: len(e.requests) > seen or settled(db))
                hook(db, endpoint, lanes=lanes)
                enqueue(db, "note", str(lanes), '"again"')
                drain_all(db)
            until(lambda: settled(db))
    assert delivered(endpoint) == feed(db)
    assert all("another worker" in warning for warning in warnings)


@pytest.mark.parametrize(
    ("status", "header", "value"),
    [
        (503, "Retry-After", "9" * 400),
        (503, "Retry-After", f"Mon, {'9' * 20} Jan 2026 00:00:00 GMT"),
        (503, "Retry-After", f"Mon, 05 Jan 2026 00:00:00 +{'9' * 20}"),
        (302, "Location", "http://a/\x80"),
    ],
)
def test_a_hostile_header_costs_no_other_change_its_delivery(
    db: Connection, url: str, status: int, header: str, value: str
) -> None:
    notes(db, 5)
    with receiving(lambda r: (status, {header: value}) if r.data == 3 else 200) as endpoint:
        hook(db, endpoint, max_attempts=2, backoff_min="1 hour", backoff_max="2 hours")
        with working(url):
            until(lambda: one(db, "select retries from publish_subscriptions()") == 1)
    assert one(db, "select cursor from publish.lane_state") == 5
    assert len({r.data for r in endpoint.requests}) == len(endpoint.requests) == 5


def test_an_odd_report_of_a_sink_is_settled_as_unknown(db: Connection) -> None:
    notes(db, 2)
    subscribe(db, "s")
    first, second = claim(db, "s", limit=2)
    failures = [
        sinks.Failure(message._replace(pub_id=str(message.pub_id)), kind, "\udc80", wait)
        for message, kind, wait in (
            (first, "eaten by a cat", math.inf), (second, "rejected", math.nan),
        )
    ]  # fmt: skip
    assert deliver.settle(db, first.token, failures)[1] == 2
    classes = "select (class || ': ' || message) as said from publish.parked order by rev"
    assert db.execute(classes).fetchall() == [("unknown: ?",), ("rejected: ?",)]


@pytest.mark.parametrize(
    "told", [None, [None], [sinks.Failure(None, "rejected")], RuntimeError("it broke")],
    ids=["None", "a list of None", "a failure of nothing", "an exception"],
)  # fmt: skip
def test_a_sink_that_answers_nonsense_has_delivered_nothing_we_know_of(
    db: Connection, url: str, monkeypatch: pytest.MonkeyPatch, told: Any
) -> None:
    notes(db, 2)
    subscribe(db, "s")
    monkeypatch.setattr(sinks, "make", lambda name, options: Telling(lambda messages: told))
    with working(url) as (reports, _):
        until(lambda: reports)
    assert one(db, 'select array_agg(distinct k."class") from publish.parked k') == ["unknown"]
    assert (reports[0].sent, reports[0].failed) == (0, 2)


@pytest.mark.parametrize(
    ("odd", "said"),
    [
        ({"retry_after": "30"}, "rejected: no"),
        ({"retry_after": "soon"}, "rejected: no"),
        ({"retry_after": 10**400}, "rejected: no"),
        ({"reason": None}, "rejected: None"),
        ({"kind": ["rejected"]}, "unknown: no"),
        ({"message": "of another rev"}, "rejected: no"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_failure_of_odd_parts_is_settled_for_its_change_alone(
    db: Connection, url: str, monkeypatch: pytest.MonkeyPatch, odd: dict[str, Any], said: str
) -> None:
    notes(db, 2)
    subscribe(db, "s")

    def told(messages: Sequence[sinks.Message]) -> list[sinks.Failure]:
        if "message" in odd:
            odd["message"] = messages[1]._replace(rev="newest")
        return [sinks.Failure(**{"message": messages[1], "kind": "rejected", "reason": "no"} | odd)]

    monkeypatch.setattr(sinks, "make", lambda name, options: Telling(told))
    with working(url) as (reports, warnings):
        until(lambda: reports)
    assert (reports[0].sent, reports[0].failed) == (1, 1)
    assert one(db, "select k.\"class\" || ': ' || k.message from publish.parked k") == said
    assert not warnings


def test_failures_of_changes_a_sink_was_not_given_undo_no_delivery(
    db: Connection, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes(db, 2)
    subscribe(db, "s")

    def told(messages: Sequence[sinks.Message]) -> list[sinks.Failure]:
        stranger = messages[0]._replace(pub_id="00000000-0000-0000-0000-000000000000")
        return [sinks.Failure(stranger, "rejected"), sinks.Failure(messages[1], "rejected")]

    monkeypatch.setattr(sinks, "make", lambda name, options: Telling(told))
    with working(url) as (reports, warnings):
        until(lambda: reports)
    assert (reports[0].sent, reports[0].failed) == (1, 1)
    assert "was not given" in warnings[0]


class Telling:
    """A sink of which only what it answers matters."""

    def __init__(self, tell: Callable[[Sequence[sinks.Message]], Any]) -> None:
        self.tell = tell

    def send(self, messages: Sequence[sinks.Message], stop: Event) -> Any:
        told = self.tell(messages)
        if isinstance(told, Exception):
            raise told
        return told

    def close(self) -> None:
        pass
