"""The commands about dead letters."""

from __future__ import annotations

from typing import Any

import click

from pgpublish import jobs
from pgpublish.cli.console import done, json_option, log, stop_on_signals, with_connection
from pgpublish.cli.tables import show_rows
from pgpublish.database import Connection, call, rows, watch
from pgpublish.deliver import redrive_job

DISCARD = "select public.publish_discard(%s::text, %s::uuid, %s::text, 10000)"
MAX_ATTEMPTS = 1_000_000  # who types the command decides when it has failed too often


@click.group()
def dead() -> None:
    """List, retry or discard dead letters."""


@dead.command("list")
@click.argument("name", required=False)
@click.option(
    "--limit",
    type=click.IntRange(1),
    default=100,
    show_default=True,
    help="Maximum number of dead letters to show.",
)
@json_option
@with_connection()
def dead_list(conn: Connection, name: str | None, limit: int, as_json: bool) -> None:
    """List dead letters, the newest first.

    Of NAME, or of all subscriptions.
    """
    found = rows(conn, "select * from public.publish_dead_letters(%s::text, %s::int)", name, limit)
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
    """Try NAME's dead letters again.

    Each sends what is published now. Stop it at any time: the next run goes on after the last
    page. It runs as the job `redrive:NAME`, which `pgpublish jobs` shows.
    """
    call(conn, "select * from publish.sink_of(%s)", name)  # is there such a subscription?
    wanted = {"subscription": name, "pub_id": pub_id and str(pub_id), "class": kind}
    try:
        with (
            stop_on_signals() as stop,
            jobs.start(
                watch(conn, stop),
                f"redrive:{name}",
                kind="redrive",
                data=wanted,
                max_attempts=MAX_ATTEMPTS,
            ) as job,
        ):
            job.stop_at(stop)
            if any(job.data.get(key) != value for key, value in wanted.items()):
                job.save(**wanted, after=None)
            redrive_job(conn, job)
    except jobs.Returned:
        log(f"stopped; `pgpublish dead redrive {name}` goes on after the last page")
        raise SystemExit(1) from None
    count = job.data["redriven"]
    done(as_json, f"{count:,} will be tried again", subscription=name, redriven=count)


@dead.command("discard")
@click.argument("name")
@key_option
@class_option
@json_option
@with_connection()
def dead_discard(conn: Connection, name: str, pub_id: Any, kind: str | None, as_json: bool) -> None:
    """Forget NAME's dead letters."""
    count = 0
    while found := call(conn, DISCARD, name, pub_id, kind)[0]:
        count += found
    done(as_json, f"{count:,} forgotten", subscription=name, discarded=count)


COMMANDS: list[click.Command] = [dead]
