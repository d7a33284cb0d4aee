"""jobs.start: what is saved, what is not, and how a block ends."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, LiteralString

import psycopg
import pytest
from conftest import Connect, Connection
from helpers import LOCKS, PATIENCE, begin, one, pid, until
from psycopg.conninfo import make_conninfo
from psycopg.rows import dict_row

from pgpublish import jobs
from pgpublish.database import connect as open_connection
from pgpublish.errors import (
    BadArgument,
    ConnectionFailed,
    DatabaseError,
    JobIgnored,
    Locked,
    StaleToken,
)
from pgpublish.jobs import job as job_room
from pgpublish.jobs.running import take


def row(db: Connection, id: str = "j") -> Any:
    (found,) = jobs.listing(db, id=id)
    return found


def error_names(db: Connection, id: str = "j") -> list[str]:
    return [error["error"] for error in jobs.job_errors(db, id)]


def test_a_block_that_ends_succeeds_and_its_data_is_kept(db: Connection) -> None:
    with jobs.start(db, "j", kind="export", data={"month": "2024-05"}) as job:
        assert (job.data, job.attempt, job.max_attempts) == ({"month": "2024-05"}, 1, 10)
        job.save(rows=7)
        job.update(done=True)
        assert row(db)["data"] == {"month": "2024-05", "rows": 7}
        assert row(db)["status"] == "running"
    assert job.data == {"month": "2024-05", "rows": 7, "done": True}
    assert row(db)["data"] == job.data
    assert (row(db)["status"], row(db)["kind"]) == ("succeeded", "export")


def test_an_exception_marks_it_failed_with_its_traceback_and_is_raised_again(
    db: Connection,
) -> None:
    with pytest.raises(ZeroDivisionError), jobs.start(db, "j", max_attempts=3) as job:
        job.save(page=4)
        job.update(done=True)
        _ = 1 / 0
    found = row(db)
    assert (found["status"], found["attempts"], found["error"]) == (
        "failed",
        1,
        "ZeroDivisionError",
    )
    assert found["data"] == {"page": 4}
    (error,) = jobs.job_errors(db, "j")
    assert error["message"] == "division by zero"
    assert "test_job_start.py" in error["traceback"]


def test_a_database_error_is_kept_by_its_sqlstate(db: Connection) -> None:
    with pytest.raises(psycopg.Error), jobs.start(db, "j"):
        db.execute("select 1 / 0")
    assert error_names(db) == ["22012"]


def test_skip_error_goes_on_after_the_block(db: Connection) -> None:
    with jobs.start(db, "j", skip_error=True) as job:
        raise ValueError("no\0 such \ud800 thing")
    assert job.data == {}
    assert row(db)["status"] == "failed"
    assert row(db)["message"] == "no\N{REPLACEMENT CHARACTER} such ? thing"


def test_a_job_that_always_fails_ends_as_ignored_with_every_error_kept(db: Connection) -> None:
    for n in range(3):
        with jobs.start(db, "j", max_attempts=3, skip_error=True) as job:
            assert job.attempt == n + 1
            raise ValueError(f"attempt {n}")
    assert (row(db)["status"], row(db)["attempts"]) == ("ignored", 3)
    assert [e["message"] for e in jobs.job_errors(db, "j")] == [f"attempt {n}" for n in (2, 1, 0)]
    with pytest.raises(JobIgnored) as refused, jobs.start(db, "j"):
        pass
    assert refused.value.sqlstate == "PT410"
    jobs.retry(db, "j")
    with jobs.start(db, "j") as job:
        assert job.attempt == 1
    assert row(db)["attempts"] == 0
    assert len(jobs.job_errors(db, "j")) == 3


def test_success_resets_the_attempts(db: Connection) -> None:
    for fails in (True, True, False, True, True):
        with jobs.start(db, "j", max_attempts=3, skip_error=True):
            if fails:
                raise ValueError
    assert (row(db)["status"], row(db)["attempts"]) == ("failed", 2)


def test_an_interrupted_block_hands_the_job_back(db: Connection) -> None:
    with pytest.raises(KeyboardInterrupt), jobs.start(db, "j") as job:
        job.save(page=4)
        raise KeyboardInterrupt
    assert (row(db)["status"], row(db)["attempts"]) == ("pending", 0)
    assert error_names(db) == []


def test_a_job_that_runs_is_locked_and_shows_who_runs_it(db: Connection, connect: Connect) -> None:
    other = connect(application_name="the other one")
    with jobs.start(other, "j", worker="night shift") as job:
        (seen,) = jobs.activity(db)
        assert (seen["pid"], seen["application"]) == (pid(other), "the other one")
        assert (seen["worker"], seen["lock"], seen["state"]) == ("night shift", "held", "idle")
        with pytest.raises(Locked) as refused, jobs.start(db, "j"):
            pass
        assert refused.value.sqlstate == "PT423"
        job.save(n=1)
    assert jobs.activity(db) == []
    assert one(db, LOCKS) == 0


def test_the_heart_keeps_a_lease_through_a_query_that_is_longer(
    db: Connection, connect: Connect
) -> None:
    """The long query waits for an advisory lock of the test's."""
    db.execute("select pg_advisory_lock(1, 1)")
    conn = connect()

    def long() -> None:
        with jobs.start(conn, "j", lease=3):
            conn.execute("select pg_advisory_lock(1, 1)")

    running = begin(long)
    until(lambda: one(db, "select count(*) from publish.job_activity where state = 'active'"))
    began = one(db, "select since from publish.job_activity")
    until(
        lambda: one(db, "select beat_at > %s + interval '3.3 s' from publish.job_activity", began)
    )
    with pytest.raises(Locked), jobs.start(db, "j"):
        pass
    db.execute("select pg_advisory_unlock(1, 1)")
    running.result(PATIENCE)
    assert row(db)["status"] == "succeeded"
    assert error_names(db) == []


