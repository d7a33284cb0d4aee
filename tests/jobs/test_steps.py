"""job.step: runs once, keeps its result, and is fenced."""

from __future__ import annotations

from typing import Any

import pytest
from conftest import Background, Connect, Connection
from helpers import one, until

from pgpublish import jobs
from pgpublish.errors import BadArgument, StaleToken


@pytest.fixture
def db(db: Connection) -> Connection:
    db.execute("create table done (id text, what text)")
    return db


def done(db: Connection) -> list[str]:
    return [what for (what,) in db.execute("select what from done order by what").fetchall()]


def test_a_step_that_was_done_before_the_worker_was_killed_is_not_done_again(
    db: Connection, work: Background
) -> None:
    jobs.add(db, "j", "steps", {"dies": True})
    work("steps").communicate()
    assert done(db) == ["charge", "mail"]
    work("steps")
    until(lambda: jobs.listing(db)[0]["status"] == "succeeded")
    assert done(db) == ["charge", "mail"]
    assert jobs.listing(db)[0]["data"]["receipt"] == {"receipt": 7, "at": [1, 2]}
    assert [(s["name"], s["result"]) for s in jobs.steps(db, "j")] == [
        ("charge", {"receipt": 7, "at": [1, 2]}),
        ("mail", None),
    ]


def test_a_step_is_not_done_again_after_a_failure_and_is_progress(db: Connection) -> None:
    calls: list[str] = []
    for attempt in range(3):
        with jobs.start(db, "j", max_attempts=2, skip_error=True) as job:
            got = job.step("a", lambda: calls.append("a") or [1])  # type: ignore[func-returns-value]
            assert got == [1]
            if attempt == 0:
                assert jobs.listing(db)[0]["attempts"] == 0
            job.step(f"b{attempt}", lambda: calls.append("b"))
            raise ValueError
    assert calls == ["a", "b", "b", "b"]
    assert jobs.listing(db)[0]["status"] == "failed"


def test_a_job_that_succeeded_does_its_steps_again_when_it_runs_again(db: Connection) -> None:
    calls: list[int] = []
    for n in range(3):
        with jobs.start(db, "j") as job:
            assert job.step("a", lambda n=n: calls.append(n) or n) == n  # type: ignore[misc]
    assert calls == [0, 1, 2]
    assert one(db, "select count(*) from publish.job_step") == 1  # the others are gone


@pytest.mark.parametrize("result", [None, 0, False, "", [], {}, 1.5, {"a": [None]}, "\\u0000"])
def test_every_json_value_is_kept_as_it_is_and_told_from_none(
    db: Connection, result: object
) -> None:
    calls: list[int] = []
    for _ in range(2):
        with jobs.start(db, "j", skip_error=True) as job:
            got = job.step("a", lambda: calls.append(1) or result)  # type: ignore[func-returns-value]
            assert got == result
            raise ValueError
    assert calls == [1]


def test_what_a_step_returns_is_the_same_in_the_first_run_and_later(db: Connection) -> None:
    for _ in range(2):
        with jobs.start(db, "j", skip_error=True) as job:
            assert job.step("a", lambda: {"t": (1, 2), 3: 4}) == {"t": [1, 2], "3": 4}
            raise ValueError


def test_a_step_in_a_transaction_commits_or_not_with_its_work(
    db: Connection, connect: Connect
) -> None:
    conn = connect()
    with jobs.start(conn, "j") as job:
        for fails in (True, False):
            try:
                with conn.transaction():
                    job.step("a", lambda: conn.execute("insert into done values ('j', 'a')") and 1)
                    assert done(db) == []
                    if fails:
                        raise ValueError
            except ValueError:
                assert jobs.steps(db, "j") == []
    assert done(db) == ["a"]


def test_a_step_that_fails_is_the_bodys_failure_and_is_done_again(db: Connection) -> None:
    with pytest.raises(ZeroDivisionError), jobs.start(db, "j") as job:
        job.step("a", lambda: 1 / 0)
    with jobs.start(db, "j") as job:
        assert job.step("a", lambda: "now") == "now"


