"""(f) WAL bytes per change against the bare statement, after a checkpoint and again without one."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from bench.drain import INSERT, READ, UPDATE, bare, batches, drain, mark, statement
from bench.measure import Line, Step
from bench.server import Bench, Connection, connect

BATCH = 500

# New and changed keys come after a checkpoint, so that a page's first change logs all of it.
STEPS = (
    ("new", INSERT, "INSERT … SELECT"),
    ("changed", UPDATE, "UPDATE … FROM"),
    ("changed again", UPDATE, "UPDATE … FROM"),
    ("unchanged", READ, "read + hash"),
)


def position(conn: Connection) -> int:
    row = conn.execute("select pg_current_wal_insert_lsn() - '0/0'").fetchone()
    assert row is not None
    return int(row[0])


def written(conn: Connection, step: Step) -> int:
    """Bytes of WAL that step wrote; nothing else runs here."""
    before = position(conn)
    step()
    return position(conn) - before


def run(bench: Bench) -> Iterator[Line]:
    keys = bench.scaled(20_000, 2_000)
    for kind, name in (("item", "projected"), ("message", "payload")):
        with bench.database("bench_wal") as url, connect(url) as conn:
            for table in ("publish.published", "publish.drain", "bench.bare"):
                conn.execute(f"alter table {table} set (autovacuum_enabled = false)".encode())
            for n, (case, template, against) in enumerate(STEPS):
                if case in ("new", "changed"):
                    conn.execute("checkpoint")
                else:
                    conn.execute("vacuum")
                if case.startswith("changed"):
                    conn.execute("call bench.change(1, %s)", [keys])
                marked = written(conn, partial(mark, conn, kind, 1, keys)) / keys
                published = 0 if case == "unchanged" else None
                query, ours, theirs = statement(template, kind), 0.0, 0.0
                for lo, hi in batches(1, keys, BATCH):
                    ours += written(conn, partial(drain, conn, BATCH, published=published)) / keys
                    theirs += written(conn, partial(bare, conn, query, n * keys, lo, hi)) / keys
                if case == "new":
                    yield Line("f", f"WAL to enqueue, {name}", ours=marked, unit="bytes/key")
                yield Line(
                    "f",
                    f"WAL to drain, {case}, {name}",
                    ours=ours,
                    theirs=theirs,
                    unit="bytes/key",
                    against=against,
                    ratios=[ours / theirs] if theirs >= 1 else [],
                )