def test_the_heart_connects_again_when_its_session_is_terminated(
    db: Connection, connect: Connect
) -> None:
    conn = connect()
    heart = (
        "select pid from pg_stat_activity"
        " where query like '%%publish_job_beat%%' and datname = current_database()"
        " and pid <> pg_backend_pid()"
    )
    with jobs.start(conn, "j", lease=3):
        first = until(lambda: db.execute(heart).fetchone())[0]
        db.execute("select pg_terminate_backend(%s)", [first])
        until(lambda: db.execute(heart).fetchone() not in (None, (first,)))
        since = until(lambda: one(db, "select beat_at from publish.job"))
        until(lambda: one(db, "select beat_at > %s from publish.job", since))
    assert row(db)["status"] == "succeeded"


@pytest.fixture
def role(admin: Connection) -> Iterator[LiteralString]:
    """A login that may become publish_worker, and inherits nothing of it."""
    admin.execute('create role "a login" login noinherit in role publish_worker')
    yield "a login"
    admin.execute('drop role "a login"')


def test_the_heart_keeps_a_lease_in_the_role_that_was_set(
    db: Connection, connect: Connect, role: str
) -> None:
    conn = connect(user=role)
    conn.execute("set role publish_worker")
    with jobs.start(conn, "j", lease=3):
        until(lambda: one(db, "select beat_at from publish.job"))
    assert row(db)["status"] == "succeeded"


def test_a_job_whose_heart_cannot_connect_is_not_started(
    db: Connection, connect: Connect, role: str
) -> None:
    db.execute('alter role "a login" connection limit 1')
    conn = connect(user=role)
    conn.execute("set role publish_worker")
    with pytest.raises(ConnectionFailed), jobs.start(conn, "j"):
        pass
    assert jobs.listing(db) == []


def test_what_keeps_a_heart_from_beating_is_told_once_until_it_beats_again(
    db: Connection, connect: Connect, url: str, role: str
) -> None:
    tries: list[int] = []
    warnings: list[str] = []
    start, stop = 'alter role "a login" login', 'alter role "a login" nologin'
    theirs = make_conninfo(url, user=role, options="-c role=publish_worker")

    def counted() -> Connection:
        tries.append(1)
        return open_connection(theirs)

    def end_session() -> None:
        before = len(tries)
        db.execute("select pg_terminate_backend(pid) from pg_stat_activity where usename = %s",
                   [role])  # fmt: skip
        until(lambda: len(tries) >= before + 3)

    jobs.add(db, "j", "k")
    job = take(db, "j", None, "w", 3600)
    assert job is not None
    with jobs.heart(counted, warnings.append) as beating:
        beating.watch(job, 0.3)
        for times in (1, 2):
            since = until(lambda: one(db, "select beat_at from publish.job"))
            db.execute(stop)
            end_session()
            assert len(warnings) == times
            assert "'j': its lease cannot be extended: " in warnings[-1]
            db.execute(start)
            until(
                lambda since=since: one(db, "select beat_at > %s from publish.job", since)  # type: ignore[misc]
            )


