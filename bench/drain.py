"""(a) The drain against a bare INSERT … SELECT, UPDATE and read of the same rows."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from bench.measure import Line, Target, both, rates
from bench.server import Bench, Connection, connect

SOURCES = {
    "item": "select v.id, to_jsonb(v) as payload from bench.item_view v",
    "message": "select v.id, v.payload from bench.message v",
}

HASHED = """
select h.id::text as source_id, h.payload, sha256(convert_to(h.payload::text, 'UTF8')) as hash,
       row_number() over (order by h.id) as n
  from ({source}) h
 where h.id between %(lo)s and %(hi)s
"""

INSERT = """
insert into bench.bare (rev, kind, source_id, schema_version, payload, payload_hash, deleted,
                        payload_no, created_at, updated_at)
select %(rev)s + h.n, '{kind}', h.source_id, 1, h.payload, h.hash, false, %(rev)s + h.n,
       now(), now()
  from ({hashed}) h
"""

UPDATE = """
update bench.bare b
   set rev = %(rev)s + h.n, schema_version = 1, payload = h.payload, payload_hash = h.hash,
       deleted = false, headers = null, payload_no = %(rev)s + h.n, updated_at = now()
  from ({hashed}) h
 where b.kind = '{kind}' and b.source_id = h.source_id
"""

READ = "select count(*), sum(octet_length(h.hash)) from ({hashed}) h"

CASES = (
    ("new", INSERT, "INSERT … SELECT", Target(0.75)),
    ("changed", UPDATE, "UPDATE … FROM", Target(0.7)),
    ("unchanged", READ, "read + hash", None),
)


def statement(template: str, kind: str) -> str:
    """One of the bare statements above, for this kind."""
    hashed = HASHED.format(source=SOURCES[kind])
    return template.format(kind=kind, hashed=hashed)


def mark(conn: Connection, kind: str, lo: int, hi: int) -> None:
    """Enqueues the keys lo..hi. A literal call: a procedure that commits takes no prepared one."""
    conn.execute(f"call bench.mark('{kind}', {lo}, {hi})".encode(), prepare=False)


def drain(conn: Connection, batch: int, *, published: int | None = None) -> None:
    """One drain that must find a full batch and publish so many, or all, of its keys."""
    row = conn.execute("select * from publish_drain(%s)", [batch]).fetchone()
    if row is None or row[1] != batch or row[2] not in (published, batch):
        raise RuntimeError(f"not the drain of {batch} keys: {row}")


def drain_all(conn: Connection, batch: int = 5000) -> None:
    """Drains until nothing is left."""
    while (row := conn.execute("select * from publish_drain(%s)", [batch]).fetchone()) and row[0]:
        pass


def bare(conn: Connection, query: str, rev: int, lo: int, hi: int) -> None:
    """Runs one of the bare statements over the keys lo..hi."""
    conn.execute(query, {"lo": lo, "hi": hi, "rev": rev + lo})


def batches(lo: int, hi: int, batch: int) -> list[tuple[int, int]]:
    """First and last of each full batch of lo..hi."""
    return [(first, first + batch - 1) for first in range(lo, hi + 1, batch)]


def run(bench: Bench) -> Iterator[Line]:
    rounds = bench.scaled(5, 2)
    keys = bench.scaled(10_000, 5_000)
    for kind, name in (("item", "projected"), ("message", "payload")):
        for batch in (500, 5000):
            taken: dict[str, list[tuple[float, float]]] = {case: [] for case, *_ in CASES}
            with bench.database("bench_drain") as url, connect(url) as conn:
                for turn in range(rounds):
                    lo, hi = turn * keys + 1, (turn + 1) * keys
                    for n, (case, template, _, _) in enumerate(CASES):
                        if case == "changed":
                            conn.execute("call bench.change(%s, %s)", [lo, hi])
                        conn.execute("vacuum analyze")
                        mark(conn, kind, lo, hi)
                        published = 0 if case == "unchanged" else None
                        query, rev = statement(template, kind), n * bench.items
                        parts = batches(lo, hi, batch)
                        taken[case].append(
                            both(
                                [partial(drain, conn, batch, published=published)] * len(parts),
                                [partial(bare, conn, query, rev, *part) for part in parts],
                            )
                        )
            for case, _, against, target in CASES:
                if (case, kind) == ("unchanged", "message"):
                    target = Target(0.4)
                what = f"drain {case} keys, {name}, batch {batch}"
                yield rates("a", what, keys, taken[case],
                            unit="keys/s", against=against, target=target)  # fmt: skip
