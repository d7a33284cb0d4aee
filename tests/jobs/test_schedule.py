"""Recurring jobs: added once, by whichever worker looks for a job."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner, Result
from conftest import Background, Connect, Connection
from helpers import PATIENCE, begin, one, until

from pgpublish import cli, jobs
from pgpublish.errors import BadArgument, NotDefined
from pgpublish.jobs.running import take

EACH_MINUTE = "* * * * *"


def schedule(db: Connection, name: str, cron: str = EACH_MINUTE, **more: Any) -> datetime:
    return jobs.schedule(db, name, "quick", cron, **more)


def is_due_since(db: Connection, ago: str) -> datetime:
    """As if no worker had looked for so long."""
    return one(
        db,
        "update publish.job_schedule set next_at = date_trunc('minute', now()) - %s::interval"
        " returning next_at",
        ago,
    )


def added(db: Connection) -> list[dict[str, Any]]:
    return jobs.listing(db, oldest_first=True)


def test_when_its_time_has_come_any_worker_adds_the_job_and_its_own_runs_it(
    db: Connection, work: Background
) -> None:
    db.execute("create table done (id text, what text)")
    schedule(db, "report", data={"n": 1}, priority=7, max_attempts=3)
    since = is_due_since(db, "0")
    assert take(db, None, ["another kind"], "w", 60) is None
    (job,) = added(db)
    assert job["id"] == f"report@{since.astimezone(UTC):%Y-%m-%dT%H:%MZ}"
    assert (job["kind"], job["priority"], job["max_attempts"]) == ("quick", 7, 3)
    assert job["data"] == {"n": 1, "scheduled_at": f"{since.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"}
    work("quick")
    until(lambda: added(db)[0]["status"] == "succeeded")


def test_a_busy_worker_adds_it_too_and_its_priority_counts(db: Connection) -> None:
    db.execute("select count(publish_job_add('j' || n, 'quick')) from generate_series(1, 5) n")
    schedule(db, "urgent", priority=9)
    is_due_since(db, "0")
    job = take(db, None, ["quick"], "w", 60)
    assert job is not None
    assert job.id.startswith("urgent@")


@pytest.mark.parametrize(("missed", "count"), [("once", 1), ("each", 11)])
def test_times_that_no_worker_saw_are_one_job_or_each_its_own(
    db: Connection, missed: Any, count: int
) -> None:
    schedule(db, "s", missed=missed)
    first = is_due_since(db, "10 minutes")
    while take(db, None, ["quick"], "w", 60) is not None:
        pass
    times = sorted(datetime.fromisoformat(job["data"]["scheduled_at"]) for job in added(db))
    assert times[0] == first
    assert len(times) in (count, count + (missed == "each"))  # a minute may have passed
    assert times == [first + timedelta(minutes=n) for n in range(len(times))]
    (row,) = jobs.schedules(db)
    assert row["next_at"] > datetime.now(UTC) - timedelta(seconds=5)
    assert row["last_at"] == times[-1]


def test_of_many_workers_that_look_at_once_one_adds_it(db: Connection, connect: Connect) -> None:
    for n in range(20):
        schedule(db, f"s{n}", "0 0 1 1 *")
    is_due_since(db, "0")

    def look() -> int:
        conn, found = connect(), 0
        while take(conn, None, ["quick"], "w", 60) is not None:
            found += 1
        return found

    looks = [begin(look) for _ in range(4)]
    assert sum(look.result(PATIENCE) for look in looks) == 20
    assert len(added(db)) == 20


def test_a_start_that_is_rolled_back_adds_nothing_and_the_next_does(
    db: Connection, connect: Connect
) -> None:
    schedule(db, "s")
    is_due_since(db, "0")
    other = connect(autocommit=False)
    other.execute("select publish_job_start(kinds => '{x}')")
    assert take(db, None, ["quick"], "w", 60) is None  # it waits for nobody
    other.rollback()
    assert take(db, None, ["quick"], "w", 60) is not None


def test_scheduling_again_changes_it_and_keeps_what_is_due(db: Connection) -> None:
    schedule(db, "s")
    due = is_due_since(db, "3 minutes")
    assert schedule(db, "s", data={"new": True}) == due
    later = schedule(db, "s", "0 0 1 1 *", time_zone="Europe/Berlin")
    assert later.astimezone(UTC).strftime("%m-%dT%H:%M") == "12-31T23:00"
    (row,) = jobs.schedules(db)
    assert (row["cron"], row["time_zone"], row["data"]) == ("0 0 1 1 *", "Europe/Berlin", {})


def test_a_schedule_that_cannot_be_computed_any_more_stops_no_worker_and_says_why(
    db: Connection,
) -> None:
    schedule(db, "broken")
    schedule(db, "sound")
    db.execute("update publish.job_schedule set time_zone = 'Moon/Base' where name = 'broken'")
    is_due_since(db, "0")
    assert take(db, None, ["quick"], "w", 60) is not None
    broken, sound = jobs.schedules(db)
    assert broken["next_at"] is None
    assert "Moon/Base" in broken["fault"]
    assert (sound["fault"], len(added(db))) == (None, 2)
    assert schedule(db, "broken") > datetime.now(UTC)


def test_unscheduled_it_adds_no_more_and_its_jobs_stay(db: Connection) -> None:
    schedule(db, "s")
    is_due_since(db, "0")
    assert take(db, None, ["quick"], "w", 60) is not None
    jobs.unschedule(db, "s")
    assert take(db, None, ["quick"], "w", 60) is None
    assert len(added(db)) == 1
    with pytest.raises(NotDefined):
        jobs.unschedule(db, "s")


@pytest.mark.parametrize(
    "wrong",
    [{"name": ""}, {"name": "x" * 401}, {"cron": "nonsense"}, {"cron": "0 0 30 2 *"},
     {"time_zone": "Moon/Base"}, {"time_zone": "+03"}, {"data": {"x": "x" * 1_048_577}},
     {"priority": 101}, {"priority": 70_000}, {"max_attempts": 0}, {"missed": "never"}],
    ids=lambda wrong: next(iter(wrong)),
)  # fmt: skip
def test_what_is_wrong_is_refused_and_nothing_is_scheduled(
    db: Connection, wrong: dict[str, Any]
) -> None:
    with pytest.raises(BadArgument) as refused:
        schedule(db, **({"name": "s"} | wrong))
    assert refused.value.hint
    assert jobs.schedules(db) == []


def test_who_may_add_jobs_may_not_schedule_them(db: Connection) -> None:
    db.execute("set role publish_writer")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        db.execute("select publish_job_schedule('s', 'k', '* * * * *')")


@pytest.fixture
def run(url: str) -> Callable[..., Result]:
    def invoke(*arguments: str) -> Result:
        return CliRunner().invoke(cli.main, ["--database-url", url, "jobs", *arguments])

    return invoke


def test_the_commands_schedule_list_and_unschedule(run: Callable[..., Result]) -> None:
    arguments = ["report", "quick", "0 3 * * *", "--time-zone", "Europe/Berlin"]
    said = run("schedule", *arguments, "--data", '{"n": 1}', "--missed", "each", "--json")
    assert json.loads(said.stdout)["name"] == "report"
    (row,) = [json.loads(line) for line in run("schedules", "--json").stdout.splitlines()]
    assert (row["missed"], row["data"], row["time_zone"]) == ("each", {"n": 1}, "Europe/Berlin")
    assert "report" in run("schedules").stdout
    assert run("unschedule", "report").exit_code == 0
    assert run("unschedule", "report").exit_code == 1
    for wrong in (["--data", "[1]"], ["--data", "{"], ["--time-zone", "Moon/Base"]):
        refused = run("schedule", *arguments[:3], *wrong)
        assert (refused.exit_code, "hint:" in refused.stderr) == (1, True)


# --- jobs of one time


def test_a_job_of_later_is_started_then(db: Connection) -> None:
    soon = datetime.now(UTC) + timedelta(seconds=0.5)
    assert jobs.add(db, "j", "quick", run_at=soon) is True
    assert take(db, None, ["quick"], "w", 60) is None
    until(lambda: take(db, None, ["quick"], "w", 60))
    assert one(db, "select clock_timestamp()") >= soon


def test_a_job_is_unique_for_as_long_as_was_asked_and_while_it_has_not_ended(
    db: Connection,
) -> None:
    hour = timedelta(hours=1)
    assert jobs.add(db, "j", "quick", {"n": 1}, unique_for=hour) is True
    with jobs.start(db, "j") as job:
        job.step("s", lambda: 1)
        db.execute("update publish.job set created_at = created_at - interval '2 hours'")
        assert jobs.add(db, "j", "quick", {"n": 2}, unique_for=hour) is False  # it runs
    assert jobs.add(db, "j", "quick", {"n": 2}) is False
    assert jobs.add(db, "j", "quick", {"n": 2}, unique_for=3 * hour) is False
    assert jobs.add(db, "j", "quick", {"n": 2}, unique_for=hour) is True
    assert jobs.add(db, "j", "quick", {"n": 3}, unique_for=hour) is False  # added just now
    (row,) = jobs.listing(db)
    assert (row["status"], row["data"], row["attempts"]) == ("pending", {"n": 2}, 0)
    with jobs.start(db, "j") as job:
        assert job.step("s", lambda: 2) == 2  # another job: no step of the one before counts
    with pytest.raises(BadArgument):
        jobs.add(db, "j", "quick", unique_for=-hour)


def test_a_cancelled_job_is_not_replaced_while_its_body_may_be_at_work(
    db: Connection, connect: Connect
) -> None:
    conn = connect()
    jobs.add(db, "j", "quick")
    assert take(conn, "j", None, "w", 3600) is not None
    jobs.cancel(db, "j")
    again = timedelta(0)
    assert jobs.add(db, "j", "quick", unique_for=again) is False
    conn.close()
    until(lambda: jobs.add(db, "j", "quick", unique_for=again))
