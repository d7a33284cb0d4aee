"""The commands that run workers which deliver."""

from __future__ import annotations

import json
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
    log,
    reconnect,
    stop_on_signals,
)
from pgpublish.errors import Undelivered
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


def said(as_json: bool) -> Callable[[room.Delivered], None]:
    """Prints a line per batch on stderr: stdout belongs to the sink of that name."""

    def report(delivered: room.Delivered) -> None:
        row = asdict(delivered)
        if as_json:
            say_json(row, err=True)
        else:
            log(
                " ".join(
                    f"{name}={json.dumps(value)}"
                    for name, value in row.items()
                    if value is not None
                )
            )

    return report


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME]…")
@click.option("--once", is_flag=True, help="End when nothing is ready to be sent.")
@threads_option
@batch_option
@json_option
@click.pass_obj
def deliver(
    database: Database, names: tuple[str, ...], once: bool, threads: int, batch: int, as_json: bool
) -> None:
    """Send what subscriptions have to send, until SIGTERM.

    Of those that are named, or of all. Several may run. Logs a line per batch on stderr. SIGTERM
    finishes what is in flight, for at most 5 s, and hands the rest back. With --once the exit code
    is 7 if something could not be delivered: it failed, it waits for its endpoint, or nobody can
    send it.
    """
    with database.server(), stop_on_signals() as stop:
        database.require_current(stop)
        left = room.run(
            partial(database.worker, stop),
            stop,
            names=list(names) or None,
            threads=threads,
            batch=batch,
            once=once,
            report=said(as_json),
            warn=log,
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
@click.pass_obj
def run_command(database: Database, threads: int, batch: int, as_json: bool) -> None:
    """Drain, deliver and maintain in one process.

    Until SIGTERM. It suits small installations; larger ones run `drain` and `deliver` apart.
    """
    with database.server(), stop_on_signals() as stop:
        database.require_current(stop)
        drained: list[BaseException] = []
        thread = Thread(target=_drain, args=(database, stop, drained, batch), daemon=True)
        thread.start()
        try:
            room.run(
                partial(database.worker, stop),
                stop,
                threads=threads,
                batch=batch,
                report=said(as_json),
                warn=log,
            )
        finally:
            stop.set()
            thread.join(10)
        if drained:
            raise drained[0]


def _drain(database: Database, stop: Event, failed: list[BaseException], batch: int) -> None:
    try:
        reconnect(
            database,
            stop,
            lambda conn: drain_room.run(conn, stop, batch=batch, warn=log),
        )
    except BaseException as error:
        failed.append(error)
        stop.set()


COMMANDS: list[click.Command] = [deliver, run_command]
