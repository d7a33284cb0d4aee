"""The drain loop: what pg_cron can do each second, done each few milliseconds.

The database decides how much a drain takes and gets past what fails or times out; here it is called
again, and waited for.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from threading import Event

from psycopg.errors import Diagnostic

from pgpublish.database import Connection, session_is_over, transact
from pgpublish.errors import PublishError
from pgpublish.presence import Presence
from pgpublish.retry import Backoff

QUERY_CANCELED = "57014"
LOCK_TIMEOUT = "55P03"
OFF = "PT423"  # of a notice: publishing is switched off
RETRYABLE = ("40", "53", "55")  # rollback, out of resources, object in use: a later call may do
MIN_POLL_MS = 3
MAX_POLL_MS = 20  # two seconds after the last work: a wake-up costs 100 to 200 µs of a core
WAIT_MS = 500
BUSY_WAIT_S = 0.2
MAINTAIN_EVERY_S = 60.0
MAX_RETRY_S = 1.0  # 0, then 0.1, and doubled
TRIES = 6  # in a row, of drain_all

# Without a limit, a view that sleeps would hold up every kind for as long as it does.
LIMIT = (
    b"select set_config('statement_timeout', '10s', true)"
    b" where current_setting('statement_timeout') = '0'"
)

# By name: a later version may add columns, and workers of this one go on with it.
DRAIN = (
    b"select scanned, keys, published, unchanged, quarantined, head, busy"
    b" from public.publish_drain(%d)"
)
MAINTAIN = b"select * from public.publish_maintain(10000)"
Report = Callable[["Drained"], None]
Warn = Callable[[str], None]


@dataclass(frozen=True)
class Drained:
    """One call of publish_drain; busy: another session is draining, or, if off, publishing is
    switched off."""

    scanned: int
    keys: int
    published: int
    unchanged: int
    quarantined: int
    head: int
    busy: bool
    off: bool = False


def drain(conn: Connection, batch: int = 500) -> Drained:
    """One drain in a transaction of its own, of at most 10 s where no statement_timeout is set.

    Raises BadArgument, DatabaseError, ConnectionFailed.
    """
    return Drained(*transact(conn, LIMIT, DRAIN % batch))


def drain_all(
    conn: Connection, batch: int = 500, *, warn: Warn = lambda message: None
) -> Iterator[Drained]:
    """Drains until nothing is left or another drain holds the lock (then the last is busy).

    Raises as drain does; a retryable error only when it is the sixth in a row.
    """
    for drained in _drains(conn, batch, Event(), warn, tries=TRIES):
        yield drained
        if drained.busy or not drained.scanned:
            return


def run(
    conn: Connection,
    stop: Event,
    *,
    batch: int = 500,
    report: Report = lambda drained: None,
    warn: Warn = lambda message: None,
    clock: Callable[[], float] = time.monotonic,
    presence: Presence | None = None,
) -> None:
    """Drains until stop is set, and calls publish_maintain each minute.

    Goes on at once while batches are full, else waits inside the server for work, looking less
    often the longer there was none. Raises ConnectionFailed, and any error that is not retryable.
    """
    worked_at = clock()
    maintain_at = worked_at + MAINTAIN_EVERY_S
    for drained in _drains(conn, batch, stop, warn):
        if drained.scanned:
            worked_at = clock()
            report(drained)
        try:
            if presence is not None:
                presence.beat(conn, _doing(drained))
            if clock() >= maintain_at:
                maintain_at = clock() + MAINTAIN_EVERY_S
                transact(conn, MAINTAIN)
            if drained.busy:
                stop.wait(BUSY_WAIT_S)
            elif drained.scanned < batch:
                idle_ms = 0.0 if drained.scanned else (clock() - worked_at) * 1000
                poll = min(MAX_POLL_MS, max(MIN_POLL_MS, round(idle_ms / 100)))
                transact(conn, b"select publish.await_work(%d, %d)" % (WAIT_MS, poll))
        except PublishError as error:
            if not retryable(error):
                raise
            warn(f"between drains: {error.message}")
            stop.wait(MAX_POLL_MS / 1000)
    if presence is not None:
        presence.end(conn)


def _doing(drained: Drained) -> str:
    if drained.busy:
        return "standing by"
    return "draining" if drained.scanned else "waiting for marks"


def _drains(
    conn: Connection, batch: int, stop: Event, warn: Warn, *, tries: int | None = None
) -> Iterator[Drained]:
    """Drain after drain until stop is set. After a retryable error it calls again, at first at
    once, then after a growing wait."""
    backoff = Backoff(most_s=MAX_RETRY_S, at_once=True)
    switch = _Switch()
    while not stop.is_set():
        try:
            drained = switch.watch(conn, batch)
        except PublishError as error:
            if not retryable(error) or backoff.failed + 1 == tries:
                raise
            warn(f"a drain failed: {error.message}")
            backoff.wait(stop)
        else:
            backoff.reset()
            if said := switch.changed(drained.off):
                warn(said)
            yield drained


class _Switch:
    """Notices when publishing is switched off, and when it is on again."""

    def __init__(self) -> None:
        self._is_off = False
        self._heard = False

    def watch(self, conn: Connection, batch: int) -> Drained:
        self._heard = False
        conn.add_notice_handler(self._hear)
        try:
            return replace(drain(conn, batch), off=self._heard)
        finally:
            conn.remove_notice_handler(self._hear)

    def _hear(self, said: Diagnostic) -> None:
        self._heard = self._heard or said.sqlstate == OFF

    def changed(self, is_off: bool) -> str | None:
        """What to say of it, once."""
        before, self._is_off = self._is_off, is_off
        if before == is_off:
            return None
        if is_off:
            return "publishing is off; captures go on. On again: pgpublish set publishing on"
        return "publishing is on again"


def retryable(error: PublishError) -> bool:
    """Whether to go on after it, on this session: a timeout, a rollback, a lack of resources, an
    object in use."""
    return not session_is_over(error) and (
        error.sqlstate == QUERY_CANCELED or error.sqlstate[:2] in RETRYABLE
    )


def timed_out(error: PublishError) -> bool:
    """Whether less work might get through: a statement or a lock took too long."""
    return not session_is_over(error) and error.sqlstate in (QUERY_CANCELED, LOCK_TIMEOUT)
