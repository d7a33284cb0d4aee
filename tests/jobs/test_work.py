"""`pgpublish work`: which jobs it runs, how it stops, and what it leaves."""

from __future__ import annotations

import json
import re
import signal
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from threading import Event
from typing import Any, LiteralString

import pytest
from click.testing import CliRunner, Result
from conftest import Background, Connect, Connection, Process
from helpers import PATIENCE, begin, drain_all, one, until

from pgpublish import capture, cli, jobs
from pgpublish.database import connect as open_connection
from pgpublish.errors import BadArgument

# Jobs whose body waits for the lock that the test holds.
BLOCKED: LiteralString = (
    "select count(*) from publish.job_activity a where cardinality(pg_blocking_pids(a.pid)) > 0"
)


@pytest.fixture
def db(db: Connection) -> Connection:
    db.execute("create table done (id text, what text)")
    return db


@pytest.fixture
def run(url: str) -> Callable[..., Result]:
    def invoke(*arguments: str) -> Result:
        return CliRunner().invoke(cli.main, ["--database-url", url, *arguments])

    return invoke


def outcome(worker: Process) -> dict[str, Any]:
    assert worker.stdout is not None
    told: dict[str, Any] = json.loads(worker.stdout.readline())
    return told


def end(worker: Process) -> str:
    """Sends SIGTERM; what it still said."""
    worker.send_signal(signal.SIGTERM)
    output, errors = worker.communicate(timeout=PATIENCE)
    assert worker.returncode == 0, errors
    assert errors == ""
    return output


