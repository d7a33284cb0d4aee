"""How an idle worker waits for a job: in the server, one of them often, and at no cost to rows."""

from __future__ import annotations

from threading import Event
from typing import LiteralString

import pytest
from conftest import Connect, Connection
from helpers import begin, blocks, one, until
from test_backlog import LATER

from pgpublish import jobs
from pgpublish.database import connect as open_connection
from pgpublish.jobs import worker as worker_room

WATCHERS: LiteralString = (
    "select count(*) from pg_locks where locktype = 'advisory' and classid = 1886741102"
)
ASLEEP: LiteralString = "select wait_event = 'PgSleep' from pg_stat_activity where pid = %s"


def wait(kinds: str, most_ms: int) -> LiteralString:
    return f"select publish.await_job('{kinds}', {most_ms}, 1)"  # type: ignore[return-value]


@pytest.mark.parametrize(
    "comes",
    [
        "select publish_job_add('j', 'mail')",
        "select publish_job_add('j', 'mail', run_at => now() + interval '0.2 s')",
        "insert into publish.job_schedule (name, kind, cron, time_zone, next_at)"
        " values ('s', 'mail', '* * * * *', 'UTC', now())",
    ],
    ids=["a job", "a job of later", "a schedule"],
)
def test_a_wait_ends_when_something_is_due(
    db: Connection, connect: Connect, comes: LiteralString
) -> None:
    idle = connect()
    waiting = begin(lambda: one(idle, wait("{mail,never}", 60_000)))
    until(lambda: one(db, ASLEEP, idle.info.backend_pid))
    db.execute(comes)
    assert waiting.result(20) is True


def test_a_wait_ends_without_when_nothing_of_its_kinds_is_due(db: Connection) -> None:
    db.execute("select publish_job_add('a', 'other')")
    db.execute("select publish_job_add('b', 'mail', run_at => now() + interval '1 hour')")
    assert one(db, wait("{mail}", 30)) is False


def test_of_those_that_wait_for_the_same_kinds_one_watches_until_it_leaves(
    db: Connection, connect: Connect
) -> None:
    first, second, other = connect(), connect(), connect()
    watching = begin(lambda: one(first, wait("{mail}", 60_000)))
    until(lambda: one(db, WATCHERS) == 1)
    waiting = begin(lambda: one(second, wait("{mail}", 60_000)))
    elsewhere = begin(lambda: one(other, wait("{print}", 60_000)))
    until(lambda: one(db, WATCHERS) == 2)
    held = one(db, "select count(*) from pg_locks where pid = %s and classid = 1886741102",
               second.info.backend_pid)  # fmt: skip
    assert held == 0
    db.execute("select pg_cancel_backend(%s)", [first.info.backend_pid])
    with pytest.raises(Exception, match="canceling"):
        watching.result(20)
    until(lambda: one(db, "select exists (select from pg_locks where pid = %s and"
                          " classid = 1886741102)", second.info.backend_pid))  # fmt: skip
    for kind in ("mail", "print"):
        db.execute("select publish_job_add(%s::text, %s::text)", [kind, kind])
    assert waiting.result(20) is True
    assert elsewhere.result(20) is True


def test_a_look_reads_the_due_ones_whatever_lies_in_the_future(db: Connection) -> None:
    db.execute(LATER)
    db.execute("vacuum publish.job, publish.job_schedule")
    blocks(db, wait("{mail,rare}", 0))  # reads the catalogs
    assert blocks(db, wait("{mail,rare}", 0)) <= 150


class Waits(Event):
    """A stop event that notes how long it is waited for, and is set at the fifth time."""

    def __init__(self) -> None:
        super().__init__()
        self.noted: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        assert timeout is not None
        self.noted.append(timeout)
        if len(self.noted) == 5:
            self.set()
        return self.is_set()


def idle(url: str, monkeypatch: pytest.MonkeyPatch, stop: Event) -> None:
    monkeypatch.setitem(worker_room.HANDLERS, "mail", lambda conn, job: None)
    monkeypatch.setattr(worker_room, "LOOK_MS", 20)
    with open_connection(url) as conn, jobs.heart(lambda: open_connection(url)) as beating:
        jobs.work(conn, ["mail"], stop, beating=beating)


def test_a_job_that_is_due_and_cannot_be_started_is_looked_for_less_and_less(
    db: Connection, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    db.execute("select publish_job_limit('mail', 1)")
    db.execute("select publish_job_add(n::text, 'mail') from generate_series(1, 2) n")
    db.execute("select publish_job_start(kinds => '{mail}', client_pid => pg_backend_pid())")
    stop = Waits()
    idle(url, monkeypatch, stop)
    assert stop.noted == [0.02, 0.04, 0.08, 0.16, 0.32]


def test_a_lost_run_is_found_though_nothing_is_due(
    db: Connection, url: str, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    db.execute("select publish_job_add('j', 'mail', backoff_min => '1 ms', backoff_max => '1 ms')")
    dying = connect()
    dying.execute("select publish_job_start(kinds => '{mail}', client_pid => pg_backend_pid())")
    stop = Event()
    running = begin(lambda: idle(url, monkeypatch, stop))
    watcher = "select pid from pg_stat_activity where query like 'select publish.await_job%'"
    until(lambda: one(db, f"select exists ({watcher})"))  # type: ignore[arg-type]
    dying.close()
    until(lambda: one(db, "select status = 'succeeded' from publish.job"))
    stop.set()
    running.result(20)
