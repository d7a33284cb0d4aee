"""examples/sqlite_replica.py is exact after all that can happen to it and to its database."""

from __future__ import annotations

import json
import random
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from helpers import (
    Connection,
    cut,
    drain_all,
    enqueue,
    one,
    replay,
    running_cluster,
    standby_of,
    until,
)

from pgpublish.embedded import Cluster
from pgpublish.migrate import migrate

EXAMPLE = Path(__file__).parents[2] / "examples/sqlite_replica.py"
KEYS = 300


SMALL = (  # runs the example with small pages
    "import runpy, sys, functools, pgpublish; sys.argv = sys.argv[1:];"
    " pgpublish.follow = functools.partial(pgpublish.follow, batch=5);"
    " runpy.run_path(sys.argv[0], run_name='__main__')"
)


class Replica:
    """The example as a process."""

    def __init__(self, url: str, file: Path) -> None:
        self.url = url
        self.file = file

    @contextmanager
    def running(self) -> Iterator[None]:
        """Killed at the end, wherever it is."""
        process = subprocess.Popen(
            [sys.executable, "-c", SMALL, str(EXAMPLE), self.url, str(self.file)],
            stdout=subprocess.DEVNULL,
        )
        try:
            yield
            assert process.poll() is None, "the replica ended by itself"
        finally:
            process.kill()
            process.wait()

    def ask(self, query: str) -> list[Any]:
        if not self.file.exists():
            return []
        with closing(sqlite3.connect(self.file, timeout=30)) as db:
            try:
                return db.execute(query).fetchall()
            except sqlite3.OperationalError:
                return []  # its tables are not made yet

    def holds(self) -> dict[str, Any]:
        rows = self.ask("select pub_id, rev, payload from held")
        return {key: (rev, json.loads(text)) for key, rev, text in rows}

    def wait_for_a_page(self, db: Connection) -> None:
        """Until it has stored one more, or all there is."""
        before = self.place()
        until(lambda: self.place() != before or self.holds() == published(db))

    def place(self) -> tuple[str | None, int]:
        """Its cursor, and how often it was reset."""
        found = self.ask("select cursor, round from place")
        return found[0] if found else (None, 0)


def published(conn: Connection) -> dict[str, Any]:
    rows = conn.execute(
        "select p.pub_id::text, p.rev, p.payload from publish.published p where not p.deleted"
    ).fetchall()
    return {key: (rev, payload) for key, rev, payload in rows}


def write(conn: Connection, dice: random.Random, count: int, first: int = 1) -> None:
    """Changes, deletes and creates keys, in commits of a few, each drained."""
    for _ in range(count // 20):
        with conn.transaction():
            for _ in range(20):
                key = str(dice.randint(first, first + KEYS - 1))
                if dice.random() < 0.3:
                    enqueue(conn, "note", key, deleted=True)
                else:
                    enqueue(conn, "note", key, json.dumps(dice.random()))
        drain_all(conn)


def session(cluster: Cluster) -> Connection:
    return psycopg.connect(cluster.url(), autocommit=True)


@pytest.fixture
def pair(server_kind: str) -> Iterator[tuple[Cluster, Cluster]]:
    """A primary with an empty feed, and its standby."""
    with running_cluster(server_kind) as primary:
        with session(primary) as db:
            migrate(db)
            db.execute("select publish_define('note')")
        with standby_of(primary, server_kind) as standby:
            yield primary, standby


@pytest.mark.timeout(200)
def test_the_replica_is_exact_after_kills_resets_and_a_failover_that_lost_a_tail(
    pair: tuple[Cluster, Cluster], tmp_path: Path
) -> None:
    dice = random.Random(7)
    hosts = ",".join(str(cluster.folder) for cluster in pair)
    url = f"host={hosts} port=5432,5432 user=postgres dbname=postgres"
    replica = Replica(url, tmp_path / "replica")
    with session(pair[0]) as db, session(pair[1]) as copy:
        write(db, dice, 300)
        for _ in range(4):
            with replica.running():
                replica.wait_for_a_page(db)
                write(db, dice, dice.randint(20, 100))

        # While it is down keys go, and then their tombstones.
        for number in range(1, 41):
            enqueue(db, "note", str(number), deleted=True)
        drain_all(db)
        db.execute("update publish.published set updated_at = updated_at - interval '1 year'")
        db.execute("select publish_maintain()")
        assert set(replica.holds()) - set(published(db)), "it holds no orphan"
        resets = replica.place()[1]
        for _ in range(3):
            with replica.running():
                replica.wait_for_a_page(db)
        with replica.running():
            until(lambda: replica.holds() == published(db))
            assert replica.place()[1] > resets

            resets = replica.place()[1]
            replay(db, copy)
            cut(copy)
            write(db, dice, 100, first=KEYS // 2)
            until(lambda: replica.holds() == published(db))
            pair[0].stop(signal.SIGQUIT)
            assert set(replica.holds()) - set(published(copy)), "it holds nothing that was lost"
            assert one(copy, "select pg_promote(true, 60)")
            write(copy, dice, 60)
            until(lambda: replica.holds() == published(copy))
            assert replica.place()[1] > resets
