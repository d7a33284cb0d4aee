"""A job that kills the process it runs in: it is charged, and nothing else is."""

from __future__ import annotations

import json
import signal
from typing import Any

import pytest
from conftest import Background, Connection, Process
from helpers import PATIENCE, one, until

from pgpublish import jobs

ADD = (
    "select publish_job_add(%s, %s, %s, max_attempts => %s,"
    " backoff_min => '0.05 s', backoff_max => '0.4 s')"
)


@pytest.fixture
def db(db: Connection) -> Connection:
    db.execute("create table done (id text, what text)")
    return db


def add(db: Connection, id: str, kind: str, *, max_attempts: int = 5, **data: object) -> None:
    db.execute(ADD, [id, kind, json.dumps(data), max_attempts])


def state(db: Connection, id: str) -> Any:
    (job,) = jobs.listing(db, id=id)
    return job["status"], job["attempts"]


def end(worker: Process) -> str:
    worker.send_signal(signal.SIGTERM)
    _, said = worker.communicate(timeout=PATIENCE)
    assert worker.returncode == 0, said
    return said


@pytest.mark.parametrize(
    "poison", [{"how": "abort"}, {"how": "kill"}, {"how": "exit", "code": 0}], ids=str
)
def test_a_job_that_kills_its_process_is_given_up_and_its_neighbour_is_not_disturbed(
    db: Connection, work: Background, poison: dict[str, Any]
) -> None:
    db.execute("select pg_advisory_lock(1, 1)")
    add(db, "innocent", "ends", max_attempts=1)
    add(db, "poison", "poison", beside=["innocent"], **poison)
    worker = work("poison", "ends", "--concurrency", "2")
    until(lambda: state(db, "poison") == ("ignored", 5))
    assert [e["error"] for e in jobs.job_errors(db, "poison")] == ["lost"] * 5
    assert state(db, "innocent") == ("running", 0)  # its one start, and it has saved since
    db.execute("select pg_advisory_unlock(1, 1)")
    until(lambda: state(db, "innocent") == ("succeeded", 0))
    assert jobs.job_errors(db, "innocent") == []
    assert end(worker).count("another starts in") == 5


def test_two_poisons_beside_many_innocents_cost_none_of_them_an_attempt(
    db: Connection, work: Background
) -> None:
    for n in range(2):
        add(db, f"poison {n}", "poison", max_attempts=3, how="exit", code=1)
    for n in range(30):
        add(db, f"innocent {n}", "quick", max_attempts=1)
    worker = work("poison", "quick", "--concurrency", "3")
    unfinished = "select count(*) from publish.job where status not in ('succeeded', 'ignored')"
    until(lambda: one(db, unfinished) == 0)
    assert one(db, "select count(*) from publish.job where status = 'succeeded'") == 30
    assert one(db, "select count(*) from publish.job_error where id like 'poison%'") == 6
    assert one(db, "select count(*) from publish.job_error") == 6
    assert one(db, "select count(*) from done") == 30
    end(worker)


def test_progress_sets_the_attempts_back_and_only_progress_does(db: Connection) -> None:
    jobs.add(db, "j", "k", max_attempts=2)
    beat = "select publish_job_beat('j', %s, %s, progress => %s)"
    seen = []
    for data, progress in [('{"n": 1}', True), ('{"n": 1}', True), ('{"n": 2}', False)]:
        token = one(db, "select token from publish_job_start('j')")
        db.execute(beat, [token, data, progress])
        seen.append(state(db, "j")[1])
        db.execute("update publish.job set due_at = clock_timestamp()")
        assert one(db, "select publish.return_lost_jobs(null, 'j')") == 1
    assert seen == [0, 1, 2]
    assert state(db, "j") == ("ignored", 2)


def test_a_job_that_fails_after_progress_for_ever_is_tried_less_and_less_often(
    db: Connection,
) -> None:
    jobs.add(db, "j", "k", max_attempts=2)
    waits = []
    for n in range(6):
        with jobs.start(db, "j", skip_error=True) as job:
            job.save(n=n)
            raise ValueError
        waits.append(one(db, "select extract(epoch from due_at - now())::float8 from publish.job"))
    assert state(db, "j") == ("failed", 1)
    assert all(10 * 2**n / 2 - 5 < wait < 10 * 2**n + 5 for n, wait in enumerate(waits)), waits


def test_when_the_command_is_killed_its_processes_end_and_their_jobs_are_taken_over(
    db: Connection, work: Background
) -> None:
    for n in range(2):
        add(db, f"j{n}", "saves")
    worker = work("saves", "--concurrency", "2")
    until(lambda: one(db, "select count(*) from publish.job where data ? 'n'") == 2)
    worker.kill()
    until(lambda: one(db, "select count(*) from publish.job_activity where lock = 'lost'") == 2)
    second = work("saves", "--concurrency", "2")
    until(lambda: one(db, "select count(*) from publish.job_activity where lock = 'held'") == 2)
    end(second)
    assert {state(db, f"j{n}")[0] for n in range(2)} == {"pending"}


def test_an_error_that_no_new_start_would_undo_ends_the_command_with_its_code(
    db: Connection, work: Background
) -> None:
    worker = work("quick", "--concurrency", "2")
    add(db, "j", "quick")
    until(lambda: state(db, "j")[0] == "succeeded")
    db.execute("drop function publish_job_start(text, text[], text, interval, int)")
    _, said = worker.communicate(timeout=PATIENCE)
    assert worker.returncode == 1
    assert "publish_job_start" in said
