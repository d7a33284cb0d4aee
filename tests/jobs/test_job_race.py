"""Workers that reach for the same job at the same time: one gets it."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import Future
from threading import Barrier

import pytest
from conftest import Connect, Connection
from helpers import PATIENCE, begin, one, until, waits

from pgpublish.errors import Locked
from pgpublish.jobs.running import take

Search = tuple[Connection, Future[int]]

ROUNDS = 1000


def by_id(conn: Connection) -> tuple[str, int] | None:
    try:
        job = take(conn, "race", None, "w", 60)
    except Locked:
        return None
    assert job is not None
    return job.id, job.token


def by_kind(conn: Connection) -> tuple[str, int] | None:
    job = take(conn, None, ["k"], "w", 60)
    return None if job is None else (job.id, job.token)


@pytest.mark.parametrize("start", [by_id, by_kind])
def test_of_two_workers_racing_for_one_job_a_thousand_times_exactly_one_wins(
    connect: Connect, start: object
) -> None:
    assert callable(start)
    referee, ready, started = connect(), Barrier(3, timeout=PATIENCE), Barrier(3, timeout=PATIENCE)
    wins: list[list[int]] = [[], []]

    def compete(me: int) -> None:
        conn = connect()
        for _ in range(ROUNDS):
            ready.wait()
            won = start(conn)
            started.wait()
            if won is not None:
                wins[me].append(won[1])
                conn.execute("select publish_job_done('race', %s)", [won[1]])

    racers = [begin(compete, 0), begin(compete, 1)]
    referee.execute("select publish_job_add('race', 'k')")
    for turn in range(ROUNDS):
        if turn:
            # Until the winner of the last round is done.
            while one(referee, "select status from publish.job") == "running":
                pass
            referee.execute("select publish_job_retry('race')")
        ready.wait()
        started.wait()
        assert one(referee, "select status from publish.job") in ("running", "succeeded")
    for racer in racers:
        racer.result(PATIENCE)
    assert len(wins[0]) + len(wins[1]) == ROUNDS
    assert len({*wins[0], *wins[1]}) == ROUNDS
    assert min(len(wins[0]), len(wins[1])) > 0, "no race"


def test_four_workers_take_each_of_many_jobs_once(connect: Connect, db: Connection) -> None:
    db.execute(
        "select count(publish_job_add('j' || n, 'k' || n % 3, priority => n % 5))"
        " from generate_series(1, 600) n"
    )

    def take_all() -> list[str]:
        conn, taken = connect(), []
        while (job := take(conn, None, ["k0", "k1", "k2"], "w", 60)) is not None:
            taken.append(job.id)
            conn.execute("select publish_job_done(%s, %s)", [job.id, job.token])
        return taken

    workers = [begin(take_all) for _ in range(4)]
    taken = Counter(id for worker in workers for id in worker.result(PATIENCE))
    # Who finds nothing due but what another is just starting ends; the last one leaves nothing.
    assert set(taken.values()) == {1}
    assert len(taken) == 600
    assert one(db, "select count(*) from publish.job where status = 'succeeded'") == 600


def test_a_start_that_is_not_committed_keeps_nobody_waiting(connect: Connect) -> None:
    first, second = connect(autocommit=False), connect()
    second.execute("select publish_job_add(id, 'k') from unnest('{a,b}'::text[]) as id")
    first.execute("select publish_job_start('a')")
    second.execute("set lock_timeout = '1ms'")
    with pytest.raises(Locked):
        take(second, "a", None, "w", 60)
    job = take(second, None, ["k"], "w", 60)
    assert job is not None
    assert job.id == "b"
    first.rollback()
    assert take(second, "a", None, "w", 60) is not None


def test_two_that_add_one_job_at_once_add_it_once(connect: Connect) -> None:
    first, second = connect(autocommit=False), connect()
    assert one(first, "select publish_job_add('a', 'k')") is True
    adding = begin(one, second, "select publish_job_add('a', 'k')")
    first.commit()
    assert adding.result(PATIENCE) is False


def test_a_run_settled_while_another_looks_for_lost_ones_is_not_taken(connect: Connect) -> None:
    """done lets go of the advisory lock before it commits; its row is locked meanwhile."""
    owner, other = connect(), connect()
    other.execute("select publish_job_add('a', 'k')")
    job = take(owner, "a", None, "w", 60)
    assert job is not None
    owner.execute("begin")
    owner.execute("select publish_job_done('a', %s)", [job.token])
    assert one(other, "select lock from publish.job_activity") == "lost"
    assert one(other, "select publish.return_lost_jobs('{k}')") == 0
    assert take(other, None, ["k"], "w", 60) is None
    owner.execute("commit")
    assert one(other, "select status from publish.job") == "succeeded"


# Asked once for each run that has a session, by the search for runs that are lost: this one waits
# there, in the session that says so, for as long as the test wants.
SEARCH_WAITS = """
create or replace function publish.job_lock(token bigint) returns int language plpgsql as $$
begin
  if current_setting('test.waits', true) = 'on' then
    perform pg_advisory_xact_lock(1, 1);
  end if;
  return (token & 2147483647)::int;
