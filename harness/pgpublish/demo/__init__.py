"""The demo: real airports in ordinary tables, a view over two of them, and a viewer that follows.

Every figure printed was read from the database; the viewer runs on a connection of its own.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from threading import Condition, Event, Thread
from typing import Any, LiteralString
from uuid import UUID

import click

from pgpublish import (
    drain,
    embedded,
    migrate,
    operate,
    verify,
    walk,
)
from pgpublish.database import Connection, connect
from pgpublish.demo import delivery, jobs, live
from pgpublish.errors import MissingPart
from pgpublish.feed import Change, follow

WAIT_SECONDS = 60
SHOWN = 4  # changes printed of each step

SCHEMA: LiteralString = """
create table country (code text primary key, name text not null);
create table airport (
  icao text primary key, iata text, name text not null, city text,
  country text not null references country, elevation_ft int, lat float8, lon float8, tz text);
create index on airport (country);
create view airport_feed as
  select a.icao, a.iata, a.name, a.city, c.name as country, a.elevation_ft, a.lat, a.lon, a.tz
    from airport a join country c on c.code = a.country;
"""

CAPTURE: LiteralString = """
select publish_define('airport', 'airport_feed', key => '{icao}');
select publish_capture('airport', 'airport');
-- A country's name is part of every one of its airports.
select publish_capture('airport', 'country',
                       lookup => 'select icao from airport where country = any ($1)');
"""

EDITS: list[tuple[str, LiteralString]] = [
    ("an update", "update airport set name = 'Frankfurt Airport' where icao = 'EDDF'"),
    ("an update that changes nothing", "update airport set name = name where country = 'FR'"),
    ("a delete", "delete from airport where icao = 'LFPB'"),
    ("the same airport again", "insert into airport select * from demo_removed"),
    ("an edit of the joined table", "update country set name = 'Deutschland' where code = 'DE'"),
    (
        "there and back in one transaction",
        "update airport set city = 'Nowhere' where icao = 'KJFK';"
        " update airport set city = 'New York' where icao = 'KJFK'",
    ),
]


class Viewer:
    """Follows the feed like any client: keeps the newest payload by pub_id, and what changed."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.stop = Event()
        self.rows: dict[UUID, Any] = {}
        self.rev = 0
        self.seen: list[str] = []
        self._arrived = Condition()
        self._thread = Thread(target=self._follow, name="viewer", daemon=True)
        self._thread.start()

    def _follow(self) -> None:
        for event in follow(self.url, stop=self.stop):
            if isinstance(event, Change):
                with self._arrived:
                    self._take(event)
                    self._arrived.notify_all()

    def _take(self, change: Change) -> None:
        old, new = self.rows.get(change.pub_id), change.payload
        self.rev = change.rev
        self.rows[change.pub_id] = new
        self.seen.append(
            f"    rev {change.rev:>6}  {change.kind}  {change.pub_id}"
            f"  deleted={json.dumps(change.deleted)}  {difference(old, new)}"
        )

    def wait_for(self, rev: int) -> list[str]:
        """What arrived since the last call, once `rev` did."""
        with self._arrived:
            if not self._arrived.wait_for(lambda: self.rev >= rev, WAIT_SECONDS):
                raise RuntimeError(f"the viewer is at rev {self.rev}, not {rev}")
            seen, self.seen = self.seen, []
        return seen

    def end(self) -> None:
        self.stop.set()
        self._thread.join(WAIT_SECONDS)


def difference(old: dict[str, Any] | None, new: dict[str, Any] | None) -> str:
    """What a person would say changed between two payloads."""
    if new is None:
        return "gone"
    if old is None:
        return f"{new['icao']} {new['name']}, {new['country']}"
    changed = [
        f"{name}: {old.get(name)!r} -> {value!r}"
        for name, value in new.items()
        if old.get(name) != value
    ]
    return f"{new['icao']} " + ", ".join(changed)


