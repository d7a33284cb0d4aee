"""The commands of tracked jobs: a worker, and looking after jobs."""

from __future__ import annotations

import importlib
import json
import math
import os
import socket
import sys
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, TypeGuard

import click
from tabulate import tabulate

from pgpublish import jobs as room
from pgpublish import migrate
from pgpublish.cli.console import (
    Database,
    cell,
    json_option,
    log,
    plain,
    printable,
    reconnect,
    show_rows,
    stop_on_signals,
    with_connection,
)
from pgpublish.database import Connection
from pgpublish.errors import BadArgument, NotDefined

STATUS = ["pending", "running", "failed", "succeeded", "ignored"]
BAR = 20  # characters of a progress bar


class Seconds(click.FloatRange):
    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        seconds: float = super().convert(value, param, ctx)
        if math.isnan(seconds):  # within any range, for click
            self.fail(f"{value} is not a number of seconds.", param, ctx)
        return seconds


@click.command()
@click.argument("kinds", metavar="KIND…", nargs=-1, required=True)
@click.option("--concurrency", type=click.IntRange(1, 100), default=1, show_default=True,
              help="Jobs at a time, each in a thread with a connection.")  # fmt: skip
@click.option("--import", "modules", metavar="MODULE", multiple=True,
              help="Python module that registers handlers; may be given again.")  # fmt: skip
@click.option("--lease", type=Seconds(0.1, 86400), default=room.LEASE_S,
              metavar="SECONDS", show_default=True,
              help="How long a job is kept after its worker was last heard of.")  # fmt: skip
@json_option
@click.pass_obj
def work(
    database: Database,
    kinds: tuple[str, ...],
    concurrency: int,
    modules: tuple[str, ...],
    lease: float,
    as_json: bool,
) -> None:
    """Run the due jobs of these kinds, until SIGTERM; a line for each that ended.

    What a dead worker left is taken over, from the data it saved. On SIGTERM a job goes on to its
    end or to its next save, where it is handed back; a second signal ends the command at once.
    Finished jobs are removed after 30 days, or the setting publish.job_retention of the database.
    """
    load(modules)
    name = f"{socket.gethostname()}:{os.getpid()}"

    def report(outcome: room.Outcome) -> None:
        click.echo(
            json.dumps({name: plain(value) for name, value in vars(outcome).items()})
            if as_json
            else printable(
                f"{outcome.status} {outcome.id} ({outcome.kind}, attempt {outcome.attempt}, "
                f"{outcome.seconds:.3f} s)" + (f": {outcome.error}" if outcome.error else "")
            )
        )
        sys.stdout.flush()

    with (
        database.server(),
        stop_on_signals() as stop,
        room.heart(database.connect, log) as beating,
        ThreadPoolExecutor(concurrency) as pool,
    ):
        with database.connect() as conn:
            migrate.require_current(conn)
        run = partial(
            room.work, kinds=kinds, stop=stop, beating=beating, lease=lease, worker=name,
            report=report, warn=log,
        )  # fmt: skip
        running = {pool.submit(reconnect, database, stop, run) for _ in range(concurrency)}
        try:
            while running:
                done, running = wait(running, return_when=FIRST_COMPLETED)
                stop.set()  # a thread ends when it is asked to, or by an error
                for thread in done:
                    thread.result()
        except KeyboardInterrupt:
            os._exit(130)  # the second one: without waiting for the jobs that run


def load(modules: tuple[str, ...]) -> None:
    """Imports them, with the current folder in reach as for `python -m`. Raises BadArgument."""
    if not {"", str(Path.cwd())} & set(sys.path):
        sys.path.insert(0, str(Path.cwd()))
    for module in modules:
        try:
            importlib.import_module(module)
        except ImportError as error:
            raise BadArgument(
                "this module cannot be imported",
                detail=f"{module}: {error}",
                hint="Name it as in an import statement; the current folder is searched too.",
            ) from error


@click.group(invoke_without_command=True)
@click.option("--status", type=click.Choice(STATUS), help="Only these.")
@click.option("--kind", help="Only of this kind.")
@click.option("--batch", type=click.IntRange(1, 100_000), default=100, show_default=True,
              help="At most so many.")  # fmt: skip
@click.option("--oldest-first", is_flag=True, help="The oldest ones; else the newest.")
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
    """List tracked jobs, or look after one."""
    if ctx.invoked_subcommand is None:
        ctx.invoke(list_command, status=status, kind=kind, batch=batch,
                   oldest_first=oldest_first, as_json=as_json)  # fmt: skip


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


def summary(row: dict[str, Any]) -> dict[str, Any]:
    """A row of publish_jobs as a person wants it: a line."""
    at = row["finished_at"] or row["started_at"] or row["created_at"]
    return {
        "id": row["id"][:60],
        "kind": row["kind"],
        "status": row["status"],
        "attempt": f"{row['attempts']}/{row['max_attempts']}",
        "progress": progress(row["data"]) or None,
        "worker": row["worker"],
        "at": at.isoformat(timespec="seconds"),
        "last error": last_error(row),
    }


