"""Job queues: enqueue in the business transaction, throughput and latency of their own workers, and
the last two again behind a snapshot that was held open while jobs went through."""

from __future__ import annotations

import os
import random
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from procrastinate.schema import SchemaManager
from psycopg.conninfo import conninfo_to_dict

from bench.capture import finish, pgbench, rate, touch_script
from bench.measure import Line, Target, percentile, rates, seconds
from bench.server import Bench, Connection, connect

HERE = Path(__file__).parent
WORKERS = 4
WARM = 200  # jobs with which a worker's sessions plan their statements
PATIENCE_S = 300


@dataclass(frozen=True)
class Queue:
    """A job queue. add: SQL that adds one empty job; ping: one whose handler prints "ping"; fill:
    SQL that adds %s of them; left: SQL that counts those not yet done; command: its worker, with
    {url} for the database, unless it reads PGHOST and the like; processes: how many of it make
    four jobs at a time."""

    name: str
    add: str
    ping: str
    fill: str
    left: str
    command: tuple[str, ...]
    processes: int = 1


# What each library's own client sends, without its round trip where that is a function.
PGQUEUER = """
with job as (
  insert into pgqueuer (priority, entrypoint, payload, execute_after, status)
  select 0, 'empty', {payload}, now(), 'queued' from generate_series(1, {count}) returning id
)
insert into pgqueuer_log (job_id, status, entrypoint, priority)
select j.id, 'queued', 'empty', 0 from job j
"""
PROCRASTINATE = """
insert into procrastinate_jobs (queue_name, task_name, args)
select 'default', 'empty', {payload} from generate_series(1, {count})
"""
BOSS = (
    "insert into pgboss.job (name, data) select 'empty', {payload} from generate_series(1, {count})"
)
GRAPHILE = (
    "select count(graphile_worker.add_job('empty', {payload})) from generate_series(1, {count})"
)
OURS = (
    "select count(publish_job_add(gen_random_uuid()::text, 'empty', {payload}))"
    " from generate_series(1, {count})"
)


def queue(
    name: str, fill: str, left: str, *command: str,
    processes: int = 1, pinging: str = """'{"ping": true}'::json""", none: str = "'{}'::json",
) -> Queue:  # fmt: skip
    return Queue(
        name,
        add=fill.format(payload=none, count=1),
        ping=fill.format(payload=pinging, count=1),
        fill=fill.format(payload=none, count="%s"),
        left=left,
        command=command,
        processes=processes,
    )


NODE = ("node", str(HERE / "worker.mjs"))
PYTHON = (sys.executable, str(HERE / "worker.py"))
JSONB = {"pinging": """'{"ping": true}'::jsonb""", "none": "'{}'::jsonb"}

QUEUES = (
    queue("pgpublish", OURS,
          "select count(*) from publish.job where status in ('pending', 'running', 'failed')",
          sys.executable, "-m", "pgpublish", "--database-url", "{url}", "work", "empty",
          "--import", "bench.peers.handlers", "--concurrency", str(WORKERS), **JSONB),
    queue("procrastinate", PROCRASTINATE,
          "select count(*) from procrastinate_jobs where status in ('todo', 'doing', 'failed')",
          *PYTHON, "procrastinate", "{url}", processes=WORKERS, **JSONB),
    queue("pgqueuer", PGQUEUER, "select count(*) from pgqueuer",
          *PYTHON, "pgqueuer", "{url}", processes=WORKERS,
          pinging="'ping'::bytea", none="null::bytea"),
    queue("graphile-worker", GRAPHILE, "select count(*) from graphile_worker._private_jobs",
          *NODE, "graphile-worker"),
    queue("pg-boss", BOSS, "select count(*) from pgboss.job where state < 'completed'",
          *NODE, "pg-boss", **JSONB),
)  # fmt: skip


