"""A verify that was stopped or killed goes on after its last page."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from datetime import datetime
from typing import Any

import pytest
from click.testing import CliRunner
from helpers import one, until

from pgpublish import cli, jobs, verify
from pgpublish.jobs.running import take

KEYS = 3000


@pytest.fixture
def db(connect: Any) -> Any:
    db = connect()
    db.execute(
        "create table t (id int primary key, v text);"
        "create view t_feed as select id, v from t;"
        "select publish_define('t', 't_feed')"
    )
    db.execute("insert into t select n, 'v' from generate_series(1, %s) as n", [KEYS])
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


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_command_that_is_ended_goes_on_after_the_last_page(
    db: Any, url: str, how: signal.Signals
) -> None:
    first = command(url, "verify", "t", "--batch", "10")
    until(lambda: (j := job(db, "verify:t")) is not None and j.data.get("done", 0) >= 50)
    first.send_signal(how)
    first.communicate(timeout=60)
    assert first.returncode != 0
    assert 50 <= job(db, "verify:t").data["done"] < KEYS
    until(lambda: one(db, "select count(*) from publish.job_activity where lock = 'held'") == 0)
    again = command(url, "verify", "t", "--batch", "500", "--json")
    out, err = again.communicate(timeout=60)
    assert "goes on after" in err
    assert json.loads(out)["missing"] == KEYS
    assert again.returncode == 6
    assert job(db, "verify:t").status == "succeeded"


class Stop(BaseException):
    pass


def stop_after(db: Any, keys: int, **settings: object) -> str:
    """What a command leaves that is stopped after so many keys; since when it counts."""

    def advance(count: int) -> None:
        nonlocal keys
        keys -= count
        if keys < 0:
            raise Stop

    def pages() -> None:
        with jobs.start(db, "verify:t", kind="verify command", data={"kind": "t"}) as job:
            verify.begin(db, job, batch=10, **settings)
            verify.pages(db, job, advance)

    with pytest.raises(Stop):
        pages()
    found = job(db, "verify:t").data
    assert (found["done"] > 0, found["after"] is not None) == (True, True)
    since: str = found["since"]
    return since


def test_a_verify_that_goes_on_says_since_when_it_counts(db: Any, run: Any) -> None:
    since = stop_after(db, 50, repair=False)
    result = run("verify", "t")
    assert f"verify t goes on after 50 keys, begun {since}" in result.stderr
    assert result.stdout.startswith(f"t: {KEYS:,} keys checked since {since}, {KEYS:,} missing")
    (said,) = map(json.loads, run("verify", "t", "--json").stdout.splitlines())
    assert said["since"] > since


@pytest.mark.parametrize(
    ("change", "arguments"),
    [
        ("select publish_define('t', 't_feed', '{v}')", []),
        ("select publish_define('t', 't_feed', schema_version => 2)", []),
        (
            "drop view t_feed; create view t_feed as select 'k' || id as id, v from t;"
            "grant select on t_feed to publish_projector",
            [],
        ),
        ("", ["--again"]),
    ],
    ids=["another key", "another version", "a key of another type", "asked for"],
)
def test_it_starts_from_the_first_key_when_the_kind_was_defined_otherwise_since(
    db: Any, run: Any, change: str, arguments: list[str]
) -> None:
    db.execute("update t set v = id")
    stop_after(db, 50, repair=False)
    db.execute(change)
    result = run("verify", "t", "--json", *arguments)
    assert "goes on" not in result.stderr
    assert json.loads(result.stdout)["checked"] == KEYS
    assert job(db, "verify:t").data["done"] == KEYS


def test_it_starts_from_the_first_key_when_it_is_to_repair_or_is_an_hour_old(
    db: Any, run: Any
) -> None:
    stop_after(db, 50, repair=False)
    repaired = run("verify", "t", "--repair", "--json")
    assert "goes on" not in repaired.stderr
    assert json.loads(repaired.stdout)["repaired"] == KEYS
    for age, goes_on in [("59 minutes", True), ("61 minutes", False)]:
        since = stop_after(db, 50, repair=False)
        db.execute("update publish.job set saved_at = now() - %s::interval", [age])
        found = run("verify", "t", "--json")
        assert ("goes on" in found.stderr) is goes_on
        assert (json.loads(found.stdout)["since"] == since) is goes_on


def test_a_worker_does_not_go_on_with_what_a_command_left(db: Any) -> None:
    since = stop_after(db, 50, repair=False)
    jobs.add(db, "mine", "verify", {"kind": "t"})
    mine = take(db, None, ["verify"], "w", 60)
    assert mine is not None
    assert mine.id == "mine"
    assert take(db, None, ["verify"], "w", 60) is None
    assert job(db, "verify:t").data["since"] == since


def test_a_verify_that_is_lost_before_its_first_page_got_no_further(db: Any, connect: Any) -> None:
    jobs.add(db, "verify", "verify", {"kind": "t"})
    attempts = []
    for _ in range(3):
        doomed = connect()
        started = take(doomed, "verify", None, "w", 3600)
        assert started is not None
        verify.begin(doomed, started)
        doomed.close()
        until(lambda: one(db, "select lock from publish.job_activity") == "lost")
        db.execute("select publish.return_lost_jobs('{verify}')")
        attempts.append(job(db, "verify").attempts)
        grown = 10_000 * len(attempts)  # a new total is no progress
        db.execute("insert into t select %s + n from generate_series(1, 2000) n", [grown])
    assert attempts == [1, 2, 3]
    db.execute("update publish.job set due_at = now()")
    db.execute("select publish.return_lost_jobs('{verify}')")
    again = take(db, "verify", None, "w", 60)
    assert again is not None
    before = one(db, "select clock_timestamp()")
    verify.begin(db, again)
    assert datetime.fromisoformat(again.data["since"]) >= before
