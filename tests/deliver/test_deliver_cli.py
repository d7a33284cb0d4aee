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
from pgpublish.deliver import redrive

COMMANDS = [
    ["subscriptions"], ["subscribe", "s", "stdout"], ["unsubscribe", "s"], ["seek", "s", "0"],
    ["pause", "s"], ["resume", "s"], ["resync", "s"], ["dead", "list"], ["dead", "redrive", "s"],
    ["dead", "discard", "s"], ["deliver", "--once"], ["run"],
]  # fmt: skip

NOWHERE = "host=/nowhere dbname=x"
REFUSED = [
    ["seek", "nope", "0"], ["pause", "nope"], ["resume", "nope"], ["resync", "nope"],
    ["unsubscribe", "nope"],
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
    assert (row["name"], row["sink"], row["state"], row["behind"]) == ("s", "stdout", "active", 4)
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
        " select s.subscription_id, gen_random_uuid(), 0, n, 'rejected', '', 15"
        "   from publish.subscription s, generate_series(1, %s) n", [count],
    )  # fmt: skip


def test_all_dead_letters_are_redriven_and_discarded_however_many(
    run: Callable[..., Result], db: Connection
) -> None:
    dead_letters(db, 10_500)
    assert facts(run("dead", "redrive", "s", "--json"))[0]["redriven"] == 10_500
    assert one(db, "select retries from publish_subscriptions()") == 10_500
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
        return one(db, "select retries from publish_subscriptions()")

    assert stopped() == 10
    first = one(db, "select min(next_attempt_at) from publish.parked")
    assert facts(run("dead", "redrive", "s", "--json"))[0]["redriven"] == 25
    assert one(db, "select dead from publish_subscriptions()") == 0
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
            until(lambda: one(db, "select behind = 0 from publish_subscriptions()"))
            process.send_signal(signal.SIGTERM)
            _, errors = process.communicate(timeout=PATIENCE)
        finally:
            process.kill()
            process.communicate()
    assert process.returncode == 0, errors
    assert "Traceback" not in errors
    assert [r.data for r in endpoint.requests] == [1, 2, 3]


# --- people see why


def test_once_exits_7_when_something_could_not_be_delivered(
    run: Callable[..., Result], db: Connection
) -> None:
    notes(db, 3)
    answers = {"status": 500}
    with receiving(lambda request: answers["status"] if request.data == 2 else 200) as endpoint:
        subscribe(db, "s", "webhook", options={"url": endpoint.url, "allow_private": True},
                  backoff_min="1 h", backoff_max="1 h")  # fmt: skip
        result = run("deliver", "--once")
        assert result.exit_code == 7, result.output
        assert "s: HTTP 500" in result.stderr
        assert result.stderr.splitlines()[-1].startswith("  hint: ")
        assert run("deliver", "--once", "s").exit_code == 7, "what waits is not delivered either"
        answers["status"] = 200
        db.execute("update publish.parked set next_attempt_at = clock_timestamp()")
        assert run("deliver", "--once").exit_code == 0
    assert run("deliver", "--once").exit_code == 0


def test_once_exits_7_for_a_dead_letter_and_then_0(
    run: Callable[..., Result], db: Connection
) -> None:
    notes(db, 2)
    with receiving(lambda request: 422 if request.data == 2 else 200) as endpoint:
        subscribe(db, "s", "webhook", options={"url": endpoint.url, "allow_private": True},
                  max_attempts=1)  # fmt: skip
        assert run("deliver", "--once").exit_code == 7
        assert run("deliver", "--once").exit_code == 0


def test_once_exits_7_when_no_sink_can_be_made_and_all_see_why(
    run: Callable[..., Result], db: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PGPUBLISH_SECRET_HOOK", raising=False)
    notes(db, 1)
    with receiving() as endpoint:
        subscribe(db, "s", "webhook",
                  options={"url": "env:PGPUBLISH_SECRET_HOOK", "allow_private": True})  # fmt: skip
        result = run("deliver", "--once")
        assert result.exit_code == 7
        assert "Variable PGPUBLISH_SECRET_HOOK" in result.stderr
        assert "s: cannot send" in run("subscriptions").stdout
        assert "Variable PGPUBLISH_SECRET_HOOK" in facts(run("subscriptions", "--json"))[0]["fault"]
        monkeypatch.setenv("PGPUBLISH_SECRET_HOOK", endpoint.url)
        assert run("deliver", "--once").exit_code == 0
    (row,) = facts(run("subscriptions", "--json"))
    assert (row["fault"], row["waits_for"]) == (None, None)


def test_subscriptions_say_what_they_wait_for_in_80_columns(
    run: Callable[..., Result], db: Connection
) -> None:
    notes(db, 12)
    subscribe(db, "a name that is so long that nothing else would have a place beside it")
    for name, kind in (("refused", "rejected"), ("down", "endpoint")):
        subscribe(db, name, backoff_min="1 h", backoff_max="1 h")
        batch = claim(db, name, limit=12)
        failed = batch if kind == "endpoint" else batch[:1]
        settle(db, batch, [failure(r, kind, message="x" * 300) for r in failed])
    result = run("subscriptions")
    assert all(len(line) <= 80 for line in result.stdout.splitlines()), result.stdout
    assert "down: waits for" in result.stdout
    assert "refused: failed last (rejected, " in result.stdout
    rows = {row["name"]: row for row in facts(run("subscriptions", "--json"))}
    assert rows["down"]["circuit"] == "open"
    assert rows["refused"]["oldest_undelivered_at"] is not None
    assert (rows["refused"]["last_error_class"], rows["refused"]["behind"]) == ("rejected", 0)


def test_subscribe_takes_every_setting(run: Callable[..., Result], db: Connection) -> None:
    notes(db, 1)
    made = run("subscribe", "s", "stdout", "--key", "--rate", "2.5", "--lanes", "3",
               "--on-reset", "pause", "--give-up-after", "2 days")  # fmt: skip
    assert made.exit_code == 0, made.output
    (row,) = facts(run("subscriptions", "--json"))
    assert (row["key"], float(row["rate"]), row["lanes"]) == (True, 2.5, 3)
    assert (row["on_reset"], row["give_up_after"]) == ("pause", 172_800)
    assert run("subscribe", "s", "stdout", "--no-key").exit_code == 0
    (row,) = facts(run("subscriptions", "--json"))
    assert (row["key"], row["lanes"]) == (False, 3)


def test_resync_sends_everything_again_in_a_new_life(
    run: Callable[..., Result], db: Connection
) -> None:
    notes(db, 3)
    subscribe(db, "s")
    first = facts(run("deliver", "--once"))
    assert "everything again" in run("resync", "s").stdout
    again = facts(run("deliver", "--once"))
    changes = [event for event in again if not event["type"].startswith("pgpublish.re")]
    assert [event["data"] for event in changes] == [event["data"] for event in first]
    assert not {event["id"] for event in first} & {event["id"] for event in changes}


def test_a_redrive_sends_in_rev_order_over_pages(
    run: Callable[..., Result], db: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redrive, "PAGE", 7)
    notes(db, 30)
    subscribe(db, "s", max_attempts=1)
    batch = claim(db, "s")
    settle(db, batch, [failure(r, "rejected") for r in batch])
    assert facts(run("dead", "redrive", "s", "--json"))[0]["redriven"] == 30
    assert [event["data"] for event in facts(run("deliver", "--once"))] == list(range(1, 31))
