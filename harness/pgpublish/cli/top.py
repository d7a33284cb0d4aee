"""`pgpublish top`: the feed, live."""

from __future__ import annotations

import sys

import click

from pgpublish import operate
from pgpublish.cli.console import Database, reconnect, stop_on_signals
from pgpublish.cli.durations import Seconds
from pgpublish.database import Connection
from pgpublish.errors import BadArgument, MissingPart
from pgpublish.terminal import live_screen


@click.command()
@click.option(
    "--interval",
    type=Seconds(0.2, 3600),
    default=1.0,
    show_default=True,
    metavar="SECONDS",
    help="Between two looks.",
)
@click.pass_obj
def top(database: Database, interval: float) -> None:
    """Watch the feed, its workers and jobs live.

    The curves are of the last ten minutes, in steps of ten seconds.
    """
    if not sys.stdout.isatty():
        raise BadArgument(
            "top needs a terminal",
            detail="Output is a pipe or a file.",
            hint="Use pgpublish status, pgpublish status --json or pgpublish report.",
        )
    try:
        from pgpublish.cli.screen import Screen
    except ImportError as error:
        raise MissingPart(
            "a package for top is not installed",
            detail=str(error),
            hint="pip install 'pgpublish[top]'",
        ) from error
    with database.server(), stop_on_signals() as stop:
        database.require_current(stop)
        with live_screen() as live:
            screen = Screen()

            def follow(conn: Connection) -> None:
                while not stop.is_set():
                    screen.add(operate.overview(conn), operate.running_jobs(conn))
                    live.update(screen, refresh=True)
                    stop.wait(interval)

            reconnect(database, stop, follow)


COMMANDS: list[click.Command] = [top]
