"""The commands that have pg_cron drain and maintain."""

from __future__ import annotations

import click
import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo
from psycopg.rows import dict_row

from pgpublish.cli.console import Database, done, json_option, with_connection
from pgpublish.cli.durations import Interval
from pgpublish.cli.tables import show_rows
from pgpublish.database import Connection, connect, tuples
from pgpublish.errors import DatabaseError

in_option = click.option(
    "--in", "elsewhere", metavar="DATABASE", help="Where pg_cron is, if it is not this database."
)


@click.group()
def cron() -> None:
    """Let pg_cron drain and maintain."""


@cron.command()
@click.option(
    "--every",
    type=Interval(),
    default="1 minute",
    show_default=True,
    help="Or seconds, as in '2 seconds', from pg_cron 1.5.",
)
@in_option
@json_option
@with_connection()
def install(conn: Connection, every: str, elsewhere: str | None, as_json: bool) -> None:
    """Schedule the jobs, as the role that this command logs in as; again: change them."""
    run(conn, elsewhere, "unschedule")
    jobs = len(run(conn, elsewhere, "schedule", every))
    done(as_json, f"pg_cron runs {jobs} jobs", jobs=jobs)


@cron.command()
@in_option
@json_option
@with_connection()
def remove(conn: Connection, elsewhere: str | None, as_json: bool) -> None:
    """Remove these jobs."""
    jobs = len(run(conn, elsewhere, "unschedule"))
    done(as_json, f"removed {jobs} jobs", jobs=jobs)


@cron.command()
@in_option
@json_option
@with_connection()
def show(conn: Connection, elsewhere: str | None, as_json: bool) -> None:
    """List these jobs, each with how its last run ended."""
    show_rows(run(conn, elsewhere, "list"), as_json, none="no job of this database and role")


def run(
    conn: Connection, elsewhere: str | None, action: str, every: str = "1 minute"
) -> list[dict[str, object]]:
    """All rows of what publish.cron_sql says, in the database where pg_cron is."""
    if elsewhere is None or elsewhere == conn.info.dbname:
        tuples(conn, "select publish.check_cron(%s::interval)", every)
        return _run(conn, conn, action, every, False)
    database = click.get_current_context().find_object(Database)
    assert database is not None
    with connect(make_conninfo(database.url or "", dbname=elsewhere)) as there:
        try:
            return _run(conn, there, action, every, True)
        except psycopg.errors.InsufficientPrivilege as error:
            role = sql.Identifier(conn.info.user).as_string()
            raise DatabaseError(
                error.diag.message_primary or str(error),
                detail=f"In database {elsewhere}.",
                hint=f"Have its administrator run there: grant usage on schema cron to {role};"
                f" grant execute on function cron.schedule_in_database to {role}",
                sqlstate=error.sqlstate or "",
            ) from error


def _run(
    conn: Connection, there: Connection, action: str, every: str, elsewhere: bool
) -> list[dict[str, object]]:
    statements = tuples(
        conn,
        "select publish.cron_sql(%s::text, %s::interval, %s::boolean)",
        action,
        every,
        elsewhere,
    )
    with there.transaction(), there.cursor(row_factory=dict_row) as cursor:
        return [row for (said,) in statements for row in cursor.execute(said.encode()).fetchall()]


COMMANDS = (cron,)