def catches(process: Process, number: signal.Signals) -> bool:
    """Whether it has a handler for this signal now, as Linux knows."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    (mask,) = re.findall(r"^SigCgt:\s*([0-9a-f]+)$", status, re.M)
    return bool(int(mask, 16) >> (number - 1) & 1)


def test_it_runs_what_is_due_by_priority_and_leaves_other_kinds_alone(
    db: Connection, work: Background
) -> None:
    for id, kind, priority in [("a", "quick", 0), ("b", "quick", 9), ("c", "other", 10)]:
        db.execute("select publish_job_add(%s, %s, priority => %s)", [id, kind, priority])
    db.execute("select publish_job_add('d', 'quick', run_at => '2100-01-01')")
    worker = work("quick")
    assert [outcome(worker)["id"] for _ in range(2)] == ["b", "a"]
    end(worker)
    found = dict(db.execute("select id, status from publish.job").fetchall())
    assert found == {"a": "succeeded", "b": "succeeded", "c": "pending", "d": "pending"}


def test_a_job_that_fails_stops_nothing_else_and_is_tried_again_when_due(
    db: Connection, work: Background
) -> None:
    db.execute(
        "select publish_job_add('f', 'fails', priority => 1, max_attempts => 2,"
        " backoff_min => '1 ms', backoff_max => '1 ms')"
    )
    db.execute("select publish_job_add('q', 'quick')")
    worker = work("fails", "quick")
    told = [outcome(worker) for _ in range(3)]
    assert Counter((o["id"], o["status"]) for o in told) == {
        ("f", "failed"): 1, ("f", "ignored"): 1, ("q", "succeeded"): 1,
    }  # fmt: skip
    end(worker)
    rows = jobs.job_errors(db, "f")
    assert [(e["attempt"], e["error"]) for e in rows] == [(2, "22012"), (1, "22012")]
    assert all("job_handlers.py" in e["traceback"] for e in rows)


def test_a_body_that_exits_has_failed_and_ends_no_worker(db: Connection, work: Background) -> None:
    db.execute(
        "select publish_job_add('e', 'exits', priority => 1, max_attempts => 2,"
        " backoff_min => '1 ms', backoff_max => '1 ms')"
    )
    db.execute("select publish_job_add('q', 'quick')")
    worker = work("exits", "quick")
    told = [outcome(worker) for _ in range(3)]
    assert Counter((o["id"], o["status"]) for o in told) == {
        ("e", "failed"): 1, ("e", "ignored"): 1, ("q", "succeeded"): 1,
    }  # fmt: skip
    end(worker)
    errors = [(e["error"], e["message"]) for e in jobs.job_errors(db, "e")]
    assert errors == [("SystemExit", "bad input")] * 2


def test_concurrency_runs_so_many_jobs_at_a_time(db: Connection, work: Background) -> None:
    db.execute("select pg_advisory_lock(1, 1)")
    db.execute("select count(publish_job_add('j' || n, 'ends')) from generate_series(1, 5) n")
    worker = work("ends", "--concurrency", "3")
    until(lambda: one(db, BLOCKED) == 3)
    assert one(db, "select count(distinct pid) from publish.job_activity") == 3
    db.execute("select pg_advisory_unlock(1, 1)")
    assert {outcome(worker)["status"] for _ in range(5)} == {"succeeded"}
    end(worker)


def test_sigterm_lets_a_job_come_to_its_end_and_starts_no_other(
    db: Connection, work: Background
) -> None:
    db.execute("select pg_advisory_lock(1, 1)")
    db.execute("select count(publish_job_add('j' || n, 'ends')) from generate_series(1, 2) n")
    worker = work("ends")
    until(lambda: one(db, BLOCKED))
    worker.send_signal(signal.SIGTERM)
    until(lambda: not catches(worker, signal.SIGTERM))  # it has been told
    assert worker.poll() is None
    db.execute("select pg_advisory_unlock(1, 1)")
    output, _ = worker.communicate(timeout=PATIENCE)
    assert [json.loads(line)["status"] for line in output.splitlines()] == ["succeeded"]
    assert worker.returncode == 0
    assert sorted(job["status"] for job in jobs.listing(db)) == ["pending", "succeeded"]


def test_sigterm_hands_a_job_that_saves_back_and_the_next_worker_goes_on(
    db: Connection, work: Background
) -> None:
    db.execute("select publish_job_add('j', 'saves', max_attempts => 1)")
    n = "select coalesce((data ->> 'n')::int, 0) from publish.job"
    for _ in range(2):
        before = one(db, n)
        worker = work("saves")
        until(lambda before=before: one(db, n) > before)  # type: ignore[misc]
        assert json.loads(end(worker))["status"] == "returned"
        assert one(db, "select (status, attempts) from publish.job") == ("pending", "0")
    assert jobs.job_errors(db, "j") == []


def test_a_second_signal_ends_it_at_once_and_the_job_is_taken_over(
    db: Connection, work: Background
) -> None:
    db.execute("select publish_job_add('j', 'stuck', '{\"point\": \"middle\"}')")
    worker = work("stuck")
    until(lambda: one(db, "select data ->> 'at' from publish.job") == "middle")
    worker.send_signal(signal.SIGTERM)
    until(lambda: not catches(worker, signal.SIGTERM))  # it has had the first
    worker.send_signal(signal.SIGTERM)
    worker.communicate(timeout=PATIENCE)
    assert worker.returncode == -signal.SIGTERM
    assert outcome(work("stuck"))["status"] == "succeeded"


def test_an_idle_worker_finds_a_job_that_is_added_later(db: Connection, work: Background) -> None:
    worker = work("quick")
    for n in range(3):
        db.execute("select publish_job_add(%s, 'quick')", [f"j{n}"])
        assert outcome(worker)["id"] == f"j{n}"
    end(worker)


def test_it_removes_old_jobs(db: Connection, connect: Connect, url: str) -> None:
    db.execute(
        "insert into publish.job (id, kind, status, created_at, finished_at) values"
        " ('old', 'quick', 'succeeded', now() - interval '9 days', now() - interval '8 days')"
    )
    stop = Event()

    def clock() -> float:
        if one(db, "select count(*) from publish.job") == 0:
            stop.set()
        return 0.0

    jobs.HANDLERS.setdefault("nothing", lambda conn, job: None)
    with jobs.heart(lambda: open_connection(url)) as beating:
        began = begin(
            lambda: jobs.work(
                connect(), ["nothing"], stop, beating=beating, keep=timedelta(days=7), clock=clock
            )
        )
        until(lambda: one(db, "select count(*) from publish.job") == 0)
        stop.set()
        began.result(PATIENCE)


def test_a_timeout_between_jobs_ends_no_worker(db: Connection, connect: Connect, url: str) -> None:
    jobs.HANDLERS.setdefault("nothing", lambda conn, job: None)
    warnings: list[str] = []
    stop, other = Event(), connect(autocommit=False)
    conn = connect(options="-c lock_timeout=20ms")
    other.execute("lock table publish.job in access exclusive mode")
    with jobs.heart(lambda: open_connection(url)) as beating:
        working = begin(
            lambda: jobs.work(conn, ["nothing"], stop, beating=beating, warn=warnings.append)
        )
        until(lambda: warnings)
        other.rollback()
        jobs.add(db, "j", "nothing")
        until(lambda: one(db, "select status from publish.job") == "succeeded")
        stop.set()
        working.result(PATIENCE)


@pytest.mark.parametrize(
    ("arguments", "exit_code"),
    [
        (["work", "nobody's"], 1), (["work", "backfill", "--import", "no_such_module"], 1),
        (["work"], 2), (["work", "backfill", "--concurrency", "0"], 2),
        (["work", "backfill", "--lease", "0"], 2), (["jobs", "--status", "cancelled"], 2),
        (["jobs", "show", "nope"], 1), (["jobs", "cancel", "nope"], 1),
        (["jobs", "retry", "nope"], 1),
    ],
)  # fmt: skip
def test_wrong_usage_is_said_in_a_line_and_a_hint(
    run: Callable[..., Result], arguments: list[str], exit_code: int
) -> None:
    result = run(*arguments)
    assert result.exit_code == exit_code, result.output
    assert "Traceback" not in result.output
    if exit_code == 1:
        assert result.stderr.splitlines()[-1].startswith("  hint: ")


def test_two_handlers_of_one_kind_are_refused() -> None:
    with pytest.raises(BadArgument):
        jobs.handler("backfill")(lambda conn, job: None)
    assert jobs.handler("backfill")(capture.backfill_job) is capture.backfill_job


@pytest.mark.parametrize("kills", [0, 3])
def test_a_walk_that_is_killed_does_every_page_once(
    db: Connection, work: Background, kills: int
) -> None:
    """A page and how far it is are committed together: none is missed and none done twice."""
    jobs.add(db, "j", "walk", {"total": 600})
    count = "select count(*) from done"
    for _ in range(kills):
        before = one(db, count)
        worker = work("walk")
        until(lambda before=before: one(db, count) > before)  # type: ignore[misc]
        worker.kill()
        worker.communicate()
    worker = work("walk")
    assert outcome(worker)["status"] == "succeeded"
    assert one(db, count) == 600
    assert one(db, "select count(distinct what) from done") == 600
    assert jobs.listing(db)[0]["data"] == {"total": 600, "done": 600, "after": None}

    jobs.retry(db, "j")  # a later run begins anew
    assert outcome(worker)["status"] == "succeeded"
    assert one(db, count) == 1200
    assert jobs.listing(db)[0]["data"]["done"] == 600


def test_a_backfill_runs_as_a_job(db: Connection, work: Background) -> None:
    db.execute("create table thing (id int primary key)")
    db.execute("insert into thing select generate_series(1, 25)")
    db.execute("create view thing_feed as select id from thing")
    db.execute("select publish_define('thing', 'thing_feed')")
    db.execute("delete from publish.rescan")
    jobs.add(db, "backfill:thing", "backfill", {"kind": "thing", "batch": 10})
    assert outcome(work("backfill"))["status"] == "succeeded"
    assert drain_all(db) == 25
    assert jobs.listing(db)[0]["data"] == {
        "kind": "thing", "batch": 10, "after": None, "done": 25, "total": 25,
    }  # fmt: skip


# --- looking after jobs


def test_jobs_lists_shows_cancels_and_retries(
    db: Connection, run: Callable[..., Result], connect: Connect
) -> None:
    with jobs.start(db, "bad", kind="k", max_attempts=1, skip_error=True) as job:
        job.save(done=5, total=10)
        raise ValueError("no such month")
    jobs.add(db, "good", "k", {"n": 1})
    assert [json.loads(line)["id"] for line in run("jobs", "--json").stdout.splitlines()] == [
        "good", "bad",
    ]  # fmt: skip
    table = run("jobs", "--status", "ignored", "--kind", "k").stdout
    assert "ValueError: no such month" in table
    assert "[##########----------]  50% 5/10" in table
    assert "good" not in table
    first = run("jobs", "--oldest-first", "--batch", "1", "--json").stdout
    assert json.loads(first)["id"] == "bad"

    shown = run("jobs", "show", "bad").stdout
    assert "ValueError: no such month" in shown
    assert "test_work.py" in shown
    told = json.loads(run("jobs", "show", "bad", "--json").stdout)
    assert (told["status"], told["errors"][0]["error"]) == ("ignored", "ValueError")

    assert json.loads(run("jobs", "retry", "bad", "--json").stdout)["status"] == "pending"
    assert run("jobs", "cancel", "bad").stdout == "cancelled bad\n"
    assert run("jobs", "cancel", "bad").stdout == "bad had ended already\n"
    assert run("jobs", "retry", "bad").stdout == "bad is pending\n"
    with jobs.start(connect(), "good"):
        assert run("jobs", "retry", "good").exit_code == 5
    assert run("jobs", "--kind", "none").stdout == ""


def test_watch_follows_what_runs(connect: Connect, background: Background) -> None:
    watch = background("jobs", "watch", "--interval", "0.05", "--json")
    assert watch.stdout is not None
    with jobs.start(connect(), "j") as job:
        for n in (1, 2, 3):
            job.save(done=n, total=3)
            while json.loads(watch.stdout.readline())["data"] != {"done": n, "total": 3}:
                pass
    watch.send_signal(signal.SIGINT)
    _, errors = watch.communicate(timeout=PATIENCE)
    assert (watch.returncode, errors) == (0, "")