def load(conn: Connection) -> int:
    """Fills country and airport from the airportsdata and pycountry packages; counts airports."""
    try:
        import airportsdata
        import pycountry
    except ImportError as error:
        raise MissingPart(
            "the demo's data is not installed", hint="pip install 'pgpublish[demo]'"
        ) from error
    airports = list(airportsdata.load("ICAO").values())
    with conn.transaction(), conn.cursor() as cursor:
        with cursor.copy("copy country from stdin") as copy:
            for code in sorted({airport["country"] for airport in airports}):
                country = pycountry.countries.get(alpha_2=code)
                copy.write_row((code, country.name if country else code))
        with cursor.copy("copy airport from stdin") as copy:
            for a in airports:
                copy.write_row(
                    (
                        a["icao"],
                        a["iata"] or None,
                        a["name"],
                        a["city"] or None,
                        a["country"],
                        round(a["elevation"]),
                        a["lat"],
                        a["lon"],
                        a["tz"],
                    )
                )
    conn.execute("analyze")
    return len(airports)


def run(
    keep: Path | None = None, say: Callable[[str], None] = click.echo, *, serve: bool = False
) -> None:
    """The whole demo on an embedded server; serve: then a page, until SIGINT.

    Raises MissingPart, PublishError.
    """
    say("Starting an embedded PostgreSQL …")
    with embedded.server(keep) as cluster:
        admin_url = cluster.url()
        with connect(admin_url) as conn:
            conn.execute("drop database if exists airports with (force)")
            conn.execute("create database airports")
        with connect(cluster.url("airports")) as conn:
            version = conn.execute("show server_version").fetchone()
            assert version is not None
            say(f"PostgreSQL {version[0]} is up; installing pgpublish in a new database.")
            migrate.migrate(conn)
            viewer = Viewer(cluster.url("airports"))
            try:
                play(conn, viewer, say)
            finally:
                viewer.end()
        if serve:
            live.play(cluster.url("airports"), say)
            return
        kept = f"The server's data is in {keep}.\n" if keep else ""
    say(f"""
{kept}Now with your own database, which needs no extension and no superuser:

    export DATABASE_URL=postgresql://you@host/database
    pgpublish migrate                # installs schema publish and the publish_* functions
    pgpublish publish thing_feed     # your view: finds key and tables, shows the plan, asks
    pgpublish run &                  # publishes and delivers, until you stop it
    pgpublish changes --follow       # in another terminal

To watch airports change in a browser: pgpublish demo --serve (here: make demo ARGS=--serve)""")


def play(conn: Connection, viewer: Viewer, say: Callable[[str], None]) -> None:
    conn.execute(SCHEMA.encode())
    say(f"\nLoaded {load(conn):,} airports into tables airport and country, joined by a view.")
    conn.execute(CAPTURE.encode())
    say("Defined kind 'airport' over the view and captured both tables.\n")

    walk.ask(conn, "airport")
    say("Asked for a backfill: drains mark its keys, 500 in a transaction, and publish them.")
    drained = None
    with click.progressbar(
        length=verify.estimated_keys(conn, "airport"),
        label="drain",
        file=sys.stdout,
        show_pos=True,
        hidden=not sys.stdout.isatty(),
    ) as bar:
        for drained in drain.drain_all(conn):
            bar.update(drained.published)
    assert drained is not None
    (marked,) = walk.walks(conn, "airport")
    say(f"Marked {marked.marked:,} keys and drained them, to rev {drained.head:,}.")
    first = viewer.wait_for(drained.head)
    say(f"\nThe viewer read {len(first):,} changes, the last at rev {drained.head:,}:")
    show(first[-1:], say)

    conn.execute("create table demo_removed as select * from airport where icao = 'LFPB'")
    suppressed = 0
    for title, statement in EDITS:
        with conn.transaction():
            conn.execute(statement.encode())
        done = list(drain.drain_all(conn))
        published = sum(d.published for d in done)
        unchanged = sum(d.unchanged for d in done)
        suppressed += unchanged
        say(f"\n{title}: {statement}")
        say(
            f"  {sum(d.scanned for d in done)} rows marked, "
            f"{published} published, {unchanged} unchanged"
        )
        show(viewer.wait_for(done[-1].head), say)

    status = operate.status(conn)
    live = sum(row is not None for row in viewer.rows.values())
    say(f"\n{suppressed} no-op writes were suppressed: no rev, nothing sent.")
    say(
        f"Head is rev {status.head:,}; {status.depth} rows are left to drain; "
        f"the viewer holds {live:,} airports."
    )
    delivery.play(conn, viewer.url, say)
    jobs.play(conn, viewer.url, say)


def show(lines: list[str], say: Callable[[str], None]) -> None:
    for line in lines[:SHOWN]:
        say(line)
    if len(lines) > SHOWN:
        say(f"    … and {len(lines) - SHOWN:,} more like these")
