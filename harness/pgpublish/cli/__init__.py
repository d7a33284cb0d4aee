"""The command. Data goes to stdout, everything else to stderr.

Exit codes: 0 done, 1 refused or failed, 2 wrong usage, 3 no connection, 4 the schema is missing or
of another version, 5 locked by somebody else, or publishing is off, 6 verify, audit, doctor or
status --check found something, 7 deliver --once could not deliver everything.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click
from click.core import ParameterSource
from psycopg.errors import Diagnostic

from pgpublish import (
    __version__,
    migrate,
    script,
)
from pgpublish import drain as drain_room
from pgpublish.cli import (
    capture,
    changes,
    check,
    completion,
    config,
    cron,
    dead,
    define,
    deliver,
    doctor,
    jobs,
    metrics,
    publish,
    report,
    serve,
    settings,
    status,
    subscriptions,
    top,
    uninstall,
    walk,
)
from pgpublish.cli.console import (
    Commands,
    Database,
    batch_option,
    json_option,
    reconnect,
    stop_on_signals,
    with_connection,
)
from pgpublish.cli.logs import Log, drains, flushed, format_option, quiet_option
from pgpublish.database import Connection
from pgpublish.errors import Locked, MissingPart
from pgpublish.presence import Presence
from pgpublish.resources import SqlFile
from pgpublish.terminal import say, say_as_is, say_json

EPILOG = """Exit codes: 0 done, 1 refused or failed, 2 wrong usage, 3 no connection, 4 pgpublish
is not installed there or is of another version, 5 locked by somebody else, or publishing
is off, 6 verify, audit, doctor or status --check found something, 7 deliver --once could not
deliver all."""


@click.group(cls=Commands, epilog=EPILOG)
@click.option(
    "--database-url",
    metavar="URL",
    envvar="DATABASE_URL",
    help="postgresql://… or host=… dbname=…; else DATABASE_URL, else `url` of pgpublish.toml, else"
    " libpq's PG* variables.",
)
@click.option(
    "--embedded",
    "use_embedded",
    is_flag=True,
    help="Run an embedded PostgreSQL for this command; its data stays in PGPUBLISH_HOME.",
)
@click.version_option(__version__)
@click.pass_context
def main(ctx: click.Context, database_url: str | None, use_embedded: bool) -> None:
    """Publish SQL views and payloads as a revisioned change feed inside PostgreSQL.

    Start with `pgpublish demo`. In your own database run `pgpublish migrate`, then `pgpublish
    publish VIEW`. `pgpublish COMMAND --help` says more.
    """
    if use_embedded:
        if ctx.get_parameter_source("database_url") is ParameterSource.COMMANDLINE:
            raise click.UsageError("--database-url and --embedded name two servers; pass one.")
        database_url = None
    ctx.obj = Database(database_url, use_embedded)


def show_warning(said: Diagnostic) -> None:
    """Warnings of the database, on stderr."""
    if said.severity_nonlocalized == "WARNING":
        text = f"warning: {said.message_primary}"
        say(text + (f"\n  hint: {said.message_hint}" if said.message_hint else ""), err=True)


def as_prefix(_ctx: click.Context, _parameter: click.Parameter, given: str | None) -> str | None:
    try:
        SqlFile("", "").naming(given or "")
    except ValueError as error:
        raise click.BadParameter(str(error)) from None
    return given


role_prefix_option = click.option(
    "--role-prefix",
    metavar="PREFIX",
    callback=as_prefix,
    help="Names roles PREFIXpublish_owner, PREFIXpublish_worker …; later commands know it.",
)


@main.command("migrate")
@click.option("--check", is_flag=True, help="Only say what would change; exit 4 if anything would.")
@role_prefix_option
@json_option
@with_connection(current=False)
def migrate_command(conn: Connection, check: bool, role_prefix: str | None, as_json: bool) -> None:
    """Install pgpublish in the database, or update it there."""
    conn.add_notice_handler(show_warning)
    files = migrate.check(conn) if check else migrate.migrate(conn, role_prefix)
    if as_json:
        say_json([file.path for file in files])
    elif check:
        for file in files:
            say(file.path)
    else:
        count = sum(file.path.startswith("migrations/") for file in files)
        say(
            f"applied {count} migrations and {len(files) - count} function files"
            if files
            else "nothing to do"
        )
    if check and files:
        raise SystemExit(4)


@main.command("sql")
@role_prefix_option
def sql_command(role_prefix: str | None) -> None:
    """Print all SQL of pgpublish, for `pgpublish sql | psql`."""
    say_as_is(script.ddl(role_prefix or ""))


@main.command()
@click.option("--once", is_flag=True, help="End when nothing is left to drain.")
@batch_option
@json_option
@quiet_option
@format_option
@click.pass_obj
def drain(
    database: Database, once: bool, batch: int, as_json: bool, quiet: bool, log_format: str
) -> None:
    """Publish what was marked, until SIGTERM.

    It wakes within milliseconds of a write. Several may run: one drains, the others stand by.
    Logs what the drains did on stderr, under load their sums each 10 s; with --json or --once
    prints a line for each drain. Without --once it also maintains: each minute.
    A drain may take 10 seconds; if the role or the database has a statement_timeout, that counts
    instead. What does not get through in this time is tried again in smaller parts, and in the end
    the slow key is set aside.
    """

    def report(drained: drain_room.Drained) -> None:
        if as_json:
            say_json(asdict(drained))
            return
        say(
            f"head {drained.head}: scanned {drained.scanned}, keys {drained.keys}, "
            f"published {drained.published}, unchanged {drained.unchanged}, "
            f"quarantined {drained.quarantined}"
        )

    logs = Log(quiet=quiet, as_json=log_format == "json")
    with database.server(), stop_on_signals() as stop, flushed(logs):
        if once:
            database.require_current(stop)
            with database.worker(stop) as conn:
                for drained in drain_room.drain_all(conn, batch, warn=logs.warn):
                    if drained.off:
                        raise Locked("publishing is off", hint="Run: pgpublish set publishing on")
                    if drained.busy:
                        raise Locked(
                            "another session is draining",
                            hint="Let it go on. If it never ends: pgpublish status names it.",
                        )
                    if drained.scanned:
                        report(drained)
                    if stop.is_set():
                        return
            return
        database.require_current(stop)
        presence = Presence("drain")
        reconnect(
            database,
            stop,
            lambda conn: drain_room.run(
                conn,
                stop,
                batch=batch,
                report=report if as_json else drains(logs),
                warn=logs.warn,
                presence=presence,
            ),
            warn=logs.warn,
        )


@main.command()
@click.option(
    "--keep",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Keep the server's data in DIR, to look around afterwards.",
)
@click.option(
    "--serve", is_flag=True, help="Then show a page with airports changing, until Ctrl-C."
)
def demo(keep: Path | None, serve: bool) -> None:
    """Show everything on an embedded server with real airports.

    Publishes 28,000 airports, edits some, and shows what arrives.
    """
    from pgpublish import demo as told

    try:
        told.run(keep, serve=serve)
    except MissingPart as error:
        error.hint = "pip install 'pgpublish[demo]'"  # with all that it needs, at once
        raise


for command in (
    *config.COMMANDS,
    *completion.COMMANDS,
    *publish.COMMANDS,
    *define.COMMANDS,
    *changes.COMMANDS,
    *check.COMMANDS,
    *capture.COMMANDS,
    *deliver.COMMANDS,
    *subscriptions.COMMANDS,
    *dead.COMMANDS,
    *jobs.COMMANDS,
    *walk.COMMANDS,
    *settings.COMMANDS,
    *cron.COMMANDS,
    *doctor.COMMANDS,
    *uninstall.COMMANDS,
    *metrics.COMMANDS,
    *status.COMMANDS,
    *top.COMMANDS,
    *report.COMMANDS,
    serve.serve,
):
    main.add_command(command)
completion.add_names(main.commands)
