"""(c) Writes to a captured table and without capture; backfill and verify of a whole kind."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.drain import drain_all, mark
from bench.measure import Line, Target, both, rates, seconds
from bench.server import Bench, Connection, connect, running

CAPTURE = "select publish_capture('item', 'bench.item')"
WRITES = 1000
TOUCH = "update bench.item set touched_at = clock_timestamp() where id = :id;\n"
# The same row by hand, in one statement: what no capture can be cheaper than.
BY_HAND = """with u as (
  update bench.item set touched_at = clock_timestamp() where id = :id returning id
) insert into publish.outbox (kind, source_ids) select 'item', array[u.id::text] from u;
"""


def touch_script(folder: str, items: int, statement: str = TOUCH) -> Path:
    """A pgbench script: one transaction that updates one random item."""
    path = Path(folder) / f"touch_{abs(hash(statement))}.sql"
    path.write_text(f"\\set id random(1, {items})\n{statement}")
    return path


def pgbench(bench: Bench, url: str, script: Path, *options: str) -> subprocess.Popen[str]:
    """pgbench over four connections, prepared statements, no vacuum."""
    command = [str(bench.cluster.bin / "pgbench"), "-n", "-c4", "-j1", "-Mprepared"]
    return subprocess.Popen(
        [*command, "-f", str(script), *options, url],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finish(process: subprocess.Popen[str]) -> str:
    """What it printed. Raises RuntimeError when it failed."""
    output, _ = process.communicate(timeout=300)
    if process.returncode:
        raise RuntimeError(output)
    return output


def rate(output: str) -> float:
    """Transactions a second that pgbench printed, without connecting."""
    found = re.search(r"tps = ([0-9.]+)", output)
    assert found is not None
    return float(found[1])


def capturing(conn: Connection, on: bool) -> None:
    """Switches the triggers of publish_capture; those of foreign keys stay."""
    word = "enable" if on else "disable"
    conn.execute(f"alter table bench.item {word} trigger user".encode())


def write_single(bench: Bench, url: str, script: Path) -> float:
    """Seconds of WRITES transactions from each of four connections, without connecting."""
    writes = bench.scaled(WRITES, 200)
    return 4 * writes / rate(finish(pgbench(bench, url, script, "-t", str(writes))))


def write_bulk(conn: Connection, on: bool) -> float:
    """Seconds of one UPDATE of every item."""
    capturing(conn, on)
    return seconds(lambda: conn.execute("update bench.item set touched_at = clock_timestamp()"))


def single(
    bench: Bench, name: str, target: Target | None, by_hand_target: Target | None
) -> Iterator[Line]:
    """Single-row transactions with capture, against none and against the insert by hand."""
    taken: dict[str, list[float]] = {"captured": [], "bare": [], "by hand": []}
    with (
        bench.database("bench_single") as url,
        connect(url) as conn,
        TemporaryDirectory() as folder,
    ):
        conn.execute(CAPTURE)
        touch = touch_script(folder, bench.items)
        by_hand = touch_script(folder, bench.items, BY_HAND)
        for n in range(bench.scaled(10, 2)):
            names = list(taken)
            for what in names[n % 3 :] + names[: n % 3]:
                capturing(conn, what == "captured")
                script = by_hand if what == "by hand" else touch
                taken[what].append(write_single(bench, url, script))
    count = 4 * bench.scaled(WRITES, 200)
    for against, name_of, limit in (("bare", "without capture", target),
                                    ("by hand", "the insert by hand", by_hand_target)):  # fmt: skip
        rounds = list(zip(taken["captured"], taken[against], strict=True))
        yield rates("c", f"single-row updates, 4 clients, {name}", count, rounds,
                    unit="tx/s", against=name_of, target=limit)  # fmt: skip


def bulk(bench: Bench, name: str, capture: str, target: Target | None) -> Iterator[Line]:
    taken: list[tuple[float, float]] = []
    with bench.database("bench_bulk") as url, connect(url) as conn:
        conn.execute(capture.encode())
        for n in range(bench.scaled(5, 2)):
            conn.execute("vacuum analyze")
            order = (True, False) if n % 2 else (False, True)
            took = {on: write_bulk(conn, on) for on in order}
            taken.append((took[True], took[False]))
    yield rates("c", f"one update of {bench.items:,} rows, {name}", bench.items, taken,
                unit="rows/s", against="without capture", target=target)  # fmt: skip


def backfill(conn: Connection, after: int, keys: int) -> None:
    """Marks the next keys, 1,000 in a transaction, and drains."""
    for first in range(after, after + keys, 1000):
        conn.execute("select * from publish_backfill('item', %s, 1000)", [str(first)])
    drain_all(conn, 500)


def backfilling(bench: Bench) -> Iterator[Line]:
    """Backfill and drain, slice by slice, and the drain of keys that were marked before."""
    slices = 10
    keys = bench.items // slices
    with (
        bench.database("bench_backfill") as url,
        bench.database("bench_drained") as other,
        connect(url) as conn,
        connect(other) as marked,
    ):
        taken = []
        for n in range(slices):
            mark(marked, "item", n * keys + 1, (n + 1) * keys)
            taken.append(
                both([partial(backfill, conn, n * keys, keys)], [partial(drain_all, marked, 500)])
            )
    yield rates("c", f"backfill and drain of {bench.items:,} keys", keys, taken,
                unit="keys/s", against="the drain alone", target=Target(0.7))  # fmt: skip


def verify(conn: Connection) -> None:
    after = None
    while True:
        row = conn.execute(
            "select next, missing + stale + surplus + duplicate + unpublishable + pending"
            "  from publish_verify('item', false, %s, 5000)", [after]
        ).fetchone()  # fmt: skip
        assert row is not None
        if row[1]:
            raise RuntimeError(f"{row[1]} keys differ")
        after = row[0]
        if after is None:
            return


READ = """
select count(*), sum(octet_length(h.hash))
  from (select sha256(convert_to(to_jsonb(v)::text, 'UTF8')) as hash from bench.item_view v) h
"""


def verifying(bench: Bench) -> Iterator[Line]:
    with bench.database("bench_verify") as url, connect(url) as conn:
        backfill(conn, 0, bench.items)
        conn.execute("vacuum analyze")
        verify(conn)
        taken = [
            both([partial(verify, conn)], [lambda: conn.execute(READ)])
            for _ in range(bench.scaled(5, 2))
        ]
    line = rates("c", f"verify of {bench.items:,} keys, nothing differs", bench.items, taken,
                 unit="keys/s", against="read and hash the view")  # fmt: skip
    yield line
    yield Line("c", "  the same, as keys/s", ours=line.ours, unit="keys/s",
               target=Target(100_000))  # fmt: skip


def run(bench: Bench) -> Iterator[Line]:
    with running(bench.kind, quick=bench.quick, fsync="on") as durable:
        yield from single(durable, "durable commits", Target(0.85), Target(0.9))
    yield from single(bench, "fsync off", None, None)
    yield from bulk(bench, "captured", CAPTURE, Target(1 / 1.5))
    some = "select publish_capture('item', 'bench.item', columns => '{title,touched_at}')"
    yield from bulk(bench, "captured with columns", some, Target(1 / 1.8))
    yield from backfilling(bench)
    yield from verifying(bench)