end $$
"""


@pytest.fixture
def search(connect: Connect) -> Search:
    """A session, and a search that has seen the lease of 'late' run out and the session of 'gone'
    end, and does not look closer before advisory lock (1, 1), which that session holds, is free."""
    gone, db, searching = connect(), connect(), connect()
    db.execute("select publish_job_add(id, 'k') from unnest('{gone,late}'::text[]) as id")
    assert take(gone, "gone", None, "w", 3600) is not None
    assert take(db, "late", None, "w", 3600) is not None
    gone.close()
    until(lambda: one(db, "select lock from publish.job_activity where id = 'gone'") == "lost")
    db.execute("update publish.job set due_at = clock_timestamp() where id = 'late'")
    db.execute(SEARCH_WAITS)
    db.execute("select pg_advisory_lock(1, 1)")
    searching.execute("set test.waits = on")
    looking = begin(one, searching, "select publish.return_lost_jobs('{k}')")
    until(lambda: waits(db, searching.info.backend_pid))
    return db, looking


def test_a_lease_extended_while_another_looks_for_lost_runs_is_kept(search: Search) -> None:
    db, looking = search
    # As a beat does that came at the last moment.
    db.execute("update publish.job set due_at = now() + interval '1 hour' where id = 'late'")
    db.execute("select pg_advisory_unlock(1, 1)")
    assert looking.result(PATIENCE) == 1
    assert one(db, "select status from publish.job where id = 'late'") == "running"
    assert one(db, "select status from publish.job where id = 'gone'") == "failed"


def test_a_run_begun_while_another_looks_for_lost_ones_is_not_taken_for_the_old_one(
    search: Search,
) -> None:
    db, looking = search
    assert one(db, "select publish.return_lost_jobs('{k}')") == 2
    assert take(db, "gone", None, "w", 60) is not None
    assert take(db, "late", None, "w", 60) is not None
    db.execute("select pg_advisory_unlock(1, 1)")
    assert looking.result(PATIENCE) == 0
    assert one(db, "select bool_and(status = 'running') from publish.job")


def test_of_two_that_prune_at_once_one_does_and_the_other_does_not_wait(
    db: Connection, connect: Connect
) -> None:
    """They would lock the errors of jobs in one order, and the jobs that they are of in another."""
    db.execute(
        "insert into publish.job (id, kind, status, created_at, finished_at)"
        " select 'old' || n, 'k', 'succeeded', now() - interval '50 days',"
        "        now() - interval '40 days' from generate_series(1, 3) n"
    )
    prune = "select publish_job_prune(batch => %s)"
    first = connect()
    with first.transaction():
        assert one(first, prune, 1) == 1
        assert one(db, prune, 10) == 0
    assert one(db, prune, 10) == 2
