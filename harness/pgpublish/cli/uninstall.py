"""The command that takes pgpublish out of a database."""

from __future__ import annotations

from typing import Any

import click
import psycopg
from psycopg import sql

from pgpublish import installed
from pgpublish.cli.console import done, json_option, with_connection
from pgpublish.database import Connection, rows
from pgpublish.errors import BadArgument, Locked, translate
from pgpublish.terminal import printable, say

ROLES = ("owner", "projector", "writer", "reader", "worker", "admin", "server")


@click.command("uninstall")
@click.option("--cascade", is_flag=True, help="Drop what of yours needs pgpublish as well.")
@click.option("--roles", is_flag=True, help="Drop the roles too, if no other database has them.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
@with_connection(current=False)
def uninstall_command(
    conn: Connection, cascade: bool, roles: bool, yes: bool, as_json: bool
) -> None:
    """Take pgpublish out of the database.

    Schema, functions, triggers and grants go. Your tables, views and data stay as they are. It
    says first what goes. Stop the workers before, and remove the jobs of pg_cron: pgpublish
    cron remove.
    """
    notes = rows(conn, "select * from public.publish_uninstall_notes()")
    if not as_json:
        for note in notes:
            say(f"{printable(note['object'])}: {printable(note['effect'])}")
    require_free(notes, cascade)
    prefix = installed.role_prefix(conn, None)
    ours = [f"{prefix}publish_{role}" for role in ROLES]
    names = sql.SQL(", ").join(map(sql.Identifier, ours))
    if not yes:
        click.confirm("Remove pgpublish from this database?", abort=True)
    try:
        with conn.transaction():
            conn.execute("set local lock_timeout = '5s'")
            joined = join(conn, ours)
            conn.execute(sql.SQL("drop owned by {} cascade").format(names))
            if joined:
                conn.execute(sql.SQL("revoke {} from current_user").format(joined))
    except psycopg.errors.LockNotAvailable as error:
        raise Locked(
            "a table is in use", detail=translate(error).message, hint="Try again later."
        ) from error
    if roles:
        conn.execute(sql.SQL("drop role {}").format(names))
    done(as_json, "pgpublish is gone", removed=[note["object"] for note in notes])


def join(conn: Connection, roles: list[str]) -> sql.Composed | None:
    """Makes this user a member of those that it is not a member of, as only who made them or a
    superuser may; returns them. PostgreSQL drops what a role owns for its members only."""
    others = conn.execute(
        "select r.rolname from pg_catalog.pg_roles r where r.rolname = any (%s)"
        " and not pg_catalog.pg_has_role(r.oid, 'usage') order by r.rolname",
        [roles],
    ).fetchall()
    if not others:
        return None
    names = sql.SQL(", ").join(sql.Identifier(name) for (name,) in others)
    conn.execute(sql.SQL("grant {} to current_user").format(names))
    return names


def require_free(notes: list[dict[str, Any]], cascade: bool) -> None:
    """Raises BadArgument if something of others is in the way."""
    for blocks, hint in (
        ("owner", "Give each another owner: reassign owned, or alter … owner to."),
        ("cascade", "Change what needs it, or pass --cascade."),
    ):
        names = [note["object"] for note in notes if note["blocks"] == blocks]
        if names and not (cascade and blocks == "cascade"):
            raise BadArgument("this is yours, and in the way", detail="; ".join(names), hint=hint)


COMMANDS = (uninstall_command,)
