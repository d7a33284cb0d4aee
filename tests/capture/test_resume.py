"""Walks over a whole kind go on where they were killed: backfill, verify, and a new version."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from datetime import datetime
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner
from helpers import begin, drain, drain_all, one, pid, until, waits

from pgpublish import capture, cli, jobs

KEYS = 3000


@pytest.fixture
def db(connect: Any) -> Any:
    db = connect()
    db.execute(
        "create table t (id int primary key, v text);"
        "create view t_feed as select id, v from t;"
        "select publish_define('t', 't_feed'); select publish_capture('t', 't')"
    )
    db.execute("set session_replication_role = replica")
    db.execute("insert into t select n, 'v' from generate_series(1, %s) as n", [KEYS])
    db.execute("reset session_replication_role")
    return db


@pytest.fixture
def run(url: str) -> Any:
    return lambda *arguments: CliRunner().invoke(cli.main, ["--database-url", url, *arguments])


def job(db: Any, id: str) -> Any:
    return db.execute("select * from publish.job where id = %s", [id]).fetchone()


def command(url: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "pgpublish", "--database-url", url, *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    )  # fmt: skip


def marks(db: Any) -> Counter[str]:
    return Counter(
        key
        for (key,) in db.execute(
            "select m from publish.outbox o cross join lateral unnest(o.source_id || o.more) as m"
        )
    )


@pytest.mark.parametrize("work", ["backfill", "verify"])
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_command_that_is_ended_goes_on_after_the_last_page(
    db: Any, url: str, work: str, how: signal.Signals
) -> None:
    first = command(url, work, "t", "--batch", "10")
    until(lambda: (j := job(db, f"{work}:t")) is not None and j.data.get("done", 0) >= 50)
    first.send_signal(how)
    first.communicate(timeout=60)
    assert first.returncode != 0
    done = job(db, f"{work}:t").data["done"]
    assert 50 <= done < KEYS
    until(lambda: one(db, "select count(*) from publish.job_activity where lock = 'held'") == 0)
    again = command(url, work, "t", "--batch", "500", "--json")
    out, err = again.communicate(timeout=60)
    assert "goes on after" in err
    if work == "backfill":
        assert json.loads(out)["marked"] == KEYS
        assert marks(db) == Counter(str(n) for n in range(1, KEYS + 1))
    else:
        assert json.loads(out)["missing"] == KEYS
        assert again.returncode == 6
    assert job(db, f"{work}:t").status == "succeeded"


class Stop(BaseException):
    pass


def stop_after(db: Any, work: str, keys: int, **settings: object) -> str:
    """What a command leaves that is stopped after so many keys; since when it counts."""

    def advance(count: int) -> None:
        nonlocal keys
        keys -= count
        if keys < 0:
            raise Stop

    begin, pages = {
        "backfill": (capture.begin_backfill, capture.backfill_pages),
        "verify": (capture.begin_verify, capture.verify_pages),
    }[work]

    def walk() -> None:
        with jobs.start(db, f"{work}:t", kind=f"{work} command", data={"kind": "t"}) as job:
            begin(db, job, batch=10, **settings)
            pages(db, job, advance)

    with pytest.raises(Stop):
        walk()
    found = job(db, f"{work}:t").data
    assert (found["done"] > 0, found["after"] is not None) == (True, True)
    since: str = found["since"]
    return since


def test_a_verify_that_goes_on_says_since_when_it_counts(db: Any, run: Any) -> None:
    since = stop_after(db, "verify", 50, repair=False)
    result = run("verify", "t")
    assert f"verify t goes on after 50 keys, begun {since}" in result.stderr
    assert result.stdout.startswith(f"t: {KEYS:,} keys checked since {since}, {KEYS:,} missing")
    (said,) = map(json.loads, run("verify", "t", "--json").stdout.splitlines())
    assert said["since"] > since


@pytest.mark.parametrize("work", ["backfill", "verify"])
@pytest.mark.parametrize(
    ("change", "arguments"),
    [
        ("select publish_define('t', 't_feed', '{v}')", []),
        ("select publish_define('t', 't_feed', schema_version => 2)", []),
        (
            "drop view t_feed; create view t_feed as select 'k' || id as id, v from t;"
            "grant select on t_feed to publish_owner",
            [],
        ),
        ("", ["--again"]),
    ],
    ids=["another key", "another version", "a key of another type", "asked for"],
)
def test_a_walk_begins_anew_when_what_it_was_under_has_changed(
    db: Any, run: Any, work: str, change: str, arguments: list[str]
) -> None:
    db.execute("update t set v = id")
    stop_after(db, work, 50, **({"repair": False} if work == "verify" else {}))
    db.execute(change)
    result = run(work, "t", "--json", *arguments)
    assert "goes on" not in result.stderr
    found = json.loads(result.stdout)
    assert found.get("checked", found.get("marked")) == KEYS
    assert job(db, f"{work}:t").data["done"] == KEYS


def test_a_verify_begins_anew_when_it_is_to_repair_or_is_an_hour_old(db: Any, run: Any) -> None:
    stop_after(db, "verify", 50, repair=False)
    repaired = run("verify", "t", "--repair", "--json")
    assert "goes on" not in repaired.stderr
    assert json.loads(repaired.stdout)["repaired"] == KEYS
    for age, goes_on in [("59 minutes", True), ("61 minutes", False)]:
        since = stop_after(db, "verify", 50, repair=False)
        db.execute("update publish.job set saved_at = now() - %s::interval", [age])
        found = run("verify", "t", "--json")
        assert ("goes on" in found.stderr) is goes_on
        assert (json.loads(found.stdout)["since"] == since) is goes_on


def test_a_worker_does_not_go_on_with_what_a_command_left(db: Any) -> None:
    since = stop_after(db, "verify", 50, repair=False)
    jobs.add(db, "mine", "verify", {"kind": "t"})
    mine = jobs._start(db, None, ["verify", "backfill"], "w", 60)
    assert mine is not None
    assert mine.id == "mine"
    assert jobs._start(db, None, ["verify", "backfill"], "w", 60) is None
    assert job(db, "verify:t").data["since"] == since


def test_a_walk_that_is_lost_before_its_first_page_got_no_further(db: Any, connect: Any) -> None:
    jobs.add(db, "verify", "verify", {"kind": "t"})
    attempts = []
    for _ in range(3):
        doomed = connect()
        started = jobs._start(doomed, "verify", None, "w", 3600)
        assert started is not None
        capture.begin_verify(doomed, started)
        doomed.close()
        until(lambda: one(db, "select lock from publish.job_activity") == "lost")
        db.execute("select publish.return_lost_jobs('{verify}')")
        attempts.append(job(db, "verify").attempts)
        grown = 10_000 * len(attempts)  # a new total is no progress
        db.execute("insert into t select %s + n from generate_series(1, 2000) n", [grown])
    assert attempts == [1, 2, 3]
    db.execute("update publish.job set due_at = now()")
    db.execute("select publish.return_lost_jobs('{verify}')")
    again = jobs._start(db, "verify", None, "w", 60)
    assert again is not None
    before = one(db, "select clock_timestamp()")
    capture.begin_verify(db, again)
    assert datetime.fromisoformat(again.data["since"]) >= before


def test_a_backfill_whose_backend_is_killed_inside_a_page_goes_on_before_it(
    db: Any, connect: Any, url: str
) -> None:
    holder = connect()
    running = command(url, "backfill", "t", "--batch", "100")
    until(lambda: (j := job(db, "backfill:t")) is not None and j.data.get("done", 0) >= 100)
    with holder.transaction():
        holder.execute("lock table publish.outbox in exclusive mode")
        page = "select pid from pg_stat_activity where wait_event_type = 'Lock' and query ~ 'backf'"
        backend = until(lambda: (r := db.execute(page).fetchone()) and r.pid)
        db.execute("select pg_terminate_backend(%s)", [backend])
        running.communicate(timeout=60)
    done = job(db, "backfill:t").data["done"]
    assert done == sum(marks(db).values())
    out, _ = command(url, "backfill", "t", "--json").communicate(timeout=60)
    assert json.loads(out)["marked"] == KEYS
    assert marks(db) == Counter(str(n) for n in range(1, KEYS + 1))


def test_a_second_backfill_of_a_kind_is_told_who_runs_it(db: Any, connect: Any, url: str) -> None:
    holder = connect()
    holder.execute("select publish_job_add('backfill:t', 'backfill', '{\"kind\": \"t\"}')")
    holder.execute(
        "select publish_job_start('backfill:t', client_pid => %s, worker => 'the other')",
        [pid(holder)],
    )
    second = command(url, "backfill", "t")
    _, err = second.communicate(timeout=60)
    assert second.returncode == 5
    assert "the other" in err
    assert marks(db) == Counter()


def test_a_backfill_beside_live_writes_leaves_the_feed_as_the_view(
    db: Any, connect: Any, url: str
) -> None:
    running = command(url, "backfill", "t", "--batch", "50")
    n = 0
    while running.poll() is None:
        n += 1
        db.execute("update t set v = %s where id = %s", [f"w{n}", 1 + n % KEYS])
        db.execute("delete from t where id = %s", [1 + n * 7 % KEYS])
        drain(db, 100)
    running.communicate()
    assert running.returncode == 0
    drain_all(db)
    found = db.execute(
        "select count(*) filter (where p.payload is distinct from to_jsonb(f.*)) from t_feed f"
        " full join publish.published p on p.source_id = f.id::text and not p.deleted"
    )
    assert found.fetchone() == (0,)


def test_a_higher_version_is_published_in_pages_beside_live_changes_and_survives_a_kill(
    db: Any, connect: Any
) -> None:
    db.execute("select publish_backfill('t', batch => 100000)")
    drain_all(db)
    before = dict(db.execute("select source_id, pub_id from publish.published").fetchall())
    head = one(db, "select publish_head()")
    db.execute("select publish_define('t', 't_feed', schema_version => 2)")
    assert one(db, "select walks from publish_status()") == 1
    for _ in range(3):
        assert drain(db, 200).published <= 200
    db.execute("update t set v = 'live' where id = %s", [KEYS])

    gate, victim = connect(), connect()
    gate.execute("begin; lock table t in access exclusive mode")
    drained = begin(drain, victim, 200)
    until(lambda: waits(gate, pid(victim)))
    db.execute("select pg_terminate_backend(%s)", [pid(victim)])
    with pytest.raises(psycopg.OperationalError):
        drained.result(30)
    gate.execute("rollback")

    drains = 0
    while drain(db, 200).scanned:
        drains += 1
    assert drains >= KEYS // 200 - 3
    rows = db.execute("select source_id, pub_id, schema_version from publish.published").fetchall()
    assert {row.schema_version for row in rows} == {2}
    assert {row.source_id: row.pub_id for row in rows} == before
    assert one(db, "select publish_head()") - head <= KEYS + 1  # each once, the live one twice
    assert one(db, "select walks from publish_status()") == 0
