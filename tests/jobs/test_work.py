"""`pgpublish work`: which jobs it runs, how it stops, and what it leaves."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from threading import Event
from typing import Any, LiteralString

import pytest
from click.testing import CliRunner, Result
from conftest import Background, Connect, Connection, Process
from helpers import PATIENCE, begin, drain_all, one, until
from psycopg.conninfo import make_conninfo

from pgpublish import cli, jobs, verify
from pgpublish.cli.progress import progress
from pgpublish.database import connect as open_connection
from pgpublish.errors import BadArgument, ConnectionFailed, StaleToken
from pgpublish.jobs import worker as worker_room
from pgpublish.jobs.session import tidy

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


@pytest.mark.parametrize("data", ["{}", '{"total": 3, "done": 1' + "0" * 400 + "}", '{"done": -1}'])
def test_data_that_is_no_progress_shows_none(
    db: Connection, run: Callable[..., Result], data: str
) -> None:
    db.execute("select publish_job_add('j', 'quick', %s::jsonb)", [data])
    row = json.loads(run("jobs", "--json").stdout)
    assert progress(row["data"]) == ""
    assert run("jobs").exit_code == 0


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


@pytest.mark.parametrize(
    ("kind", "error", "data"),
    [
        ("exits", "SystemExit", "{}"),
        ("cancelled", "asyncio.exceptions.CancelledError", "{}"),
        ("streams", "ValueError", "{}"),
        ("reads", "pgpublish.errors.BadArgument", '{"n": ' + "9" * 5000 + "}"),
        ("reads", "pgpublish.errors.BadArgument", '{"a": ' + "[" * 3000 + "]" * 3000 + "}"),
    ],
    ids=["exits", "is cancelled", "leaves a stream", "reads 5,000 digits", "reads 3,000 levels"],
)
def test_a_body_that_ends_oddly_has_failed_and_ends_no_worker(
    db: Connection, work: Background, run: Callable[..., Result], kind: str, error: str, data: str
) -> None:
    db.execute(
        "select publish_job_add('e', %s, %s::jsonb, priority => 1, max_attempts => 2,"
        " backoff_min => '1 ms', backoff_max => '1 ms')",
        [kind, data],
    )
    db.execute("select publish_job_add('q', 'quick')")
    worker = work(kind, "quick")
    told = [outcome(worker) for _ in range(3)]
    assert Counter((o["id"], o["status"]) for o in told) == {
        ("e", "failed"): 1, ("e", "ignored"): 1, ("q", "succeeded"): 1,
    }  # fmt: skip
    worker.send_signal(signal.SIGTERM)
    worker.communicate(timeout=PATIENCE)
    assert worker.returncode == 0
    assert [e["error"] for e in jobs.job_errors(db, "e")] == [error, error]
    for listing in (["jobs"], ["jobs", "show", "e"], ["jobs", "show", "e", "--json"]):
        result = run(*listing)
        assert (result.exit_code, result.exception) == (0, None)


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
    until(lambda: not catches(worker, signal.SIGTERM))  # its handler runs, and starts a thread
    time.sleep(0.5)  # which tells the worker
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


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, -signal.SIGTERM), (signal.SIGINT, 130)]
)
def test_a_second_signal_ends_it_at_once_and_the_job_is_taken_over(
    db: Connection, work: Background, number: signal.Signals, code: int
) -> None:
    db.execute("select publish_job_add('j', 'stuck', '{\"point\": \"middle\"}')")
    db.execute("select publish_job_add('k', 'saves')")
    worker = work("stuck", "saves", "--concurrency", "2")
    until(lambda: one(db, "select count(*) from publish.job where data ?| '{at,n}'") == 2)
    worker.send_signal(number)
    assert outcome(worker)["status"] == "returned"  # so it has had the first
    assert worker.poll() is None
    worker.send_signal(number)
    worker.communicate(timeout=PATIENCE)
    assert worker.returncode == code
    assert outcome(work("stuck"))["status"] == "succeeded"


def test_an_idle_worker_finds_a_job_that_is_added_later(db: Connection, work: Background) -> None:
    worker = work("quick")
    for n in range(3):
        db.execute("select publish_job_add(%s, 'quick')", [f"j{n}"])
        assert outcome(worker)["id"] == f"j{n}"
    end(worker)


def test_it_removes_old_jobs_in_passes_until_none_is_left(
    db: Connection, connect: Connect, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    db.execute(
        "insert into publish.job (id, kind, status, created_at, finished_at)"
        " select 'old' || n, 'quick', 'succeeded', now() - interval '9 days',"
        "        now() - interval '8 days' from generate_series(1, 5) n"
    )
    monkeypatch.setattr(worker_room, "PRUNE", 2)
    jobs.HANDLERS.setdefault("nothing", lambda conn, job: None)
    db.execute("select publish_set('job_retention', '7 days')")
    stop, conn = Event(), connect()
    with jobs.heart(lambda: open_connection(url)) as beating:
        began = begin(
            lambda: jobs.work(conn, ["nothing"], stop, beating=beating, clock=lambda: 0.0)
        )
        until(lambda: one(db, "select count(*) from publish.job") == 0)
        stop.set()
        began.result(PATIENCE)


UNRULY = [
    "set role publish_reader", "set search_path to nowhere", "set statement_timeout to '1h'",
    "set my.setting to 'on'",
]  # fmt: skip


@pytest.mark.parametrize(
    ("data", "status"),
    [
        ({"statements": ["create temp table mine ()", *UNRULY]}, "succeeded"),
        ({"statements": ["create temp table mine ()", *UNRULY], "open": True}, "succeeded"),
        ({"statements": ["create temp table mine ()", *UNRULY, "select 1 / 0"]}, "failed"),
        ({"statements": ["begin", *UNRULY, "select 1 / 0"]}, "failed"),
    ],
    ids=["success", "success in a transaction", "failure", "failure in a transaction"],
)
def test_what_a_body_sets_reaches_neither_its_settling_nor_the_next_job(
    db: Connection, work: Background, data: dict[str, Any], status: str
) -> None:
    jobs.add(db, "a", "unruly", data, priority=1)
    jobs.add(db, "b", "shows")
    worker = work("unruly", "shows")
    assert [outcome(worker)["status"] for _ in range(2)] == [status, "succeeded"]
    (found,) = jobs.listing(db, id="b")
    assert found["data"]["session"] == [True, '"$user", public', "0", None, None, True]
    end(worker)


def test_the_advisory_lock_is_held_when_a_session_is_tidied(
    db: Connection, connect: Connect
) -> None:
    conn = connect()
    with jobs.start(conn, "j"):
        tidy(conn)
        assert one(db, "select lock from publish.job_activity") == "held"


def test_a_lease_that_is_kept_no_more_is_told(
    db: Connection, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(StaleToken), jobs.start(connect(), "j", lease=1) as job:
        jobs.cancel(db, "j")
        until(lambda: "job 'j': its lease is kept no more" in caplog.text)
        job.save()


@pytest.mark.parametrize("body", ["async def f(conn, job): pass", "def f(conn, job): yield",
                                  "async def f(conn, job): yield"])  # fmt: skip
def test_a_handler_whose_call_would_run_nothing_is_refused(body: str) -> None:
    made: dict[str, Any] = {}
    exec(body, made)
    with pytest.raises(BadArgument):
        jobs.handler("lazy")(made["f"])
    assert "lazy" not in jobs.HANDLERS


@pytest.fixture
def worker_url(admin: Connection, url: str) -> Iterator[str]:
    """This test's database for a login that is a member of publish_worker and nothing else."""
    admin.execute("create role only_a_worker login in role publish_worker")
    yield make_conninfo(url, user="only_a_worker")
    admin.execute("drop role only_a_worker")


