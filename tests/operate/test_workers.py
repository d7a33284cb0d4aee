"""Workers are seen: who they are, what they do, and that they are gone."""

from __future__ import annotations

import signal
from threading import Event

import pytest
from helpers import begin, enqueue, one, until
from pooler import pooled

from pgpublish import __version__, drain
from pgpublish.database import connect as connect_to
from pgpublish.presence import BEAT_S, CHANGE_S, Presence

PATIENCE = 30


@pytest.fixture
def db(connect):
    db = connect()
    db.execute("select publish_define('note')")
    return db


def workers(db, kind=None):
    return db.execute(
        "select * from publish.worker w where w.kind = coalesce(%s, w.kind) order by w.since",
        [kind],
    ).fetchall()


def test_a_drain_is_seen_from_its_start_to_its_end(db, background):
    process = background("drain")
    (seen,) = until(lambda: workers(db, "drain"))
    assert (seen.pid, seen.is_alive, seen.doing) == (process.pid, True, "waiting for marks")
    assert seen.name == f"{seen.host}:{seen.pid}"
    assert seen.version == __version__
    assert seen.since <= seen.seen_at
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE) == 0
    (seen,) = workers(db, "drain")
    assert (seen.is_alive, seen.doing) == (False, "ended")


def test_one_that_is_killed_is_gone_after_three_beats(db, background):
    process = background("run")
    until(lambda: len(workers(db)) == 2)
    assert {row.kind for row in workers(db)} == {"drain", "deliver"}
    process.kill()
    process.wait(PATIENCE)
    assert all(row.is_alive for row in workers(db))
    db.execute("update publish.worker_beat set at = at - %s * '3 s'::interval", [BEAT_S])
    assert not any(row.is_alive for row in workers(db))


def test_a_second_drain_stands_by_while_another_session_drains(db, connect):
    other = connect(autocommit=False)
    other.execute("select publish_drain()")
    presence, stop = Presence("drain"), Event()
    running = begin(lambda: drain.run(connect(), stop, presence=presence))
    until(lambda: [row.doing for row in workers(db)] == ["standing by"])
    stop.set()
    running.result(PATIENCE)


def test_a_beat_comes_each_fifteen_seconds_and_five_after_a_change(db, connect):
    times = [0.0, CHANGE_S - 1, CHANGE_S, CHANGE_S + BEAT_S - 1, CHANGE_S + BEAT_S]
    now = [0.0]
    presence = Presence("drain", clock=lambda: now[0])
    said = []
    for now[0], doing in zip(times, "abbbb", strict=True):
        presence.beat(db, doing)
        said.append(one(db, "select count(*) from publish.worker_beat"))
    assert said == [1, 1, 2, 2, 3]
    db.execute("update publish.worker_beat set at = at - '2 min'::interval")
    db.execute("select publish_maintain()")
    assert one(db, "select count(*) from publish.worker_beat") == 1
    db.execute("update publish.worker_beat set at = at - '2 days'::interval")
    db.execute("update publish.worker_start set since = since - '2 days'::interval")
    db.execute("select publish_maintain()")
    assert workers(db) == []


def test_a_drain_by_pg_cron_or_psql_is_seen_by_what_it_drained(db, connect):
    db.execute("set application_name = 'pg_cron'")
    enqueue(db, "note", "a", "1")
    db.execute("select publish_drain()")
    (seen,) = workers(db)
    assert (seen.name, seen.kind, seen.is_alive) == ("pg_cron", "drain", True)
    db.execute("update publish.drain set at = at - '3 min'::interval")
    assert [row.is_alive for row in workers(db)] == [False]


def test_a_worker_that_runs_a_job_says_which_and_lives_while_its_lease_does(db):
    presence = Presence("jobs")
    presence.beat(db, "waiting for jobs")
    db.execute("select publish_job_add('a', 'copy')")
    db.execute("select publish_job_start('a', worker => %s)", [presence.name])
    db.execute("update publish.worker_beat set at = at - '1 hour'::interval")
    (seen,) = workers(db)
    assert (seen.doing, seen.is_alive) == ("running copy a", True)
    db.execute("update publish.job set due_at = clock_timestamp()")
    assert [row.is_alive for row in workers(db)] == [False]


def test_a_job_worker_and_a_deliverer_are_seen(db, background, tmp_path):
    (tmp_path / "tasks.py").write_text(
        "from pgpublish.jobs import handler\n@handler('copy')\ndef copy(conn, job):\n    pass\n"
    )
    background("work", "copy", "--import", "tasks", cwd=tmp_path)
    background("deliver")
    until(lambda: {row.kind for row in workers(db)} == {"jobs", "deliver"})
    assert {row.doing for row in workers(db)} == {"waiting for jobs", "waiting for changes"}


def test_a_worker_behind_a_pooler_is_seen_as_any(db, database, cluster):
    with pooled(cluster, database) as url, connect_to(url) as conn:
        presence = Presence("drain")
        presence.beat(conn, "draining")
    assert [row.is_alive for row in workers(db)] == [True]


def test_a_role_or_a_schema_that_knows_no_beats_stops_no_worker(db, connect):
    conn = connect()
    conn.execute("set role publish_reader")
    presence = Presence("drain", clock=iter([0.0, 100.0, 200.0]).__next__)
    presence.beat(conn, "draining")
    presence.beat(conn, "draining")
    assert workers(db) == []
    assert one(db, "select count(*) from publish.worker_start") == 0
