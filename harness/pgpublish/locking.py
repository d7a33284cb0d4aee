"""The locks of migrate: one migrate at a time, and one that gives way to workers and writers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event

import psycopg

from pgpublish.database import Connection
from pgpublish.errors import Locked

LOCK = (1886741100, 1)  # advisory lock: class "publ", object 1
WAIT = "set local lock_timeout = '1min'"  # for that lock
# For tables that workers and writers use: less than deadlock_timeout, so that we give way to them.
GIVE_WAY = "set local lock_timeout = '500ms'"
TRIES, PAUSE_S = 40, 1.0


@contextmanager
def alone(conn: Connection) -> Iterator[None]:
    """Any session may take this lock: PostgreSQL asks for no right. So the wait ends, and who has
    it is named. Raises Locked."""
    try:
        with conn.transaction():
            conn.execute(WAIT)
            conn.execute("select pg_advisory_lock(%s, %s)", LOCK)
    except psycopg.errors.LockNotAvailable:
        raise Locked(
            "another session holds the lock of migrate",
            detail=f"It is {_holder(conn)}.",
            hint="Let it go on. If it is no migrate, end it: select pg_terminate_backend(…)",
        ) from None
    try:
        yield
    finally:
        if not conn.closed:
            conn.execute("select pg_advisory_unlock(%s, %s)", LOCK)


def _holder(conn: Connection) -> str:
    row = conn.execute(
        "select pg_catalog.format('process %%s of %%s', l.pid, a.usename)"
        " from pg_catalog.pg_locks l left join pg_catalog.pg_stat_activity a on a.pid = l.pid"
        " where l.locktype = 'advisory' and l.granted and l.classid = %s and l.objid = %s",
        LOCK,
    ).fetchone()
    return row[0] if row else "gone by now"


def patiently(transaction: Callable[[], None]) -> None:
    """Once more, a while later, where it waited for a lock in vain."""
    for left in reversed(range(TRIES)):
        try:
            transaction()
            return
        except (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected):
            if not left:
                raise
            Event().wait(PAUSE_S)
