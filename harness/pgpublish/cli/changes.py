"""The command that reads the feed."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from dataclasses import fields
from threading import Event

import click

from pgpublish import exact, feed
from pgpublish.cli.console import Database, batch_option, json_option, log, stop_on_signals
from pgpublish.cli.tables import plain, terminal_width
from pgpublish.errors import CursorInvalid
from pgpublish.terminal import json_line, printable, say


@click.command()
@click.option(
    "--since",
    metavar="REV",
    default="0",
    show_default=True,
    help="Changes after this rev, or after a cursor of publish_page.",
)
@click.option("--kind", "kinds", multiple=True, help="Only this kind; may be given again.")
@click.option("--follow", is_flag=True, help="Go on with new changes until interrupted.")
@batch_option
@json_option
@click.pass_obj
def changes(
    database: Database, since: str, kinds: tuple[str, ...], follow: bool, batch: int, as_json: bool
) -> None:
    """Print each key's newest change after a rev, in rev order.

    With --json, one JSON object a line.
    """
    with database.server(), stop_on_signals() if follow else nullcontext(Event()) as stop:
        database.require_current(stop)
        events = feed.follow(
            database.url,
            kinds=list(kinds) or None,
            cursor=since,
            batch=batch,
            wait=follow,
            stop=stop,
            warn=log,
        )
        held = since != "0"
        head = "" if as_json else CHANGE.format("rev", "kind", "pub_id", "deleted", "payload")
        for event in events:
            if isinstance(event, feed.Reset) and held:
                raise CursorInvalid(
                    "this cursor cannot be continued",
                    detail=event.reason,
                    hint="Drop what was read, and begin again at 0.",
                )
            held = True
            if isinstance(event, feed.Change):
                if head:
                    say(head)
                    head = ""
                say(change_line(event, as_json))
                sys.stdout.flush()


CHANGE = "{:>9}  {:<12}  {:<36}  {:<7}  {}"


def change_line(change: feed.Change, as_json: bool) -> str:
    if as_json:
        names = (field.name for field in fields(change) if field.name != "cursor")
        return json_line({name: plain(getattr(change, name)) for name in names})
    payload = "" if change.deleted else exact.dumps(change.payload, ascii_only=False)
    deleted = "yes" if change.deleted else "no"
    line = printable(CHANGE.format(change.rev, change.kind, str(change.pub_id), deleted, payload))
    width = terminal_width()
    return line if len(line) <= width else line[: width - 1] + "…"


COMMANDS = (changes,)
