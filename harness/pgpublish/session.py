"""A connection whose calls end: by an answer, by a cancelled statement, or by giving it up.

TCP does not notice a peer that vanished behind something that still acknowledges (a proxy, a load
balancer, a pooler), and notices others after 15 minutes. So the waiting itself has a limit.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from threading import Thread
from typing import Any, Protocol, TypeVar

import psycopg
from psycopg.pq import TransactionStatus
from psycopg.waiting import Ready

PATIENCE_S = 30.0  # that a call may take: a drain takes at most 10
CANCEL_S = 5.0  # that a cancelled statement may take to end
STOP_S = 3.0  # that the call in flight may take once the worker is to stop
STOP_CANCEL_S = 1.0  # and then to end
T = TypeVar("T")


class Stop(Protocol):
    """An Event, as far as a session asks one."""

    def is_set(self) -> bool: ...


class Session(psycopg.Connection[Any]):
    """patience: seconds that a call inside limited() may take; None: as long as it likes.
    stop: once set, a call has STOP_S left. pooled: a pooler is between, as far as we can tell.
    asked: how often it waited for the server."""

    patience: float | None = None
    stop: Stop | None = None
    pooled: bool = False
    asked: int = 0
    _until: float | None = None  # of the call in flight

    def wait(self, gen: Any, *arguments: Any, **named: Any) -> Any:
        self.asked += 1
        if self._until is None:
            return super().wait(gen, *arguments, **named)
        try:
            return super().wait(_watched(self, gen, self._until), *arguments, **named)
        except _Silent as silent:
            self.close()
            raise psycopg.OperationalError(str(silent)) from None


@contextmanager
def limited(conn: psycopg.Connection[Any]) -> Iterator[None]:
    """What is asked in here has to be answered within the session's patience.

    Then the statement is cancelled, as by pg_cancel_backend, and 5 s later the session is closed
    with an OperationalError. A connection of another class has no limit.
    """
    if not isinstance(conn, Session) or conn.patience is None or conn._until is not None:
        yield
        return
    conn._until = time.monotonic() + conn.patience
    try:
        yield
    finally:
        conn._until = None


class _Silent(Exception):
    pass


def _watched(conn: Session, gen: Generator[Any, Any, T], until: float) -> Generator[Any, Any, T]:
    """gen, asked each time nothing was ready whether its time is over."""
    began = time.monotonic()
    stopping = cancelled = False
    try:
        wanted = next(gen)
        while True:
            ready = yield wanted
            if ready == Ready.NONE:
                now = time.monotonic()
                if not (stopping or conn.stop is None) and conn.stop.is_set():
                    stopping = True
                    until = min(until, now + STOP_S)
                if now >= until and cancelled:
                    raise _Silent(f"the server has not answered for {now - began:.0f} s")
                if now >= until:
                    cancelled = True
                    until = now + (STOP_CANCEL_S if stopping else CANCEL_S)
                    _cancel(conn)
            wanted = gen.send(ready)
    except StopIteration as end:
        result: T = end.value
        return result


def _cancel(conn: Session) -> None:
    """Asks the server on a connection of its own; in a thread, as nobody may answer there."""

    def ask() -> None:
        with suppress(Exception):
            conn.cancel_safe(timeout=CANCEL_S)

    if conn.pgconn.transaction_status == TransactionStatus.ACTIVE:
        Thread(target=ask, daemon=True).start()
