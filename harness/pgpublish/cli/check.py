"""The command that proves capture on a person's own data."""

from __future__ import annotations

import random
from dataclasses import asdict
from threading import Event

import click

from pgpublish.cli.console import Database, json_option, stop_on_signals, with_connection
from pgpublish.database import Connection
from pgpublish.errors import Differs
from pgpublish.plan import copying, mutating
from pgpublish.terminal import finish, printable, progress_bar, say, say_json


@click.command()
@click.argument("kind")
@click.option(
    "--rounds",
    type=click.IntRange(1, 1_000_000),
    default=500,
    show_default=True,
    help="Rounds of one to three random writes.",
)
@click.option(
    "--seconds",
    type=click.FloatRange(1),
    default=60.0,
    show_default=True,
    help="End after this time at the latest.",
)
@click.option("--copy", is_flag=True, help="Write to a scratch copy of the database, not to it.")
@click.option("--seed", type=int, help="Repeat an earlier run on the same data.")
@json_option
@with_connection()
def check(
    conn: Connection,
    kind: str,
    rounds: int,
    seconds: float,
    copy: bool,
    seed: int | None,
    as_json: bool,
) -> None:
    """Prove by random writes that capture misses no key of KIND.

    It updates, inserts and deletes random rows of the captured tables in transactions that are
    rolled back, and compares the view before and after. It locks these rows for milliseconds, and
    your own triggers run. Each transaction reads the whole view.

    --copy makes a second database and drops it at the end: of all of it if nobody else is
    connected, which needs its owner and CREATEDB; else by pg_dump of the schema and of what the
    view reads, which needs a superuser. Exits with 6 if a key was missed.
    """
    seed = random.randrange(1_000_000) if seed is None else seed
    with stop_on_signals() as stop:
        if not copy:
            report(conn, kind, rounds, seconds, seed, as_json, stop)
            return
        database = click.get_current_context().find_object(Database)
        assert database is not None
        with copying.copied(conn, database.url, kind, stop) as other:
            report(other, kind, rounds, seconds, seed, as_json, stop)


def report(
    conn: Connection,
    kind: str,
    rounds: int,
    seconds: float,
    seed: int,
    as_json: bool,
    stop: Event,
) -> None:
    """Writes, and says what was missed; until stop is set. Raises Differs."""
    done = refused = changed = 0
    missed: list[mutating.Tried] = []
    with progress_bar(label=f"check {kind}", length=rounds) as bar:
        for tried in mutating.check(conn, kind, rounds, seed, seconds=seconds):
            if stop.is_set():
                break
            if tried.refused is not None:
                refused += 1
                continue
            done += 1
            changed += tried.changed
            bar.update(1)
            if tried.missed:
                missed.append(tried)
        finish(bar)
    if as_json:
        say_json(
            {
                "kind": kind,
                "seed": seed,
                "rounds": done,
                "refused": refused,
                "changed": changed,
                "missed": [asdict(tried) for tried in missed],
            }
        )
    else:
        say(
            f"{kind}: {done:,} rounds changed {changed:,} keys of the view; {len(missed):,} missed"
            f" ({refused:,} more were refused by constraints; --seed {seed})"
        )
        for tried in missed[:5]:
            for write in tried.writes:
                say(f"  {printable(write)}")
            say(f"    not marked: {printable(', '.join(tried.missed[:5]))}")
    if stop.is_set() and not missed:
        raise SystemExit(1)
    if missed:
        raise Differs(
            f"{len(missed):,} rounds changed keys that were not marked",
            hint="Capture what these writes touch: pgpublish audit " + kind,
        )


COMMANDS = (check,)
