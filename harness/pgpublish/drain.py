"""The drain loop: what pg_cron can do each second, done each few milliseconds."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from threading import Event

from pgpublish.database import Connection, call
from pgpublish.errors import PublishError

QUERY_CANCELED = "57014"
RETRYABLE = ("40", "53", "55")  # rollback, out of resources, object in use: try again, smaller
MIN_POLL_MS = 3
MAX_POLL_MS = 20  # two seconds after the last work: a wake-up costs 100 to 200 µs of a core
WAIT_MS = 500
BUSY_WAIT_S = 0.2
MAINTAIN_EVERY_S = 60.0
SLOW_DRAIN_S = 1.0
READ_COMMITTED = "set default_transaction_isolation to 'read committed'"


@dataclass(frozen=True)
class Drained:
    """One call of publish_drain; busy: another session is draining."""

    scanned: int
    keys: int
    published: int
    unchanged: int
    quarantined: int
    head: int
    busy: bool


def drain(conn: Connection, batch: int = 500) -> Drained:
    """One drain in a transaction of its own. Raises BadArgument, DatabaseError."""
    return Drained(*call(conn, "select * from public.publish_drain(%s)", batch))


def drain_all(conn: Connection, batch: int = 500) -> Iterator[Drained]:
    """Drains until nothing is left or another drain holds the lock (then the last is busy)."""
    conn.execute(READ_COMMITTED)
    while True:
        drained = drain(conn, batch)
        yield drained
        if drained.busy or not drained.scanned:
            return


def set_aside(conn: Connection) -> Drained:
    """Quarantines the next row's key unseen, because its projection alone times out."""
    with conn.transaction():
        conn.execute("select set_config('publish.set_aside', 'on', true)")
        return drain(conn, 1)


def run(
    conn: Connection,
    stop: Event,
    *,
    batch: int = 500,
    report: Callable[[Drained], None] = lambda drained: None,
    warn: Callable[[str], None] = lambda message: None,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Drains until stop is set, and calls publish_maintain each minute.

    Goes on at once while there is more, else waits inside the server for work, looking less often
    the longer there was none. The batch is halved when a drain times out or takes over a second,
    and grows back to `batch` as drains get fast; a key that times out alone is set aside.
    Raises ConnectionFailed, and any error that a smaller batch cannot mend.
    """
    conn.execute(READ_COMMITTED)
    size = batch
    worked_at = clock()
    maintain_at = worked_at + MAINTAIN_EVERY_S
    while not stop.is_set():
        began = clock()
        try:
            drained = drain(conn, size)
        except PublishError as error:
            if not retryable(error):
                raise
            warn(f"a drain of {size} rows failed: {error.message}")
            size = after_failure(conn, error, size, stop, report)
            continue
        took = clock() - began
        if drained.scanned:
            worked_at = clock()
            report(drained)
        if took > SLOW_DRAIN_S:
            size = max(1, size // 2)
        elif size < batch and drained.scanned >= size and took < SLOW_DRAIN_S / 4:
            size = min(batch, size * 2)
        try:
            if clock() >= maintain_at:
                maintain_at = clock() + MAINTAIN_EVERY_S
                call(conn, "select * from public.publish_maintain()")
            if drained.busy:
                stop.wait(BUSY_WAIT_S)
            elif drained.scanned < size:
                idle_ms = 0.0 if drained.scanned else (clock() - worked_at) * 1000
                poll = min(MAX_POLL_MS, max(MIN_POLL_MS, round(idle_ms / 100)))
                call(conn, "select publish.await_work(%s, %s)", WAIT_MS, poll)
        except PublishError as error:
            if not retryable(error):
                raise
            warn(f"between drains: {error.message}")
            stop.wait(MAX_POLL_MS / 1000)


def after_failure(
    conn: Connection,
    error: PublishError,
    size: int,
    stop: Event,
    report: Callable[[Drained], None],
) -> int:
    """What to do about a drain of `size` rows that failed. Returns the size of the next one."""
    try:
        if error.sqlstate == QUERY_CANCELED:
            if call(conn, "select publish.postpone_slow(%s)", size)[0]:
                return size
            if size == 1:
                report(set_aside(conn))
                return 1
    except PublishError as again:
        if not retryable(again):
            raise
    if size == 1:
        stop.wait(1.0)
    return max(1, size // 2)


def retryable(error: PublishError) -> bool:
    """Whether to go on after it: a timeout, a rollback, a lack of resources, an object in use."""
    return error.sqlstate == QUERY_CANCELED or error.sqlstate[:2] in RETRYABLE
