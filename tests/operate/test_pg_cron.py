"""publish_run, and Debian's pg_cron that calls it."""

import json

import psycopg
import pytest
from click.testing import CliRunner
from helpers import begin, drain_all, enqueue, feed, head, one, running_cluster, until
from psycopg.rows import namedtuple_row

from pgpublish import cli
from pgpublish.migrate import migrate


@pytest.fixture
def db(connect):
    db = connect()
    db.execute("select publish_define('note')")
    return db


def test_a_run_commits_each_drain_and_ends_in_time(db, connect):
    enqueue(db, "note", "1", "1")
    enqueue(db, "note", "2", "1")
    db.execute("call publish_run('0 s', 1)")
    assert head(db) == 1
    db.execute("call publish_run('0 s', 500)")
    assert head(db) == 2


def test_it_publishes_what_is_written_while_it_runs(db, connect):
    runner = connect()

    running = begin(runner.execute, "call publish_run('1 minute')")
    for n in (1, 2, 3):
        enqueue(db, "note", str(n), "1")
        until(lambda n=n: head(db) == n)
    assert not running.done()
    runner.cancel()
    with pytest.raises(psycopg.errors.QueryCanceled):
        running.result(30)
    assert drain_all(db) == 0


def test_it_stands_by_while_another_drains_and_while_publishing_is_off(db, connect):
    other = connect(autocommit=False)
    enqueue(db, "note", "1", "1")
    other.execute("select publish_drain()")
    db.execute("call publish_run('0 s')")
    other.rollback()
    assert head(db) == 0
    db.execute("select publish_set('publishing', 'off')")
    db.execute("call publish_run('0 s')")
    assert head(db) == 0
    db.execute("select publish_set('publishing', 'on')")
    db.execute("call publish_run('0 s')")
    assert head(db) == 1


def test_with_a_statement_timeout_it_ends_before_that(db):
    db.execute("set statement_timeout = '1s'")
    db.execute("call publish_run('1 hour')")


def test_bad_times_and_a_transaction_are_refused(db):
    for span in ("-1 s", "2 days", None):
        with pytest.raises(psycopg.Error) as error:
            db.execute("call publish_run(%s)", [span])
        assert error.value.sqlstate == "PT400"
    with db.transaction(), pytest.raises(psycopg.errors.InvalidTransactionTermination):
        db.execute("call publish_run('0 s')")


def test_without_pg_cron_scheduling_says_so(db):
    for call in ("select publish_schedule()", "select publish_unschedule()"):
        with pytest.raises(psycopg.Error) as error:
            db.execute(call.encode())
        assert error.value.sqlstate == "PT404"


@pytest.fixture(scope="module")
def crons():
    """A server with pg_cron in database app, of which @reboot starts jobs at once."""
    with running_cluster(
        "debian",
        **{
            "shared_preload_libraries": "pg_cron",
            "cron.database_name": "app",
        },
    ) as cluster:
        with psycopg.connect(cluster.url("postgres"), autocommit=True) as admin:
            admin.execute("create database app")
            admin.execute("create database other")
        for name in ("app", "other"):
            with psycopg.connect(cluster.url(name), autocommit=True) as conn:
                migrate(conn)
                conn.execute("select publish_define('note')")
        with psycopg.connect(cluster.url("app"), autocommit=True) as conn:
            conn.execute("create extension pg_cron")
            conn.execute("create role runner login in role publish_worker")
            conn.execute("create role stranger login")
            conn.execute("create role barred login in role publish_worker")
            conn.execute("grant usage on schema cron to runner, stranger")
        yield cluster


def run(cluster, database, *arguments, user=None):
    url = cluster.url(database, user) if user else cluster.url(database)
    return CliRunner().invoke(cli.main, ["--database-url", url, *arguments])


def jobs(cluster, user=None):
    shown = run(cluster, "app", "cron", "show", "--json", user=user)
    return [json.loads(line) for line in shown.stdout.splitlines()]


def failed(cluster):
    return [row for row in jobs(cluster) if row["last_status"] == "failed"]


def test_jobs_of_pg_cron_publish_this_database_and_another(crons):
    with psycopg.connect(crons.url("app", "runner"), autocommit=True) as conn:
        assert one(conn, "select publish_schedule()") == 2
        assert one(conn, "select publish_schedule()") == 2, "again changes it"
        with pytest.raises(psycopg.Error) as refused:
            conn.execute("select publish_schedule('5 seconds')")
        assert refused.value.sqlstate == "PT400", "pg_cron 1.4 knows no seconds"
    done = run(crons, "other", "cron", "install", "--in", "app", "--json")
    assert (done.exit_code, json.loads(done.stdout)) == (0, {"jobs": 2}), done.output
    assert run(crons, "other", "cron", "install").exit_code == 1
    with psycopg.connect(crons.url("app"), autocommit=True) as admin:
        admin.execute(
            "insert into cron.job (schedule, command, database, username, nodeport, jobname)"
            " values ('@reboot', 'select publish_drain()', 'app', 'stranger', 5432,"
            "         'pgpublish app')"
        )
        admin.execute("update cron.job set schedule = '@reboot' where command like 'call%'")
        admin.execute("update cron.job set nodename = %s", [admin.info.host])
    crons.stop()
    crons.start()
    try:
        for name in ("app", "other"):
            with psycopg.connect(
                crons.url(name), autocommit=True, row_factory=namedtuple_row
            ) as conn:
                for n in (1, 2):
                    enqueue(conn, "note", str(n), "1")
                    until(lambda n=n, conn=conn: len(feed(conn, "note")) == n)
        shown = jobs(crons, "runner")
        assert {row["job"] for row in shown} == {"pgpublish app", "pgpublish app purge"}
        (job,) = [row for row in shown if row["job"] == "pgpublish app"]
        assert (job["last_status"], job["role"]) == ("running", "runner")
        until(lambda: failed(crons))
        (bad,) = failed(crons)
        assert "permission denied" in bad["last_message"]
        with psycopg.connect(crons.url("app"), autocommit=True) as admin:
            doctor = "select problem from publish_doctor() where name = %s order by 1"
            ((problem,),) = admin.execute(doctor, ["cron"]).fetchall()
            assert "permission denied" in problem
            admin.execute("update cron.job set active = false where username = 'runner'")
            problems = [problem for (problem,) in admin.execute(doctor, ["cron"])]
            assert problems.count("it is not active") == 2, problems
            elsewhere = run(crons, "other", "doctor", "--in", "app")
            assert elsewhere.exit_code == 0, elsewhere.output
            admin.execute("update cron.job set active = false where jobname = 'pgpublish other'")
            elsewhere = run(crons, "other", "doctor", "--in", "app")
            assert elsewhere.exit_code == 6
            assert "fix: Run: pgpublish cron install --in app" in elsewhere.stdout
            admin.execute("update cron.job set active = true")
        with psycopg.connect(crons.url("app", "runner"), autocommit=True) as conn:
            purge = one(conn, "select command from cron.job where jobname like '%% purge'")
            conn.execute(purge.encode())
            assert one(conn, "select publish_unschedule()") == 2
            assert one(conn, "select publish_unschedule()") == 0
        assert run(crons, "other", "cron", "remove", "--in", "app").output == "removed 2 jobs\n"
        barred = run(crons, "other", "cron", "show", "--in", "app", user="barred")
        assert "run there: grant usage on schema cron to " in barred.stderr
        missing = run(crons, "other", "doctor", "--in", "app").stdout
        assert "pg_cron there has no job of role postgres" in missing
    finally:
        crons.stop()
        crons.start()
