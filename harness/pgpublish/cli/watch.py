"""`pgpublish jobs watch`: running jobs as they get on."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import Any

import click

from pgpublish import jobs as room
from pgpublish.cli.console import Database, json_option, reconnect, stop_on_signals
from pgpublish.cli.durations import Seconds
from pgpublish.cli.progress import last_error, progress
from pgpublish.cli.tables import plain, show_rows
from pgpublish.database import Connection
from pgpublish.terminal import clear, json_line, printable, say


@click.command()
@click.option(
    "--interval",
    type=Seconds(0.05, 86400),
    default=1.0,
    show_default=True,
    metavar="SECONDS",
    help="Time between two looks.",
)
@json_option
@click.pass_obj
def watch(database: Database, interval: float, as_json: bool) -> None:
    """Follow running jobs live, until interrupted.

    Into a pipe or with --json: a line for each job whenever something about it changed, and one
    that says how it ended.
    """
    told: dict[str, str] = {}
    screen = not as_json and sys.stdout.isatty()

    def follow(conn: Connection) -> None:
        while not stop.is_set():
            rows = room.activity(conn)
            if screen:
                clear()
                say(f"{datetime.now(UTC).astimezone():%H:%M:%S}  {len(rows)} running\n")
                show_rows([activity_summary(row) for row in rows], False, none="")
            else:
                tell_changes(conn, rows, told, as_json)
            stop.wait(interval)

    with database.server(), stop_on_signals() as stop:
        database.require_current(stop)
        reconnect(database, stop, follow)


def tell_changes(
    conn: Connection, rows: list[dict[str, Any]], told: dict[str, str], as_json: bool
) -> None:
    """A line for each running job that differs from what was told, and for each that has ended."""
    running = {row["id"]: line(row, as_json) for row in rows}
    for id in told.keys() - running.keys():
        del told[id]
        ended = room.listing(conn, id=id) or [{"id": id, "status": "removed", "error": None}]
        if ended[0]["status"] != "running":  # started again since rows were read: told with these
            say(last_line(ended[0], as_json))
    for id, text in running.items():
        if told.get(id) != text:
            say(text)
    told |= running
    sys.stdout.flush()


def line(row: dict[str, Any], as_json: bool) -> str:
    """What is said of a running job: nothing that changes by itself, so that a change is news."""
    if as_json:
        steady = ("id", "kind", "worker", "attempt", "pid", "since", "lock", "data")
        return json_line({name: plain(row[name]) for name in steady} | {"status": "running"})
    return printable(
        f"{row['id']}  attempt {row['attempt']}  {row['worker']}  "
        f"lock {row['lock']}  {progress(row['data'])}"
    ).rstrip()


def last_line(row: dict[str, Any], as_json: bool) -> str:
    """What is said of a job that ran and does not any more."""
    if as_json:
        return json_line({name: plain(value) for name, value in row.items()})
    return printable(f"{row['id']}  {row['status']}  {last_error(row) or ''}").rstrip()


def activity_summary(row: dict[str, Any]) -> dict[str, Any]:
    """A row of publish.job_activity as a line on the screen."""
    return {
        "id": row["id"][:40],
        "attempt": row["attempt"],
        "progress": progress(row["data"]) or None,
        "for": str(datetime.now(UTC) - row["since"]).split(".")[0],
        "lease left": f"{row['lease_left'].total_seconds():.0f} s",
        "worker": row["worker"],
        "lock": row["lock"],
        "pid": row["pid"],
        "state": row["state"],
        "query": " ".join(row["query"].split())[:50] if row["query"] else None,
    }
