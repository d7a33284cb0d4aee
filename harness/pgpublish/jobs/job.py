"""What the body of a job gets: its data, and where it saves how far it got."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from inspect import isasyncgenfunction, iscoroutinefunction, isgeneratorfunction
from threading import Event
from typing import Any, LiteralString

from pgpublish.database import Connection
from pgpublish.errors import BadArgument, NotDefined, StaleToken
from pgpublish.jobs import session

LOOK_S = 1.0  # between two looks of check at the job's state
# Every argument with its type, here and wherever public functions are called: a function of
# somebody else with the same name, in schema public, would fit a call with fewer better.
BEAT: LiteralString = (
    "select public.publish_job_beat(%s::text, %s::bigint, null::jsonb, null::interval, false)"
)
SAVE: LiteralString = (
    "select public.publish_job_beat(%s::text, %s::bigint, %s::jsonb, null::interval, true)"
)
FIND_STEP: LiteralString = (
    "select public.publish_job_step(%s::text, %s::bigint, %s::text, null::jsonb)::text"
)
KEEP_STEP: LiteralString = (
    "select public.publish_job_step(%s::text, %s::bigint, %s::text, %s::jsonb)::text"
)
DATA: LiteralString = (
    "select data::text from public.publish_jobs(null::text, null::text, 1, false, %s::text)"
)


class Returned(BaseException):
    """Ends a body whose worker is being stopped; not an Exception, so that no body catches it."""


def runs_nothing(function: Callable[..., object]) -> bool:
    """Whether a call of it would run nothing of its body."""
    return (
        iscoroutinefunction(function)
        or isgeneratorfunction(function)
        or isasyncgenfunction(function)
    )


@dataclass
class Job:
    """A job that this process runs. attempt counts the starts since the last success or progress,
    with this."""

    id: str
    kind: str
    token: int
    attempt: int
    max_attempts: int
    _data: Any
    _conn: Connection = field(repr=False)
    _stop: Event = field(default_factory=Event, repr=False)
    _unsure: bool = field(default=False, repr=False)  # what was saved last may be rolled back
    _lost: bool = field(default=False, repr=False)
    _told: StaleToken | None = field(default=None, repr=False)  # by the heart
    _looked: float = field(default_factory=time.monotonic, repr=False)
    _pid: int = field(default_factory=os.getpid, repr=False)
    _steps: set[str] = field(default_factory=set, repr=False)
    # Steps in transactions that may be rolled back: the transaction that found what an earlier run
    # kept; none if this run kept it.
    _unsure_steps: dict[str, str | None] = field(default_factory=dict, repr=False)
    _at_the_end: dict[str, Any] = field(default_factory=dict, repr=False)

    @property
    def data(self) -> dict[str, Any]:
        """As it was when the job started, with what was saved since and not rolled back.

        Asks the database after a save in a transaction, as that may not have been committed.
        Raises BadArgument for what jsonb takes and Python's json does not: numbers of over 4,300
        digits, nesting a thousand deep.
        """
        if self._unsure and session.takes_calls(self._conn):
            self.reload()
        if not isinstance(self._data, dict):
            raise BadArgument(
                "the job's data is more than Python can read",
                detail=f"job {self.id!r}: {self._data[:60]} …",
                hint="See it with psql: select data from publish_jobs(id => …)",
            )
        return self._data

    def reload(self) -> None:
        """Reads data again: somebody else may have saved in this run's name."""
        self._require_own()
        row = session.transact(self._conn, DATA, self.id)
        if row is not None:
            self._data = session.from_json(row[0])
        self._unsure = session.in_transaction(self._conn)

    def save(self, **data: Any) -> None:
        """Merges data into the job's: where the next run goes on if this one dies. Keeps the lease.

        Data that differs is progress: attempts are counted from here.
        Inside `with conn.transaction()` it is part of that transaction: what was done there and how
        far that is are committed together. Call it last, as it holds the job's row to the end; a
        session that is idle in there for longer than the lease is ended. On a connection without
        autocommit it commits what is open.
        Raises StaleToken when the job was cancelled, another worker has it or the lease ran out;
        BadArgument for what is no JSON, or over 1 MB.
        """
        self._keep(SAVE, session.data_json(data))
        if session.in_transaction(self._conn):
            self._unsure = True
        else:
            self.data.update(data)
            self.check()

    def step(self, name: str, function: Callable[[], Any]) -> Any:
        """Calls function once in the life of this job and keeps what it returns, as JSON.

        A later run of the job, after a crash or a failure, gets what was kept and calls nothing. It
        is called again only if the worker died before its result was kept: make it repeatable, by
        an idempotency key made of job.id, or put it and the step into one conn.transaction().
        Once the job has succeeded, its next run does all steps again.
        Raises StaleToken as save does; BadArgument for a name that this run has used, unless the
        transaction of that was rolled back (a savepoint is not enough if an earlier run had kept
        the step); and for a
        result that is no JSON or over 1 MB: that step has run, and is not kept.
        """
        if not isinstance(name, str) or not callable(function) or runs_nothing(function):
            raise BadArgument(
                "a step takes a name and an ordinary function",
                detail=f"job {self.id!r}, step {name!r}, {function!r}",
                hint='As in job.step("charge", lambda: charge(order)); call asyncio.run in it.',
            )
        session.require_text(name, "a step's name")
        if name in self._steps:
            raise self._used(name)
        self.check()
        kept = self._settled(FIND_STEP, name)
        found = kept is not None and kept[0] is not None
        if found and name in self._unsure_steps and not self._undone(self._unsure_steps[name]):
            raise self._used(name)
        if not found:
            result = session.to_json(function(), "a step's result")
            kept = self._keep(KEEP_STEP, name, result)
        if not session.in_transaction(self._conn):
            self._steps.add(name)
        elif found:
            self._unsure_steps[name] = self._transaction()
        else:
            self._unsure_steps[name] = None
        return None if kept is None else session.from_json(kept[0])

    def update(self, **data: Any) -> None:
        """Merges data into the job's when it succeeds, and only then."""
        session.data_json(data)
        self._at_the_end.update(data)

    def stop_at(self, stop: Event) -> None:
        """Hands the job back at the first save, step or check after stop is set."""
        self._stop = stop

    def check(self) -> None:
        """A place where the body may be stopped: to hand the job back as its worker is being
        stopped, or by StaleToken as it was cancelled or another worker has it. Asks the database at
        most once a second.
        """
        self._require_own()
        if self._stop.is_set():
            raise Returned
        if self._told is not None:
            self._lost = True
            if session.takes_calls(self._conn):
                self._settled(BEAT)  # refused too: lets go of this session's lock
            raise self._told
        now = time.monotonic()
        if now < self._looked + LOOK_S or not session.takes_calls(self._conn):
            return
        self._looked = now
        query: LiteralString = "select token from publish.job_activity where id = %s"
        if session.transact(self._conn, query, self.id) != (self.token,):
            self._settled(BEAT)

    def _used(self, name: str) -> BadArgument:
        return BadArgument(
            "this run has done a step of this name",
            detail=f"job {self.id!r}, step {name!r}",
            hint="Give each step a name of its own, as in mail:42.",
        )

    def _transaction(self) -> str | None:
        row = session.transact(self._conn, "select pg_current_xact_id()::text")
        return None if row is None else row[0]

    def _undone(self, transaction: str | None) -> bool:
        """Whether it was rolled back. What this run kept itself, without one, is then not found."""
        query: LiteralString = "select pg_xact_status(%s::xid8)"
        return transaction is not None and session.transact(self._conn, query, transaction) == (
            "aborted",
        )

    def _keep(self, query: LiteralString, *arguments: object) -> tuple[Any, ...] | None:
        """A call whose work is committed, unless it is part of a `with conn.transaction()`."""
        kept = self._settled(query, *arguments)
        if not self._conn.autocommit:
            session.commit_unless_in_block(self._conn)
        return kept

    def _settled(self, query: LiteralString, *arguments: object) -> tuple[Any, ...] | None:
        """A call that takes id and token first."""
        self._require_own()
        try:
            return session.transact(self._conn, query, self.id, self.token, *arguments)
        except (StaleToken, NotDefined):
            self._lost = True
            raise

    def _require_own(self) -> None:
        if os.getpid() != self._pid:
            raise BadArgument(
                "another process runs this job",
                detail=f"job {self.id!r}, process {self._pid}; this one was forked from it",
                hint="Save in the process that started the job.",
            )
