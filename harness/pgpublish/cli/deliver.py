"""The commands of delivery: subscriptions, their worker, their dead letters."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from threading import Event, Thread
from typing import Any

import click
from psycopg import sql
from psycopg.rows import dict_row

from pgpublish import deliver as room
from pgpublish import drain as drain_room
from pgpublish import jobs, migrate
from pgpublish.cli.console import (
    Database,
    batch_option,
    json_option,
    log,
    reconnect,
    show_rows,
    stop_on_signals,
    with_connection,
)
from pgpublish.database import Connection, call
from pgpublish.sinks import third_party

MAX_ATTEMPTS = 1_000_000  # who types the command decides when it has failed too often
SHOWN = ["name", "sink", "status", "cursor", "behind", "lag", "retries", "dead", "workers"]

threads_option = click.option(
    "--threads", type=click.IntRange(1, 100), default=4, show_default=True,
    help="Lanes delivered at the same time.",
)  # fmt: skip


def said(as_json: bool) -> Callable[[room.Delivered], None]:
    """Prints a line per batch on stderr: stdout belongs to the sink of that name."""

    def report(delivered: room.Delivered) -> None:
        row = asdict(delivered)
        if as_json:
            click.echo(json.dumps(row), err=True)
        else:
            log(" ".join(f"{name}={json.dumps(value)}" for name, value in row.items()
                         if value is not None))  # fmt: skip

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
    """Send what these subscriptions have to send, or all of them, until SIGTERM.

    Several may run. Logs a line per batch on stderr. SIGTERM finishes what is in flight, for at
    most 5 s, and hands the rest back.
    """
    with database.server(), stop_on_signals() as stop:
        with database.connect() as conn:
            migrate.require_current(conn)
        room.run(database.connect, stop, names=list(names) or None, threads=threads, batch=batch,
                 once=once, report=said(as_json), warn=log)  # fmt: skip


@click.command("run")
@threads_option
@batch_option
@json_option
@click.pass_obj
def run_command(database: Database, threads: int, batch: int, as_json: bool) -> None:
    """Drain, deliver and maintain in one process, until SIGTERM: for small installations."""
    with database.server(), stop_on_signals() as stop:
        with database.connect() as conn:
            migrate.require_current(conn)
        drained: list[BaseException] = []
        thread = Thread(target=_drain, args=(database, stop, batch, drained), daemon=True)
        thread.start()
        try:
            room.run(database.connect, stop, threads=threads, batch=batch, report=said(as_json),
                     warn=log)  # fmt: skip
        finally:
            stop.set()
            thread.join(10)
        if drained:
            raise drained[0]


def _drain(database: Database, stop: Event, batch: int, failed: list[BaseException]) -> None:
    try:
        reconnect(database, stop, lambda conn: drain_room.run(conn, stop, batch=batch, warn=log))
    except BaseException as error:
        failed.append(error)
        stop.set()


@click.command()
@json_option
@with_connection()
def subscriptions(conn: Connection, as_json: bool) -> None:
    """List subscriptions: how far each is, what failed, who works on it, and why it stands."""
    with conn.cursor(row_factory=dict_row) as cursor:
        found = cursor.execute("select * from publish.subscription_state order by name").fetchall()
    if as_json:
        show_rows(found, True, none="")
        return
    shown = [{name: row[name] for name in SHOWN} for row in found]
    show_rows(shown, False, none="there is no subscription")
    for row in found:
        if row["reason"]:
            click.echo(f"{row['name']}: {row['reason']}")


def _option(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals:
        raise click.BadParameter(f"{text} is not NAME=VALUE")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


@click.command()
@click.argument("name")
@click.argument("sink")
@click.option("--option", "-o", "options", multiple=True, metavar="NAME=VALUE",
              help="Of the sink; JSON or text. env:NAME is a variable; null removes.")  # fmt: skip
@click.option("--kind", "kinds", multiple=True,
              help="Only this kind; may be given again. '*' is all.  [default: '*']")  # fmt: skip
@click.option("--from-rev", metavar="REV", help="Begin after this rev, or at `head`.  [default: 0]")
@click.option("--lanes", type=int, help="Parts delivered at the same time.  [default: 1]")
@click.option("--max-attempts", type=int, help="Failures that make a dead letter.  [default: 15]")
@click.option("--backoff-min", metavar="INTERVAL",
              help="Upper limit of the first wait.  [default: 1 s]")  # fmt: skip
@click.option("--backoff-max", metavar="INTERVAL",
              help="Upper limit of any wait.  [default: 1 h]")  # fmt: skip
@click.option("--lease", metavar="INTERVAL",
              help="When a silent worker is given up.  [default: 1 min]")  # fmt: skip
@json_option
@with_connection()
def subscribe(
    conn: Connection, /, name: str, sink: str, options: tuple[str, ...], kinds: tuple[str, ...],
    from_rev: str | None, as_json: bool, **settings: Any,
) -> None:  # fmt: skip
    """Have SINK get what is published, and every change from now on.

    Of a subscription that exists, what is given is changed; the rest stays, and it goes on where it
    is. Sinks: webhook, redis, nats, rabbitmq, kafka, sqs, stdout, and what you installed.
    """
    if sink in third_party():
        room.register_sink(conn, sink)
    if from_rev == "head":
        settings["from_rev"] = call(conn, "select public.publish_head()")[0]
    elif from_rev is not None:
        settings["from_rev"] = click.INT(from_rev)
    given = {"name": name, "sink": sink} | {
        key: value for key, value in settings.items() if value is not None
    }
    if options:
        given["options"] = json.dumps(dict(map(_option, options)))
    if kinds:
        given["kinds"] = list(kinds)
    arguments = sql.SQL(", ").join(
        sql.SQL("{} => {}").format(sql.Identifier(key), sql.Placeholder(key)) for key in given
    )
    conn.execute(sql.SQL("select public.publish_subscribe({})").format(arguments), given)
    _done(as_json, f"subscribed {name}", subscription=name)


def _done(as_json: bool, said: str, **facts: Any) -> None:
    click.echo(json.dumps(facts) if as_json else said)


@click.command()
@click.argument("name")
@json_option
@with_connection()
def unsubscribe(conn: Connection, name: str, as_json: bool) -> None:
    """Remove subscription NAME with its position, retries and dead letters."""
    call(conn, "select public.publish_unsubscribe(%s)", name)
    _done(as_json, f"unsubscribed {name}", subscription=name)


@click.command()
@click.argument("name")
@click.argument("rev", type=click.IntRange(0))
@json_option
@with_connection()
def seek(conn: Connection, name: str, rev: int, as_json: bool) -> None:
    """Have NAME go on after REV: 0 sends everything again."""
    call(conn, "select public.publish_seek(%s, %s)", name, rev)
    _done(as_json, f"{name} goes on after rev {rev}", subscription=name, rev=rev)


@click.command()
@click.argument("name")
@json_option
@with_connection()
def pause(conn: Connection, name: str, as_json: bool) -> None:
    """Send nothing more for NAME until it is resumed."""
    call(conn, "select public.publish_pause(%s)", name)
    _done(as_json, f"paused {name}", subscription=name)


@click.command()
@click.argument("name")
@json_option
@with_connection()
def resume(conn: Connection, name: str, as_json: bool) -> None:
    """Send again for NAME: after a pause, after a 410, or at once while its endpoint fails."""
    call(conn, "select public.publish_resume(%s)", name)
    _done(as_json, f"resumed {name}", subscription=name)


@click.group()
def dead() -> None:
    """What was given up: look at it, try it again, forget it."""


@dead.command("list")
@click.argument("name", required=False)
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True)
@json_option
@with_connection()
def dead_list(conn: Connection, name: str | None, limit: int, as_json: bool) -> None:
    """List dead letters, of NAME or of all subscriptions, the newest first."""
    with conn.cursor(row_factory=dict_row) as cursor:
        found = cursor.execute(
            "select * from public.publish_dead_letters(%s, %s)", [name, limit]
        ).fetchall()
    show_rows(found, as_json, none="there is no dead letter")


key_option = click.option("--pub-id", type=click.UUID, help="Only the one of this key.")
class_option = click.option("--class", "kind", help="Only those of this class, such as rejected.")


@dead.command("redrive")
@click.argument("name")
@key_option
@class_option
@json_option
@with_connection()
def dead_redrive(conn: Connection, name: str, pub_id: Any, kind: str | None, as_json: bool) -> None:
    """Try NAME's dead letters again; each sends what is published now.

    Stop it at any time: the next run goes on after the last page. It runs as the job
    `redrive:NAME`, which `pgpublish jobs` shows.
    """
    call(conn, "select * from publish.sink_of(%s)", name)  # is there such a subscription?
    wanted = {"subscription": name, "pub_id": pub_id and str(pub_id), "class": kind}
    try:
        with (
            stop_on_signals() as stop,
            jobs.start(
                conn, f"redrive:{name}", kind="redrive", data=wanted, max_attempts=MAX_ATTEMPTS
            ) as job,
        ):
            job.stop_at(stop)
            if any(job.data.get(key) != value for key, value in wanted.items()):
                job.save(**wanted, after=None)
            room.redrive_job(conn, job)
    except jobs.Returned:
        log(f"stopped; `pgpublish dead redrive {name}` goes on after the last page")
        raise SystemExit(1) from None
    count = job.data["redriven"]
    _done(as_json, f"{count:,} will be tried again", subscription=name, redriven=count)


@dead.command("discard")
@click.argument("name")
@key_option
@class_option
@json_option
@with_connection()
def dead_discard(conn: Connection, name: str, pub_id: Any, kind: str | None, as_json: bool) -> None:
    """Forget NAME's dead letters."""
    count = 0
    while found := call(conn, "select public.publish_discard(%s, %s, %s)", name, pub_id, kind)[0]:
        count += found
    _done(as_json, f"{count:,} forgotten", subscription=name, discarded=count)


COMMANDS: list[click.Command] = [
    deliver, run_command, subscriptions, subscribe, unsubscribe, seek, pause, resume, dead,
]  # fmt: skip
