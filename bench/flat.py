"""(g) What small drains cost, and that the cost stays while an old snapshot is held open."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence

from bench.drain import mark
from bench.measure import Line, Target, seconds
from bench.server import Bench, Connection, connect

HOT = 20
SEND = """
select count(publish_enqueue('message', k::text, jsonb_build_object('n', %s::int)))
  from generate_series(1, %s) as k
"""


def drain_once(conn: Connection) -> None:
    conn.execute("select * from publish_drain(500)")


def drain_sent(conn: Connection, n: int, keys: int) -> float:
    """Seconds that the drain of `keys` changed payloads took."""
    conn.execute(SEND, [n, keys])
    return seconds(lambda: drain_once(conn))


def drain_marked(conn: Connection, key: int) -> float:
    """Seconds that the drain of one changed row of the source took."""
    conn.execute("call bench.change(%s, %s)", [key, key])
    mark(conn, "item", key, key)
    return seconds(lambda: drain_once(conn))


def run(bench: Bench) -> Iterator[Line]:
    drains = bench.scaled(5000, 300)
    with bench.database("bench_flat") as url, connect(url) as conn, connect(url) as holder:
        for n in range(50):
            drain_sent(conn, n, HOT)
            drain_marked(conn, n + 1)
        yield small("nothing", [seconds(lambda: drain_once(conn)) for _ in range(200)])
        yield small("one payload", [drain_sent(conn, n, 1) for n in range(100, 300)])
        yield small("one projected key", [drain_marked(conn, n) for n in range(100, 300)])

        holder.execute("begin isolation level repeatable read")
        holder.execute("select count(*) from publish.published")
        taken = [drain_sent(conn, n, HOT) for n in range(1000, 1000 + drains)]
        first, last = (statistics.median(part) for part in (taken[:100], taken[-100:]))
        yield Line(
            "g",
            f"{HOT} hot keys, old snapshot, last of {drains:,} drains",
            ours=last * 1000,
            theirs=first * 1000,
            unit="ms",
            against="the first drains",
            ratios=[last / first],
            target=Target(1.5, at_least=False),
        )
        holder.execute("rollback")


def small(what: str, taken: Sequence[float]) -> Line:
    return Line("g", f"drain of {what}", ours=statistics.median(taken) * 1000, unit="ms")
