"""Thin commands for scripts: define, capture and enqueue."""

from __future__ import annotations

import sys

import click

from pgpublish import exact
from pgpublish.cli.console import done, json_option, with_connection
from pgpublish.cli.durations import Interval
from pgpublish.database import Connection, call
from pgpublish.errors import BadArgument


def split(text: str | None) -> list[str] | None:
    return None if text is None else [part.strip() for part in text.split(",")]


@click.command()
@click.argument("kind")
@click.argument("view", required=False)
@click.option("--key", metavar="COLUMN,…", help="Its key columns. Default: id.")
@click.option(
    "--schema-version",
    type=int,
    default=1,
    show_default=True,
    help="A higher one publishes every key again.",
)
@click.option("--validator", metavar="FUNCTION", help="Returns boolean, as in check_note(jsonb).")
@click.option(
    "--retention",
    type=Interval(),
    help="How long a key is kept after its last change, as in '30 days'; with a VIEW, a deletion.",
)
@click.option(
    "--scope",
    metavar="COLUMN",
    help="The column that says whose a row is, such as tenant_id; '' for none. Default: as before.",
)
@click.option(
    "--show-key/--hide-key",
    default=None,
    help="Whether readers see the source key. Default: as before, at first hidden.",
)
@json_option
@with_connection()
def define(
    conn: Connection,
    kind: str,
    view: str | None,
    key: str | None,
    schema_version: int,
    validator: str | None,
    retention: str | None,
    scope: str | None,
    show_key: bool | None,
    as_json: bool,
) -> None:
    """Define KIND by a VIEW, or without one for payloads."""
    call(
        conn,
        "select public.publish_define(%s::text, %s::regclass, %s::text[], %s::int,"
        " %s::regprocedure, %s::interval, %s::text, %s::boolean)",
        kind,
        view,
        split(key),
        schema_version,
        validator,
        retention,
        scope,
        show_key,
    )
    done(as_json, f"defined {kind}", kind=kind)


@click.command()
@click.argument("kind")
@click.argument("table")
@click.option("--key", metavar="SQL", help="What in a row of TABLE is the key.")
@click.option("--lookup", metavar="SQL", help="A query from $1, an array of keys, to KIND's keys.")
@click.option("--columns", metavar="COLUMN,…", help="Only updates of these matter.")
@click.option("--always", is_flag=True, help="Also capture what replication applies.")
@json_option
@with_connection()
def capture(
    conn: Connection,
    kind: str,
    table: str,
    key: str | None,
    lookup: str | None,
    columns: str | None,
    always: bool,
    as_json: bool,
) -> None:
    """Capture TABLE: have each write to it mark keys of KIND."""
    call(
        conn,
        "select public.publish_capture(%s::text, %s::regclass, %s::text, %s::text[], %s::boolean,"
        " %s::text)",
        kind,
        table,
        key,
        split(columns),
        always,
        lookup,
    )
    done(as_json, f"{table} marks keys of {kind}", kind=kind, table=table)


@click.command()
@click.argument("kind")
@click.argument("source_id")
@click.argument("payload", required=False)
@click.option("--delete", is_flag=True, help="Publish that the key is gone.")
@click.option("--headers", metavar="JSON", help="An object that travels with the change.")
@click.option("--available-at", metavar="TIME", help="Publish it at this time, not before.")
@json_option
@with_connection()
def enqueue(
    conn: Connection,
    kind: str,
    source_id: str,
    payload: str | None,
    delete: bool,
    headers: str | None,
    available_at: str | None,
    as_json: bool,
) -> None:
    """Mark a key of KIND, with a payload if KIND has no view.

    PAYLOAD is JSON, or - for stdin.
    """
    if payload == "-":
        payload = sys.stdin.read()
    for text in (payload, headers):
        check_json(text)
    number = call(
        conn,
        "select public.publish_enqueue(%s::text, %s::text, %s::jsonb, %s::boolean, %s::jsonb,"
        " %s::timestamptz)",
        kind,
        source_id,
        payload,
        delete,
        headers,
        available_at,
    )[0]
    done(as_json, f"enqueued {source_id} of {kind}", kind=kind, source_id=source_id, number=number)


def check_json(text: str | None) -> None:
    try:
        exact.loads(text or "null")
    except ValueError as error:
        raise BadArgument(
            "this is not JSON", detail=str(error), hint="Pass JSON, as in '{\"a\": 1}'."
        ) from error


COMMANDS = (define, capture, enqueue)
