"""The commands that run workers which deliver."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from threading import Event, Thread

import click

from pgpublish import deliver as room
from pgpublish import drain as drain_room
from pgpublish.cli.console import (
    Database,
    batch_option,
    json_option,
    reconnect,
    stop_on_signals,
)
from pgpublish.cli.logs import Log, drains, flushed, format_option, quiet_option
from pgpublish.database import Connection
from pgpublish.errors import Undelivered
from pgpublish.presence import Presence
from pgpublish.terminal import say_json

threads_option = click.option(
    "--threads",
    type=click.IntRange(1, 100),
    envvar="PGPUBLISH_THREADS",
    show_envvar=True,
    default=4,
    show_default=True,
    help="Lanes delivered at the same time.",
)


def said(logs: Log, as_json: bool) -> Callable[[room.Delivered], None]:
    """What to do with a batch: as_json prints each on stderr, as stdout belongs to the sink of
    that name."""

    def report(delivered: room.Delivered) -> None:
        row = asdict(delivered)
        if as_json:
            say_json(row, err=True)
        else:
            del row["lane"]
            logs.report(delivered.subscription, row)

    return report


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME]…")
@click.option("--once", is_flag=True, help="End when nothing is ready to be sent.")
@threads_option
@batch_option
@json_option
@quiet_option
@format_option
@click.pass_obj
def deliver(
    database: Database,
    names: tuple[str, ...],
    once: bool,
    threads: int,
    batch: int,
    as_json: bool,
    quiet: bool,
    log_format: str,
) -> None:
    """Send what subscriptions have to send, until SIGTERM.

    Of those that are named, or of all. Several may run. Logs batches on stderr, under load their
    sums each 10 s; with --json a line for each batch. SIGTERM finishes what is in flight, for at
    most 5 s, and hands the rest back. With --once the exit code is 7 if something could not be
    delivered: it failed, it waits for its endpoint, or nobody can send it.
    """
    logs = Log(quiet=quiet, as_json=log_format == "json")
    with database.server(), stop_on_signals() as stop, flushed(logs):
        database.require_current(stop)
        left = room.run(
            partial(database.worker, stop),
            stop,
            names=list(names) or None,
            threads=threads,
            batch=batch,
            once=once,
            report=said(logs, as_json),
            warn=logs.warn,
        )
    if left:
        raise Undelivered(
            "not everything could be delivered",
            detail="; ".join(f"{name}: {why}" for name, why in sorted(left.items())),
            hint="See pgpublish subscriptions and pgpublish dead list.",
        )


@click.command("run")
@threads_option
@batch_option
@json_option
@quiet_option
@format_option
@click.pass_obj
def run_command(
    database: Database, threads: int, batch: int, as_json: bool, quiet: bool, log_format: str
) -> None:
    """Drain, deliver and maintain in one process.

    Until SIGTERM. It suits small installations; larger ones run `drain` and `deliver` apart.
    """
    logs = Log(quiet=quiet, as_json=log_format == "json")
    with database.server(), stop_on_signals() as stop, flushed(logs):
        database.require_current(stop)
        drained: list[BaseException] = []
        thread = Thread(target=_drain, args=(database, stop, batch, logs, drained), daemon=True)
        thread.start()
        try:
            room.run(
                partial(database.worker, stop),
                stop,
                threads=threads,
                batch=batch,
                report=said(logs, as_json),
                warn=logs.warn,
            )
        finally:
            stop.set()
            thread.join(10)
        if drained:
            raise drained[0]


def _drain(
    database: Database, stop: Event, batch: int, logs: Log, failed: list[BaseException]
) -> None:
    presence = Presence("drain")

    def work(conn: Connection) -> None:
        drain_room.run(
            conn,
            stop,
            batch=batch,
            report=drains(logs),
            warn=logs.warn,
            presence=presence,
        )

    try:
        reconnect(database, stop, work, warn=logs.warn)
    except BaseException as error:
        failed.append(error)
        stop.set()


COMMANDS: list[click.Command] = [deliver, run_command]