def install_node_peers() -> None:
    if shutil.which("npm") is None:
        raise SystemExit("graphile-worker and pg-boss need npm; as root: apt-get install npm")
    subprocess.run(
        ["npm", "install", "--prefix", HERE, "--no-audit", "--no-fund", "--silent"],
        check=True, timeout=300,
    )  # fmt: skip


def environment(url: str) -> dict[str, str]:
    """PGHOST and the others, which is how Node's client takes a socket's folder."""
    names = {"host": "PGHOST", "port": "PGPORT", "dbname": "PGDATABASE", "user": "PGUSER"}
    found = conninfo_to_dict(url)
    return os.environ | {names[key]: str(found[key]) for key in names if key in found}


class Workers:
    """A queue's worker processes, and the lines in which their handlers say that they ran."""

    def __init__(self, queue: Queue, url: str) -> None:
        self.command = [word.format(url=url) for word in queue.command]
        where = environment(url)
        self.processes = [
            subprocess.Popen(self.command, stdout=subprocess.PIPE, cwd=HERE.parents[1], env=where)
            for _ in range(queue.processes)
        ]

    def pong(self) -> None:
        """Returns when a handler says that it ran. Raises RuntimeError if none does."""
        pipes = [process.stdout for process in self.processes if process.stdout]
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            ready, _, _ = select.select(pipes, [], [], 1)
            for pipe in ready:
                if b"ping" in pipe.read1(65536):  # type: ignore[attr-defined]
                    return
            if any(process.poll() is not None for process in self.processes):
                break
        raise RuntimeError(f"{self.command} does not run its jobs")

    def discard(self) -> None:
        """Reads what they printed, so that no pipe fills up."""
        for process in self.processes:
            assert process.stdout is not None
            while select.select([process.stdout], [], [], 0)[0]:
                if not process.stdout.read1(65536):  # type: ignore[attr-defined]
                    break

    def stop(self) -> None:
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@contextmanager
def working(queue: Queue, url: str, conn: Connection) -> Iterator[Workers]:
    """The queue's workers, all of which have run a job."""
    workers = Workers(queue, url)
    try:
        if queue.name in ("graphile-worker", "pg-boss"):
            until_installed(workers, conn, queue)
        conn.execute(queue.ping.encode())
        workers.pong()
        time.sleep(2)  # the other processes come up; those that were first would be alone
        work_off(queue, workers, conn, WARM)
        yield workers
        until_done(queue, workers, conn)  # a job that a killed worker has would stay its own
    finally:
        workers.stop()


