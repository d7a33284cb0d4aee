"""Commands that begin and end the publishing of a view: publish, unpublish and rename."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime
from threading import Event
from typing import Any

import click

from pgpublish import drain as drain_room
from pgpublish import walk as walk_room
from pgpublish.cli.console import (
    done,
    json_option,
    stop_on_signals,
    with_connection,
)
from pgpublish.cli.define import split
from pgpublish.cli.walk import watch
from pgpublish.database import Connection, call, rows
from pgpublish.errors import BadArgument, Differs, MissingPart
from pgpublish.terminal import printable, say, say_json
from pgpublish.walk import Walk

DRAIN_S = 0.5  # between two looks at the walk
SAME = "Nothing to change: it is captured like this already."
ATTEMPTS = 2  # of a page of the walk
EMPTY = "publish.nothing"

yes_option = click.option("--yes", is_flag=True, help="Do not ask.")


@click.command()
@click.argument("view")
@click.option("--kind", help="Name of what is published. Default: the view's name.")
@click.option("--key", metavar="COLUMN,…", help="Columns of VIEW that no two rows share.")
@click.option("--dry-run", is_flag=True, help="Show the plan and its SQL, and change nothing.")
@yes_option
@json_option
@with_connection()
def publish(
    conn: Connection,
    view: str,
    kind: str | None,
    key: str | None,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Publish VIEW: capture all tables that it reads.

    It finds the key of VIEW, and publishes all rows. It shows a plan first: for each table, how a
    write there finds the keys that it changes, by which index, and about how many they are. If it
    cannot tell, it says why and changes nothing. Run it again after you changed the view: it shows
    and applies the difference. --json prints the plan and its SQL as one object, and asks nothing:
    add --yes to apply it.
    """
    plans, applying, printing = parts()
    name = kind or plans.bare(view)
    plan = plans.make(conn, view, name, split(key))
    before = plans.defined(conn, name)
    made = [] if plan.reasons else applying.statements(conn, plan, before)
    if as_json:
        say_json({**asdict(plan), "sql": made})
    for line in [] if as_json else printing.lines(plan):
        say(printable(line))
    if before.view not in (None, plan.view, EMPTY) and not as_json:
        say(f"\nnote: {printable(name)} shows {before.view} now")
    if plan.reasons:
        raise BadArgument(
            f"{plan.view} cannot be published by this command",
            detail="The reasons are in the plan.",
            hint="Change the view, or write publish_define and publish_capture by hand.",
        )
    if not as_json:
        say("\n" + (";\n".join(made) + ";" if made else SAME))
    if dry_run or (as_json and not yes):
        return
    if not yes:
        click.confirm("\nPublish it?" if made else "\nPublish its rows again?", abort=True)
    applying.apply(conn, made)
    follow(conn, name, as_json)
    noted = rows(conn, "select * from publish.varying(to_regclass(%s::text))", plan.view)
    known = {row["problem"] for row in noted}  # said with the plan
    found = rows(conn, "select * from public.publish_audit(%s::text)", name)
    problems = [row for row in found if row["problem"] not in known]
    for row in problems:
        said = f"{printable(row['object'])}: {printable(row['problem'])}\n  hint: {row['hint']}"
        say(said, err=as_json)
    if problems:
        raise Differs(f"{len(problems)} problems", hint=f"Then: pgpublish audit {name}")
    say(f"{printable(name)} is published; `pgpublish run` or `drain` keeps it so", err=as_json)


def parts() -> tuple[Any, Any, Any]:
    """The modules that need the extra. Raises MissingPart."""
    try:
        from pgpublish.plan import applying, plan, printing
    except ModuleNotFoundError as error:
        raise MissingPart(
            "this command needs PostgreSQL's grammar",
            detail=str(error),
            hint="pip install 'pgpublish[plan]'",
        ) from error
    return plan, applying, printing


def follow(conn: Connection, kind: str, as_json: bool) -> None:
    """Has all rows published, by this session if no other drains, and shows how far it is."""
    with stop_on_signals() as stop:
        asked_at = walk_room.ask(conn, kind)
        last = watch(kind, drained(conn, kind, asked_at, stop))
        if last is None or last.ended_at is None:
            say("stopped; the next drain goes on. See: pgpublish backfill " + kind, err=True)
            raise SystemExit(1)
        while drain_once(conn) and not stop.is_set():
            pass
    say(f"published {last.marked:,} {'key' if last.marked == 1 else 'keys'}", err=as_json)


def drained(conn: Connection, kind: str, asked_at: datetime, stop: Event) -> Iterator[Walk]:
    for walk in walk_room.follow(conn, kind, asked_at, stop):
        yield walk
        if walk.message and walk.attempts >= ATTEMPTS:
            raise BadArgument(
                "its rows cannot be published",
                detail=walk.message,
                hint=f"Correct the view; the walk is retried. See: pgpublish audit {kind}",
            )
        end = time.monotonic() + DRAIN_S
        while time.monotonic() < end and not stop.is_set() and drain_once(conn):
            pass


def drain_once(conn: Connection) -> bool:
    """Whether there was something; not if another session drains."""
    step = drain_room.drain(conn)
    return step.scanned > 0 and not step.busy


@click.command()
@click.argument("kind")
@yes_option
@json_option
@with_connection()
def unpublish(conn: Connection, kind: str, yes: bool, as_json: bool) -> None:
    """Stop publishing KIND: readers get a deletion for each key.

    It removes the triggers and keeps the view and its tables; a payload kind takes no more
    payloads. The next drains publish the deletions. `publish`, or `define` for a payload kind,
    brings it back, with the same pub_ids.
    """
    views = {row["kind"]: row["view"] for row in rows(conn, "select * from public.publish_kinds()")}
    found = rows(conn, "select * from public.publish_subscriptions()")
    names = sorted({row["name"] for row in found if row["kinds"] is None or kind in row["kinds"]})
    if names and not as_json:
        say(f"these subscriptions get the deletions: {printable(', '.join(names))}")
    if not yes:
        click.confirm(f"Delete {kind} from the feed?", abort=True)
    tables = call(conn, "select public.publish_undefine(%s::text)", kind)[0]
    ended = (
        f"{tables} tables are no longer captured"
        if views[kind]
        else f"{kind} takes no more payloads"
    )
    said = f"{ended}; the drain publishes the deletions of {kind}"
    done(as_json, said, kind=kind, tables=tables, subscriptions=names)


@click.command()
@click.argument("kind")
@click.argument("name")
@yes_option
@json_option
@with_connection()
def rename(conn: Connection, kind: str, name: str, yes: bool, as_json: bool) -> None:
    """Give KIND another NAME.

    Each key is published again under it, with its pub_id. Captures, settings and subscriptions
    follow. Readers that ask for KIND must ask for NAME then.
    """
    if not yes:
        click.confirm(f"Publish every key of {kind} again, as {name}?", abort=True)
    keys = call(conn, "select public.publish_rename(%s::text, %s::text)", kind, name)[0]
    done(as_json, f"{kind} is {name} now: {keys:,} keys", kind=kind, name=name, keys=keys)


COMMANDS = (publish, unpublish, rename)
