"""Settings that a database or a role may have change nothing: how dates are written, what a
backslash means, which encoding a client is told, where names are looked up."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from click.testing import CliRunner
from conftest import Connect, Connection
from helpers import one
from psycopg import sql

from pgpublish import cli, jobs
from pgpublish.embedded import Cluster

SETTINGS = {
    "client_encoding": "LATIN1",
    "datestyle": "German, DMY",
    "intervalstyle": "sql_standard",
    "timezone": "Asia/Kathmandu",
    "standard_conforming_strings": "off",
    "bytea_output": "escape",
    "extra_float_digits": "-15",
    "search_path": "nowhere",
    "quote_all_identifiers": "on",
    "array_nulls": "off",
    "transform_null_equals": "on",
    "default_transaction_isolation": "serializable",
    "plan_cache_mode": "force_generic_plan",
    "row_security": "off",
    "xmloption": "document",
    "lc_numeric": "C",
}
COMMANDS = [
    "define item public.item_feed", "capture item public.item", "publish public.other --yes",
    "backfill item --no-wait", "drain --once", "changes", "changes --json", "status",
    "status --json", "audit", "verify item", "check item --rounds 20",
    "quarantine list", "subscribe s stdout --lease 90s --rate 0.3 --backoff-max 1h",
    "subscriptions", "deliver --once", "subscriptions --json", "pause s", "resume s", "seek s 0",
    "dead list", "jobs", "jobs --json", "jobs schedule nightly kind 0|3|*|*|1-5", "migrate --check",
    "jobs schedules", "unsubscribe s", "unpublish item --yes",
]  # fmt: skip


def become_strange(db: Connection, database: str) -> None:
    for name, value in SETTINGS.items():
        db.execute(
            sql.SQL("alter database {} set {} = {}").format(
                sql.Identifier(database), sql.Identifier(name), sql.Literal(value)
            )
        )


@pytest.fixture
def strange(connect: Connect) -> Connect:
    """Sessions of a database that has all of them."""
    db = connect()
    become_strange(db, db.info.dbname)
    db.execute(
        "create table item (id int primary key, at timestamptz, spent interval, f float8, b bytea,"
        ' "a\\b" text);'
        "create view item_feed as select * from item;"
        "create table other (id int primary key);"
        "create view other_feed as select id from other;"
        "insert into item values (1, '2026-02-03 04:05:06Z', '1 day 02:03', 0.1,"
        " '\\x00ff', '\\n€');"
    )
    return connect


def test_every_command_reads_what_such_a_session_answers(strange: Connect, url: str) -> None:
    said = {}
    for command in COMMANDS:
        arguments = [word.replace("|", " ") for word in command.split()]
        result = CliRunner().invoke(cli.main, ["--database-url", url, *arguments])
        assert result.exit_code == 0, f"{command}: {result.output} {result.exception}"
        said[command] = result.stdout
    (payload,) = (
        change["payload"]
        for change in map(json.loads, said["changes --json"].splitlines())
        if change["kind"] == "item"
    )
    assert payload == {
        "id": 1, "at": "2026-02-03T04:05:06+00:00", "spent": "1 day 02:03:00", "f": 0.1,
        "b": "\\x00ff", "a\\b": "\\n€",
    }  # fmt: skip
    (waits,) = map(json.loads, said["subscriptions --json"].splitlines())
    assert waits["lease"] == 90.0


def test_a_job_runs_on_such_a_session(strange: Connect) -> None:
    db = strange()
    assert one(db, "show intervalstyle") == "sql_standard"
    with jobs.start(db, "job", data={"path": "C:\\new"}) as job:
        assert job.step("a\\b", lambda: "\\d") == "\\d"
        job.save(done=1)
        job.check()
    (found,) = jobs.listing(db)
    assert (found["status"], found["data"]["path"]) == ("succeeded", "C:\\new")


def test_migrate_installs_into_such_a_database(
    new_database: Callable[[str | None], str], cluster: Cluster, admin: Connection
) -> None:
    database = new_database(None)
    become_strange(admin, database)
    for command in (
        "migrate",
        "migrate --check",
        "define note",
        "enqueue note \\d 1",
        "drain --once",
    ):
        url = cluster.url(database)
        result = CliRunner().invoke(cli.main, ["--database-url", url, *command.split()])
        assert result.exit_code == 0, f"{command}: {result.output} {result.exception}"
    assert "head 1" in result.stdout