def until_installed(workers: Workers, conn: Connection, queue: Queue) -> None:
    """Waits for the Node workers to make their own tables, at their first start."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            conn.execute(queue.left.encode())
            time.sleep(1)  # the queue itself is made after the tables
            return
        except Exception:
            time.sleep(0.2)
    raise RuntimeError(f"{queue.name} made no tables")


def work_off(queue: Queue, workers: Workers, conn: Connection, count: int) -> float:
    """Seconds from the commit of `count` new jobs until all are done."""
    conn.execute(queue.fill.encode(), [count])
    return seconds(lambda: until_done(queue, workers, conn))


def until_done(queue: Queue, workers: Workers, conn: Connection) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while found := left(queue, conn):
        workers.discard()
        time.sleep(0.02)
        if time.monotonic() > deadline:
            raise RuntimeError(f"{queue.name}: {found} jobs are left")


def left(queue: Queue, conn: Connection) -> int:
    row = conn.execute(queue.left.encode()).fetchone()
    assert row is not None
    return int(row[0])


def latencies(queue: Queue, workers: Workers, conn: Connection, count: int) -> list[float]:
    """Milliseconds from the commit of a job to its handler, for single jobs into an idle queue."""
    taken = []
    for _ in range(count):
        time.sleep(random.uniform(0.05, 0.15))
        workers.discard()
        conn.execute(queue.ping.encode())
        taken.append(seconds(workers.pong) * 1000)
    return taken


def enqueued(bench: Bench, url: str, conn: Connection, queues: list[Queue]) -> Iterator[Line]:
    """One UPDATE and one new job in a transaction, four clients."""
    writes = bench.scaled(2000, 200)
    taken: dict[str, list[float]] = {queue.name: [] for queue in queues}
    with TemporaryDirectory() as folder:
        for turn in range(bench.scaled(5, 1)):
            for n in range(len(queues)):
                queue = queues[(n + turn) % len(queues)]
                script = touch_script(
                    folder, bench.items,
                    "begin;\nupdate bench.item set touched_at = clock_timestamp() where id = :id;\n"
                    + " ".join(queue.add.split()) + ";\ncommit;",
                )  # fmt: skip
                output = finish(pgbench(bench, url, script, "-t", str(writes)))
                taken[queue.name].append(4 * writes / rate(output))
    yield from compared("update + new job in a transaction, 4 clients", 4 * writes, taken, "tx/s")
    conn.execute("truncate publish.job, procrastinate_jobs cascade")
    conn.execute("truncate pgqueuer, pgqueuer_log, pgboss.job, graphile_worker._private_jobs")


def compared(name: str, count: int, taken: dict[str, list[float]], unit: str) -> Iterator[Line]:
    for other in list(taken)[1:]:
        rounds = list(zip(taken["pgpublish"], taken[other], strict=True))
        yield rates("m", name, count, rounds, unit=unit, against=other, target=Target(1))


def worked(
    bench: Bench, url: str, conn: Connection, queues: list[Queue], when: str
) -> Iterator[Line]:
    """Throughput and latency of every queue's workers, round by round."""
    count, rounds = bench.scaled(5000, 1000), bench.scaled(3, 1)
    taken: dict[str, list[float]] = {queue.name: [] for queue in queues}
    waits: dict[str, list[float]] = {queue.name: [] for queue in queues}
    for turn in range(rounds):
        for n in range(len(queues)):
            queue = queues[(n + turn) % len(queues)]
            with working(queue, url, conn) as workers:
                taken[queue.name].append(work_off(queue, workers, conn, count))
                waits[queue.name] += latencies(queue, workers, conn, bench.scaled(40, 5))
    yield from compared(f"empty jobs, {WORKERS} at a time{when}", count, taken, "jobs/s")
    for percent in (50, 99):
        ours = percentile(waits["pgpublish"], percent)
        for other in list(waits)[1:]:
            theirs = percentile(waits[other], percent)
            yield Line("m", f"commit to handler, p{percent}{when}", ours=ours, theirs=theirs,
                       unit="ms", against=other, ratios=[ours / theirs],
                       target=Target(1, at_least=False))  # fmt: skip


def churn(queues: list[Queue], url: str, conn: Connection, count: int) -> None:
    """Sends `count` jobs through each queue."""
    for queue in queues:
        with working(queue, url, conn) as workers:
            for _ in range(0, count, 5000):
                work_off(queue, workers, conn, min(count, 5000))


def run(bench: Bench) -> Iterator[Line]:
    install_node_peers()
    queues = list(QUEUES)
    with bench.database("bench_queues") as url, connect(url) as conn:
        conn.prepare_threshold = None
        conn.execute(SchemaManager.get_schema().encode())
        subprocess.run([sys.executable, "-m", "pgqueuer", "--pg-dsn", url, "install"],
                       check=True, stdout=subprocess.DEVNULL)  # fmt: skip
        for queue in queues:
            with working(queue, url, conn):
                pass
        conn.execute("vacuum analyze")
        yield from enqueued(bench, url, conn, queues)
        yield from worked(bench, url, conn, queues, "")
        with connect(url) as reader, reader.transaction():
            reader.execute("set transaction isolation level repeatable read")
            reader.execute("select from bench.item limit 1")
            churned = bench.scaled(20_000, 400)
            churn(queues, url, conn, churned)
            yield from worked(bench, url, conn, queues, f", snapshot older than {churned:,} jobs")
