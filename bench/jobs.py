"""(h) Start and done of empty jobs by four workers, each a process of its own."""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import statistics
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection as Pipe
from threading import Event
from typing import Any

import procrastinate
from procrastinate.schema import SchemaManager

from bench.measure import Line, Target, rates, seconds
from bench.server import Bench, Connection, connect
from pgpublish import jobs

WORKERS = 4

# The bare queue: the same table and indexes, and the two statements that nobody can do without. It
# knows of one priority only, so that an index gives it the next job.
BARE = "create table bench.bare_job (like publish.job including all)"
TAKE = """
update bench.bare_job j
   set status = 'running', attempts = j.attempts + 1, token = %s, worker = 'w',
       due_at = clock_timestamp() + interval '1 minute', started_at = clock_timestamp()
 where j.id = (select l.id from bench.bare_job l
                where l.kind = 'empty' and l.priority = 0 and l.status in ('pending', 'failed')
                  and l.due_at <= now()
                order by l.due_at
                limit 1
                  for update skip locked)
returning j.id, j.kind, j.data
"""
FINISH = """
update bench.bare_job j
   set status = 'succeeded', attempts = 0, due_at = null, finished_at = clock_timestamp()
 where j.id = %s
"""

START = "select id, token from publish_job_start(kinds => '{empty}', client_pid => %s)"
DONE = "select publish_job_done(%s, %s)"
NEXT = "select id, token from publish_job_next(%s, %s, kinds => '{empty}', client_pid => %s)"

FILL = {
    "ours": "select count(publish_job_add(%s::text || n, 'empty')) from generate_series(1, %s) n",
    "bare": "insert into bench.bare_job (id, kind, due_at)"
    " select %s::text || n, 'empty', clock_timestamp() from generate_series(1, %s) n",
    "procrastinate": "insert into procrastinate_jobs (queue_name, task_name, lock)"
    " select 'default', 'empty', %s::text || n from generate_series(1, %s) n",
}
FILL["worker"] = FILL["joined"] = FILL["ours"]


class UntilIdle(Event):
    """A stop event that the worker's own wait for more sets."""

    def wait(self, timeout: float | None = None) -> bool:
        self.set()
        return True


def ours(conn: Connection) -> None:
    """publish_job_start and publish_job_done, called in turn until nothing is due."""
    pid = conn.info.backend_pid
    while row := conn.execute(START, [pid]).fetchone():
        conn.execute(DONE, row)


def joined(conn: Connection) -> None:
    """One publish_job_start, then publish_job_next, as a worker calls them."""
    pid = conn.info.backend_pid
    row = conn.execute(START, [pid]).fetchone()
    while row:
        row = conn.execute(NEXT, [*row, pid]).fetchone()


def bare(conn: Connection) -> None:
    while row := conn.execute(TAKE, [1]).fetchone():
        conn.execute(FINISH, row[:1])


def worker(conn: Connection) -> None:
    """The whole worker of `pgpublish work`."""
    jobs.HANDLERS.setdefault("empty", lambda conn, job: None)
    with jobs.heart(lambda: connect(conn.info.dsn)) as beating:
        jobs.work(conn, ["empty"], UntilIdle(), beating=beating)


def theirs(dsn: str) -> procrastinate.App:
    app = procrastinate.App(
        connector=procrastinate.PsycopgConnector(conninfo=dsn, min_size=1, max_size=2)
    )

    @app.task(name="empty")
    async def empty() -> None:
        pass

    return app


async def serve(pipe: Pipe, url: str) -> None:
    """One of the worker processes: does what the pipe says, once for each word, until "end"."""
    logging.getLogger("procrastinate").setLevel(logging.ERROR)
    doing: dict[str, Callable[[Connection], None]] = {
        "ours": ours, "joined": joined, "bare": bare, "worker": worker,
    }  # fmt: skip
    app = theirs(url)
    async with app.open_async():
        with connect(url) as conn:
            pipe.send("ready")
            while (what := pipe.recv()) != "end":
                if what == "procrastinate":
                    await app.run_worker_async(
                        concurrency=1, wait=False, listen_notify=False,
                        install_signal_handlers=False,
                    )  # fmt: skip
                else:
                    doing[what](conn)
                pipe.send("done")


def serving(pipe: Pipe, url: str) -> None:
    asyncio.run(serve(pipe, url))


@contextmanager
def processes(url: str) -> Iterator[Sequence[Pipe]]:
    """The worker processes, connected and waiting."""
    context = multiprocessing.get_context("spawn")
    pipes, started = [], []
    try:
        for _ in range(WORKERS):
            here, there = context.Pipe()
            process = context.Process(target=serving, args=(there, url), daemon=True)
            process.start()
            started.append(process)
            pipes.append(here)
        for pipe in pipes:
            expect(pipe)
        yield pipes
        for pipe in pipes:
            pipe.send("end")
    finally:
        for process in started:
            process.join(10)
            process.kill()


def expect(pipe: Pipe) -> None:
    if not pipe.poll(300):
        raise RuntimeError("a worker says nothing")
    pipe.recv()


def race(pipes: Sequence[Pipe], what: str) -> None:
    """All workers at once, until there is nothing to do."""
    for pipe in pipes:
        pipe.send(what)
    for pipe in pipes:
        expect(pipe)


