"""The commands of delivery, as a person or a program meets them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from threading import Event

import pytest
from click.testing import CliRunner, Result
from conftest import Connect, Connection
from delivery import claim, failure, notes, settle, subscribe
from helpers import PATIENCE, enqueue, one, until
from receiver import receiving

from pgpublish import cli, deliver, jobs

COMMANDS = [
    ["subscriptions"], ["subscribe", "s", "stdout"], ["unsubscribe", "s"], ["seek", "s", "0"],
    ["pause", "s"], ["resume", "s"], ["dead", "list"], ["dead", "redrive", "s"],
    ["dead", "discard", "s"], ["deliver", "--once"], ["run"],
]  # fmt: skip

NOWHERE = "host=/nowhere dbname=x"
REFUSED = [
    ["seek", "nope", "0"], ["pause", "nope"], ["resume", "nope"], ["unsubscribe", "nope"],
    ["dead", "list", "nope"], ["dead", "redrive", "nope"], ["dead", "discard", "nope"],
    ["deliver", "--once", "nope"], ["subscribe", "s", "pigeon"],
    ["subscribe", "s", "stdout", "--kind", "nope"],
    ["subscribe", "s", "stdout", "--option", "colour=red"],
    ["subscribe", "s", "stdout", "--from-rev", "9"], ["subscribe", "s", "webhook"],
]  # fmt: skip


@pytest.fixture
def run(url: str) -> Callable[..., Result]:
    def invoke(*arguments: str, database_url: str = url) -> Result:
        return CliRunner().invoke(cli.main, ["--database-url", database_url, *arguments])

    return invoke


def facts(result: Result) -> list[dict[str, object]]:
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_no_server_exits_3() -> None:
    for arguments in COMMANDS:
        result = CliRunner().invoke(
            cli.main, ["--database-url", "host=/nowhere dbname=x", *arguments]
        )
        assert result.exit_code == 3, arguments
        assert "hint: " in result.stderr


def test_what_is_refused_exits_1_with_a_hint(run: Callable[..., Result]) -> None:
    for arguments in REFUSED:
        result = run(*arguments)
        assert result.exit_code == 1, arguments
        assert result.stderr.splitlines()[-1].startswith("  hint: "), arguments
        assert result.stdout == ""


def test_the_life_of_a_subscription(run: Callable[..., Result], db: Connection) -> None:
    notes(db, 4)
    assert "no subscription" in run("subscriptions").stderr
    made = run("subscribe", "s", "stdout", "--kind", "note", "--lanes", "1", "--max-attempts", "1",
               "--backoff-min", "2 s", "-o", "source=/here", "--json")  # fmt: skip
    assert facts(made) == [{"subscription": "s"}]
    (row,) = facts(run("subscriptions", "--json"))
    assert (row["name"], row["sink"], row["status"], row["behind"]) == ("s", "stdout", "active", 4)
    assert "options" not in row

    batch = claim(db, "s")
    assert batch[0].source == "/here"
    settle(db, batch, [failure(r, "rejected") for r in batch[:3]])
    letters = facts(run("dead", "list", "s", "--json"))
    assert {letter["class"] for letter in letters} == {"rejected"}
    assert "rejected" in run("dead", "list").stdout
    key = str(batch[0].pub_id)
    assert facts(run("dead", "redrive", "s", "--pub-id", key, "--json"))[0]["redriven"] == 1
    assert facts(run("dead", "discard", "s", "--class", "endpoint", "--json"))[0]["discarded"] == 0
    assert "2 forgotten" in run("dead", "discard", "s").stdout
    (row,) = facts(run("subscriptions", "--json"))
    assert (row["retries"], row["dead"]) == (1, 0)

    assert facts(run("pause", "s", "--json")) == [{"subscription": "s"}]
    assert "paused" in run("subscriptions").stdout
    assert facts(run("seek", "s", "2", "--json")) == [{"subscription": "s", "rev": 2}]
    assert facts(run("resume", "s", "--json")) == [{"subscription": "s"}]
    sent = facts(run("deliver", "--once"))
    assert sorted(event["sequence"][-1] for event in sent) == ["1", "3", "4"]
    assert "unsubscribed s" in run("unsubscribe", "s").stdout
    assert "no subscription" in run("subscriptions").stderr


def test_subscribing_again_changes_only_what_is_given(
    run: Callable[..., Result], db: Connection
) -> None:
    notes(db, 1)

    def settings(*arguments: str) -> object:
        assert run("subscribe", "s", "webhook", *arguments).exit_code == 0
        return one(db, "select jsonb_build_array(options, kinds, lanes, max_attempts, backoff_min)"
                       " from publish.subscription")  # fmt: skip

    first = ["-o", "url=http://x/", "-o", "headers={}", "--kind", "note", "--lanes", "4",
             "--max-attempts", "30", "--backoff-min", "2 s"]  # fmt: skip
    assert settings(*first) == [{"url": "http://x/", "headers": {}}, ["note"], 4, 30, "00:00:02"]
    assert settings("-o", "mode=binary", "-o", "headers=null") == [
        {"url": "http://x/", "mode": "binary"}, ["note"], 4, 30, "00:00:02",
    ]  # fmt: skip
    assert settings("--kind", "*", "--lanes", "2") == [
        {"url": "http://x/", "mode": "binary"}, None, 2, 30, "00:00:02",
    ]  # fmt: skip


def test_subscribe_at_the_head_sends_what_comes_from_now_on(
    run: Callable[..., Result], db: Connection
) -> None:
    notes(db, 4)
    assert run("subscribe", "s", "stdout", "--from-rev", "head").exit_code == 0
    assert run("deliver", "--once").stdout == ""
    enqueue(db, "note", "5", "5")
    run("drain", "--once")
    assert [event["data"] for event in facts(run("deliver", "--once"))] == [5]


def dead_letters(conn: Connection, count: int) -> None:
    subscribe(conn, "s")
    conn.execute(
        "insert into publish.parked (subscription_id, pub_id, lane, rev, class, message, attempts)"
        " select s.subscription_id, gen_random_uuid(), 0, 1, 'rejected', '', 15"
        "   from publish.subscription s, generate_series(1, %s)", [count],
    )  # fmt: skip


def test_all_dead_letters_are_redriven_and_discarded_however_many(
    run: Callable[..., Result], db: Connection
) -> None:
    dead_letters(db, 10_500)
    assert facts(run("dead", "redrive", "s", "--json"))[0]["redriven"] == 10_500
    assert one(db, "select retries from publish.subscription_state") == 10_500
    db.execute("update publish.parked set next_attempt_at = null")
    assert facts(run("dead", "redrive", "s", "--json"))[0]["redriven"] == 10_500
    db.execute("update publish.parked set next_attempt_at = null")
    assert facts(run("dead", "discard", "s", "--json"))[0]["discarded"] == 10_500
    assert one(db, "select count(*) from publish.parked") == 0


def test_a_redrive_that_was_stopped_goes_on_and_one_of_others_begins_anew(
    run: Callable[..., Result], db: Connection, connect: Connect
) -> None:
    dead_letters(db, 25)
    data = {"subscription": "s", "pub_id": None, "class": None, "batch": 10}

    def redrive_a_page(conn: Connection) -> None:
        with jobs.start(conn, "redrive:s", kind="redrive", data=data) as job:
            stop = Event()
            stop.set()
            job.stop_at(stop)
            deliver.redrive_job(conn, job)

    def stopped() -> int:
        with pytest.raises(jobs.Returned):
            redrive_a_page(connect())
        return one(db, "select retries from publish.subscription_state")

    assert stopped() == 10
    first = one(db, "select min(next_attempt_at) from publish.parked")
    assert facts(run("dead", "redrive", "s", "--json"))[0]["redriven"] == 25
    assert one(db, "select dead from publish.subscription_state") == 0
    assert one(db, "select min(next_attempt_at) from publish.parked") == first

    db.execute("update publish.parked set next_attempt_at = null")
    assert stopped() == 10
    assert facts(run("dead", "redrive", "s", "--class", "endpoint", "--json"))[0]["redriven"] == 0
    assert facts(run("dead", "redrive", "s", "--json"))[0]["redriven"] == 15


def test_deliver_logs_a_line_for_each_batch_and_prints_nothing_else(
    run: Callable[..., Result], db: Connection
) -> None:
    notes(db, 4)
    with receiving() as endpoint:
        subscribe(db, "s", "webhook", options={"url": endpoint.url, "allow_private": True})
        result = run("deliver", "--once", "--json")
    assert result.stdout == ""
    (line,) = map(json.loads, result.stderr.splitlines())
    assert line["duration"] > 0
    assert {k: line[k] for k in ("subscription", "lane", "first_rev", "last_rev", "sent")} == {
        "subscription": "s", "lane": 0, "first_rev": 1, "last_rev": 4, "sent": 4,
    }  # fmt: skip


def test_run_drains_and_delivers_until_sigterm(db: Connection, url: str) -> None:
    notes(db, 1)
    with receiving() as endpoint:
        subscribe(db, "s", "webhook", options={"url": endpoint.url, "allow_private": True})
        process = subprocess.Popen(
            [sys.executable, "-m", "pgpublish", "--database-url", url, "run"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env=os.environ | {"PYTHONUNBUFFERED": "1"},
        )  # fmt: skip
        try:
            # One after the other: what one batch holds is sent concurrently.
            endpoint.wait(lambda e: len(e.requests) == 1)
            for n in (2, 3):
                enqueue(db, "note", str(n), str(n))
                endpoint.wait(lambda e, n=n: len(e.requests) == n)
            until(lambda: one(db, "select behind = 0 from publish.subscription_state"))
            process.send_signal(signal.SIGTERM)
            _, errors = process.communicate(timeout=PATIENCE)
        finally:
            process.kill()
            process.communicate()
    assert process.returncode == 0, errors
    assert "Traceback" not in errors
    assert [r.data for r in endpoint.requests] == [1, 2, 3]
