"""The delivery worker: claim, commit, send, settle. What to send and when, the database says.

One dispatcher waits for work on a connection of its own and extends leases; each of some threads
takes a subscription that has work, claims a batch, sends it with no transaction open, and settles.
A slow endpoint delays nothing but itself: its batches are cut to what it takes in time, and the
last free thread is not for it.
"""

from __future__ import annotations

import json
import math
import os
import socket
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from threading import Condition, Event, Lock, Thread
from typing import Any, get_args

import psycopg
from psycopg.adapt import Loader
from psycopg.types.string import TextLoader

from pgpublish import jobs, sinks
from pgpublish.database import Connection, call, tuples
from pgpublish.drain import retryable
from pgpublish.errors import (
    BadArgument,
    ConnectionFailed,
    DatabaseError,
    MissingPart,
    PublishError,
    StaleToken,
)
from pgpublish.jobs import Job
from pgpublish.sinks import Failure, FailureClass, Message, Sink

RETRY_S = 0.1  # until a lost connection is opened again; doubled each time
RETRY_MAX_S = 10.0
POLL_S = 5.0  # also without a notification, which a pooler does not pass on
WAKE_S = 0.25  # how soon a stop is seen
LOOK_SHARE = 20  # of the time, at most 1/20 goes into looking
REST_S = 30.0  # that a subscription rests which cannot be claimed, or whose sink cannot be made
MAX_RETRY_AFTER_S = 31_536_000.0  # a year; the database caps it lower
SLOW_S = 1.0  # a subscription whose batch takes longer is slow
REDRIVE_PAGE = 1000  # dead letters in one transaction
KEPT_SINKS = 64  # open ones in each thread
LOOKED_AT = 4096  # characters of a failure's reason
SHOWN = 500  # of these, once secrets are hidden
Connect = Callable[[], Connection]


@dataclass(frozen=True)
class Delivered:
    """One batch. first_rev, last_rev: of what was in it. duration: seconds from claim to settle."""

    subscription: str
    lane: int
    first_rev: int
    last_rev: int
    sent: int
    failed: int
    dead: int
    duration: float
    reason: str | None  # of the first failure


@dataclass
class Claimed:
    """A batch in hand. lost: the lease went to another worker."""

    name: str
    token: int
    lane: int
    messages: list[Message]
    began: float
    lease_s: float
    extend_at: float
    lost: Event = field(default_factory=Event)


class _Time(Loader):
    """A timestamp of a session in UTC as RFC 3339 has it."""

    def load(self, data: Any) -> str:
        return bytes(data).decode().replace(" ", "T") + ":00"


def prepare(conn: Connection) -> Connection:
    """A worker's session: what is only passed on comes as text. Raises ConnectionFailed."""
    call(
        conn,
        "select set_config('default_transaction_isolation', 'read committed', false),"
        " set_config('timezone', 'UTC', false), set_config('datestyle', 'ISO', false)",
    )
    conn.adapters.register_loader("jsonb", TextLoader)
    conn.adapters.register_loader("uuid", TextLoader)
    conn.adapters.register_loader("timestamptz", _Time)
    return conn


def worker_name() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"


def claim(conn: Connection, name: str, worker: str, batch: int) -> list[tuple[Any, ...]]:
    """Rows of publish_claim: token, lane, and what a Message has. conn is prepared. Raises
    NotDefined, CursorInvalid."""
    return tuples(
        conn,
        "select token, lane, id, source, rev, kind, pub_id, schema_version, deleted, payload,"
        " headers, attempts, updated_at from public.publish_claim(%s, %s, %s)",
        name, worker, batch,
    )  # fmt: skip


def settle(conn: Connection, token: int, failures: Sequence[Failure]) -> tuple[int, int, int]:
    """Sent, failed and dead. Raises StaleToken."""
    failed = [
        {
            "pub_id": failure.message.pub_id,
            "rev": failure.message.rev,
            "class": failure.kind if failure.kind in get_args(FailureClass) else "unknown",
            "message": _text(failure.reason),
            "retry_after": _finite(failure.retry_after),
        }
        for failure in failures
    ]
    sent, parked, dead, *_ = call(
        conn, "select * from public.publish_settle(%s, %s)", token, json.dumps(failed)
    )
    return sent, parked, dead


def shown(failure: Failure, hide: Callable[[str], str]) -> Failure:
    """As a person may see it: hidden before it is cut, so that no part of a secret is left."""
    return replace(failure, reason=hide(str(failure.reason)[:LOOKED_AT])[:SHOWN])