def work_off(conn: Connection, pipes: Sequence[Pipe], what: str, name: str, count: int) -> float:
    """Seconds that the workers took over `count` new jobs."""
    conn.execute(FILL[what], [name, count])
    conn.execute("vacuum analyze")
    took = seconds(lambda: race(pipes, what))
    query = {
        "bare": "select count(*) from bench.bare_job where status <> 'succeeded'",
        "procrastinate": "select count(*) from procrastinate_jobs where status <> 'succeeded'",
    }.get(what, "select count(*) from publish.job where status <> 'succeeded'")
    left: Any = conn.execute(query).fetchone()
    if left != (0,):
        raise RuntimeError(f"{what}: {left} jobs are left")
    return took


def compare(
    conn: Connection, pipes: Sequence[Pipe], pair: tuple[str, str], rounds: int, count: int
) -> list[tuple[float, float]]:
    for what in pair:
        work_off(conn, pipes, what, f"warm {pair} {what}", WORKERS * 20)
    taken = []
    for n in range(rounds):
        order = pair if n % 2 == 0 else pair[::-1]
        took = {what: work_off(conn, pipes, what, f"{n} {pair} {what}", count) for what in order}
        taken.append((took[pair[0]], took[pair[1]]))
    return taken


def finished(bench: Bench) -> Line:
    """The next start among a great many finished jobs, and in an empty table."""
    count, starts = bench.scaled(1_000_000, 20_000), bench.scaled(1000, 100)
    with (
        bench.database("bench_jobs_few") as few,
        bench.database("bench_jobs_many") as many,
        connect(few) as small,
        connect(many) as large,
    ):
        large.execute(
            "insert into publish.job (id, kind, status, started_at, finished_at)"
            " select 'old' || n, 'empty', 'succeeded', now(), now() from generate_series(1, %s) n",
            [count],
        )
        times: dict[Connection, list[float]] = {small: [], large: []}
        for conn in times:
            conn.execute(FILL["ours"], ["new", starts + 50])
            conn.execute("vacuum analyze")
        for n in range(starts + 50):
            for conn in (small, large) if n % 2 else (large, small):
                times[conn].append(started(conn))
    alone, among = (statistics.median(times[conn][50:]) * 1000 for conn in (small, large))
    return Line(
        "h", f"the next start among {count:,} finished jobs", ours=among, theirs=alone, unit="ms",
        against="with none", ratios=[among / alone], target=Target(1.2, at_least=False),
    )  # fmt: skip


def behind_a_snapshot(bench: Bench) -> Line:
    """The next start while a transaction is open that is older than a great many finished jobs."""
    count, starts = bench.scaled(100_000, 5000), bench.scaled(400, 100)
    with (
        bench.database("bench_jobs_snapshot") as url,
        connect(url) as conn,
        connect(url) as reader,
        reader.transaction(),
    ):
        reader.execute("set transaction isolation level repeatable read")
        reader.execute("select from publish.job")
        taken = []
        for finish in (0, count):
            conn.execute(FILL["ours"], ["finished", finish])
            conn.execute(
                "update publish.job set status = 'succeeded', due_at = null, finished_at = now()"
                " where status = 'pending'"
            )
            conn.execute("vacuum analyze")
            conn.execute(FILL["ours"], [f"{finish} new", starts])
            taken.append(statistics.median(started(conn) for _ in range(starts)) * 1000)
    fresh, after = taken
    return Line(
        "h", f"the next start in sight of a snapshot older than {count:,} jobs", ours=after,
        theirs=fresh, unit="ms", against="than none", ratios=[after / fresh],
    )  # fmt: skip


def started(conn: Connection) -> float:
    """Seconds of one start; its job is done afterwards."""
    row: list[Any] = []
    took = seconds(lambda: row.append(conn.execute(START, [conn.info.backend_pid]).fetchone()))
    conn.execute(DONE, row[0])
    return took


def run(bench: Bench) -> Iterator[Line]:
    count, rounds = bench.scaled(1500, 400), bench.scaled(15, 2)
    with bench.database("bench_jobs") as url, connect(url) as conn:
        conn.execute(BARE)
        conn.execute(SchemaManager.get_schema().encode(), prepare=False)
        with processes(url) as pipes:
            yield rates("h", f"start + done of empty jobs, {WORKERS} workers", count,
                        compare(conn, pipes, ("ours", "bare"), rounds, count),
                        unit="jobs/s", against="UPDATE … SKIP LOCKED + UPDATE",
                        target=Target(0.8))  # fmt: skip
            yield rates("h", f"done + next start in one call, {WORKERS} workers", count,
                        compare(conn, pipes, ("joined", "bare"), rounds, count),
                        unit="jobs/s", against="UPDATE … SKIP LOCKED + UPDATE",
                        target=Target(0.8))  # fmt: skip
            few = count // 2
            yield rates("h", f"`pgpublish work`, empty jobs, {WORKERS} workers", few,
                        compare(conn, pipes, ("worker", "procrastinate"), rounds // 2, few),
                        unit="jobs/s", against="procrastinate, as many workers",
                        target=Target(1))  # fmt: skip
    yield finished(bench)
    yield behind_a_snapshot(bench)
