"""Handlers, and a worker that runs them for one job after another."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from threading import Event
from typing import TypeVar

from pgpublish.database import Connection
from pgpublish.drain import retryable
from pgpublish.errors import BadArgument, ConnectionFailed, PublishError
from pgpublish.jobs.heart import Heart
from pgpublish.jobs.job import Job, Returned, runs_nothing
from pgpublish.jobs.running import (
    LEASE_S,
    Following,
    done,
    error_name,
    message_of,
    running,
    take,
)
from pgpublish.jobs.session import row, transact
from pgpublish.presence import Presence

MIN_WAIT_S = 0.02
MAX_WAIT_S = (
    1.0  # while a job is due that cannot be started, or through a pooler: doubled each time
)
LOOK_MS = 500  # the longest wait in the server
MIN_POLL_MS = 3
MAX_POLL_MS = 20  # two seconds after the last job
PRUNE_EVERY_S = 600.0
PRUNE = 10_000  # jobs in a transaction
SETTINGS = ("autocommit", "isolation_level", "read_only", "deferrable")  # of a connection

Handler = Callable[[Connection, Job], None]
H = TypeVar("H", bound=Handler)
HANDLERS: dict[str, Handler] = {}


@dataclass(frozen=True)
class Outcome:
    """How a run ended. status: succeeded, failed, ignored, returned, or lost: to another worker, or
    as the job was cancelled."""

    id: str
    kind: str
    attempt: int
    status: str
    seconds: float
    error: str | None


def handler(kind: str) -> Callable[[H], H]:
    """Registers a function (conn, job) as what `pgpublish work` does with jobs of this kind.

    Raises BadArgument for a second one, and for one whose call would run nothing of its body.
    """

    def register(function: H) -> H:
        if runs_nothing(function):
            raise BadArgument(
                "a handler must be an ordinary function",
                detail=f"kind {kind!r}, {function!r} is async or a generator",
                hint="Call asyncio.run in it.",
            )
        if HANDLERS.setdefault(kind, function) is not function:
            raise BadArgument(
                "this kind of job has a handler",
                detail=f"kind {kind!r}, {HANDLERS[kind].__module__}.{HANDLERS[kind].__qualname__}",
                hint="Register one function for each kind.",
            )
        return function

    return register


def require_handlers(kinds: Sequence[str]) -> None:
    """Raises BadArgument for a kind without one."""
    for kind in kinds:
        if kind not in HANDLERS:
            raise BadArgument(
                "no handler for this kind of job",
                detail=f"kind {kind!r}; known: {', '.join(sorted(HANDLERS)) or 'none'}",
                hint="Name the module that registers it: --import MODULE",
            )


def work(
    conn: Connection,
    kinds: Sequence[str],
    stop: Event,
    *,
    beating: Heart,
    lease: float = LEASE_S,
    worker: str | None = None,
    report: Callable[[Outcome], None] = lambda outcome: None,
    warn: Callable[[str], None] = lambda message: None,
    clock: Callable[[], float] = time.monotonic,
    presence: Presence | None = None,
) -> None:
    """Runs due jobs of these kinds, one after another, until stop is set.

    A handler that fails marks its job and stops nothing else. Once stop is set, the job that runs
    goes on to its end, or to its next save or check outside a transaction, where it is handed back.
    Idle, it waits in the server, looking less often the longer there was no job; through a pooler
    it looks at growing intervals and keeps no session.
    Every ten minutes calls publish_job_prune between jobs, until it has removed all it may.
    Raises ConnectionFailed when conn is lost, BadArgument for a kind without handler.
    """
    require_handlers(kinds)
    pooled = row(conn, "select pg_backend_pid()") != (conn.info.backend_pid,)
    if pooled:
        conn.prepare_threshold = None  # a session is not ours to keep
    settings = {name: getattr(conn, name) for name in SETTINGS}
    following = (list(kinds), worker, lease)
    between = Between(conn, following, pooled, clock)
    job: Job | None = None

    def follow() -> Following | None:
        return None if stop.is_set() or clock() >= between.prune_at else following

    try:
        while not stop.is_set():
            if presence is not None:
                presence.beat(conn, "waiting for jobs")
            if job is None:
                try:
                    job = between.next_job()
                except PublishError as error:
                    if not retryable(error):
                        raise
                    warn(f"between jobs: {error.message}")
            if job is None:
                stop.wait(between.rest())
                continue
            between.worked()
            at_work, job = job, None
            at_work.stop_at(stop)
            outcome, job = run(at_work, beating, lease, follow, clock)
            report(outcome)
            if conn.broken or conn.closed:
                raise ConnectionFailed("the connection was lost", hint="Is the server running?")
            for name, value in settings.items():
                if getattr(conn, name) != value:
                    setattr(conn, name, value)
    finally:
        if job is not None:  # it was started as the worker was to end
            with suppress(Returned, PublishError), running(job, beating, lease):
                raise Returned
    if presence is not None:
        presence.end(conn)


class Between:
    """What a worker does while it has no job: prunes, looks for the next one, rests."""

    def __init__(
        self,
        conn: Connection,
        following: Following,
        pooled: bool,
        clock: Callable[[], float],
    ) -> None:
        self._conn = conn
        self._following = following
        self._pooled = pooled
        self._clock = clock
        self.prune_at = clock()
        self.worked()

    def worked(self) -> None:
        """A job was there: the next one is looked for at once."""
        self._rest_s = MIN_WAIT_S
        self._due = True
        self._worked_at = self._clock()

    def next_job(self) -> Job | None:
        """The next job, started. Raises what call raises; then one may be due."""
        due, self._due = self._due, True
        if self._clock() >= self.prune_at:
            self._prune()
        kinds, *_ = self._following
        due = due or self._pooled or awaited(self._conn, kinds, self._clock() - self._worked_at)
        job = take(self._conn, None, *self._following)  # if none is due, one may be lost
        self._due = due
        return job

    def rest(self) -> float:
        """The seconds to wait after next_job: none if that waited in the server."""
        rest_s = self._rest_s if self._due else 0.0
        self._rest_s = min(rest_s * 2, MAX_WAIT_S) or MIN_WAIT_S
        self._due = False
        return rest_s

    def _prune(self) -> None:
        self.prune_at = self._clock() + PRUNE_EVERY_S  # also if it fails: jobs go on
        if transact(self._conn, "select public.publish_job_prune(%s::int)", PRUNE) == (PRUNE,):
            self.prune_at = self._clock()


def awaited(conn: Connection, kinds: Sequence[str], idle_s: float) -> bool:
    """Whether a job or a schedule became due within LOOK_MS."""
    poll = min(MAX_POLL_MS, max(MIN_POLL_MS, round(idle_s * 10)))
    query = "select publish.await_job(%s::text[], %s::int, %s::int)"
    return transact(conn, query, list(kinds), LOOK_MS, poll) == (True,)


def run(
    job: Job,
    beating: Heart,
    lease: float,
    follow: Callable[[], Following | None],
    clock: Callable[[], float],
) -> tuple[Outcome, Job | None]:
    """A worker's run of a job by its handler, and the job after it, if that is started already.
    Raises nothing but KeyboardInterrupt."""
    began, status, told = clock(), "succeeded", None
    after: Job | None = None

    def success(job: Job) -> None:
        nonlocal after
        after = done(job, follow())

    try:
        with running(job, beating, lease, tidy=True, success=success):
            HANDLERS[job.kind](job._conn, job)
    except Returned:
        status = "returned"
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        status = "lost" if job._lost else getattr(error, "_job_status", "failed")
        told = f"{error_name(error)}: {message_of(error)}"
    return Outcome(job.id, job.kind, job.attempt, status, clock() - began, told), after


def walk(
    conn: Connection,
    job: Job,
    page: Callable[[str | None], tuple[str | None, Mapping[str, int]]],
) -> dict[str, int]:
    """A walk in pages, as a job: page(after) does one and returns (where to go on, counts).

    Each page commits together with `after` and the sums of its counts in the job's data, and a run
    after a kill goes on from there. The walk ends when page returns None, and a later run of the
    same job begins again. Returns the sums.
    """
    data = job.data
    after: str | None = data.get("after")
    before = data if after is not None else {}
    sums: dict[str, int] = {}
    while True:
        with conn.transaction():
            next_after, counts = page(after)
            for name, count in counts.items():
                sums[name] = sums.get(name, before.get(name, 0)) + count
            job.save(after=next_after, **sums)
        after = next_after
        if after is None:
            return sums
        job.check()
