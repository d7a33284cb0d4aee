"""The job after a job: started in the call that settles the one before."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from threading import Event
from typing import Any, LiteralString

import psycopg
import pytest
from conftest import Connect, Connection
from helpers import LOCKS, blocks, one

from pgpublish import jobs
from pgpublish.database import connect as open_connection
from pgpublish.errors import ConnectionFailed, OutputClosed
from pgpublish.jobs import Outcome
from pgpublish.jobs import worker as worker_room
from pgpublish.presence import Presence
from pgpublish.session import Session

STATES: LiteralString = (
    "select string_agg(format('%s %s %s', id, status, attempts), ', ' order by id) from publish.job"
)


def add(db: Connection, count: int, kind: str = "mail") -> None:
    db.execute(
        "select publish_job_add(%s || n, %s, run_at => '2000-01-01'::date + n)"
        " from generate_series(1, %s) n", [kind, kind, count],
    )  # fmt: skip


@pytest.fixture
def work(url: str, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[Outcome]]:
    def run(
        stop_after: int,
        handler: Callable[[Connection, jobs.Job, Event], None] = lambda conn, job, stop: None,
        *kinds: str,
        calls: list[int] | None = None,
        after_first: Callable[[], object] = lambda: None,
        **options: Any,
    ) -> list[Outcome]:
        """Works until so many jobs have ended. calls: gets how often the server had been asked when
        each had."""
        stop, ended = Event(), []
        kinds = kinds or ("mail",)
        for kind in kinds:
            monkeypatch.setitem(
                worker_room.HANDLERS, kind, lambda conn, job: handler(conn, job, stop)
            )

        def report(outcome: Outcome) -> None:
            ended.append(outcome)
            if len(ended) == 1:
                after_first()
            if calls is not None:
                calls.append(conn.asked)
            if len(ended) == stop_after:
                stop.set()

        with open_connection(url) as conn, jobs.heart(lambda: open_connection(url)) as beating:
            assert isinstance(conn, Session)
            jobs.work(conn, kinds, stop, beating=beating, report=report, **options)
        return ended

    return run


def test_a_job_whose_body_asks_the_server_nothing_costs_one_call(
    db: Connection, work: Callable[..., list[Outcome]]
) -> None:
    add(db, 21)
    calls: list[int] = []
    work(20, calls=calls)
    assert calls[-1] - calls[0] <= 19 * 2 + 1  # psycopg waits twice in a call, and once prepares


def test_each_job_of_a_worker_has_its_lock_its_lease_and_its_worker_s_name(
    db: Connection, work: Callable[..., list[Outcome]]
) -> None:
    add(db, 2)
    seen = []

    def looks(conn: Connection, job: jobs.Job, stop: Event) -> None:
        query = "select a.worker, a.lock, j.lease from publish.job_activity a join publish.job j"
        seen.append(tuple(*db.execute(f"{query} using (id)")))
        job.update(n=len(seen))

    work(2, looks, worker="w", lease=7.0)
    assert seen == [("w", "held", timedelta(seconds=7))] * 2
    assert one(db, "select array_agg((data ->> 'n')::int order by id) from publish.job") == [1, 2]
    assert one(db, LOCKS) == 0


def test_what_was_started_as_the_worker_stops_is_handed_back_uncounted(
    db: Connection, work: Callable[..., list[Outcome]]
) -> None:
    add(db, 3)
    assert [o.id for o in work(1)] == ["mail1"]
    assert one(db, STATES) == "mail1 succeeded 0, mail2 pending 0, mail3 pending 0"
    assert one(db, "select count(*) from publish.job_error") == 0


def test_what_was_started_when_the_worker_breaks_is_handed_back_uncounted(
    db: Connection, work: Callable[..., list[Outcome]]
) -> None:
    add(db, 2)

    def breaks() -> None:
        raise OutputClosed("nobody reads it")

    with pytest.raises(OutputClosed):
        work(9, after_first=breaks)
    assert one(db, STATES) == "mail1 succeeded 0, mail2 pending 0"
    assert one(db, "select count(*) from publish.job_error") == 0


def test_what_was_started_when_the_connection_is_lost_is_handed_back_uncounted(
    db: Connection, work: Callable[..., list[Outcome]]
) -> None:
    add(db, 2)

    class Silent(Presence):
        def beat(self, conn: Connection, doing: str) -> None:
            if one(db, "select count(*) from publish.job where finished_at is not null"):
                conn.close()
                raise ConnectionFailed("nobody answers")

    with pytest.raises(ConnectionFailed):
        work(9, presence=Silent("jobs"))
    assert one(db, STATES) == "mail1 succeeded 0, mail2 pending 0"
    assert one(db, "select count(*) from publish.job_error") == 0


def test_a_worker_that_is_to_stop_starts_no_other(
    db: Connection, work: Callable[..., list[Outcome]]
) -> None:
    add(db, 2)
    work(9, lambda conn, job, stop: stop.set())
    assert one(db, STATES) == "mail1 succeeded 0, mail2 pending 0"
    assert one(db, "select started_at is null from publish.job where id = 'mail2'")


def test_a_job_is_done_though_the_next_cannot_be_started(
    db: Connection, work: Callable[..., list[Outcome]]
) -> None:
    add(db, 2)
    add(db, 1, "other")

    def breaks(conn: Connection, job: jobs.Job, stop: Event) -> None:
        if job.id == "mail1":
            db.execute(
                "alter function publish.find_job(text[]) rename to kept;"
                "create function publish.find_job(kinds text[]) returns text language plpgsql as"
                " $$begin raise 'cannot look' using errcode = '57014'; end$$"
            )

    def repairs() -> None:
        db.execute("drop function publish.find_job(text[]);"
                   "alter function publish.kept(text[]) rename to find_job")  # fmt: skip

    first, *others = work(3, breaks, "mail", "other", after_first=repairs)
    assert (first.id, first.status) == ("mail1", "succeeded")
    assert {o.status for o in others} == {"succeeded"}
    assert one(db, "select count(*) from publish.job_error") == 0


def test_a_worker_tidies_up_on_a_connection_that_does_not_count_what_it_was_asked(
    db: Connection, connect: Connect, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(db, 2)
    stop, seen = Event(), []

    def sets(conn: Connection, job: jobs.Job) -> None:
        seen.append(one(conn, "show work_mem"))
        conn.execute("set work_mem = '77MB'")
        if len(seen) == 2:
            stop.set()

    monkeypatch.setitem(worker_room.HANDLERS, "mail", sets)
    with jobs.heart(lambda: open_connection(url)) as beating:
        jobs.work(connect(), ["mail"], stop, beating=beating)
    assert seen[0] == seen[1] != "77MB"


def test_a_next_start_that_is_refused_leaves_the_run_its_lock(
    db: Connection, connect: Connect
) -> None:
    add(db, 1)
    session = connect()
    start = "select token from publish_job_start(kinds => '{mail}', client_pid => %s)"
    token = session.execute(start, [session.info.backend_pid]).fetchone()[0]
    with pytest.raises(psycopg.Error) as refused:
        session.execute(
            "select publish_job_next('mail1', %s, null, '{mail}', lease => '0')", [token]
        )
    assert refused.value.sqlstate == "PT400"
    assert one(db, "select count(*) from publish_job_start(kinds => '{mail}')") == 0
    session.execute("select publish_job_next('mail1', %s, null, '{mail}')", [token])
    assert one(db, STATES) == "mail1 succeeded 0"
    assert one(db, LOCKS) == 0


@pytest.mark.parametrize("prunes", [True, False])
def test_while_it_prunes_a_worker_holds_no_job_and_goes_on_if_it_cannot(
    db: Connection, url: str, monkeypatch: pytest.MonkeyPatch, prunes: bool
) -> None:
    add(db, 3)
    now, stop, warned = [0.0], Event(), list[str]()
    db.execute(
        "alter function public.publish_job_prune(int) rename to kept;"
        "create table seen (running bigint);"
        "create function public.publish_job_prune(batch int) returns int language plpgsql as $$"
        "begin insert into seen select count(*) from publish.job where status = 'running';"
        f"if not {prunes} then raise 'too slow' using errcode = '57014'; end if;"
        "return 0; end$$"
    )

    def later(conn: Connection, job: jobs.Job) -> None:
        now[0] += worker_room.PRUNE_EVERY_S + 1
        if job.id == "mail3":
            stop.set()

    def warn(message: str) -> None:
        warned.append(message)
        if len(warned) > 3:
            stop.set()

    monkeypatch.setitem(worker_room.HANDLERS, "mail", later)
    with open_connection(url) as conn, jobs.heart(lambda: open_connection(url)) as beating:
        jobs.work(conn, ["mail"], stop, beating=beating, clock=lambda: now[0], warn=warn)
    assert one(db, STATES) == "mail1 succeeded 0, mail2 succeeded 0, mail3 succeeded 0"
    assert [row[0] for row in db.execute("select running from seen")] == [0] * 3 * prunes
    assert len(warned) == (0 if prunes else 3)


def test_the_only_one_of_a_limited_kind_makes_room_for_the_next(
    db: Connection, work: Callable[..., list[Outcome]]
) -> None:
    add(db, 3)
    db.execute("select publish_job_limit('mail', 1)")
    assert [o.id for o in work(3)] == ["mail1", "mail2", "mail3"]


def test_a_job_that_fails_or_is_lost_is_followed_by_the_next(
    db: Connection, work: Callable[..., list[Outcome]]
) -> None:
    add(db, 4)

    def ends_badly(conn: Connection, job: jobs.Job, stop: Event) -> None:
        if job.id == "mail1":
            raise ValueError("no")
        if job.id == "mail2":
            jobs.cancel(db, job.id)
        if job.id == "mail3":
            conn.execute("begin")

    assert [(o.id, o.status) for o in work(4, ends_badly)] == [
        ("mail1", "failed"), ("mail2", "lost"), ("mail3", "succeeded"), ("mail4", "succeeded"),
    ]  # fmt: skip


def test_behind_an_old_snapshot_a_start_does_not_read_all_that_has_finished(
    db: Connection, connect: Connect
) -> None:
    """Their entries stay in the index, before those of the jobs that wait."""
    db.execute("alter table publish.job set (autovacuum_enabled = false)")
    holder, session = connect(autocommit=False), connect()
    holder.execute("set transaction isolation level repeatable read")
    holder.execute("select from publish.job")
    add(db, 20_000)
    db.execute("update publish.job set status = 'succeeded', due_at = null, finished_at = now()")
    start: LiteralString = "select count(*) from publish_job_start(kinds => '{mail}')"
    look: LiteralString = "select publish.find_job('{mail}')"
    idle = connect()
    every = min(blocks(idle, look) for _ in range(3))
    assert min(blocks(idle, start) for _ in range(7)) < 2.5 * every  # nothing is due
    db.execute("select publish_job_add('a' || n, 'mail') from generate_series(1, 20) n")
    counts = [blocks(session, start) for _ in range(12)]
    assert min(counts[7:]) < every / 4  # the first ones plan, and a place is kept for a second
    session.execute(
        "select set_config('publish.job_place',"
        " publish.microseconds(clock_timestamp()) || ',7,0,mail', false)"
    )
    assert min(blocks(session, start) for _ in range(3)) < every / 4  # not until it is old
    assert one(db, "select count(*) from publish.job where status = 'running'") == 15


def test_a_place_that_is_old_wrong_or_of_another_kind_is_looked_for_again(db: Connection) -> None:
    add(db, 2)
    add(db, 1, "a,b")
    now, second = (
        one(db, "select publish.microseconds(%s)", at)
        for at in (datetime.now(UTC), one(db, "select due_at from publish.job where id = 'mail2'"))
    )
    start: LiteralString = "select id from publish_job_start(kinds => '{mail}')"
    for kept, first in {
        "": 1, "x": 1, "9" * 40: 1,
        f"{now},0,{second},mail": 2,  # mail1 would have committed late
        f"{now - 2_000_000},0,{second},mail": 1, f"{now + 10**9},0,{second},mail": 1,
        f"{now},0,{second},a": 1, f"{now},0,{second},mail,mail": 1, f"{now},0,{second},mai": 1,
        f"{now},0,{now + 10**12},mail": 1, f"{now},7,0,mail": 1,
    }.items():  # fmt: skip
        with db.transaction(force_rollback=True):
            db.execute("select set_config('publish.job_place', %s, false)", [kept])
            assert [one(db, start) for _ in range(2)] == [f"mail{first}", f"mail{3 - first}"], kept
            assert one(db, "select id from publish_job_start(kinds => '{\"a,b\"}')") == "a,b1"
            assert one(db, "select count(*) from publish_job_start(kinds => '{mail}')") == 0


def test_a_higher_priority_and_what_commits_late_are_found(
    db: Connection, connect: Connect
) -> None:
    late = connect(autocommit=False)
    late.execute("select publish_job_add('late', 'mail', run_at => '2000-01-01')")
    add(db, 3)
    start: LiteralString = "select id from publish_job_start(kinds => '{mail}')"
    assert one(db, start) == "mail1"
    db.execute("select publish_job_add('urgent', 'mail', priority => 9)")
    assert one(db, start) == "urgent"
    late.commit()
    found = [one(db, start) for _ in range(3)]
    assert sorted(found) == ["late", "mail2", "mail3"]
    db.execute("select publish_job_add('later', 'mail', run_at => '2000-01-01')")
    assert one(db, start) == "later"
