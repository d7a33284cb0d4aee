"""The thread that keeps the leases of running jobs."""

from __future__ import annotations

import logging
import math
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Condition, Thread
from typing import Any, LiteralString

from pgpublish.database import Connection
from pgpublish.errors import ConnectionFailed, NotDefined, PublishError, StaleToken
from pgpublish.jobs.job import BEAT, Job
from pgpublish.jobs.session import row

CLOSE_S = 15.0
LOG = logging.getLogger(__name__)


class Heart:
    """Beats for the jobs it watches, three times a lease, in a thread with its own connection.

    The job's connection would not do: a long query on it holds up every other call. Opened before
    any job starts, as one whose lease nobody can keep would run twice. A job that was lost is told
    so by its next save or check; a connection that was lost is opened again. What keeps it from
    beating it warns of, once until it beats again.
    """

    def __init__(
        self, open_connection: Callable[[], Connection], warn: Callable[[str], None]
    ) -> None:
        self._open = open_connection
        self._warn = warn
        self._conn = open_connection()
        self._conn.prepare_threshold = None  # there may be a pooler
        self._warned: set[str] = set()
        self._due: dict[int, tuple[float, float, Job]] = {}  # token: (when, seconds between, job)
        self._changed = Condition()
        self._sleeps_until = math.inf
        self._ended = False
        self._pid = os.getpid()
        self._thread: Thread | None = None

    def watch(self, job: Job, lease: float) -> None:
        with self._changed:
            due = time.monotonic() + lease / 3
            self._due[job.token] = (due, lease / 3, job)
            if self._thread is None:
                self._thread = Thread(target=self._beat, name="job heartbeat", daemon=True)
                self._thread.start()
            if due < self._sleeps_until:  # else it wakes in time, and short jobs leave it alone
                self._changed.notify()

    def forget(self, job: Job) -> None:
        with self._changed:
            self._due.pop(job.token, None)

    def close(self) -> None:
        if os.getpid() != self._pid:
            return  # forked: the thread and the connection are the parent's
        with self._changed:
            self._ended = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(timeout=CLOSE_S)
        self._conn.close()

    def settle(self, query: LiteralString, *arguments: object) -> tuple[Any, ...] | None:
        """A call on a new connection, for a job whose own will not do it."""
        with self._open() as conn:
            return row(conn, query, *arguments)

    def _beat(self) -> None:
        while True:
            with self._changed:
                while not self._ended:
                    first = min(self._due.values(), key=lambda due: due[0], default=None)
                    wait = None if first is None else first[0] - time.monotonic()
                    if wait is not None and wait <= 0:
                        break
                    self._sleeps_until = math.inf if first is None else first[0]
                    self._changed.wait(wait)
                if self._ended or first is None:
                    return
                _, every, job = first
                self._due[job.token] = (time.monotonic() + every, every, job)
            if not self._extend(job):
                with self._changed:
                    if job.token in self._due:  # again soon, as long as the lease may run
                        self._due[job.token] = (time.monotonic() + every / 4, every, job)

    def _extend(self, job: Job) -> bool:
        """Whether it is as it should be: the lease was extended, or the job lost for good."""
        try:
            beat = self._call(BEAT, job.id, job.token)
        except (StaleToken, NotDefined) as error:
            with self._changed:
                watched = self._due.pop(job.token, None) is not None
            if watched:  # and not settled at this moment
                if isinstance(error, StaleToken):
                    job._told = error
                self._warn(f"job {job.id!r}: its lease is kept no more: {error.message}")
            return True
        except PublishError as error:
            if error.message not in self._warned:
                self._warned.add(error.message)
                self._warn(f"job {job.id!r}: its lease cannot be extended: {error.message}")
            return False
        self._warned.clear()
        return beat is not None and beat[0] is not None  # null: its own transaction holds the row

    def _call(self, query: LiteralString, *arguments: object) -> tuple[Any, ...] | None:
        """On its connection, or at once on a new one if that is lost."""
        try:
            return row(self._conn, query, *arguments)
        except PublishError:
            if not self._conn.closed:
                raise
        self._conn = self._open()
        self._conn.prepare_threshold = None
        return row(self._conn, query, *arguments)


@contextmanager
def heart(
    open_connection: Callable[[], Connection], warn: Callable[[str], None] = LOG.warning
) -> Iterator[Heart]:
    """Raises ConnectionFailed when it cannot connect."""
    try:
        beating = Heart(open_connection, warn)
    except ConnectionFailed as error:
        raise ConnectionFailed(
            "there is no connection to keep the leases of jobs",
            detail=error.message,
            hint="It is one more than those that run jobs. " + (error.hint or ""),
            sqlstate=error.sqlstate,
        ) from error
    try:
        yield beating
    finally:
        beating.close()
