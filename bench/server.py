"""The server the benchmarks run on, and a fresh database for every line."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from pgpublish import embedded
from pgpublish.embedded import Cluster
from pgpublish.migrate import migrate

Connection = psycopg.Connection[Any]

SETTINGS = {
    "fsync": "off",
    "shared_buffers": "256MB",
    "max_wal_size": "4GB",
    "checkpoint_timeout": "30min",
    "max_connections": "40",
    "log_min_messages": "warning",
}

SOURCE = Path(__file__).with_name("source.sql")


@dataclass(frozen=True)
class Bench:
    """A running server with the template database; items is how many source rows it holds."""

    kind: str
    cluster: Cluster
    quick: bool
    items: int

    def scaled(self, full: int, quick: int) -> int:
        return quick if self.quick else full

    @contextmanager
    def database(self, name: str) -> Iterator[str]:
        """The URL of a copy of the template, dropped at the end."""
        with psycopg.connect(self.cluster.url(), autocommit=True) as admin:
            admin.execute(f"create database {name} template bench_template".encode())
            admin.execute("checkpoint")
            try:
                yield self.cluster.url(name)
            finally:
                admin.execute(f"drop database {name} with (force)".encode())


def connect(url: str) -> Connection:
    """A session in autocommit mode that prepares every statement."""
    conn = psycopg.connect(url, autocommit=True)
    conn.prepare_threshold = 0
    return conn


def debian_bin() -> Path:
    found = sorted(
        Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda p: -int(p.parts[4])
    )
    if not found:
        raise SystemExit(
            "no PostgreSQL under /usr/lib/postgresql; as root: apt-get install postgresql"
        )
    return found[0].parent


@contextmanager
def running(kind: str, *, quick: bool, **settings: str) -> Iterator[Bench]:
    """A temporary server of kind "embedded" or "debian", with pgpublish and the source data.
    settings: over those above."""
    user = embedded.unprivileged_user()
    root = Path(tempfile.mkdtemp(prefix="pgpublish-bench-"))
    root.chmod(0o755)
    bin = (
        embedded.reachable(embedded.binaries(), user, root) if kind == "embedded" else debian_bin()
    )
    cluster = Cluster(root / "cluster", bin, settings=SETTINGS | settings, user=user)
    try:
        cluster.create()
        cluster.start()
        items = 10_000 if quick else 100_000
        with psycopg.connect(cluster.url(), autocommit=True) as admin:
            admin.execute("create database bench_template")
        with psycopg.connect(cluster.url("bench_template"), autocommit=True) as conn:
            migrate(conn)
            conn.execute(SOURCE.read_bytes())
            conn.execute("call bench.fill(%s)", [items])
            conn.execute("vacuum analyze")
        yield Bench(kind, cluster, quick, items)
    finally:
        cluster.stop()
        shutil.rmtree(root, ignore_errors=True)