def test_the_shipped_jobs_and_the_commands_run_as_a_member_of_publish_worker_only(
    db: Connection, background: Background, worker_url: str
) -> None:
    db.execute(
        "create table thing (id int primary key); insert into thing values (1), (2);"
        "create view thing_feed as select id from thing;"
        "select publish_define('thing', 'thing_feed')"
    )
    jobs.add(db, "v", "verify", {"kind": "thing", "repair": True})
    worker = background("work", "verify", "--json", database_url=worker_url)
    assert outcome(worker)["status"] == "succeeded"
    end(worker)
    assert jobs.listing(db, id="v")[0]["data"]["repaired"] == 2
    for command, code in [
        (["backfill", "thing", "--no-wait"], 0), (["drain", "--once"], 0), (["verify"], 0),
        (["jobs"], 0), (["jobs", "show", "v"], 0), (["jobs", "cancel", "v"], 1),
    ]:  # fmt: skip
        process = background(*command, database_url=worker_url)
        _, errors = process.communicate(timeout=PATIENCE)
        assert process.returncode == code, errors


def test_a_worker_whose_heart_cannot_connect_is_refused(
    admin: Connection, background: Background, worker_url: str
) -> None:
    admin.execute("alter role only_a_worker connection limit 1")
    worker = background("work", "verify", database_url=worker_url)
    _, errors = worker.communicate(timeout=PATIENCE)
    assert worker.returncode == ConnectionFailed.exit_code, errors


