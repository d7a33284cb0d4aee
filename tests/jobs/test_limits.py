"""publish_job_limit: never more at a time, and a dead holder's place is free again."""

from __future__ import annotations

import json
import signal
from threading import Event

import pytest
from click.testing import CliRunner
from conftest import Background, Connect, Connection
from helpers import PATIENCE, begin, one, pid, until

from pgpublish import cli, jobs
from pgpublish.errors import BadArgument, Locked
from pgpublish.jobs.running import take

RUNNING = "select count(*) from publish.job where status = 'running'"


def fill(db: Connection, count: int, kind: str = "k") -> None:
    db.execute(
        "select count(publish_job_add(%s || n, %s)) from generate_series(1, %s) n",
        [kind, kind, count],
    )


def test_no_more_than_the_limit_run_at_a_time_however_many_start(
    db: Connection, connect: Connect
) -> None:
    fill(db, 60)
    jobs.limit(db, "k", 2)
    over = Event()

    def work() -> None:
        conn = connect()
        while one(conn, "select count(*) from publish.job where status <> 'succeeded'"):
            if (job := take(conn, None, ["k", "other"], "w", 60)) is not None:
                if one(conn, RUNNING) > 2:
                    over.set()
                conn.execute("select publish_job_done(%s, %s)", [job.id, job.token])

    for worker in [begin(work) for _ in range(4)]:
        worker.result(PATIENCE)
    assert not over.is_set()


def test_a_start_that_is_not_committed_counts_and_keeps_nobody_waiting(
    db: Connection, connect: Connect
) -> None:
    fill(db, 2)
    fill(db, 1, "free")
    jobs.limit(db, "k", 1)
    first = connect(autocommit=False)
    first.execute("select publish_job_start(kinds => '{k}')")
    db.execute("set lock_timeout = '1ms'")
    assert take(db, None, ["k"], "w", 60) is None
    free = take(db, None, ["k", "free"], "w", 60)
    assert free is not None
    assert free.id == "free1"
    first.rollback()
    assert take(db, None, ["k"], "w", 60) is not None


def test_a_dead_holders_place_is_free_at_once(db: Connection, work: Background) -> None:
    db.execute("create table done (id text, what text)")
    jobs.add(db, "held", "stuck", {"point": "middle"})
    jobs.add(db, "waits", "stuck", {"point": "never"})
    jobs.limit(db, "stuck", 1)
    worker = work("stuck")
    until(lambda: jobs.listing(db, id="held")[0]["data"].get("at") == "middle")
    assert take(db, None, ["stuck"], "w", 60) is None
    worker.kill()
    second = work("stuck")
    until(lambda: {job["status"] for job in jobs.listing(db)} == {"succeeded"})
    second.send_signal(signal.SIGTERM)
    second.communicate(timeout=PATIENCE)


def test_by_id_a_job_of_a_kind_at_its_limit_is_locked(db: Connection, connect: Connect) -> None:
    fill(db, 2)
    jobs.limit(db, "k", 1)
    with jobs.start(connect(), "k1"):
        with pytest.raises(Locked), jobs.start(db, "k2"):
            pass
        assert jobs.limits(db) == [{"kind": "k", "max_running": 1, "running": 1}]
        jobs.limit(db, "k", None)
        with jobs.start(db, "k2"):
            assert one(db, RUNNING) == 2


def test_by_id_a_place_of_a_run_that_is_lost_is_free(db: Connection, connect: Connect) -> None:
    fill(db, 2)
    jobs.limit(db, "k", 1)
    dead = connect()
    assert take(dead, "k1", None, "w", 60) is not None
    with pytest.raises(Locked):
        take(db, "k2", None, "w", 60)
    dead_pid = pid(dead)
    dead.close()
    gone = "select not exists (select from pg_stat_activity where pid = %s)"
    until(lambda: one(db, gone, dead_pid))
    with jobs.start(db, "k2", kind="k"):
        assert [job["error"] for job in jobs.listing(db, id="k1")] == ["lost"]
        with pytest.raises(Locked):
            take(connect(), "k1", None, "w", 60)


def test_by_id_a_start_is_refused_while_another_is_not_committed(
    db: Connection, connect: Connect
) -> None:
    fill(db, 2)
    jobs.limit(db, "k", 2)
    first = connect(autocommit=False)
    first.execute("select publish_job_start('k1')")
    with pytest.raises(Locked) as refused:
        take(db, "k2", None, "w", 60)
    assert refused.value.hint == "Try again."
    first.commit()
    assert take(db, "k2", None, "w", 60) is not None


@pytest.mark.parametrize(("kind", "most"), [("", 1), ("k" * 201, 1), ("k", 0), ("k", -1)])
def test_a_limit_that_is_none_is_refused(db: Connection, kind: str, most: int) -> None:
    with pytest.raises(BadArgument):
        jobs.limit(db, kind, most)


def test_the_commands_set_list_and_remove_it(db: Connection, url: str) -> None:
    def run(*arguments: str) -> str:
        result = CliRunner().invoke(cli.main, ["--database-url", url, "jobs", *arguments])
        assert result.exit_code == 0, result.output
        return result.stdout

    assert "at most 3 jobs of k" in run("limit", "k", "3")
    assert json.loads(run("limits", "--json")) == {"kind": "k", "max_running": 3, "running": 0}
    run("limit", "k")
    assert run("limits") == ""
