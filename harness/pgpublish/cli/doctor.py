"""The command that says what is wrong."""

from __future__ import annotations

from dataclasses import asdict

import click

from pgpublish.cli.console import json_option, with_connection
from pgpublish.cli.cron import in_option, run
from pgpublish.cli.durations import Interval
from pgpublish.database import Connection, call
from pgpublish.doctor import cron_findings, doctor
from pgpublish.errors import Differs
from pgpublish.terminal import printable, say, say_json


@click.command("doctor")
@click.option(
    "--old",
    type=Interval(),
    default="15 minutes",
    show_default=True,
    help="What waits or lasts for so long is wrong.",
)
@in_option
@json_option
@with_connection(current=False)
def doctor_command(conn: Connection, old: str, elsewhere: str | None, as_json: bool) -> None:
    """Say what is wrong, and how to fix it.

    Exits with 6 if there is something. An error stops something now, a warning will. As a member of
    pg_monitor it sees how long the transactions of others last.
    """
    found = doctor(conn, old)
    if elsewhere is not None and all(finding.name != "version" for finding in found):
        found += cron_findings(conn, run(conn, elsewhere, "list"), elsewhere)
    for finding in found:
        if as_json:
            say_json(asdict(finding))
        else:
            say(
                f"{finding.severity}: {finding.name}: {printable(finding.object)}:"
                f" {printable(finding.problem)}\n  fix: {printable(finding.fix)}"
            )
    (sees_all,) = call(conn, "select pg_has_role('pg_read_all_stats'::name, 'usage'::text)")
    if not sees_all:
        say("not looked at, as it needs pg_monitor: how long transactions of others last", err=True)
    if not found:
        say("nothing is wrong", err=True)
        return
    errors = sum(finding.severity == "error" for finding in found)
    raise Differs(f"{errors} errors, {len(found) - errors} warnings")


COMMANDS = (doctor_command,)
