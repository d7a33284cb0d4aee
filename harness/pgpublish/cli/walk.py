"""The command about walks over a whole kind: backfill."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable

import click

from pgpublish import walk as walk_room
from pgpublish.cli.console import done, json_option, stop_on_signals, with_connection
from pgpublish.database import Connection
from pgpublish.terminal import finish, printable, progress_bar, say
from pgpublish.walk import Walk

STILL_S = 3.0  # without a step of the walk: no drain is running
NO_DRAIN = (
    "no drain has marked a page for 3 seconds: start `pgpublish drain`, or let pg_cron call"
    " publish_drain; the walk is recorded and waits for it"
)


@click.command()
@click.argument("kind")
@click.option("--no-wait", is_flag=True, help="Ask for it and return at once.")
@json_option
@with_connection()
def backfill(conn: Connection, kind: str, no_wait: bool, as_json: bool) -> None:
    """Mark every key of KIND, to publish what exists already.

    The drain does it, page by page, and publishes what is marked. The command asks for it, shows
    how far it is, and ends when every key is marked. If you stop the command, the walk goes on: it
    is recorded in the database, as `select * from publish_walks()` shows.
    """
    with stop_on_signals() as stop:
        asked_at = walk_room.ask(conn, kind)
        if no_wait:
            answer = {"kind": kind, "asked_at": asked_at.isoformat()}
            done(as_json, f"asked for {kind}; the drain marks its keys", **answer)
            return
        last = watch(kind, walk_room.follow(conn, kind, asked_at, stop))
    if last is None or last.ended_at is None:
        say(
            "stopped watching; the walk goes on in the database: select * from publish_walks()",
            err=True,
        )
        raise SystemExit(1)
    done(
        as_json,
        f"marked {last.marked:,} keys; the drain publishes them",
        kind=kind,
        marked=last.marked,
    )


def watch(
    kind: str, walks: Iterable[Walk], clock: Callable[[], float] = time.monotonic
) -> Walk | None:
    """Shows each look at a walk, on a terminal's stderr as a progress bar; returns the last."""
    terminal = sys.stderr.isatty()
    last: Walk | None = None
    step: object = None
    since, warned = clock(), False
    begun: tuple[object, int, float] = (None, 0, 0.0)
    with progress_bar(length=1, label=f"backfill {kind}", show_eta=False) as bar:
        for last in walks:
            now = clock()
            if begun[0] != last.began_at:
                begun = (last.began_at, last.marked, now)
            before, step = step, (last.began_at, last.position, last.attempts, last.due_at)
            if step != before:
                since, warned = now, False
                if last.message:
                    tell(f"a page failed, attempt {last.attempts}: {last.message}", terminal)
            elif now - since >= STILL_S and not warned and not last.message:
                warned = True
                tell(NO_DRAIN, terminal)
            bar.length = max(last.estimate or 0, last.marked + (last.ended_at is None))
            bar.pos = last.marked
            bar.current_item = speed(last, begun[1], now - begun[2])
            bar.render_progress()
        if last is not None and last.ended_at is not None:
            finish(bar)
    return last


def speed(walk: Walk, first: int, seconds: float) -> str:
    """Keys a second since `first` were marked, and how long the rest takes at that."""
    if (walk.position or "").startswith("feed:"):
        return "looking for published keys that are gone"
    if seconds <= 0 or walk.marked <= first:
        return ""
    rate = (walk.marked - first) / seconds
    left = max(0, round(((walk.estimate or 0) - walk.marked) / rate))
    return f"{rate:,.0f} keys/s, {left // 3600}:{left // 60 % 60:02}:{left % 60:02} left"


def tell(text: str, terminal: bool) -> None:
    say(("\n" if terminal else "") + printable(text), err=True)


COMMANDS = (backfill,)
