"""Quarantined keys: good ones go on at once; a person can look at the bad ones and retry them."""

from __future__ import annotations

import json
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner, Result
from helpers import drain, drain_all, feed, one, quarantine

from pgpublish import cli

KEYS = 5000


@pytest.fixture
def db(connect: Any) -> Any:
    db = connect()
    db.execute(
        "create table t (id int primary key, divisor int not null default 1);"
        "create view t_feed as select id, 100 / divisor as value from t;"
        "select publish_define('t', 't_feed'); select publish_capture('t', 't')"
    )
    return db


@pytest.fixture
def run(url: str) -> Any:
    def invoke(*arguments: str) -> Result:
        return CliRunner().invoke(cli.main, ["--database-url", url, *arguments])

    return invoke


def test_one_bad_key_among_5000_delays_no_other_by_a_drain(db: Any) -> None:
    db.execute("insert into t select n, (n <> 2713)::int from generate_series(1, %s) as n", [KEYS])
    done = drain(db, KEYS)
    assert (done.published, done.quarantined) == (KEYS - 1, 1)
    assert quarantine(db) == {"2713": "22012"}


def test_a_key_that_a_validator_refuses_delays_no_other(db: Any) -> None:
    db.execute(
        "create function even(jsonb) returns boolean language sql"
        " as $$ select ($1 ->> 'id')::int <> 17 $$;"
        "grant execute on function even to publish_projector;"
        "select publish_define('t', 't_feed', validator => 'public.even(jsonb)')"
    )
    db.execute("insert into t select n from generate_series(1, 400) as n")
    done = drain(db)
    assert (done.published, quarantine(db)) == (399, {"17": "PT422"})


def test_retry_waits_for_no_backoff_and_takes_one_key_a_kind_or_all(db: Any) -> None:
    db.execute("insert into t values (1, 0), (2, 0), (3, 0)")
    drain_all(db)
    db.execute("alter table t disable trigger user; update t set divisor = 1")
    assert drain_all(db) == 0
    assert one(db, "select publish_retry('t', '2')") == 1
    assert drain_all(db) == 1
    assert set(feed(db, "t")) == {"2"}
    assert one(db, "select publish_retry('t')") == 2
    assert drain_all(db) == 2
    assert quarantine(db) == {}
    assert one(db, "select publish_retry()") == 0


def test_a_retry_that_fails_again_counts_and_backs_off(db: Any) -> None:
    db.execute("insert into t values (1, 0)")
    drain_all(db)
    for attempts in (2, 3):
        db.execute("select publish_retry()")
        drain_all(db)
        row = db.execute("select * from publish_quarantine()").fetchone()
        assert (row.attempts, row.sqlstate, row.source_id) == (attempts, "22012", "1")
        assert row.due_at > row.last_failed_at > row.first_failed_at


@pytest.mark.parametrize(
    ("call", "sqlstate"),
    [
        ("publish_retry('none')", "PT404"), ("publish_retry('t', 'x')", "PT404"),
        ("publish_retry(null, 'x')", "PT400"), ("publish_quarantine('none')", "PT404"),
        ("publish_quarantine(batch => 0)", "PT400"),
    ],
)  # fmt: skip
def test_refused_arguments(db: Any, call: str, sqlstate: str) -> None:
    with pytest.raises(psycopg.Error) as refused:
        db.execute(f"select {call}".encode())
    assert refused.value.sqlstate == sqlstate


def test_the_command_lists_why_and_retries(db: Any, run: Any) -> None:
    assert run("quarantine", "list").stderr == "nothing is quarantined\n"
    db.execute("insert into t values (1, 0), (2, 1)")
    drain_all(db)
    listed = run("quarantine", "list", "t")
    assert "division by zero" in listed.stdout
    rows = [json.loads(line) for line in run("quarantine", "list", "--json").stdout.splitlines()]
    assert [(r["of_kind"], r["source_id"], r["sqlstate"]) for r in rows] == [("t", "1", "22012")]
    db.execute("update t set divisor = 1 where id = 1; truncate publish.outbox")
    assert json.loads(run("quarantine", "retry", "t", "1", "--json").stdout) == {"due": 1}
    drain_all(db)
    assert set(feed(db, "t")) == {"1", "2"}
    refused = run("quarantine", "retry", "t", "1")
    assert (refused.exit_code, "hint:" in refused.stderr) == (1, True)


def test_verify_and_audit_say_what_differs_and_exit_with_6(db: Any, run: Any) -> None:
    db.execute("insert into t select n from generate_series(1, 30) as n")
    drain_all(db)
    same = run("verify")
    assert (same.exit_code, same.stdout) == (0, "t: 30 keys checked, all as the view says\n")
    assert run("audit").exit_code == 0
    db.execute("alter table t disable trigger user; delete from t where id = 3")
    differs = run("verify", "t")
    assert (differs.exit_code, "surplus        3" in differs.stdout) == (6, True)
    audited = run("audit")
    assert (audited.exit_code, "disabled for" in audited.stdout) == (6, True)
    assert json.loads(run("audit", "--json").stdout)["of_kind"] == "t"
    repaired = run("verify", "t", "--repair", "--json")
    assert repaired.exit_code == 6
    assert json.loads(repaired.stdout)["repaired"] == 1
    drain_all(db)
    assert run("verify", "t").exit_code == 0
    assert run("verify", "none").exit_code == 1