def test_with_too_few_connections_fewer_jobs_run_at_a_time_and_each_keeps_its_lease(
    db: Connection, work: Background, worker_url: str
) -> None:
    db.execute("alter role only_a_worker connection limit 2; select pg_advisory_lock(1, 1)")
    db.execute("select count(publish_job_add('j' || n, 'ends')) from generate_series(1, 2) n")
    worker = work("ends", "--concurrency", "2", "--lease", "3", database_url=worker_url)
    assert worker.stderr is not None
    assert "connection lost, trying again" in worker.stderr.readline()
    until(lambda: one(db, BLOCKED))
    until(lambda: one(db, "select max(beat_at) from publish.job"))
    db.execute("select pg_advisory_unlock(1, 1)")
    told = [outcome(worker) for _ in range(2)]
    assert {(o["status"], o["attempt"]) for o in told} == {("succeeded", 1)}
    worker.send_signal(signal.SIGTERM)
    worker.communicate(timeout=PATIENCE)
    assert one(db, "select count(*) from publish.job_error") == 0


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
        (["work", "nobody's"], 1), (["work", "verify", "--import", "no_such_module"], 1),
        (["work"], 2), (["work", "verify", "--concurrency", "0"], 2),
        (["work", "verify", "--lease", "0"], 2), (["work", "verify", "--lease", "nan"], 2),
        (["jobs", "watch", "--interval", "inf"], 2), (["jobs", "watch", "--interval", "nan"], 2),
        (["jobs", "--status", "cancelled"], 2),
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
        jobs.handler("verify")(lambda conn, job: None)
    assert jobs.handler("verify")(verify.verify_job) is verify.verify_job


@pytest.mark.parametrize("kills", [0, 3])
def test_a_walk_that_is_killed_does_every_page_once(
    db: Connection, work: Background, kills: int
) -> None:
    """A page and how far it is are committed together: none is missed and none done twice."""
    db.execute("select publish_job_add('j', 'walk', '{\"total\": 600}', backoff_min => '1 ms')")
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


def test_a_verify_runs_as_a_job(db: Connection, work: Background) -> None:
    db.execute("create table thing (id int primary key)")
    db.execute("insert into thing select generate_series(1, 25)")
    db.execute("create view thing_feed as select id from thing")
    db.execute("select publish_define('thing', 'thing_feed')")
    jobs.add(db, "v", "verify", {"kind": "thing", "batch": 10, "repair": True})
    assert outcome(work("verify"))["status"] == "succeeded"
    assert drain_all(db) == 25
    data = jobs.listing(db)[0]["data"]
    assert (data["after"], data["done"], data["repaired"]) == (None, 25, 25)


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
    assert "50%" in table
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


