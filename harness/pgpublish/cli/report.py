"""`pgpublish report`: one page of HTML."""

from __future__ import annotations

from pathlib import Path

import click

from pgpublish import operate, report
from pgpublish.cli.console import with_connection
from pgpublish.database import Connection
from pgpublish.errors import BadArgument
from pgpublish.terminal import say_as_is


@click.command("report")
@click.option(
    "--output",
    "-o",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write it there, not to stdout.",
)
@with_connection()
def report_command(conn: Connection, output: Path | None) -> None:
    """Write what status shows, with curves, as one HTML page.

    It refers to nothing outside, so that it can be mailed or kept.
    """
    page = report.page(operate.overview(conn), operate.running_jobs(conn))
    if output is None:
        say_as_is(page)
        return
    try:
        output.write_text(page, encoding="utf-8")
    except OSError as error:
        raise BadArgument(
            "the report cannot be written",
            detail=f"{output}: {error.strerror}",
            hint="Name a file in a folder where you may write.",
        ) from error


COMMANDS: list[click.Command] = [report_command]
