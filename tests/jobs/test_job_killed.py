"""Workers that die, sleep, or lose their connection or their server in the middle of a job."""

from __future__ import annotations

import json
import os
import signal
from typing import Any

import psycopg
import pytest
from conftest import Background, Connect, Connection, Process
from helpers import LOCKS, PATIENCE, one, pid, running_cluster, until

from pgpublish import jobs
from pgpublish.errors import ConnectionFailed, Locked, StaleToken
from pgpublish.jobs.running import take
from pgpublish.migrate import migrate


@pytest.fixture
def db(db: Connection) -> Connection:
    db.execute("create table done (id text, what text)")
    return db


def add(db: Connection, id: str, kind: str, **data: object) -> None:
    db.execute("select publish_job_add(%s, %s, %s)", [id, kind, json.dumps(data)])


def state(db: Connection, id: str = "j") -> Any:
    return db.execute(
        "select j.status, j.data ->> 'at' as at, j.attempts from publish.job j where j.id = %s",
        [id],
    ).fetchone()


def outcome(worker: Process) -> dict[str, Any]:
    """What the worker says next of a job that ended."""
    assert worker.stdout is not None
    told: dict[str, Any] = json.loads(worker.stdout.readline())
    return told


def errors(db: Connection, id: str = "j") -> list[str]:
    rows = db.execute("select error from publish_job_errors(%s)", [id]).fetchall()
    return [error for (error,) in rows]


@pytest.mark.parametrize(
    ("point", "saved", "counted", "begun"),
    [("start", None, 1, 1), ("middle", "middle", 0, 2), ("end", "end", 0, 2)],
)
def test_a_job_whose_worker_was_killed_is_taken_over_at_once_and_once_from_what_it_saved(
    db: Connection,
    work: Background,
    point: str,
    saved: str | None,
    counted: int,
    begun: int,
) -> None:
    add(db, "j", "stuck", point=point)
    worker = work("stuck")
    until(lambda: state(db) == ("running", saved, counted))
    until(lambda: one(db, "select state from publish.job_activity") == "idle")
    worker.kill()
    until(lambda: one(db, "select lock from publish.job_activity") == "lost")

    second, third = work("stuck"), work("stuck")
    until(lambda: state(db) == ("succeeded", "success", 0))
    done = "select count(*) from done where what = 'begin'"
    assert one(db, done) == begun
    assert errors(db) == ["lost"]
    for process in (second, third):
        process.send_signal(signal.SIGTERM)
    told = "".join(process.communicate(timeout=PATIENCE)[0] for process in (second, third))
    assert [json.loads(line)["status"] for line in told.splitlines()] == ["succeeded"]


def test_a_worker_paused_past_its_lease_cannot_settle_what_another_finished(
    db: Connection, work: Background
) -> None:
    add(db, "j", "paused")
    worker = work("paused", "--lease", "1")
    until(lambda: state(db) == ("running", "paused", 0))
    until(lambda: one(db, "select lease_left < interval '0' from publish.job_activity"))
    other = work("paused")
    assert outcome(other)["status"] == "succeeded"
    worker.send_signal(signal.SIGCONT)
    assert outcome(worker)["status"] == "lost"
    assert one(db, "select count(*) from done") == 1
    assert state(db) == ("succeeded", "paused", 0)
    assert one(db, LOCKS) == 0


def test_a_worker_paused_past_its_lease_cannot_settle_even_if_nobody_took_over(
    db: Connection, work: Background
) -> None:
    add(db, "j", "paused at the end")
    worker = work("paused at the end", "--lease", "1")
    until(lambda: state(db) == ("running", "paused", 0))
    until(lambda: one(db, "select lease_left < interval '0' from publish.job_activity"))
    first = one(db, "select token from publish.job")
    worker.send_signal(signal.SIGCONT)
    assert outcome(worker)["status"] == "lost"
    assert outcome(worker)["status"] == "succeeded"
    assert one(db, "select (data ->> 'by')::bigint from publish.job") > first
    assert errors(db) == ["lost"]


def test_a_worker_that_freezes_between_a_save_and_its_commit_holds_its_job_no_longer_than_a_lease(
    db: Connection, work: Background
) -> None:
    add(db, "j", "frozen")
    worker = work("frozen", "--lease", "1")
    frozen = "select from publish.job_activity where state = 'idle in transaction'"
    until(lambda: db.execute(frozen).fetchone() is not None)
    assert state(db) == ("running", None, 1)
    until(lambda: one(db, "select lock from publish.job_activity") == "lost")
    assert outcome(work("frozen"))["status"] == "succeeded"
    worker.send_signal(signal.SIGCONT)
    assert outcome(worker)["status"] == "lost"
    assert errors(db) == ["lost"]


def test_a_run_whose_backend_was_terminated_is_written_down_as_failed(
    db: Connection, connect: Connect
) -> None:
    conn = connect()
    with pytest.raises(ConnectionFailed), jobs.start(conn, "j") as job:
        job.save(at="middle")
        assert one(db, "select pg_terminate_backend(%s)", pid(conn))
        job.save(at="later")
    assert state(db) == ("failed", "middle", 1)
    assert errors(db) == ["57P01"]


