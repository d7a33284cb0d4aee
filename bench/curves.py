"""python -m bench.curves: how cost grows, as charts in docs/curves and as one JSON file."""

from __future__ import annotations

import argparse
import dataclasses
import json
import statistics
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import LiteralString

from bench import size
from bench.capture import CAPTURE, capturing, finish, pgbench, rate, touch_script
from bench.chart import Chart, Points, svg
from bench.drain import drain_all, mark
from bench.flat import drain_once, drain_sent
from bench.measure import seconds
from bench.server import Bench, Connection, connect, running

FOLDER = Path(__file__).parents[1] / "docs" / "curves"

# Hexadecimal digits compress to a half at best.
SEND: LiteralString = """
with p as materialized (
  select k, jsonb_build_object('text', string_agg(md5(k || ' ' || n || random()), '')) as payload
    from generate_series(1, %(keys)s) k
   cross join generate_series(1, greatest(1, (%(size)s - 12) / 32)) n
   group by k
)
select count(publish_enqueue('message', %(name)s::text || '-' || p.k, p.payload)) from p
"""


def rows(bench: Bench) -> Iterator[tuple[str, Chart]]:
    """The feed grows; the drain of changed keys from all over it, a bare UPDATE of as many, and a
    page of 500."""
    sizes = [10**n for n in range(4, bench.scaled(8, 6))]
    drained: list[tuple[float, float]] = []
    updated: list[tuple[float, float]] = []
    paged: list[tuple[float, float]] = []
    with bench.database("curve_rows") as url, connect(url) as conn:
        for found in size.grow(conn, sizes, rounds=bench.scaled(3, 1)):
            ours, theirs = (statistics.median(side) for side in zip(*found.rounds, strict=True))
            drained.append((found.size, size.KEYS / ours))
            updated.append((found.size, size.KEYS / theirs))
            paged.append((found.size, found.page))
    yield "rows", Chart("Changed keys, by the size of the feed", "rows in the feed", "keys/s",
                        {"drain, 500 a batch": drained, "bare UPDATE": updated})  # fmt: skip
    yield "page", Chart("A page of 500, by the size of the feed", "rows in the feed", "ms",
                        {"publish_changes": paged})  # fmt: skip