def test_what_could_steer_a_terminal_is_written_out(
    db: Connection, run: Callable[..., Result]
) -> None:
    evil = "a\x1b[31m\x9b\u202e\r"
    with jobs.start(db, evil, kind=evil, worker=evil, max_attempts=1, skip_error=True) as job:
        raise ValueError(evil)
    for arguments in [("jobs",), ("jobs", "show", evil), ("jobs", "retry", evil),
                      ("jobs", "cancel", evil), ("jobs", "cancel", evil),
                      ("jobs", "show", "no " + evil)]:  # fmt: skip
        result = run(*arguments)
        assert "\\x1b[31m" in result.output, arguments
        assert not set(evil) & set(result.output) - set("a[31m"), arguments
    assert job.attempt == 1


def test_watch_on_a_terminal_shows_a_bar_that_moves(connect: Connect, url: str) -> None:
    ours, theirs = pty.openpty()
    watch = subprocess.Popen(
        [sys.executable, "-m", "pgpublish", "--database-url", url, "jobs", "watch",
         "--interval", "0.05"], stdout=theirs, stderr=theirs,
        env=os.environ | {"TERM": "xterm", "COLUMNS": "200"},
    )  # fmt: skip
    os.close(theirs)
    shown = ""

    def until_shown(text: str) -> None:
        nonlocal shown
        while text not in shown:
            assert select.select([ours], [], [], PATIENCE)[0], shown
            shown += os.read(ours, 4096).decode()
        shown = ""

    try:
        with jobs.start(connect(), "long", worker="night shift") as job:
            job.save(done=1, total=4)
            until_shown("[#####---------------]  25% 1/4")
            job.save(done=2)
            until_shown("[##########----------]  50% 2/4")
            until_shown("1 running")
            until_shown("night shift")
        until_shown("0 running")
        watch.send_signal(signal.SIGINT)
        with suppress(OSError):  # EIO: it has ended; until then it may wait for who reads
            while os.read(ours, 4096):
                pass
        assert watch.wait(PATIENCE) == 0
    finally:
        watch.kill()
        watch.wait()
        os.close(ours)


def test_watch_follows_what_runs_to_its_end_also_when_its_connection_is_lost(
    db: Connection, connect: Connect, background: Background
) -> None:
    watch = background("jobs", "watch", "--interval", "0.05", "--json")
    assert watch.stdout is not None
    told: dict[str, Any] = {}
    with jobs.start(connect(), "j") as job:
        for n in (1, 2, 3):
            job.save(done=n, total=3)
            while told.get("data") != {"done": n, "total": 3}:
                told = json.loads(watch.stdout.readline())
            assert told["status"] == "running"
            db.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity"
                " where query like '%job_activity%' and datname = current_database()"
                " and application_name = 'pgpublish'"
            )
    assert json.loads(watch.stdout.readline())["status"] == "succeeded"
    watch.send_signal(signal.SIGINT)
    _, errors = watch.communicate(timeout=PATIENCE)
    assert watch.returncode == 0
    assert "connection lost" in errors


def test_watch_into_a_pipe_says_how_a_job_ended(
    db: Connection, connect: Connect, background: Background
) -> None:
    watch = background("jobs", "watch", "--interval", "0.05")
    assert watch.stdout is not None
    for id, ending in [("bad", "failed  ValueError: no such month"), ("gone", "removed")]:
        with jobs.start(connect(), id, skip_error=True):
            assert watch.stdout.readline().startswith(f"{id}  attempt 1  ")
            if id == "gone":
                db.execute("delete from publish.job where id = 'gone'")
            raise ValueError("no such month")
        assert watch.stdout.readline() == f"{id}  {ending}\n"
    watch.send_signal(signal.SIGINT)
    assert watch.communicate(timeout=PATIENCE) == ("", "")