def test_a_run_that_has_lost_its_job_begins_no_step_and_keeps_none(
    db: Connection, connect: Connect
) -> None:
    calls: list[int] = []

    def lose_it() -> int:
        db.execute("update publish.job set due_at = clock_timestamp()")
        return 1

    with pytest.raises(StaleToken), jobs.start(connect(), "j") as job:
        job.step("a", lose_it)
    assert jobs.steps(db, "j") == []
    with pytest.raises(StaleToken), jobs.start(connect(), "j") as job:
        lose_it()
        job.step("a", lambda: calls.append(1))
    assert calls == []


async def later() -> None:
    pass


@pytest.mark.parametrize(
    ("name", "function"),
    [("", dict), ("x" * 201, dict), ("\0", dict), (7, dict), ("a", None), ("a", 5), ("a", later),
     ("a", object), ("a", lambda: float("nan")), ("a", lambda: b"x"), ("a", lambda: "\0"),
     ("a", lambda: "x" * 1_048_577)],
)  # fmt: skip
def test_a_bad_name_function_or_result_is_refused_and_nothing_is_kept(
    db: Connection, name: Any, function: Any
) -> None:
    with pytest.raises(BadArgument) as refused, jobs.start(db, "j") as job:
        job.step(name, function)
    assert refused.value.hint
    assert jobs.steps(db, "j") == []


def test_a_second_step_of_one_name_in_one_run_is_refused(db: Connection) -> None:
    with jobs.start(db, "j") as job:
        job.step("a", dict)
        with pytest.raises(BadArgument):
            job.step("a", dict)


@pytest.mark.parametrize("autocommit", [True, False])
def test_nor_is_one_name_used_twice_in_transactions(
    db: Connection, connect: Connect, autocommit: bool
) -> None:
    conn = connect(autocommit=autocommit)
    calls: list[str] = []
    with jobs.start(conn, "j") as job:
        with conn.transaction():
            job.step("charge", lambda: calls.append("A"))
        for order in "BC":
            with pytest.raises(BadArgument), conn.transaction():
                job.step("charge", lambda order=order: calls.append(order))  # type: ignore[misc]
        with pytest.raises(BadArgument), conn.transaction():
            job.step("twice", dict)
            job.step("twice", dict)
        with pytest.raises(BadArgument):
            job.step("charge", dict)
    assert calls == ["A"]


def test_a_name_is_used_once_in_a_run_that_finds_what_an_earlier_one_kept(db: Connection) -> None:
    with jobs.start(db, "j", skip_error=True) as job:
        job.step("charge", lambda: "A")
        raise ValueError
    with jobs.start(db, "j") as job:
        with pytest.raises(ZeroDivisionError), db.transaction():
            assert job.step("charge", dict) == "A"
            _ = 1 / 0
        with db.transaction():  # the first one was rolled back
            assert job.step("charge", dict) == "A"
            with pytest.raises(BadArgument):
                job.step("charge", dict)
        with pytest.raises(BadArgument), db.transaction():
            job.step("charge", dict)


def test_a_step_that_a_savepoint_rolled_back_is_done_again(db: Connection) -> None:
    with jobs.start(db, "j") as job, db.transaction():
        with pytest.raises(ZeroDivisionError), db.transaction():
            job.step("a", lambda: "first")
            _ = 1 / 0
        with db.transaction():
            assert job.step("a", lambda: "second") == "second"


def test_a_job_that_only_keeps_the_same_step_again_is_given_up(db: Connection) -> None:
    jobs.add(db, "j", "k", max_attempts=2)
    for status in ("failed", "ignored"):
        token = one(db, "select token from publish_job_start('j')")
        db.execute("select publish_job_step('j', %s, 'charge', '1')", [token])
        settled = "select status from publish_job_fail('j', %s, 'E', '')"
        assert one(db, settled, token) == status
