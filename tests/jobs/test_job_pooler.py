"""Behind a real pgbouncer in transaction mode: no session is a worker's own, the lease decides."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pooler
import psycopg
import pytest
from conftest import Background, Connection
from helpers import LOCKS, PATIENCE, one, until

from pgpublish import jobs
from pgpublish.embedded import Cluster
from pgpublish.errors import Locked, StaleToken
from pgpublish.jobs.running import take


@pytest.fixture
def pooled(cluster: Cluster, database: str) -> Iterator[str]:
    """URL of this test's database through a pgbouncer with three server connections."""
    with pooler.pooled(cluster, database) as url:
        yield url


@pytest.fixture
def through(pooled: str) -> Iterator[Connection]:
    with psycopg.connect(pooled, autocommit=True, prepare_threshold=None) as conn:
        yield conn


def test_the_pid_a_client_was_told_is_not_a_pooled_backends(
    through: Connection, db: Connection
) -> None:
    """What tells the database that the connection is not direct."""
    assert one(through, "select pg_backend_pid()") != through.info.backend_pid
    assert one(db, "select pg_backend_pid()") == db.info.backend_pid


def test_a_job_runs_without_an_advisory_lock_and_its_lease_keeps_it(
    through: Connection, db: Connection
) -> None:
    with jobs.start(through, "j", lease=1.2) as job:
        (seen,) = jobs.activity(db)
        assert (seen["lock"], seen["pid"], seen["query"]) == ("none", None, None)
        assert one(db, LOCKS) == 0
        job.save(n=1)
        since = one(db, "select beat_at from publish.job")
        # Longer than the lease: the heart beats through the pooler.
        until(lambda: one(db, "select beat_at > %s + interval '1.5 s' from publish.job", since))
        with pytest.raises(Locked), jobs.start(db, "j"):
            pass
    assert [job["status"] for job in jobs.listing(db)] == ["succeeded"]


def test_the_job_of_a_killed_worker_is_taken_over_when_its_lease_ends_and_no_sooner(
    pooled: str, db: Connection, work: Background
) -> None:
    db.execute("select publish_job_add('j', 'saves')")
    worker = work("saves", "--lease", "3", database_url=pooled)
    until(lambda: one(db, "select coalesce((data ->> 'n')::int, 0) > 0 from publish.job"))
    worker.kill()
    worker.communicate()
    left = "select lease_left > interval '0' from publish.job_activity"
    assert one(db, left)
    with pytest.raises(Locked), jobs.start(db, "j"):
        pass
    assert take(db, None, ["saves"], "w", 60) is None
    until(lambda: not one(db, left))
    saved = one(db, "select data -> 'n' from publish.job")
    with jobs.start(db, "j") as job:
        assert job.data["n"] == saved
    assert [e["message"] for e in jobs.job_errors(db, "j")] == ["its lease ran out"]


def test_a_pooled_server_connection_that_ends_takes_no_job_with_it(
    through: Connection, db: Connection
) -> None:
    with jobs.start(through, "j", lease=60) as job:
        db.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where datname = current_database() and backend_type = 'client backend'"
            " and pid <> pg_backend_pid()"
        )
        with pytest.raises(Locked), jobs.start(db, "j"):
            pass
        until(lambda: saved(job))
    assert [job["status"] for job in jobs.listing(db)] == ["succeeded"]


def saved(job: jobs.Job) -> bool:
    """Whether the pooler has a server connection that is alive."""
    try:
        job.save(n=1)
    except StaleToken:
        raise
    except Exception:
        return False
    return True


def test_a_worker_goes_through_many_jobs_behind_the_pooler(
    pooled: str, db: Connection, work: Background
) -> None:
    db.execute("create table done (id text, what text)")
    db.execute("select count(publish_job_add('j' || n, 'quick')) from generate_series(1, 50) n")
    worker = work("quick", "--concurrency", "4", database_url=pooled)
    until(lambda: one(db, "select count(*) from done") == 50)
    worker.send_signal(signal.SIGTERM)
    output, errors = worker.communicate(timeout=PATIENCE)
    assert (worker.returncode, errors) == (0, "")
    assert len(output.splitlines()) == 50
    assert one(db, "select count(*) from publish.job where status = 'succeeded'") == 50
    assert one(db, "select count(*) from publish.job_error") == 0