def _text(reason: str) -> str:
    """What a text column can hold, whatever bytes an endpoint answered with."""
    return reason.encode("utf-8", "replace").decode().replace("\0", "")


def _finite(seconds: Any) -> float | None:
    """A wait that JSON can say: at most a year; None for what is no number."""
    try:
        wait = float(seconds)
    except (TypeError, ValueError, OverflowError):
        return None
    return None if math.isnan(wait) else min(max(wait, 0.0), MAX_RETRY_AFTER_S)


class Sinks:
    """One thread's open sinks, made anew when a subscription's options change."""

    def __init__(self) -> None:
        self._open: dict[str, tuple[object, Sink, sinks.Options]] = {}

    def get(self, conn: Connection, name: str) -> tuple[Sink, sinks.Options, float]:
        """The sink, its options, and the lease in seconds. Raises PublishError."""
        sink, options, lease = call(conn, "select * from publish.sink_of(%s)", name)
        made_of = (sink, options)
        kept = self._open.pop(name, None)
        if kept is None or kept[0] != made_of:
            if kept is not None:
                _close(kept[1])
            resolved = sinks.resolve(json.loads(options))
            kept = (made_of, sinks.make(sink, resolved), resolved)
        self._open[name] = kept
        if len(self._open) > KEPT_SINKS:
            _close(self._open.pop(next(iter(self._open)))[1])
        return kept[1], kept[2], lease.total_seconds()

    def close(self) -> None:
        for _, sink, _ in self._open.values():
            _close(sink)
        self._open.clear()


def _close(sink: Sink) -> None:
    with suppress(Exception):  # what does not end well ends all the same
        sink.close()


def register_sink(conn: Connection, name: str) -> None:
    """Tells the database a third party's options. Raises MissingPart and what call does."""
    call(conn, "select public.publish_register_sink(%s, %s)", name, sinks.known_options(name))


@jobs.handler("redrive")
def redrive_job(conn: Connection, job: Job) -> None:
    """Has the dead letters of data.subscription tried again, a page in a transaction: those of
    data.pub_id and data.class, or all.

    Its data holds how many (redriven). Goes on after the last page that was committed.
    """

    def page(after: str | None) -> tuple[str | None, dict[str, int]]:
        next_after, count = call(
            conn, "select next, redriven from public.publish_redrive(%s, %s, %s, %s, %s)",
            job.data["subscription"], job.data.get("pub_id"), job.data.get("class"),
            job.data.get("batch", REDRIVE_PAGE), after,
        )  # fmt: skip
        return next_after and str(next_after), {"redriven": count}

    jobs.walk(conn, job, page)