def last_error(row: dict[str, Any]) -> str | None:
    """The beginning of it, if the job has not succeeded since."""
    if not row["error"] or row["status"] == "succeeded":
        return None
    return f"{row['error']}: {row['message']}".splitlines()[0][:60]


def progress(data: Any) -> str:
    """data.done of data.total as a bar, where a job keeps them."""
    if not isinstance(data, dict) or not is_count(done := data.get("done")):
        return ""
    if not is_count(total := data.get("total")) or total == 0:
        return f"{done:,}"
    part = min(1.0, done / total)
    filled = int(part * BAR)
    return f"[{'#' * filled}{'-' * (BAR - filled)}] {part:4.0%} {done:,}/{total:,}"


def is_count(value: Any) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e15


@jobs.command()
@click.argument("id")
@json_option
@with_connection()
def show(conn: Connection, id: str, as_json: bool) -> None:
    """Show a job, its data and all its failures."""
    rows = room.listing(conn, id=id)
    if not rows:
        raise NotDefined("no such job", detail=f"job {id!r}", hint="List them: pgpublish jobs")
    (row,), errors = rows, room.job_errors(conn, id)
    if as_json:
        told = [{name: plain(value) for name, value in error.items()} for error in errors]
        click.echo(json.dumps({name: plain(value) for name, value in row.items()}
                              | {"errors": told}))  # fmt: skip
        return
    del row["error"], row["message"]
    lines = [
        (name, json.dumps(value) if name == "data" else cell(value))
        for name, value in row.items()
        if value is not None
    ]
    click.echo(tabulate(lines, tablefmt="plain", disable_numparse=True))
    for error in errors:
        said = (f"\nattempt {error['attempt']}, {plain(error['at'])}, {error['worker'] or '-'}: "
                f"{error['error']}: {error['message']}")  # fmt: skip
        click.echo(printable(said, "\n\t"))
        if error["traceback"]:
            click.echo(printable(error["traceback"].rstrip(), "\n\t"))


@jobs.command()
@click.argument("id")
@json_option
@with_connection()
def cancel(conn: Connection, id: str, as_json: bool) -> None:
    """Have a job not started any more; a running one is stopped at its next save."""
    done = room.cancel(conn, id)
    if as_json:
        click.echo(json.dumps({"id": id, "cancelled": done}))
    else:
        click.echo(printable(f"cancelled {id}" if done else f"{id} had ended already"))


@jobs.command()
@click.argument("id")
@json_option
@with_connection()
def retry(conn: Connection, id: str, as_json: bool) -> None:
    """Have a job started again, also one that is ignored, from the data it saved."""
    room.retry(conn, id)
    click.echo(
        json.dumps({"id": id, "status": "pending"}) if as_json else printable(f"{id} is pending")
    )


@jobs.command()
@click.option("--interval", type=Seconds(0.05, 86400), default=1.0, show_default=True,
              metavar="SECONDS", help="Between two looks.")  # fmt: skip
@json_option
@click.pass_obj
def watch(database: Database, interval: float, as_json: bool) -> None:
    """Follow running jobs live, with their progress, until interrupted.

    Into a pipe or with --json: a line for each job whenever something about it changed, and one
    that says how it ended.
    """
    told: dict[str, str] = {}
    screen = not as_json and sys.stdout.isatty()

    def follow(conn: Connection) -> None:
        while not stop.is_set():
            rows = room.activity(conn)
            if screen:
                click.clear()
                click.echo(f"{datetime.now(UTC).astimezone():%H:%M:%S}  {len(rows)} running\n")
                show_rows([activity_summary(row) for row in rows], False, none="")
            else:
                tell_changes(conn, rows, told, as_json)
            stop.wait(interval)

    with database.server(), stop_on_signals() as stop:
        with database.connect() as conn:
            migrate.require_current(conn)
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
            click.echo(last_line(ended[0], as_json))
    for id, text in running.items():
        if told.get(id) != text:
            click.echo(text)
    told |= running
    sys.stdout.flush()


def line(row: dict[str, Any], as_json: bool) -> str:
    """What is said of a running job: nothing that changes by itself, so that a change is news."""
    if as_json:
        steady = ("id", "kind", "worker", "attempt", "pid", "since", "lock", "data")
        return json.dumps({name: plain(row[name]) for name in steady} | {"status": "running"})
    return printable(f"{row['id']}  attempt {row['attempt']}  {row['worker']}  "
                     f"lock {row['lock']}  {progress(row['data'])}").rstrip()  # fmt: skip


def last_line(row: dict[str, Any], as_json: bool) -> str:
    """What is said of a job that ran and does not any more."""
    if as_json:
        return json.dumps({name: plain(value) for name, value in row.items()})
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


COMMANDS = (work, jobs)
