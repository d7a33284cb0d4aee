"""The commands that show and change settings."""

from __future__ import annotations

import click

from pgpublish.cli.console import done, json_option, with_connection
from pgpublish.cli.tables import show_rows
from pgpublish.database import Connection, call, rows


@click.command("settings")
@json_option
@with_connection()
def settings_command(conn: Connection, as_json: bool) -> None:
    """List the settings: value, default, bounds and meaning.

    A kind that has its own value is a row of its own.
    """
    show_rows(rows(conn, "select * from public.publish_settings()"), as_json, none="no settings")


@click.command("set")
@click.argument("name")
@click.argument("value", required=False)
@click.option("--kind", help="Only for this kind.")
@click.option("--default", "reset", is_flag=True, help="Back to the default.")
@json_option
@with_connection()
def set_command(
    conn: Connection, name: str, value: str | None, kind: str | None, reset: bool, as_json: bool
) -> None:
    """Set NAME to VALUE.

    As in: pgpublish set tombstone_retention '90 days'.
    """
    if (value is None) != reset:
        raise click.UsageError("Pass a value, or --default.")
    now = call(conn, "select public.publish_set(%s::text, %s::text, %s::text)", name, value, kind)[
        0
    ]
    of = f" of {kind}" if kind else ""
    done(as_json, f"{name}{of} is {now or 'not set'}", name=name, kind=kind, value=now)


COMMANDS = (settings_command, set_command)