class Worker:
    """What the dispatcher and the threads share."""

    def __init__(
        self,
        connect: Connect,
        stop: Event,
        *,
        names: list[str] | None = None,
        threads: int = 4,
        batch: int = 500,
        worker: str | None = None,
        report: Callable[[Delivered], None] = lambda delivered: None,
        warn: Callable[[str], None] = lambda message: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.connect = connect
        self.stop = stop
        self.names = names
        self.threads = threads
        self.batch = batch
        self.worker = worker or worker_name()
        self.report = report
        self.warn = warn
        self.clock = clock
        self.lock = Lock()
        self.taken = Condition(self.lock)  # something was added to todo, or taken from busy
        self.todo: list[str] = []
        self.busy: Counter[str] = Counter()
        self.slow: set[str] = set()
        self.size: dict[str, int] = {}  # of each subscription's next batch
        self.held: dict[int, Claimed] = {}
        self.resting: dict[str, float] = {}
        self.crashed: list[BaseException] = []
        self.retry_s = RETRY_S  # until the dispatcher's next connection
        self.changed = Event()  # there may be something else to wait for

    # --- the dispatcher

    def look(self, conn: Connection) -> float:
        """Queues what is ready; returns in how many seconds there may be more."""
        wait = POLL_S
        with self.lock:
            queued = Counter(self.todo)
        for name, ready, wait_s in tuples(
            conn, "select * from publish.deliverable(%s)", self.names
        ):
            if self.resting.get(name, 0.0) > self.clock():
                continue
            if not ready:
                wait = min(wait, wait_s)
                continue
            with self.lock:
                self.todo += [name] * (ready - queued[name])
                self.taken.notify_all()
        return wait

    def tend(self, conn: Connection) -> None:
        """Renews the leases that have run for a third of their time, and sees who is slow."""
        now = self.clock()
        with self.lock:
            self.slow |= {c.name for c in self.held.values() if c.began + SLOW_S <= now}
            due = [c for c in self.held.values() if c.extend_at <= now]
        for claimed in due:
            claimed.extend_at = now + claimed.lease_s / 3
            try:
                call(conn, "select public.publish_extend(%s)", claimed.token)
            except StaleToken:
                claimed.lost.set()

    def idle(self) -> bool:
        with self.lock:
            return not self.todo and not self.busy.total()

    def dispatch(self, conn: Connection, *, once: bool = False) -> None:
        """Looks for work until stop is set; once: until there is none now."""
        conn.execute("listen publish")
        look_at = earliest = 0.0
        while not self.stop.is_set():
            if self.crashed:
                raise self.crashed[0]
            now = self.clock()
            self.tend(conn)
            if now >= look_at:
                was_idle = self.idle()
                wait = self.look(conn)
                self.retry_s = RETRY_S
                if once and was_idle and self.idle():
                    return
                earliest = now + (self.clock() - now) * LOOK_SHARE
                look_at = max(earliest, now + (WAKE_S if once else wait))
            timeout = max(0.0, min(WAKE_S, look_at - self.clock()))
            for _ in conn.notifies(timeout=timeout, stop_after=1):
                look_at = min(look_at, max(earliest, self.clock()))
            if self.changed.is_set() or (once and self.idle()):
                self.changed.clear()
                look_at = min(look_at, max(earliest, self.clock()))

    # --- the threads

    def serve(self, stop: Event) -> None:
        try:
            self._serve(stop)
        except BaseException as error:
            self.crashed.append(error)  # the dispatcher raises it

    def _serve(self, stop: Event) -> None:
        """Takes subscriptions from the queue and delivers a batch of each, until stop is set."""
        kept = Sinks()
        conn: Connection | None = None
        delay = RETRY_S
        try:
            while not (stop.is_set() or self.stop.is_set()):
                name = self.take()
                if name is None:
                    continue
                more = False
                try:
                    conn = conn or prepare(self.connect())
                    more = self.deliver(conn, kept, name)
                    delay = RETRY_S
                except ConnectionFailed as error:
                    conn = None
                    self.warn(f"connection lost, trying again in {delay:.1f} s: {error.message}")
                    self.stop.wait(delay)
                    delay = min(delay * 2, RETRY_MAX_S)
                except PublishError as error:
                    self.resting[name] = self.clock() + REST_S
                    parts = [error.message, error.detail, error.hint]
                    self.warn(f"{name}: " + "; ".join(part for part in parts if part))
                finally:
                    with self.lock:
                        self.busy -= Counter([name])
                        if more:
                            self.todo.append(name)
                        self.taken.notify_all()
        finally:
            kept.close()
            if conn is not None:
                conn.close()

    def take(self) -> str | None:
        """The subscription that has waited longest, or None after WAKE_S without one. Slow ones
        never have all threads, where there are several."""
        with self.lock:
            name = self.taken.wait_for(self._next, WAKE_S)
            if name is not None:
                self.todo.remove(name)
                self.busy[name] += 1
            return name

    def _next(self) -> str | None:
        slow = sum(count for name, count in self.busy.items() if name in self.slow)
        full = slow >= max(1, self.threads - 1)
        return next((name for name in self.todo if not (full and name in self.slow)), None)

    def deliver(self, conn: Connection, kept: Sinks, name: str) -> bool:
        """One batch of this subscription. False: nothing to claim. Raises PublishError."""
        sink, options, lease_s = kept.get(conn, name)
        began = self.clock()
        size = self.size.get(name, self.batch)
        found = claim(conn, name, self.worker, size)
        if not found:
            self.changed.set()
            return False
        token, lane = found[0][:2]
        messages = [Message._make(row[2:]) for row in found]
        claimed = Claimed(name, token, lane, messages, began, lease_s, began + lease_s / 3)
        with self.lock:
            self.held[token] = claimed
        try:
            failures = self.send(sink, claimed, options.hide)
            self.pace(claimed, size, sum(f.kind == "unsent" for f in failures))
            sent, failed, dead = self.settle(conn, claimed, failures)
        except StaleToken as error:
            self.warn(f"{name}: lane {lane} went to another worker: {error.detail}")
            return True
        finally:
            with self.lock:
                del self.held[token]
        revs = [m.rev for m in messages]
        reason = next((f.reason for f in failures if f.kind != "unsent"), None)
        self.report(
            Delivered(name, lane, min(revs), max(revs), sent, failed, dead,
                      round(self.clock() - began, 4), reason)
        )  # fmt: skip
        return True

    def send(self, sink: Sink, claimed: Claimed, hide: Callable[[str], str]) -> list[Failure]:
        """What the sink could not deliver. A sink that breaks has delivered nothing we know of."""
        halt = _Either(self.stop, claimed.lost)
        try:
            told = list(sink.send(claimed.messages, halt))
            ours = {message.pub_id: message for message in claimed.messages} if told else {}
            failures = [
                shown(replace(failure, message=ours[failure.message.pub_id]), hide)
                for failure in told
                if failure.message.pub_id in ours
            ]
        except Exception as error:
            reason = f"{type(error).__name__}: {error}"
            return [shown(Failure(m, "unknown", reason), hide) for m in claimed.messages]
        if len(failures) < len(told):
            self.warn(f"{claimed.name}: its sink names changes as failed that it was not given")
        return failures

    def pace(self, claimed: Claimed, size: int, unsent: int) -> None:
        """Sizes the next batch: as much as was tried of this one, or more if that went fast."""
        slow = self.clock() - claimed.began >= SLOW_S
        if unsent:
            size = max(1, len(claimed.messages) - unsent)
        elif not slow and len(claimed.messages) == size:
            size = min(self.batch, size * 2)
        with self.lock:
            self.size[claimed.name] = size
            (self.slow.add if slow else self.slow.discard)(claimed.name)

    def settle(
        self, conn: Connection, claimed: Claimed, failures: Sequence[Failure]
    ) -> tuple[int, int, int]:
        """Settles on this connection or, if that is lost, on the next one that opens; again after
        a timeout."""
        delay = RETRY_S
        while True:
            try:
                if conn.closed:
                    with self.connect() as other:
                        return settle(other, claimed.token, failures)
                return settle(conn, claimed.token, failures)
            except PublishError as error:
                lost = isinstance(error, ConnectionFailed)
                if self.stop.is_set() or delay > claimed.lease_s or not (lost or retryable(error)):
                    raise
                if lost:
                    conn.close()
                self.stop.wait(delay)
                delay *= 2


class _Either(Event):
    """Set when one of two events is."""

    def __init__(self, one: Event, other: Event) -> None:
        super().__init__()
        self.one = one
        self.other = other

    def is_set(self) -> bool:
        return self.one.is_set() or self.other.is_set()


def run(
    connect: Connect,
    stop: Event,
    *,
    names: list[str] | None = None,
    threads: int = 4,
    batch: int = 500,
    once: bool = False,
    report: Callable[[Delivered], None] = lambda delivered: None,
    warn: Callable[[str], None] = lambda message: None,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Delivers these subscriptions, or all, until stop is set; once: until nothing is ready.

    After stop, what is in flight may take sinks.GRACE_S; the rest is handed back. Lost connections
    are opened again. Raises ConnectionFailed only if the first cannot be opened, and NotDefined for
    a name that is no subscription.
    """
    worker = Worker(connect, stop, names=names, threads=threads, batch=batch, report=report,
                    warn=warn, clock=clock)  # fmt: skip
    with connect() as conn:
        for sink in sinks.third_party():
            try:
                register_sink(conn, sink)
            except (MissingPart, BadArgument, DatabaseError) as error:
                warn(f"{error.message}: {error.detail}")
        for name in names or []:
            call(conn, "select * from publish.sink_of(%s)", name)
    done = Event()
    pool = [Thread(target=worker.serve, args=(done,), daemon=True) for _ in range(threads)]
    for thread in pool:
        thread.start()
    try:
        while not stop.is_set():
            try:
                with prepare(connect()) as conn:
                    worker.dispatch(conn, once=once)
                    return
            except (PublishError, psycopg.OperationalError) as error:
                fatal = isinstance(error, PublishError) and not (
                    isinstance(error, ConnectionFailed) or retryable(error)
                )
                if fatal or worker.crashed:
                    raise
                delay = worker.retry_s
                warn(f"connection lost, trying again in {delay:.1f} s: {error}")
                stop.wait(delay)
                worker.retry_s = min(delay * 2, RETRY_MAX_S)
    finally:
        done.set()
        for thread in pool:
            thread.join(2 * sinks.GRACE_S)
