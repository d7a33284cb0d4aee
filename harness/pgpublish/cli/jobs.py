"""The commands that look after tracked jobs."""

from __future__ import annotations

import textwrap
from datetime import UTC, datetime, timedelta
from typing import Any

import click
from tabulate import tabulate

from pgpublish import exact
from pgpublish import jobs as room
from pgpublish.cli import schedules
from pgpublish.cli.console import done, json_option, with_connection
from pgpublish.cli.progress import last_error, part
from pgpublish.cli.tables import cell, plain, short, show_rows
from pgpublish.cli.watch import watch
from pgpublish.cli.work import work
from pgpublish.database import Connection
from pgpublish.errors import NotDefined
from pgpublish.terminal import printable, say, say_json

STATUS = ["pending", "running", "failed", "succeeded", "ignored"]


@click.group(invoke_without_command=True)
@click.option("--status", type=click.Choice(STATUS), help="Only jobs of this status.")
@click.option("--kind", help="Only jobs of this kind.")
@click.option(
    "--batch",
    type=click.IntRange(1, 100_000),
    default=100,
    show_default=True,
    help="Maximum number of jobs to show.",
)
@click.option("--oldest-first", is_flag=True, help="Show the oldest ones, not the newest.")
@json_option
@click.pass_context
def jobs(
    ctx: click.Context,
    status: str | None,
    kind: str | None,
    batch: int,
    oldest_first: bool,
    as_json: bool,
) -> None:
    """List and manage tracked jobs."""
    if ctx.invoked_subcommand is None:
        ctx.invoke(
            list_command,
            status=status,
            kind=kind,
            batch=batch,
            oldest_first=oldest_first,
            as_json=as_json,
        )


@with_connection()
def list_command(
    conn: Connection,
    status: str | None,
    kind: str | None,
    batch: int,
    oldest_first: bool,
    as_json: bool,
) -> None:
    rows = room.listing(conn, status=status, kind=kind, batch=batch, oldest_first=oldest_first)
    show_rows(rows if as_json else [summary(row) for row in rows], as_json, none="no jobs")
    for row in [] if as_json else rows:
        if error := last_error(row):
            say(textwrap.shorten(printable(f"{row['id']}: {error}"), 80, placeholder=" …"))


def summary(row: dict[str, Any]) -> dict[str, Any]:
    """A row of publish_jobs in at most 80 columns."""
    at = row["finished_at"] or row["started_at"] or row["created_at"]
    return {
        "id": short(row["id"], 20),
        "kind": short(row["kind"], 12),
        "status": row["status"],
        "attempt": f"{row['attempts']}/{row['max_attempts']}",
        "progress": part(row["data"]) or None,
        "since": max(datetime.now(UTC) - at, timedelta()),
    }


@jobs.command()
@click.argument("id")
@json_option
@with_connection()
def show(conn: Connection, id: str, as_json: bool) -> None:
    """Show a job, its data, its steps and all its failures."""
    rows = room.listing(conn, id=id)
    if not rows:
        raise NotDefined("no such job", detail=f"job {id!r}", hint="List them: pgpublish jobs")
    (row,), errors, steps = rows, room.job_errors(conn, id), room.steps(conn, id)
    if as_json:
        told = [plain_row(error) for error in errors]
        say_json(plain_row(row) | {"errors": told, "steps": [plain_row(s) for s in steps]})
        return
    del row["error"], row["message"]
    lines = [
        (name, exact.dumps(value) if name == "data" else cell(value))
        for name, value in row.items()
        if value is not None
    ]
    say(tabulate(lines, tablefmt="plain", disable_numparse=True))
    for step in steps:
        result = exact.dumps(step["result"])
        say(printable(f"step {step['name']}, {plain(step['at'])}: {result}"))
    for error in errors:
        said = (
            f"\nattempt {error['attempt']}, {plain(error['at'])}, {error['worker'] or '-'}: "
            f"{error['error']}: {error['message']}"
        )
        say(said)
        if error["traceback"]:
            say(error["traceback"].rstrip())


def plain_row(row: dict[str, Any]) -> dict[str, Any]:
    return {name: plain(value) for name, value in row.items()}


@jobs.command()
@click.argument("id")
@json_option
@with_connection()
def cancel(conn: Connection, id: str, as_json: bool) -> None:
    """Cancel a job; a running one stops at its next save."""
    cancelled = room.cancel(conn, id)
    said = f"cancelled {id}" if cancelled else f"{id} had ended already"
    done(as_json, said, id=id, cancelled=cancelled)


@jobs.command()
@click.argument("id")
@json_option
@with_connection()
def retry(conn: Connection, id: str, as_json: bool) -> None:
    """Start a job again, also an ignored one.

    It goes on from the data it saved.
    """
    room.retry(conn, id)
    done(as_json, f"{id} is pending", id=id, status="pending")


for command in (watch, *schedules.COMMANDS):
    jobs.add_command(command)

COMMANDS = (work, jobs)
