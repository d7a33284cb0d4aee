"""Handlers for the tests' workers: `pgpublish work … --import job_handlers`, in this folder."""

from __future__ import annotations

import asyncio
import os
import signal
from threading import Event

from pgpublish import jobs
from pgpublish.database import Connection
from pgpublish.jobs import Job

NEVER = Event()


@jobs.handler("stuck")
def stuck(conn: Connection, job: Job) -> None:
    """Counts its runs and stays at data.point, after "start", in the "middle" or at the "end"."""
    point, first = job.data["point"], "run" not in job.data
    if point == "start":
        NEVER.wait() if first and job.attempt == 1 else None
    conn.execute("insert into done values (%s, 'begin')", [job.id])
    job.save(run=1, at="middle")
    if point == "middle" and first:
        NEVER.wait()
    conn.execute("insert into done values (%s, 'end')", [job.id])
    job.save(at="end")
    if point == "end" and first:
        NEVER.wait()
    job.update(at="success")


@jobs.handler("saves")
def saves(conn: Connection, job: Job) -> None:
    """Saves how far it is, for ever."""
    n = job.data.get("n", 0)
    while True:
        n += 1
        job.save(n=n)
        NEVER.wait(0.01)


@jobs.handler("ends")
def ends(conn: Connection, job: Job) -> None:
    """Ends when the test lets go of advisory lock (1, 1), and not before."""
    job.save(at="waiting")
    conn.execute("select pg_advisory_lock_shared(1, 1), pg_advisory_unlock_shared(1, 1)")


@jobs.handler("quick")
def quick(conn: Connection, job: Job) -> None:
    conn.execute("insert into done values (%s, %s)", [job.id, str(job.attempt)])


@jobs.handler("walk")
def walk(conn: Connection, job: Job) -> None:
    """Writes the numbers 1 to data.total into table done, two in a page."""

    def page(after: str | None) -> tuple[str | None, dict[str, int]]:
        last = int(after or 0) + 2
        conn.execute(
            "insert into done select %s, n::text from generate_series(%s::int, %s) n",
            [job.id, last - 1, last],
        )
        return (str(last) if last < job.data["total"] else None), {"done": 2}

    jobs.walk(conn, job, page)


@jobs.handler("fails")
def fails(conn: Connection, job: Job) -> None:
    conn.execute("select 1 / 0")


@jobs.handler("paused")
def paused(conn: Connection, job: Job) -> None:
    """Stops its own process after its first save, as a machine that goes to sleep does."""
    if "at" not in job.data:
        job.save(at="paused")
        signal.raise_signal(signal.SIGSTOP)
        job.save(at="continued")
    conn.execute("insert into done values (%s, 'end')", [job.id])


@jobs.handler("paused at the end")
def paused_at_the_end(conn: Connection, job: Job) -> None:
    if "at" not in job.data:
        job.save(at="paused")
        signal.raise_signal(signal.SIGSTOP)
    job.update(by=job.token)


@jobs.handler("exits")
def exits(conn: Connection, job: Job) -> None:
    raise SystemExit("bad input")


@jobs.handler("frozen")
def frozen(conn: Connection, job: Job) -> None:
    """The first run stops its process between a save and the commit of it."""
    if job.attempt == 1:
        with conn.transaction():
            job.save(at="frozen")
            signal.raise_signal(signal.SIGSTOP)


@jobs.handler("unruly")
def unruly(conn: Connection, job: Job) -> None:
    """Leaves behind what data.statements set, and a connection in another mode."""
    conn.autocommit = not job.data.get("open", False)
    for statement in job.data["statements"]:
        conn.execute(statement.encode())


@jobs.handler("shows")
def shows(conn: Connection, job: Job) -> None:
    """Keeps what its session is like."""
    found = conn.execute(
        "select current_user = session_user, current_setting('search_path'),"
        " current_setting('statement_timeout'),"
        " nullif(current_setting('my.setting', true), ''), to_regclass('pg_temp.mine')::text"
    ).fetchone()
    job.update(session=[*(found or ()), conn.autocommit])


@jobs.handler("streams")
def streams(conn: Connection, job: Job) -> None:
    """Fails with a stream open that its traceback keeps alive."""
    stream = conn.cursor().stream("select generate_series(1, 1000000)")
    next(stream)
    raise ValueError("bad row")


@jobs.handler("cancelled")
def cancelled(conn: Connection, job: Job) -> None:
    raise asyncio.CancelledError


@jobs.handler("reads")
def reads(conn: Connection, job: Job) -> None:
    conn.execute("insert into done values (%s, %s)", [job.id, str(job.data)])


@jobs.handler("poison")
def poison(conn: Connection, job: Job) -> None:
    """Kills its process, in the way that data.how says, once the neighbours named run."""
    for other in job.data.get("beside", []):
        while not any(row["id"] == other for row in jobs.activity(conn)):
            NEVER.wait(0.01)
    match job.data["how"]:
        case "abort":
            os.abort()
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "exit":
            os._exit(int(job.data["code"]))


@jobs.handler("steps")
def steps(conn: Connection, job: Job) -> None:
    """Three steps; dies after the second one, the first time."""

    def charge() -> dict[str, object]:
        conn.execute("insert into done values (%s, 'charge')", [job.id])
        return {"receipt": 7, "at": [1, 2]}

    def mail() -> None:
        conn.execute("insert into done values (%s, 'mail')", [job.id])

    receipt = job.step("charge", charge)
    job.step("mail", mail)
    if job.data.get("dies") and "died" not in job.data:
        job.save(died=True)
        os.kill(os.getpid(), signal.SIGKILL)
    job.update(receipt=receipt)


@jobs.handler("checks")
def checks(conn: Connection, job: Job) -> None:
    """Saves nothing; only asks whether to go on."""
    conn.execute("insert into done values (%s, 'begin')", [job.id])
    while True:
        job.check()
        NEVER.wait(0.01)


@jobs.handler("forks")
def forks(conn: Connection, job: Job) -> None:
    """Its child ends in the way that data.child says, before it does."""
    child = os.fork()
    if child == 0:
        if job.data["child"] == "returns":
            return
        if job.data["child"] == "raises":
            raise ValueError("of the child")
        if job.data["child"] == "exits":
            raise SystemExit(3)
        job.save(by="child")
    _, status = os.waitpid(child, 0)
    job.save(exit=os.waitstatus_to_exitcode(status))
    conn.execute("insert into done values (%s, 'parent')", [job.id])
