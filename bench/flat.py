"""(g) What small drains cost, and that the cost stays while an old snapshot is held open."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Sequence
from typing import LiteralString

from bench.capture import CAPTURE
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


HOT_IDS = list(range(1, HOT + 1))
TICK = """
create view tick as select id, clock_timestamp() as at from generate_series(1, 20) as id;
select publish_define('tick', 'tick', array['id'])
"""
READ = """
select coalesce(sum(total_time), 0) / 1000
  from pg_stat_xact_user_functions
 where funcname = 'read_entries'
"""


def touch_items(conn: Connection) -> None:
    conn.execute(
        "update bench.item set touched_at = clock_timestamp() where id = any (%s)", [HOT_IDS]
    )


def mark_ticks(conn: Connection) -> None:
    conn.execute(
        "select publish.append_marks(kind => 'tick', keys => %s, lookup_id => null,"
        " headers => null)",
        [[str(n) for n in HOT_IDS]],
    )


def drain_hot(conn: Connection) -> tuple[float, float]:
    """Seconds of a drain, and of the view's read that is a part of it."""
    with conn.transaction():
        before = view_read(conn)
        drained = seconds(lambda: drain_once(conn))
        return drained, view_read(conn) - before


def view_read(conn: Connection) -> float:
    """Seconds that projections took, so far and as far as they are not yet flushed."""
    row = conn.execute(READ).fetchone()
    assert row is not None
    return float(row[0])


def megabytes(conn: Connection, relation: str) -> float:
    row = conn.execute(
        "select sum(pg_total_relation_size(d))::float8 / 1048576"
        "  from publish.with_descendants(%s::regclass) as d", [relation]
    ).fetchone()  # fmt: skip
    assert row is not None
    return float(row[0])


def flat(
    bench: Bench, source: str, setup: LiteralString, change: Callable[[Connection], None]
) -> Iterator[Line]:
    """Many drains of the same keys while a snapshot is held that no dead row may be removed of."""
    drains = bench.scaled(5000, 300)
    edge = drains // 10
    with bench.database("bench_flat") as url, connect(url) as conn, connect(url) as holder:
        conn.execute(setup, prepare=False)
        conn.execute("set track_functions = 'all'")

        def changed_and_drained() -> tuple[float, float]:
            change(conn)
            return drain_hot(conn)

        for _ in range(50):
            changed_and_drained()
        before = {name: megabytes(conn, name) for name in ("publish.published", "publish.outbox")}
        holder.execute("begin isolation level repeatable read")
        holder.execute("select count(*) from publish.published")
        taken = [changed_and_drained() for _ in range(drains)]
        holder.execute("rollback")
        own = [drained - read for drained, read in taken]
        for name, part in (
            ("the drain's own cost", own), ("the view's read", [read for _, read in taken]),
        ):  # fmt: skip
            first, last = statistics.median(part[:edge]), statistics.median(part[-edge:])
            yield Line(
                "g",
                f"{HOT} hot keys of {source}, old snapshot, {drains:,} drains: {name}",
                ours=last * 1000,
                theirs=first * 1000,
                unit="ms",
                against=f"first {edge}, last {edge}",
                ratios=[last / first],
                target=Target(1.5, at_least=False) if part is own else None,
            )
        for name, size in before.items():
            yield Line("g", f"  {name} after them", ours=megabytes(conn, name), theirs=size,
                       unit="MB", against="before them")  # fmt: skip


def run(bench: Bench) -> Iterator[Line]:
    with bench.database("bench_small") as url, connect(url) as conn:
        for n in range(50):
            drain_sent(conn, n, HOT)
            drain_marked(conn, n + 1)
        yield small("nothing", [seconds(lambda: drain_once(conn)) for _ in range(200)])
        yield small("one payload", [drain_sent(conn, n, 1) for n in range(100, 300)])
        yield small("one projected key", [drain_marked(conn, n) for n in range(100, 300)],
                    Target(0.8, at_least=False))  # fmt: skip
    yield from flat(bench, "a view that reads no table", TICK, mark_ticks)
    yield from flat(bench, "a table that bloats too", CAPTURE, touch_items)


def small(what: str, taken: Sequence[float], target: Target | None = None) -> Line:
    return Line("g", f"drain of {what}", ours=statistics.median(taken) * 1000, unit="ms",
                target=target)  # fmt: skip
