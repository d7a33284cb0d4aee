"""(d) From a source write to a reader that has it, with the loop running; its cost when idle."""

from __future__ import annotations

import random
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from tempfile import TemporaryDirectory

import psutil  # type: ignore[import-untyped]

from bench.capture import CAPTURE, finish, pgbench, touch_script
from bench.measure import Line, Target, percentile
from bench.server import Bench, Connection, connect

WRITES_PER_SECOND = 1000

TOUCH = "update bench.item set touched_at = clock_timestamp() where id = %s"

READ = """
select c.rev, extract(epoch from (c.payload ->> 'touched_at')::timestamptz)::float8
  from publish_changes(%s, 500, base => %s) c
"""


@contextmanager
def loop(url: str) -> Iterator[list[psutil.Process]]:
    """`pgpublish drain` as a process of its own; yields it and its server process."""
    command = [sys.executable, "-m", "pgpublish", "--database-url", url, "drain"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        with connect(url) as conn:
            yield [psutil.Process(process.pid), psutil.Process(waiting_backend(conn, process))]
    finally:
        process.terminate()
        try:
            process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def waiting_backend(conn: Connection, process: subprocess.Popen[bytes]) -> int:
    """Process id of the session in which the loop waits for work."""
    deadline = time.monotonic() + 30
    while process.poll() is None and time.monotonic() < deadline:
        row = conn.execute(
            "select pid from pg_stat_activity where datname = current_database()"
            " and pid <> pg_backend_pid() and query like '%await_work%'"
        ).fetchone()
        if row is not None:
            return int(row[0])
        time.sleep(0.05)
    raise RuntimeError("the drain loop did not come up")


def cpu(processes: list[psutil.Process]) -> float:
    """CPU seconds these processes have used so far."""
    return sum(sum(process.cpu_times()[:2]) for process in processes)


class Reader:
    """A viewer: waits for the notification, then reads what is new."""

    def __init__(self, conn: Connection) -> None:
        self.conn = conn
        conn.execute("listen publish")
        row = conn.execute("select publish_head()").fetchone()
        assert row is not None
        self.since = int(row[0])

    def wait(self, timeout: float) -> list[tuple[float, float]]:
        """(written, readable) of the changes that came, in seconds of the wall clock."""
        list(self.conn.notifies(timeout=timeout, stop_after=1))
        got: list[tuple[float, float]] = []
        while True:
            rows = self.conn.execute(READ, [self.since, self.since]).fetchall()
            now = time.time()
            got += [(written, now) for _, written in rows]
            self.since = rows[-1][0] if rows else self.since
            if len(rows) < 500:
                return got


def drained(conn: Connection) -> bool:
    row = conn.execute("select depth = 0 from publish_status()").fetchone()
    return bool(row and row[0])


def under_load(bench: Bench, url: str, processes: list[psutil.Process]) -> Iterator[Line]:
    """Writes at a fixed rate; the first second is left out."""
    duration = bench.scaled(20, 4)
    with connect(url) as conn, TemporaryDirectory() as folder:
        reader = Reader(conn)
        script = touch_script(folder, bench.items)
        before, began = cpu(processes), time.time()
        writer = pgbench(bench, url, script, f"-R{WRITES_PER_SECOND}", f"-T{duration}")
        got: list[tuple[float, float]] = []
        try:
            while writer.poll() is None:
                got += reader.wait(0.2)
            used, took = cpu(processes) - before, time.time() - began
            while not drained(conn):
                got += reader.wait(0.2)
            output = finish(writer)
        finally:
            writer.kill()
    processed = re.search(r"transactions actually processed: (\d+)", output)
    assert processed is not None
    rate = int(processed[1]) / duration
    name = f"write to readable at {rate:,.0f} writes/s"
    taken = [(readable - written) * 1000 for written, readable in got if written > began + 1]
    yield Line("d", f"{name}, p50", ours=percentile(taken, 50), unit="ms", target=Target(6, False))
    yield Line("d", f"{name}, p99", ours=percentile(taken, 99), unit="ms", target=Target(25, False))
    yield Line("d", f"{name}, cost of the loop", ours=used / took * 100, unit="% of core",
               target=Target(30, False))  # fmt: skip


def after_idle(bench: Bench, url: str) -> Iterator[Line]:
    """Single writes, seconds apart, against a writer that notifies by itself."""
    writes = bench.scaled(25, 4)
    ours: list[float] = []
    theirs: list[float] = []
    with (
        connect(url) as conn,
        connect(url) as writer,
        connect(url) as listener,
        ThreadPoolExecutor(1) as pool,
    ):
        reader = Reader(conn)
        listener.execute("listen bare")
        for n in range(1, writes + 1):
            time.sleep(random.uniform(2.2, 3.2))  # longer than the loop keeps looking often
            woken = pool.submit(wait_for_one, reader)
            writer.execute(TOUCH, [n])
            ours.append(woken.result())
            began = time.perf_counter()
            writer.execute("select pg_notify('bare', '')")
            list(listener.notifies(timeout=5, stop_after=1))
            listener.execute("select * from publish.published where rev = %s", [reader.since])
            theirs.append((time.perf_counter() - began) * 1000)
    for percent, target in ((50, Target(10, False)), (99, Target(50, False))):
        yield Line("d", f"write to readable after idle, p{percent}", ours=percentile(ours, percent),
                   theirs=percentile(theirs, percent), unit="ms",
                   against="the writer notifies, the reader reads", target=target)  # fmt: skip


def wait_for_one(reader: Reader) -> float:
    """Milliseconds from the write to the read of the one change that comes."""
    ((written, readable),) = reader.wait(10)
    return (readable - written) * 1000


def idle(bench: Bench, processes: list[psutil.Process]) -> Iterator[Line]:
    time.sleep(2)
    before, began = cpu(processes), time.monotonic()
    time.sleep(bench.scaled(20, 3))
    used = (cpu(processes) - before) / (time.monotonic() - began) * 100
    yield Line("d", "cost of the idle loop and its backend", ours=used, unit="% of core",
               target=Target(0.7, False))  # fmt: skip


def run(bench: Bench) -> Iterator[Line]:
    with bench.database("bench_latency") as url, connect(url) as conn:
        conn.execute(CAPTURE)
        with loop(url) as processes:
            yield from under_load(bench, url, processes)
            yield from after_idle(bench, url)
            yield from idle(bench, processes)