def test_the_heart_does_not_wait_for_the_transaction_of_a_save(
    db: Connection, connect: Connect
) -> None:
    """It beats for other jobs too. While that transaction lasts, nobody else can have the job."""
    conn, other = connect(), connect()
    with jobs.start(conn, "j", lease=60) as job:
        with conn.transaction():
            job.save(n=1)
            beat = "select publish_job_beat('j', %s)"
            assert one(db, beat, job.token) is None
            with pytest.raises(Locked), jobs.start(other, "j"):
                pass
        assert one(db, beat, job.token) is not None


def test_a_lost_lease_stops_the_block_at_its_next_save(db: Connection, connect: Connect) -> None:
    reached = []
    with pytest.raises(StaleToken) as refused, jobs.start(connect(), "j") as job:
        db.execute("update publish.job set due_at = clock_timestamp()")
        reached.append("before")
        job.save(n=1)
        reached.append("after")
    assert refused.value.sqlstate == "PT409"
    assert reached == ["before"]
    assert row(db)["status"] == "running"  # and due to be taken over
    assert row(db)["data"] == {}


def test_a_lost_lease_is_raised_at_the_end_even_with_skip_error(
    db: Connection, connect: Connect
) -> None:
    with pytest.raises(StaleToken), jobs.start(connect(), "j", skip_error=True):
        db.execute("update publish.job set due_at = clock_timestamp()")
    with jobs.start(db, "j") as job:
        assert job.attempt == 2
    assert error_names(db) == ["lost"]


def test_a_cancelled_job_stops_at_its_next_save(db: Connection, connect: Connect) -> None:
    with pytest.raises(StaleToken), jobs.start(connect(), "j") as job:
        assert jobs.cancel(db, "j") is True
        job.save(n=1)
    assert (row(db)["status"], row(db)["error"]) == ("ignored", "cancelled")
    assert jobs.cancel(db, "j") is False


def test_a_save_in_a_transaction_commits_or_not_with_the_work(
    db: Connection, connect: Connect
) -> None:
    conn = connect()
    conn.execute("create table work (n int)")
    with pytest.raises(ZeroDivisionError), jobs.start(conn, "j") as job:
        for n in (1, 2, 3):
            with conn.transaction():
                conn.execute("insert into work values (%s)", [n])
                job.save(n=n)
                assert one(db, "select coalesce((data ->> 'n')::int, 0) from publish.job") == n - 1
                _ = 1 / (n - 3)
    assert row(db)["data"] == {"n": 2}
    assert one(db, "select max(n) from work") == 2


def test_on_a_connection_without_autocommit_a_save_commits_what_is_open(
    db: Connection, connect: Connect
) -> None:
    db.execute("create table work (n int)")
    done = "select (select array_agg(n) from work), (select data -> 'n' from publish.job)"
    conn = connect(autocommit=False)
    with pytest.raises(ValueError, match="no"), jobs.start(conn, "j", lease=3600) as job:
        conn.execute("insert into work values (1)")
        job.save(n=1)
        assert db.execute(done).fetchone() == ([1], 1)
        assert one(db, "select publish_job_beat('j', %s)", job.token) is not None
        with conn.transaction():
            conn.execute("insert into work values (2)")
            job.save(n=2)
            assert db.execute(done).fetchone() == ([1], 1)
        assert db.execute(done).fetchone() == ([1, 2], 2)
        conn.execute("insert into work values (3)")
        raise ValueError("no")
    assert db.execute(done).fetchone() == ([1, 2], 2)
    assert row(db)["status"] == "failed"


def test_a_save_that_cannot_commit_is_the_jobs_failure(db: Connection, connect: Connect) -> None:
    db.execute("create table work (n int primary key deferrable initially deferred)")
    conn = connect(autocommit=False)
    with pytest.raises(DatabaseError) as failed, jobs.start(conn, "j") as job:
        conn.execute("insert into work values (1), (1)")
        job.save(n=1)
    assert failed.value.sqlstate == "23505"
    assert (row(db)["status"], row(db)["data"]) == ("failed", {})


def test_a_save_that_is_rolled_back_is_not_in_data(db: Connection, connect: Connect) -> None:
    conn = connect()
    with jobs.start(conn, "j") as job:
        job.save(n=1)
        with pytest.raises(ZeroDivisionError), conn.transaction():
            job.save(n=2)
            assert job.data == {"n": 2}
            _ = 1 / 0
        assert job.data == {"n": 1}
        with conn.transaction():
            job.save(n=3)
            with pytest.raises(ZeroDivisionError), conn.transaction():
                job.save(n=4)
                _ = 1 / 0
            assert job.data == {"n": 3}
        assert job.data == {"n": 3}


