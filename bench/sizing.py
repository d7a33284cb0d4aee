"""(k) What one key and one change cost: disk, WAL and processor time, to size a server by."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import psutil

from bench.drain import batches, drain, mark
from bench.latency import cpu
from bench.measure import Line
from bench.server import Bench, Connection, connect
from bench.wal import written

BATCH = 500
SIZE = """
select pg_relation_size('publish.published'), pg_indexes_size('publish.published'),
       (select avg(pg_column_size(p.payload)) from publish.published p)
"""
CLAIM = "select min(c.token) from publish_claim('s', 'bench', %s) c"
SETTLE = "select * from publish_settle(%s::bigint)"


def fetch(conn: Connection, query: str, *arguments: object) -> tuple[float, ...]:
    row = conn.execute(query.encode(), arguments or None).fetchone()
    assert row is not None
    return tuple(float(value or 0) for value in row)


def used(conn: Connection, step: Callable[[], object]) -> float:
    """Seconds of the processor that the session's backend took for it."""
    backend = [psutil.Process(conn.info.backend_pid)]
    before = cpu(backend)
    step()
    return cpu(backend) - before


def both(conn: Connection, count: int, step: Callable[[], object]) -> tuple[float, float]:
    """Bytes of WAL and microseconds of the processor for each of count."""
    taken: list[float] = []
    wal = written(conn, lambda: taken.append(used(conn, step)))
    return wal / count, taken[0] / count * 1e6


def run(bench: Bench) -> Iterator[Line]:
    keys = bench.scaled(20_000, 5_000)
    with bench.database("bench_sizing") as url, connect(url) as conn:
        conn.execute("alter table publish.published set (autovacuum_enabled = false)")

        def drain_all() -> None:
            for _ in batches(1, keys, BATCH):
                drain(conn, BATCH)

        for case in ("new", "changed", "changed again"):
            if case != "new":
                conn.execute("vacuum analyze")
                conn.execute("call bench.change(1, %s)", [keys])
            if case == "changed":
                conn.execute("checkpoint")  # so that a page's first change logs all of it
            mark(conn, "item", 1, keys)
            wal, cpu_us = both(conn, keys, drain_all)
            heap, indexes, payload = fetch(conn, SIZE)
            yield Line("k", f"feed on disk, {case} keys, table", heap / keys, "bytes/key")
            yield Line("k", f"feed on disk, {case} keys, indexes", indexes / keys, "bytes/key")
            yield Line("k", f"drain, {case} keys, WAL", wal, "bytes/key")
            yield Line("k", f"drain, {case} keys, processor", cpu_us, "us/key")
        yield Line("k", "a payload in it, as stored", payload, "bytes")
        singles = bench.scaled(2_000, 500)

        def write_one_by_one() -> None:
            for n in range(1, singles + 1):
                conn.execute("select publish_enqueue('item', %s)", [str(n)])

        wal, cpu_us = both(conn, singles, write_one_by_one)
        (outbox,) = fetch(
            conn,
            "select sum(pg_total_relation_size(('publish.outbox_' || s)::regclass))"
            "  from generate_series(0, 2) s",
        )
        yield Line("k", "publish_enqueue, WAL", wal, "bytes/mark")
        yield Line("k", "publish_enqueue, processor", cpu_us, "us/mark")
        (rows,) = fetch(conn, "select count(*) from publish.outbox")
        yield Line("k", "outbox until its slot is emptied", outbox / rows, "bytes/row")

        def drain_one_by_one() -> None:
            for _ in range(singles):
                conn.execute("select * from publish_drain(1)")

        wal, cpu_us = both(conn, singles, drain_one_by_one)
        yield Line("k", "drain, one unchanged key each, WAL", wal, "bytes/drain")
        yield Line("k", "drain, one unchanged key each, processor", cpu_us, "us/drain")
        conn.execute("select publish_subscribe('s', 'stdout', from_rev => 0)")

        def deliver() -> None:
            while (token := fetch(conn, CLAIM, 100)[0]) > 0:
                conn.execute(SETTLE, [token])

        wal, cpu_us = both(conn, keys, deliver)
        yield Line("k", "claim and settle, 100 at a time, WAL", wal, "bytes/change")
        yield Line("k", "claim and settle, 100 at a time, processor", cpu_us, "us/change")
