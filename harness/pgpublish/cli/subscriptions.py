"""The commands about subscriptions."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator
from datetime import datetime
from typing import Any, LiteralString

import click

from pgpublish import sinks
from pgpublish.cli.console import done, json_option, log, with_connection
from pgpublish.cli.durations import Interval
from pgpublish.cli.tables import short, show_rows
from pgpublish.database import Connection, call, rows
from pgpublish.deliver import register_sink
from pgpublish.errors import PublishError
from pgpublish.terminal import printable, say

SUBSCRIBE = (
    "select public.publish_subscribe(%s::text, %s::text, %s::jsonb, %s::text[], %s::bigint,"
    " %s::int, %s::int, %s::interval, %s::interval, %s::interval, %s::boolean, %s::numeric,"
    " %s::text, %s::interval, %s::text)"
)
ARGUMENTS = (
    *("name", "sink", "options", "kinds", "from_rev", "lanes", "max_attempts", "backoff_min"),
    *("backoff_max", "lease", "key", "rate", "on_reset", "give_up_after", "filter"),
)
WIDTH = 80
NAME_WIDTH = 20


@click.command()
@json_option
@with_connection()
def subscriptions(conn: Connection, as_json: bool) -> None:
    """List subscriptions, and what each waits for.

    Shows state, backlog and what failed last. "oldest" is the age of the oldest change that is not
    delivered, retries included. --json has all columns of publish_subscriptions().
    """
    found = rows(conn, "select * from public.publish_subscriptions()")
    if as_json:
        show_rows(found, True, none="")
        return
    show_rows([summary(row) for row in found], False, none="there is no subscription")
    for row in found:
        for line in reasons(row):
            say(
                textwrap.fill(
                    printable(f"{row['name']}: {line}"),
                    WIDTH,
                    subsequent_indent="  ",
                    break_on_hyphens=False,
                )
            )


def summary(row: dict[str, Any]) -> dict[str, Any]:
    """A row of at most 80 columns."""
    return {
        "name": short(row["name"], NAME_WIDTH),
        "state": row["state"],
        "behind": row["behind"],
        "oldest": row["lag"],
        "retries": row["retries"],
        "dead": row["dead"],
    }


def reasons(row: dict[str, Any]) -> Iterator[str]:
    """Why it stands, or what failed last."""
    if row["reason"]:
        yield row["reason"]
    if row["fault"]:
        yield f"cannot send: {row['fault']}"
    if row["waits_for"]:
        until = f" until {local(row['due_at'])}" if row["waits_for"] == "time" else ""
        circuit = "" if row["circuit"] == "closed" else f", its circuit is {row['circuit']}"
        yield f"waits for {row['waits_for']}{until}{circuit}"
    if row["last_error"] and (row["retries"] or row["dead"] or row["circuit"] != "closed"):
        at = local(row["last_error_at"])
        yield f"failed last ({row['last_error_class']}, {at}): {row['last_error']}"


def local(at: datetime) -> str:
    return at.astimezone().isoformat(" ", "seconds")


def _option(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals:
        raise click.BadParameter(f"{text} is not NAME=VALUE")
    try:
        return name, json.loads(value)
    except (ValueError, RecursionError):
        return name, value


@click.command()
@click.argument("name")
@click.argument("sink")
@click.option(
    "--option",
    "-o",
    "options",
    multiple=True,
    metavar="NAME=VALUE",
    help="Of the sink; JSON or text. env:NAME is a variable; null removes.",
)
@click.option(
    "--kind",
    "kinds",
    multiple=True,
    help="Only this kind; may be given again. '*' is all.  [default: '*']",
)
@click.option("--key/--no-key", default=None, help="Send each change with its key in the source.")
@click.option("--from-rev", metavar="REV", help="Begin after this rev, or at `head`.  [default: 0]")
@click.option("--lanes", type=int, help="Parts delivered at the same time.  [default: 1]")
@click.option("--max-attempts", type=int, help="Failures that make a dead letter.  [default: 15]")
@click.option(
    "--backoff-min", type=Interval(), help="Upper limit of the first wait.  [default: 1 s]"
)
@click.option("--backoff-max", type=Interval(), help="Upper limit of any wait.  [default: 1 h]")
@click.option(
    "--lease", type=Interval(), help="When a silent worker is given up.  [default: 1 min]"
)
@click.option("--rate", type=float, help="Changes a second, at most.  [default: no limit]")
@click.option("--filter", metavar="SQL", help="Only changes whose payload is so; '' is all.")
@click.option(
    "--on-reset",
    type=click.Choice(["resync", "pause", "continue"]),
    help="When the database lost changes that were sent.  [default: resync]",
)
@click.option(
    "--give-up-after",
    type=Interval(),
    help="A change that fails for so long is a dead letter.  [default: 7 days]",
)
@json_option
@with_connection()
def subscribe(
    conn: Connection,
    /,
    name: str,
    sink: str,
    options: tuple[str, ...],
    kinds: tuple[str, ...],
    from_rev: str | None,
    as_json: bool,
    **settings: Any,
) -> None:
    """Send what is published, and every change, to SINK.

    Of a subscription that exists, what is given is changed; the rest stays, and it goes on where it
    is. Sinks: webhook, stdout, the brokers of docs/deliver-broker.md, and what you installed.
    """
    if sink in sinks.third_party():
        register_sink(conn, sink)
    if from_rev == "head":
        settings["from_rev"] = call(conn, "select public.publish_head()")[0]
    elif from_rev is not None:
        settings["from_rev"] = click.INT(from_rev)
    given = settings | {"name": name, "sink": sink, "kinds": list(kinds) or None}
    if options:
        given["options"] = json.dumps(dict(map(_option, options)))
    call(conn, SUBSCRIBE, *map(given.get, ARGUMENTS))
    done(as_json, f"subscribed {name}", subscription=name)
    _, made_of, _ = call(conn, "select * from publish.sink_of(%s)", name)
    try:
        sinks.check(sink, made_of)
    except PublishError as error:  # it may work where the worker is, or later
        log(f"{name} cannot work from here: {error.message}; {error.detail} {error.hint}")


def command(
    name: str, query: LiteralString, said: str, about: str, argument: click.Argument | None = None
) -> click.Command:
    """A command that has one function do something with subscription NAME."""

    @click.command(name, help=about)
    @click.argument("name")
    @json_option
    @with_connection()
    def run(conn: Connection, /, name: str, as_json: bool, **more: Any) -> None:
        call(conn, query, name, *more.values())
        done(as_json, said.format(name=name, **more), subscription=name, **more)

    if argument is not None:
        run.params.insert(1, argument)
    return run


COMMANDS: list[click.Command] = [
    subscriptions,
    subscribe,
    command(
        "unsubscribe",
        "select public.publish_unsubscribe(%s::text)",
        "unsubscribed {name}",
        "Remove a subscription, its retries and its dead letters.",
    ),
    command(
        "seek",
        "select public.publish_seek(%s::text, %s::bigint)",
        "{name} goes on after rev {rev}",
        "Continue NAME after another REV; 0 sends everything again.",
        click.Argument(["rev"], type=click.IntRange(0)),
    ),
    command(
        "pause",
        "select public.publish_pause(%s::text)",
        "paused {name}",
        "Stop sending to NAME until you resume it.",
    ),
    command(
        "resume",
        "select public.publish_resume(%s::text)",
        "resumed {name}",
        "Send to NAME again: after a pause, a 410, or at once.",
    ),
    command(
        "resync",
        "select public.publish_resync(%s::text)",
        "{name} is sent everything again",
        "Send everything to NAME again, after data was lost.",
    ),
]
