"""The commands of recurring jobs and of limits."""

from __future__ import annotations

import json
from typing import Literal

import click

from pgpublish import jobs as room
from pgpublish.cli.console import done, json_option, with_connection
from pgpublish.cli.tables import plain, show_rows
from pgpublish.database import Connection
from pgpublish.errors import BadArgument


@click.command()
@click.argument("name")
@click.argument("kind")
@click.argument("cron")
@click.option("--time-zone", default="UTC", show_default=True, help="Time zone of CRON.")
@click.option("--data", default="{}", metavar="JSON", help="Data of each job.")
@click.option("--priority", type=int, default=0, show_default=True, help="0 to 100.")
@click.option(
    "--max-attempts",
    type=int,
    default=10,
    show_default=True,
    help="Starts without success or progress.",
)
@click.option(
    "--missed",
    type=click.Choice(["once", "each"]),
    default="once",
    show_default=True,
    help="After several times that no worker saw: one job, or one for each.",
)
@json_option
@with_connection()
def schedule(
    conn: Connection,
    name: str,
    kind: str,
    cron: str,
    time_zone: str,
    data: str,
    priority: int,
    max_attempts: int,
    missed: Literal["once", "each"],
    as_json: bool,
) -> None:
    """Add a job of KIND at each time of CRON, or change that.

    CRON is minute, hour, day of month, month and day of week, such as "30 3 * * mon-fri". Any
    worker that looks for a job adds it, as NAME@TIME.
    """
    next_at = room.schedule(
        conn,
        name,
        kind,
        cron,
        time_zone=time_zone,
        data=read(data),
        priority=priority,
        max_attempts=max_attempts,
        missed=missed,
    )
    done(as_json, f"{name} is due at {next_at.isoformat()}", name=name, next_at=plain(next_at))


def read(data: str) -> dict[str, object]:
    """Raises BadArgument for text that is no JSON object."""
    try:
        value = json.loads(data)
    except ValueError as error:
        raise BadArgument(
            "this is not JSON",
            detail=f"--data {data}: {error}",
            hint='Pass it as in \'{"month": "2024-05"}\'.',
        ) from error
    if not isinstance(value, dict):
        raise BadArgument(
            "a job's data must be a JSON object",
            detail=f"--data {data}",
            hint='Pass it as in \'{"month": "2024-05"}\'.',
        )
    return value


@click.command()
@click.argument("name")
@json_option
@with_connection()
def unschedule(conn: Connection, name: str, as_json: bool) -> None:
    """End a recurring job; the jobs that it added stay."""
    room.unschedule(conn, name)
    done(as_json, f"{name} recurs no more", name=name)


@click.command("schedules")
@json_option
@with_connection()
def schedules_command(conn: Connection, as_json: bool) -> None:
    """List recurring jobs, and when they are due."""
    rows = room.schedules(conn)
    show_rows(
        rows if as_json else [{k: v for k, v in row.items() if k != "data"} for row in rows],
        as_json,
        none="no schedules",
    )


@click.command("limit")
@click.argument("kind")
@click.argument("count", type=int, required=False)
@json_option
@with_connection()
def limit_command(conn: Connection, kind: str, count: int | None, as_json: bool) -> None:
    """Limit how many jobs of KIND run at a time.

    It counts over all workers. Without COUNT there is no limit.
    """
    room.limit(conn, kind, count)
    said = f"at most {count} jobs of {kind} run at a time" if count else f"{kind} has no limit"
    done(as_json, said, kind=kind, max_running=count)


@click.command("limits")
@json_option
@with_connection()
def limits_command(conn: Connection, as_json: bool) -> None:
    """List kinds with a limit, and how many of their jobs run."""
    show_rows(room.limits(conn), as_json, none="no limits")


COMMANDS = (schedule, unschedule, schedules_command, limit_command, limits_command)
