"""Hours in seconds: a database and an event loop whose clock goes on only when all wait."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg

from bench.server import Bench, Connection, connect
from pgpublish.migrate import migrate

BEGAN = 1_800_000_000.0  # seconds since 1970 when a simulation begins

# Before pgpublish is installed there, so that its functions and defaults take this clock. What the
# server itself counts by, such as now(), goes on as ever; deliveries do not look at it.
CLOCK = """
set allow_system_table_mods = on;
alter function pg_catalog.clock_timestamp() rename to server_timestamp;
create function pg_catalog.clock_timestamp() returns timestamptz language plpgsql as
$$ begin return to_timestamp(current_setting('bench.now')::float8); end $$;
"""


@contextmanager
def database(bench: Bench, name: str) -> Iterator[Connection]:
    """A session in a new database with pgpublish and a clock that `Loop` moves."""
    with psycopg.connect(bench.cluster.url(), autocommit=True) as admin:
        admin.execute(f"create database {name} template template0".encode())
        admin.execute(f"alter database {name} set bench.now = '{BEGAN}'".encode())
        try:
            with connect(bench.cluster.url(name)) as conn:
                conn.execute(CLOCK.encode(), prepare=False)
                conn.prepare_threshold = None
                migrate(conn)
                conn.prepare_threshold = 0
                yield conn
        finally:
            admin.execute(f"drop database {name} with (force)".encode())


class _Skip(selectors.DefaultSelector):
    """Waits for nothing: what would have been waited goes into the sum."""

    waited = 0.0

    def select(self, timeout: float | None = None) -> Any:
        if timeout is None:
            raise RuntimeError("the simulation waits for what never comes")
        self.waited += max(timeout, 0.0)
        return super().select(0)


class Loop(asyncio.SelectorEventLoop):
    """Runs coroutines one after the other; when all sleep, moves its clock to the next that wakes,
    and the database's with it before the next call of `at`."""

    def __init__(self, conn: Connection) -> None:
        self._skip = _Skip()
        super().__init__(self._skip)
        self.conn = conn

    def time(self) -> float:
        return self._skip.waited

    def at(self) -> Connection:
        """The session, whose clock says now what the loop's does."""
        self.conn.execute("select set_config('bench.now', %s, false)", [f"{BEGAN + self.time():f}"])
        return self.conn
