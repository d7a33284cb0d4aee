"""Guarantee 7 in a crash: with synchronous_commit = off the server loses what readers have read."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import psycopg
import pytest
from helpers import Connection, drain_all, enqueue, head, one, pid, running_cluster, until
from psycopg.rows import namedtuple_row

from pgpublish.migrate import migrate

# What else flushes the WAL, now and then.
NO_FLUSH = {
    "synchronous_commit": "off",
    "autovacuum": "off",
    "bgwriter_lru_maxpages": "0",
    "checkpoint_timeout": "1h",
    "wal_buffers": "64MB",
}


@pytest.fixture
def own(server_kind: str) -> Iterator[Callable[[], Connection]]:
    """Opens sessions on a server of the test's own, which flushes the WAL as seldom as can be."""
    sessions: list[Connection] = []
    with running_cluster(server_kind, **NO_FLUSH) as cluster:

        def connect() -> Connection:
            conn: Connection = psycopg.connect(
                cluster.url(), autocommit=True, row_factory=namedtuple_row
            )
            sessions.append(conn)
            return conn

        yield connect
        for conn in sessions:
            conn.close()


def publish(db: Connection, prefix: str, count: int) -> None:
    for n in range(count):
        enqueue(db, "note", f"{prefix} {n}", "1")
    drain_all(db)


def page(db: Connection, cursor: str | None = None) -> Any:
    return one(db, "select publish_page(%s)", cursor)


def epochs(db: Connection) -> list[tuple[str, int]]:
    rows = db.execute("select e.cause, e.first_rev from publish.epoch e order by e.epoch_no")
    return [(row.cause, row.first_rev) for row in rows.fetchall()]


def kill(process: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(process, signal.SIGKILL)


def after_crash(connect: Callable[[], Connection], witness: Connection) -> Connection:
    """A new session, once the server has noticed that a backend was killed and has recovered."""

    def is_gone() -> bool:
        try:
            witness.execute("select 1")
        except psycopg.OperationalError:
            return True
        return False

    def reconnect() -> Connection | None:
        with suppress(psycopg.OperationalError):
            return connect()
        return None

    until(is_gone)
    conn = until(reconnect)
    assert conn is not None
    return conn


def test_a_reader_of_revs_that_a_crash_lost_is_reset_and_one_of_older_revs_goes_on(
    own: Callable[[], Connection],
) -> None:
    db, witness = own(), own()
    migrate(db)
    db.execute("select publish_define('note')")
    publish(db, "kept", 10)
    older = page(db)["cursor"]
    started_at = one(db, "select pg_postmaster_start_time()")
    walwriter = one(db, "select pid from pg_stat_activity where backend_type = 'walwriter'")
    os.kill(walwriter, signal.SIGSTOP)
    try:
        db.execute("set synchronous_commit = on; select pg_logical_emit_message(true, '', '')")
        db.execute("set synchronous_commit = off")  # what comes now stays in memory
        publish(db, "lost", 10)
        read = page(db, older)
        assert [change["rev"] for change in read["changes"]] == list(range(11, 21))
        kill(pid(db))
    finally:
        kill(walwriter)  # held, it would keep the server from starting again for some seconds

    db = after_crash(own, witness)
    assert one(db, "select pg_postmaster_start_time()") == started_at
    assert head(db) == 10  # or this test shows nothing
    assert page(db, read["cursor"])["reset"]
    publish(db, "other", 15)
    assert head(db) == 25
    assert page(db, read["cursor"])["reset"]
    with pytest.raises(psycopg.Error) as refused:
        db.execute("select publish_changes(20, epoch => %s)", [read["epoch"]])
    assert refused.value.sqlstate == "PT410"
    goes_on = page(db, older)
    assert not goes_on["reset"]
    assert [change["rev"] for change in goes_on["changes"]] == list(range(11, 26))
    assert epochs(db) == [("start", 0), ("crash", 10)]
    assert one(db, "select count(*) from publish_changes(10, epoch => %s)", read["epoch"]) == 15


def test_a_crash_that_lost_nothing_resets_nobody(own: Callable[[], Connection]) -> None:
    db, witness = own(), own()
    migrate(db)
    db.execute("select publish_define('note')")
    publish(db, "kept", 10)
    at_head = page(db)["cursor"]
    db.execute("checkpoint")
    kill(pid(db))
    db = after_crash(own, witness)
    publish(db, "more", 5)
    assert [change["rev"] for change in page(db, at_head)["changes"]] == list(range(11, 16))
    assert epochs(db) == [("start", 0), ("crash", 10)]
    publish(db, "even more", 1)
    assert len(epochs(db)) == 2