def batches(bench: Bench) -> Iterator[tuple[str, Chart]]:
    """One drain of 10 to 50,000 keys."""
    taken: dict[str, list[tuple[float, float]]] = {"projected": [], "payload": []}
    for kind, name in (("item", "projected"), ("message", "payload")):
        with bench.database("curve_batch") as url, connect(url) as conn:
            mark(conn, kind, 1, bench.items)
            drain_all(conn)
            for batch in (10, 30, 100, 300, 1000, 3000, 10_000, 50_000):
                if batch > bench.items:
                    break
                times = max(3, min(20, 20_000 // batch))
                took = statistics.median(changed_batch(conn, kind, batch) for _ in range(times))
                taken[name].append((batch, batch / took))
    yield "batch", Chart("Changed keys, by the size of a batch", "keys a batch", "keys/s", taken)


def changed_batch(conn: Connection, kind: str, batch: int) -> float:
    conn.execute("call bench.change(1, %s)", [batch])
    mark(conn, kind, 1, batch)
    return seconds(lambda: drain_all(conn, batch))


def payloads(bench: Bench) -> Iterator[tuple[str, Chart]]:
    """Payloads of 100 bytes to 100 kB that do not compress, published new."""
    taken: list[tuple[float, float]] = []
    with bench.database("curve_payload") as url, connect(url) as conn:
        for length in (100, 300, 1000, 3000, 10_000, 30_000, 100_000):
            keys = max(50, min(5000, 5_000_000 // length))
            took = statistics.median(
                new(conn, f"{length}-{turn}", length, keys) for turn in range(bench.scaled(5, 1))
            )
            taken.append((length, keys / took))
    yield "payload", Chart("New keys, by the size of their payload", "bytes a payload", "keys/s",
                           {"drain, 500 a batch": taken})  # fmt: skip


def new(conn: Connection, name: str, length: int, keys: int) -> float:
    """Seconds of the drains of so many new keys, with payloads of so many bytes."""
    conn.execute(SEND, {"name": name, "size": length, "keys": keys})
    return seconds(partial(drain_all, conn, 500))


def writers(bench: Bench) -> Iterator[tuple[str, Chart]]:
    """Single-row transactions from 1 to 64 clients, with capture and without, durable."""
    taken: dict[str, list[tuple[float, float]]] = {"captured": [], "without capture": []}
    with (
        running(bench.kind, quick=bench.quick, fsync="on", max_connections="100") as durable,
        durable.database("curve_writers") as url,
        connect(url) as conn,
        TemporaryDirectory() as folder,
    ):
        conn.execute(CAPTURE)
        script = touch_script(folder, durable.items)
        for clients in (1, 2, 4, 8, 16, 32, 64):
            writes = str(bench.scaled(4000, 400) // clients)
            found: dict[bool, list[float]] = {True: [], False: []}
            for turn in range(bench.scaled(5, 1)):
                for on in (True, False) if turn % 2 else (False, True):
                    capturing(conn, on)
                    process = pgbench(durable, url, script, "-c", str(clients), "-t", writes)
                    found[on].append(rate(finish(process)))
            for on, name in ((True, "captured"), (False, "without capture")):
                taken[name].append((clients, statistics.median(found[on])))
            drain_all(conn)
    yield "writers", Chart("Single-row updates, durable, by clients", "clients", "transactions/s",
                           taken)  # fmt: skip


def subscriptions(bench: Bench) -> Iterator[tuple[str, Chart]]:
    """What a claim of 100 changes and its settle cost with 1 to 1,000 subscriptions."""
    taken: list[tuple[float, float]] = []
    with bench.database("curve_subscriptions") as url, connect(url) as conn:
        mark(conn, "item", 1, 10_000)
        drain_all(conn)
        made = 0
        for count in (1, 10, 100, bench.scaled(1000, 200)):
            conn.execute(
                "select publish_subscribe('s' || n, 'stdout')"
                " from generate_series(%s::int, %s::int) n", [made + 1, count],
            )  # fmt: skip
            made = count
            conn.execute("vacuum analyze")
            cost = statistics.median(seconds(partial(claimed, conn)) for _ in range(30))
            taken.append((count, cost * 1000))
            conn.execute("select publish_seek('s1', 0)")
    yield "subscriptions", Chart("Claim and settle of 100 changes, by subscriptions",
                                 "subscriptions", "ms", {"claim + settle": taken})  # fmt: skip


def claimed(conn: Connection) -> None:
    row = conn.execute("select min(c.token) from publish_claim('s1', 'bench', 100) c").fetchone()
    assert row is not None
    conn.execute("select * from publish_settle(%s)", row)


def snapshot(bench: Bench) -> Iterator[tuple[str, Chart]]:
    """Drains of 20 changed payloads while a snapshot is held: ten minutes of eight a second."""
    most = bench.scaled(4800, 300)
    step = most // 8
    taken: list[tuple[float, float]] = []
    with bench.database("curve_snapshot") as url, connect(url) as conn, connect(url) as holder:
        for n in range(50):
            drain_sent(conn, n, 20)
        holder.execute("begin isolation level repeatable read")
        holder.execute("select count(*) from publish.published")
        for part in range(8):
            cost = [drain_sent(conn, 100 + part * step + n, 20) for n in range(step)]
            taken.append(((part + 1) * 1.25, statistics.median(cost) * 1000))
        holder.execute("rollback")
        drain_once(conn)
    yield "snapshot", Chart("A drain of 20 changed keys while a snapshot is held", "minutes, at"
                            " eight drains a second", "ms", {"drain": taken})  # fmt: skip


CURVES: dict[str, Callable[[Bench], Iterator[tuple[str, Chart]]]] = {
    "rows": rows,
    "batches": batches,
    "payloads": payloads,
    "writers": writers,
    "subscriptions": subscriptions,
    "snapshot": snapshot,
}


def table(chart: Chart) -> str:
    """The points of each curve, as lines."""

    def told(points: Points) -> str:
        return "  ".join(f"{x:,.4g}: {y:,.4g}" for x, y in points)

    return "\n".join(f"  {name:22} {told(points)}" for name, points in chart.series.items())


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.curves", description=__doc__)
    parser.add_argument("--server", choices=["embedded", "debian"], default="embedded")
    parser.add_argument("--quick", action="store_true", help="small counts, and no files")
    parser.add_argument("--only", choices=list(CURVES), action="append")
    options = parser.parse_args()
    with running(options.server, quick=options.quick) as bench:
        for name in options.only or CURVES:
            for file, chart in CURVES[name](bench):
                print(f"{chart.title} ({chart.y})\n{table(chart)}", flush=True)
                if not options.quick:
                    FOLDER.mkdir(exist_ok=True)
                    (FOLDER / f"{file}.svg").write_text(svg(chart))
                    (FOLDER / f"{file}.json").write_text(json.dumps(dataclasses.asdict(chart)))


if __name__ == "__main__":
    main()