def test_a_run_whose_backend_was_terminated_can_be_taken_over_at_once_and_stops_at_its_next_save(
    db: Connection, connect: Connect
) -> None:
    conn, other = connect(), connect()
    with pytest.raises(ConnectionFailed), jobs.start(conn, "j") as job:
        job.save(at="middle")
        with pytest.raises(Locked), jobs.start(other, "j"):
            pass
        assert one(db, "select pg_terminate_backend(%s)", pid(conn))
        until(lambda: one(db, "select lock from publish.job_activity") == "lost")
        with jobs.start(other, "j") as taken:
            assert taken.data["at"] == "middle"
            taken.save(at="taken")
            with pytest.raises(ConnectionFailed):
                job.save(at="never")
    assert state(db) == ("succeeded", "taken", 0)


def test_a_worker_whose_backend_was_terminated_goes_on_with_other_jobs(
    db: Connection, work: Background
) -> None:
    add(db, "j", "saves")
    worker = work("saves", "quick")
    until(lambda: one(db, "select coalesce((data ->> 'n')::int, 0) > 0 from publish.job"))
    db.execute("select pg_terminate_backend(pid) from publish.job_activity")
    assert outcome(worker)["status"] == "failed"
    add(db, "k", "quick")
    told = outcome(worker)
    assert (told["id"], told["status"]) == ("k", "succeeded")
    worker.send_signal(signal.SIGTERM)
    _, said = worker.communicate(timeout=PATIENCE)
    assert worker.returncode == 0, said
    assert "Traceback" not in said


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT], ids=["fast", "crash"])
def test_after_a_restart_of_the_server_a_job_goes_on_from_what_it_saved(
    server_kind: str, work: Background, how: signal.Signals
) -> None:
    with running_cluster(server_kind) as cluster:
        with psycopg.connect(cluster.url(), autocommit=True) as conn:
            migrate(conn)
            conn.execute("select publish_job_add('j', 'saves')")
            worker = work("saves", database_url=cluster.url())
            until(lambda: one(conn, "select coalesce((data ->> 'n')::int, 0) > 3 from publish.job"))
        cluster.stop(how)
        cluster.start()
        with psycopg.connect(cluster.url(), autocommit=True) as conn:
            conn.execute("select publish_job_retry('j') from publish.job where status = 'failed'")
            query = "select data ->> 'n' from publish.job where status = 'running'"
            before = until(lambda: conn.execute(query).fetchone())[0]
            assert int(before) > 3
            until(lambda: conn.execute(query).fetchone() not in (None, (before,)))
            worker.send_signal(signal.SIGTERM)
            worker.communicate(timeout=PATIENCE)
            assert worker.returncode == 0
            assert one(conn, "select status from publish.job") == "pending"  # handed back


def test_a_job_of_a_server_that_crashed_is_taken_over_before_its_lease_ends(
    server_kind: str,
) -> None:
    with running_cluster(server_kind) as cluster:
        with psycopg.connect(cluster.url(), autocommit=True) as conn:
            migrate(conn)
            with pytest.raises(ConnectionFailed), jobs.start(conn, "j", lease=3600) as job:
                job.save(at="middle")
                cluster.stop(signal.SIGQUIT)
                job.save(at="never")
        cluster.start()
        with (
            psycopg.connect(cluster.url(), autocommit=True) as conn,
            jobs.start(conn, "j") as job,
        ):
            assert job.data["at"] == "middle"


def test_a_busy_queue_does_not_hide_lost_jobs(db: Connection, connect: Connect) -> None:
    """Nothing idles here: a look at the locks comes with every 64th start all the same."""
    doomed = connect()
    add(db, "lost", "k")
    assert take(doomed, "lost", None, "w", 3600) is not None
    doomed.close()
    until(lambda: one(db, "select lock from publish.job_activity") == "lost")
    db.execute("select count(publish_job_add('j' || n, 'k')) from generate_series(1, 200) n")
    taken = [job.id for _ in range(130) if (job := take(db, None, ["k"], "w", 60))]
    assert len(taken) == 130
    assert one(db, "select status from publish.job where id = 'lost'") == "failed"


def test_work_in_the_transaction_of_a_save_is_undone_when_the_run_has_lost_its_job(
    db: Connection, connect: Connect
) -> None:
    """The fence holds for what the job writes, not only for its own row."""
    conn = connect()
    with pytest.raises(StaleToken), jobs.start(conn, "j", lease=3600) as job:
        db.execute("update publish.job set due_at = clock_timestamp()")
        with jobs.start(db, "j"), conn.transaction():
            conn.execute("insert into done values ('j', 'by the one presumed dead')")
            job.save(at="never")
    assert one(db, "select count(*) from done") == 0


def test_the_process_that_is_killed_is_the_one_that_ran_the_job(
    db: Connection, work: Background
) -> None:
    """What the tests above rest on: the worker named in the job is the process."""
    add(db, "j", "saves")
    worker = work("saves")
    until(lambda: state(db)[0] == "running")
    name = one(db, "select worker from publish.job_activity")
    assert name.endswith(f":{worker.pid}")
    assert worker.pid != os.getpid()
