"""`pgpublish work`: a worker, or several, each a process."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from threading import Event

import click

from pgpublish import jobs as room
from pgpublish import migrate
from pgpublish.cli import processes
from pgpublish.cli.console import Database, done, json_option, log, reconnect, stop_on_signals
from pgpublish.cli.durations import Seconds
from pgpublish.cli.tables import plain
from pgpublish.database import Connection
from pgpublish.errors import BadArgument
from pgpublish.presence import Presence
from pgpublish.session import limited
from pgpublish.terminal import printable


@click.command()
@click.argument("kinds", metavar="KIND…", nargs=-1, required=True)
@click.option(
    "--concurrency",
    type=click.IntRange(1, 100),
    default=1,
    show_default=True,
    help="Jobs at a time, each in a process of its own with two connections.",
)
@click.option(
    "--import",
    "modules",
    metavar="MODULE",
    multiple=True,
    help="Python module that registers handlers; may be given again.",
)
@click.option(
    "--lease",
    type=Seconds(0.1, 86400),
    default=room.LEASE_S,
    metavar="SECONDS",
    show_default=True,
    help="How long a job is kept after its worker was last heard of.",
)
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
    """Run the due jobs of these kinds, until SIGTERM.

    Prints a line for each job that ended. What a dead worker left is taken over, from the data it
    saved. With --concurrency, a job that kills its process ends no other job, and the process is
    started again. On SIGTERM a job goes on to its end or to its next save, where it is handed back;
    a second signal ends the command at once. Finished jobs are removed after the
    setting job_retention, 30 days.
    """
    load(modules)
    room.require_handlers(kinds)
    report = partial(tell, as_json=as_json)
    with database.server(), stop_on_signals() as stop:
        with (
            database.worker(stop) as conn,
            limited(conn),
            room.heart(partial(database.worker, stop)),
        ):
            migrate.require_usable(conn)
        body = partial(work_in_thread, database, stop=stop, kinds=kinds, lease=lease, report=report)
        if concurrency == 1:
            body()
        else:
            processes.run(concurrency, body, stop)


def work_in_thread(
    database: Database,
    *,
    stop: Event,
    kinds: tuple[str, ...],
    lease: float,
    report: Callable[[room.Outcome], None],
) -> None:
    """Works until stop is set. The main thread is left to signals."""
    presence = Presence("jobs")

    def run(conn: Connection) -> None:
        with room.heart(partial(database.worker, stop), log) as beating:
            room.work(
                conn,
                kinds,
                stop,
                beating=beating,
                lease=lease,
                worker=presence.name,
                report=report,
                warn=log,
                presence=presence,
            )

    with ThreadPoolExecutor(1) as pool:
        try:
            pool.submit(reconnect, database, stop, run).result()
        except KeyboardInterrupt:
            os._exit(130)  # the second one: without waiting for the job that runs


def tell(outcome: room.Outcome, as_json: bool) -> None:
    said = f"{outcome.status} {outcome.id} ({outcome.kind}, attempt {outcome.attempt}, "
    said += f"{outcome.seconds:.3f} s)" + (f": {outcome.error}" if outcome.error else "")
    done(
        as_json,
        printable(said),
        **{name: plain(value) for name, value in vars(outcome).items()},
    )
    sys.stdout.flush()


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
