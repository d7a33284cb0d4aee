"""(c) Writes to a source table with the row trigger and without it."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.measure import Line, rates, seconds
from bench.server import Bench, Connection, connect

TRIGGER = """
create trigger publish after insert or update or delete on bench.item
for each row execute function public.publish_enqueue('item', 'id')
"""

WRITES = 1000
TOUCH = "update bench.item set touched_at = clock_timestamp() where id = :id;\n"


def touch_script(folder: str, items: int) -> Path:
    """A pgbench script: one transaction that updates one random item."""
    path = Path(folder) / "touch.sql"
    path.write_text(f"\\set id random(1, {items})\n{TOUCH}")
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


def capturing(conn: Connection, on: bool) -> None:
    word = "enable" if on else "disable"
    conn.execute(f"alter table bench.item {word} trigger publish".encode())


def write_single(bench: Bench, url: str, conn: Connection, script: Path, on: bool) -> float:
    """Seconds of WRITES transactions from each of four connections, without connecting."""
    capturing(conn, on)
    output = finish(pgbench(bench, url, script, "-t", str(bench.scaled(WRITES, 200))))
    found = re.search(r"tps = ([0-9.]+)", output)
    assert found is not None
    return 4 * bench.scaled(WRITES, 200) / float(found[1])


def write_bulk(conn: Connection, on: bool) -> float:
    """Seconds of one UPDATE of every item."""
    capturing(conn, on)
    return seconds(lambda: conn.execute("update bench.item set touched_at = clock_timestamp()"))


def run(bench: Bench) -> Iterator[Line]:
    single: list[tuple[float, float]] = []
    bulk: list[tuple[float, float]] = []
    with (
        bench.database("bench_capture") as url,
        connect(url) as conn,
        TemporaryDirectory() as folder,
    ):
        conn.execute(TRIGGER)
        script = touch_script(folder, bench.items)
        for n in range(bench.scaled(10, 2)):
            order = (True, False) if n % 2 else (False, True)
            took = {on: write_single(bench, url, conn, script, on) for on in order}
            single.append((took[True], took[False]))
        for n in range(bench.scaled(3, 2)):
            conn.execute("vacuum analyze")
            order = (True, False) if n % 2 else (False, True)
            took = {on: write_bulk(conn, on) for on in order}
            bulk.append((took[True], took[False]))
    yield rates("c", "single-row updates, 4 clients, captured", bench.scaled(WRITES, 200) * 4,
                single, unit="tx/s", against="without capture")  # fmt: skip
    yield rates("c", f"one update of {bench.items:,} rows, captured", bench.items, bulk,
                unit="rows/s", against="without capture")  # fmt: skip