def test_a_body_that_leaves_its_session_unable_to_settle_has_failed(
    db: Connection, connect: Connect
) -> None:
    conn = connect()
    with pytest.raises(DatabaseError) as failed, jobs.start(conn, "j"):
        conn.execute("set role publish_reader")
    assert failed.value.sqlstate == "42501"
    assert (row(db)["status"], error_names(db)) == ("failed", ["42501"])
    assert one(conn, "select current_user") == "publish_reader"  # the session is the caller's


@pytest.mark.parametrize("fails", [False, True])
def test_a_block_that_leaves_a_stream_open_has_failed_and_hangs_nowhere(
    connect: Connect, db: Connection, fails: bool
) -> None:
    conn = connect()
    with pytest.raises(ValueError if fails else BadArgument), jobs.start(conn, "j"):
        stream = conn.cursor().stream("select generate_series(1, 1000000)")
        next(stream)
        if fails:
            raise ValueError
    assert conn.closed
    assert error_names(db) == ["ValueError" if fails else "pgpublish.errors.BadArgument"]


def test_an_exception_that_cannot_be_told_is_written_down_all_the_same(db: Connection) -> None:
    class Broken(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    with pytest.raises(Broken), jobs.start(db, "j"):
        raise Broken
    assert row(db)["status"] == "failed"
    assert "Broken" in error_names(db)[0]


def test_a_job_whose_last_attempt_was_lost_is_refused_and_can_be_retried(
    db: Connection, connect: Connect
) -> None:
    def lose() -> None:
        doomed = connect()
        jobs.add(db, "j", "k", max_attempts=1)
        assert take(doomed, "j", None, "w", 3600) is not None
        doomed.close()
        until(lambda: one(db, "select lock from publish.job_activity") == "lost")

    lose()
    with pytest.raises(JobIgnored), jobs.start(db, "j"):
        pass
    assert (row(db)["status"], error_names(db)) == ("ignored", ["lost"])
    jobs.retry(db, "j")
    lose()
    jobs.retry(db, "j")
    assert (row(db)["status"], error_names(db)) == ("pending", ["lost", "lost"])


def test_a_cancelled_job_is_not_started_again_while_its_body_is_at_work(
    db: Connection, connect: Connect
) -> None:
    with pytest.raises(StaleToken), jobs.start(connect(), "j") as job:
        jobs.cancel(db, "j")
        with pytest.raises(Locked):
            jobs.retry(db, "j")
        job.save(n=1)
    jobs.retry(db, "j")
    with jobs.start(db, "j") as job:
        assert job.data == {}


def test_a_connection_without_autocommit_commits_on_success_and_rolls_back_on_an_exception(
    db: Connection, connect: Connect
) -> None:
    db.execute("create table work (n int)")
    conn = connect(autocommit=False)
    with jobs.start(conn, "j"):
        assert row(db)["status"] == "running"  # the start is committed
        conn.execute("insert into work values (1)")
    assert row(db)["status"] == "succeeded"
    with pytest.raises(ValueError, match="no"), jobs.start(conn, "j"):
        conn.execute("insert into work values (2)")
        raise ValueError("no")
    assert one(db, "select array_agg(n) from work") == [1]
    assert row(db)["status"] == "failed"
    assert conn.info.transaction_status == psycopg.pq.TransactionStatus.IDLE


def test_a_commit_that_fails_is_the_jobs_failure(db: Connection, connect: Connect) -> None:
    db.execute("create table work (n int primary key deferrable initially deferred)")
    conn = connect(autocommit=False)
    with pytest.raises(DatabaseError) as failed, jobs.start(conn, "j"):
        conn.execute("insert into work values (1), (1)")
    assert failed.value.sqlstate == "23505"
    assert (row(db)["status"], error_names(db)) == ("failed", ["23505"])


def test_a_start_inside_a_transaction_is_refused(connect: Connect) -> None:
    conn = connect()
    with conn.transaction(), pytest.raises(BadArgument), jobs.start(conn, "j"):
        pass
    assert jobs.listing(conn) == []


def test_a_row_factory_of_the_callers_is_no_hindrance(connect: Connect) -> None:
    conn = connect(row_factory=dict_row)
    with jobs.start(conn, "j") as job:
        job.save(n=1)
    assert row(conn)["data"] == {"n": 1}


def test_a_server_that_is_gone_is_said_by_the_first_call(connect: Connect) -> None:
    conn = connect()
    conn.close()
    with pytest.raises(ConnectionFailed), jobs.start(conn, "j"):
        pass


@pytest.mark.parametrize(
    "data",
    [{"x": object()}, {"x": float("nan")}, {"x": float("inf")}, {"x": "\0"}, {"x": b"bytes"},
     {"x": {1: {(1, 2): 3}}}, {"x": [{"a\0": 1}]}, {"x": "\ud800"}, {"x": {"\udfff": 1}},
     {"x": "x" * 1_048_577}],
    ids=["object", "NaN", "infinity", "NUL", "bytes", "a tuple as key", "a key with NUL",
         "half a character", "a key of half a character", "over 1 MB"],
)  # fmt: skip
def test_data_that_is_no_json_or_too_large_is_refused_and_the_job_goes_on(
    db: Connection, data: dict[str, Any]
) -> None:
    with pytest.raises(BadArgument):
        jobs.add(db, "j", "k", data)
    with jobs.start(db, "j") as job:
        with pytest.raises(BadArgument):
            job.save(**data)
        job.save(ok=1)
    assert row(db)["data"] == {"ok": 1}


def test_text_that_cannot_be_kept_is_refused_by_an_update_at_once(db: Connection) -> None:
    with jobs.start(db, "j") as job:
        for text in ("\0", "\ud800", "\U0001f600\udc00"):
            with pytest.raises(BadArgument):
                job.update(text=text)
    assert row(db)["status"] == "succeeded"


def test_all_other_text_is_kept_as_it_is(db: Connection) -> None:
    texts = ["\\u0000", "\\\\u0000", "\\ud800", "\\", "\U0001f600", "\x01"]
    with jobs.start(db, "j", data={text: text for text in texts}) as job:
        job.save(saved=texts)
        job.update(at_the_end=texts)
    assert row(db)["data"] == {text: text for text in texts} | {
        "saved": texts, "at_the_end": texts,
    }  # fmt: skip


@pytest.mark.parametrize(
    "arguments",
    [{"id": "x" * 10_000}, {"id": ""}, {"kind": ""}, {"max_attempts": 0}, {"lease": 0},
     {"lease": -1}, {"lease": float("nan")}, {"lease": float("inf")}, {"lease": 1e9}],
    ids=str,
)  # fmt: skip
def test_a_bad_argument_is_refused_and_no_job_is_left(
    connect: Connect, db: Connection, arguments: dict[str, Any]
) -> None:
    for conn in (connect(), connect(autocommit=False)):
        with pytest.raises(BadArgument), jobs.start(conn, **({"id": "j"} | arguments)):
            pass
        assert conn.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
    assert jobs.listing(db) == []


def test_a_negative_priority_is_refused(db: Connection) -> None:
    with pytest.raises(BadArgument):
        jobs.add(db, "p", "k", priority=-1)


def test_adding_a_job_again_changes_nothing(db: Connection) -> None:
    assert jobs.add(db, "j", "k", {"n": 1}) is True
    assert jobs.add(db, "j", "other", {"n": 2}) is False
    with jobs.start(db, "j", kind="third", data={"n": 3}) as job:
        assert (job.kind, job.data) == ("k", {"n": 1})


def test_a_cancelled_job_that_saves_nothing_stops_at_a_check(
    db: Connection, connect: Connect
) -> None:
    """Long before its heart beats."""
    with pytest.raises(StaleToken) as refused, jobs.start(connect(), "j", lease=3600) as job:
        jobs.cancel(db, "j")
        until(lambda: job.check())
    assert refused.value.message == "this job was cancelled"
    assert (row(db)["status"], error_names(db)) == ("ignored", ["cancelled"])


def test_a_check_in_a_transaction_of_the_body_sees_it_too(db: Connection, connect: Connect) -> None:
    conn = connect()
    with pytest.raises(StaleToken), jobs.start(conn, "j", lease=3600) as job, conn.transaction():
        conn.execute("select 1")
        jobs.cancel(db, "j")
        until(lambda: job.check())


def test_a_check_sees_that_another_worker_has_the_job(db: Connection, connect: Connect) -> None:
    with pytest.raises(StaleToken) as refused, jobs.start(connect(), "j", lease=3600) as job:
        db.execute("update publish.job set due_at = clock_timestamp()")
        other = take(db, "j", None, "other", 3600)
        until(lambda: job.check())
    assert refused.value.message == "this run has lost its job"
    assert other is not None
    assert (row(db)["status"], row(db)["worker"]) == ("running", "other")


def test_what_the_heart_was_told_stops_the_body_at_its_next_check(
    db: Connection, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_room, "LOOK_S", 3600)
    with pytest.raises(StaleToken), jobs.start(connect(), "j", lease=0.5) as job:
        jobs.cancel(db, "j")
        until(lambda: job.check())
