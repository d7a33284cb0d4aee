"""The views of MusicBrainz, as the package mbdata ships them: each is published by one command or
refused for its reason; then random writes miss nothing. The data are made here."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest
from conftest import Connection
from desks import converges
from helpers import one

mbdata = pytest.importorskip("mbdata")
pglast = pytest.importorskip("pglast")
SQL = Path(mbdata.__file__).parent / "sql"

EXPECTED = {
    "release_event": "no: unique",
    "artist_series": "relationship",
    "event_series": "relationship",
    "recording_series": "relationship",
    "release_series": "relationship",
    "release_group_series": "relationship",
    "series_series": "relationship",
    "work_series": "relationship",
    "medium_track_durations": "medium",
    "editor_sanitized": "no: sanitize_editor",
}

ENTITIES = ("artist", "event", "recording", "release", "release_group", "series")
DATA = """
insert into series (gid, name, type, ordering_type)
  select gen_random_uuid(), 'series ' || n, 1, 1 from generate_series(1, 8) n;
insert into link (link_type) select 1 + n % 9 from generate_series(1, 24) n;
insert into link_attribute_text_value
  select n, 788 + n % 2, 'part ' || n from generate_series(1, 20) n;
insert into release_country (release, country, date_year)
  select n, n % 3, 2000 from generate_series(1, 9) n;
insert into release_unknown_country (release, date_year)
  select n, 2000 from generate_series(5, 9) n;
insert into medium (release, position, gid)
  select n, 1, gen_random_uuid() from generate_series(1, 7) n;
insert into track (gid, recording, medium, position, number, name, artist_credit, length,
                   is_data_track)
  select gen_random_uuid(), n, 1 + n % 7, n, n::text, 'track ' || n, 1, n * 1000, n % 5 = 0
    from generate_series(1, 25) n;
"""
SOME_LINKS = """
insert into {} (link, entity0, entity1, link_order)
  select 1 + n * 7 % 24, 1 + n % 8, 1 + n * 3 % 8, n from generate_series(1, 30) n
"""
A_LINK_TYPE = """
insert into link_type (gid, entity_type0, entity_type1, name, link_phrase, reverse_link_phrase,
                       long_link_phrase) values (%s, 'a', 'b', 'c', 'd', 'e', 'f')
"""


def statements(name: str) -> list[str]:
    """Without psql's commands."""
    text = re.sub(r"^\\.*$", "", (SQL / f"{name}.sql").read_text(), flags=re.MULTILINE)
    found: tuple[str, ...] = pglast.split(text)
    return [s for s in found if s.upper() not in ("BEGIN", "COMMIT")]


def load(db: Connection) -> None:
    """All tables that this server can make: one or two need the extension cube."""
    db.execute('create collation musicbrainz from "C"')  # theirs is one of ICU
    for statement in [*statements("CreateTypes"), *statements("CreateTables")]:
        with suppress(psycopg.errors.UndefinedObject):
            db.execute(statement.encode())
    for statement in statements("CreatePrimaryKeys"):
        with suppress(psycopg.errors.UndefinedTable):
            db.execute(statement.encode())
    functions = (SQL / "CreateFunctions.sql").read_text()
    start = functions.index("CREATE OR REPLACE FUNCTION sanitize_editor(")
    db.execute(functions[start : functions.index(";", start)].encode())
    for statement in statements("CreateConstraints"):
        if "track_uniq_medium_position" in statement:  # else an array_agg has ties in its order
            db.execute(statement.encode())
    for statement in statements("CreateViews"):
        db.execute(statement.encode())
    db.execute(DATA.encode())
    gids = re.findall(r"lt\.gid = '([0-9a-f-]+)'", (SQL / "CreateViews.sql").read_text())
    for gid in [*gids, "00000000-0000-0000-0000-000000000000"]:
        db.execute(A_LINK_TYPE, [gid])
    for table in [*(f"l_{entity}_series" for entity in ENTITIES), "l_series_work"]:
        db.execute(SOME_LINKS.format(table).encode())
    db.execute("analyze")


@pytest.mark.timeout(300)
def test_each_view_of_musicbrainz_is_published_or_refused_and_no_write_is_missed(
    db: Connection, pytestconfig: pytest.Config
) -> None:
    load(db)
    assert one(db, "select count(*) from pg_class c where c.relkind = 'r'") > 400
    writes = pytestconfig.getoption("--writes") // 2
    assert converges(db, EXPECTED, writes, seed=writes) >= writes / 2
