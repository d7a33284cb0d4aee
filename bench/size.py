"""(n) The drain of changed keys and a page of the feed, as the feed grows to ten million rows."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import LiteralString

from bench.drain import drain
from bench.measure import Line, Target, both, rates, seconds
from bench.server import Bench, Connection, connect

KEYS = 5000  # changed in a round
BATCH = 500
PAGE: LiteralString = "select * from publish_changes(%s, 500)"

# A feed of many rows, without the drains that would have made it, and a bare table of the same.
FILL = """
insert into {table} (rev, kind, source_id, schema_version, payload, payload_hash, deleted,
                     payload_no, created_at, updated_at)
select -n, 'message', 'old' || n, 1, p.payload,
       sha256(convert_to(p.payload::text, 'UTF8')), false, n, now(), now()
  from generate_series(%s::bigint, %s::bigint) n
 cross join lateral (
   select jsonb_build_object('id', n, 'body', repeat(md5(n::text), 8)) as payload) p
"""
# Keys from all over the feed, in no order, each with a new payload.
CHOOSE = """
drop table if exists bench.chosen;
create table bench.chosen as
select row_number() over (order by random()) as id, 'old' || n as source_id,
       jsonb_build_object('id', n, 'body', repeat(md5(n || 'new' || random()), 8)) as payload
  from generate_series(1, {size}, {size} / {keys}) n;
alter table bench.chosen add primary key (id);
analyze bench.chosen;
"""
ENQUEUE: LiteralString = """
select count(publish_enqueue('message', c.source_id, c.payload))
  from bench.chosen c where c.id between %s and %s
"""
UPDATE: LiteralString = """
update bench.bare b
   set rev = %(rev)s + c.id, schema_version = 1, payload = c.payload,
       payload_hash = sha256(convert_to(c.payload::text, 'UTF8')), deleted = false,
       headers = null, payload_no = %(rev)s + c.id, updated_at = now()
  from bench.chosen c
 where c.id between %(lo)s and %(hi)s and b.kind = 'message' and b.source_id = c.source_id
"""


@dataclass(frozen=True)
class Grown:
    """rounds: seconds of the drain and of a bare UPDATE for KEYS changed keys. page: ms for 500."""

    size: int
    rounds: list[tuple[float, float]]
    page: float


def grow(conn: Connection, sizes: list[int], rounds: int) -> Iterator[Grown]:
    size = 0
    for most in sizes:
        for table in ("publish.published", "bench.bare"):
            conn.execute(FILL.format(table=table).encode(), [size + 1, most])
        size = most
        conn.execute("vacuum analyze")
        conn.execute("checkpoint")
        taken = [changed(conn, size, rev=turn * KEYS) for turn in range(rounds)]
        yield Grown(size, taken, page(conn))


def changed(conn: Connection, size: int, rev: int) -> tuple[float, float]:
    conn.execute(CHOOSE.format(size=size, keys=KEYS).encode(), prepare=False)
    for first in range(1, KEYS, 50):  # whole transactions fill every batch
        conn.execute(ENQUEUE, [first, first + 49])
    row = conn.execute("select publish_head()").fetchone()
    assert row is not None
    parts = range(1, KEYS, BATCH)
    return both(
        [partial(drain, conn, BATCH)] * len(parts),
        [partial(conn.execute, UPDATE, {"lo": lo, "hi": lo + BATCH - 1, "rev": row[0] + rev})
         for lo in parts],
    )  # fmt: skip


def page(conn: Connection) -> float:
    """Milliseconds of a page of the newest changes, the median of many."""
    row = conn.execute("select publish_head() - 2000").fetchone()
    for _ in range(10):
        conn.execute(PAGE, row)
    return statistics.median(seconds(lambda: conn.execute(PAGE, row)) for _ in range(100)) * 1000


def run(bench: Bench) -> Iterator[Line]:
    sizes = [10**5, bench.scaled(10**7, 2 * 10**5)]
    with bench.database("bench_size") as url, connect(url) as conn:
        small, large = grow(conn, sizes, rounds=bench.scaled(5, 1))
    yield rates("n", f"drain changed keys among {large.size:,} rows", KEYS, large.rounds,
                unit="keys/s", against="UPDATE … FROM", target=Target(0.65))  # fmt: skip
    yield Line("n", f"a page of 500 among {large.size:,} rows", ours=large.page, theirs=small.page,
               unit="ms", against=f"among {small.size:,}", ratios=[large.page / small.page],
               target=Target(1.3, at_least=False))  # fmt: skip
