"""check --copy writes to a copy of the database, and leaves nothing behind."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable

import pytest
from click.testing import CliRunner, Result
from conftest import Background, Connection
from desks import load, publish
from helpers import PATIENCE, one, until

from pgpublish import cli

Run = Callable[..., Result]
COPIES = "select count(*) from pg_database where datname like 'pgpublish_check%'"


@pytest.fixture
def run(url: str) -> Run:
    return lambda *arguments: CliRunner().invoke(cli.main, ["--database-url", url, *arguments])


@pytest.fixture
def film(db: Connection) -> Connection:
    """Published, but for film_actor by a wrong column. fired counts writes that were undone too."""
    load(db, "film")
    publish(db, "film_cast")
    db.execute(
        "select publish_capture('film_cast', 'film_actor', key => 'actor_id');"
        "create sequence fired;"
        "create function fire() returns trigger language plpgsql as"
        " $$begin perform nextval('fired'); return null; end$$;"
        "create trigger fire after insert or update or delete on film for each row"
        " execute function fire()"
    )
    return db


def fired(db: Connection) -> bool:
    return bool(one(db, "select is_called from fired"))


@pytest.mark.parametrize("alone", [True, False])
def test_a_missed_key_is_found_in_a_copy_and_nothing_runs_in_the_database(
    film: Connection, run: Run, admin: Connection, connect: Callable[[], Connection], alone: bool
) -> None:
    film.execute("create table large as select n from generate_series(1, 9) n")
    if alone:
        film.close()
    found = run("check", "film_cast", "--rounds", "60", "--seed", "1", "--copy", "--json")
    assert found.exit_code == 6, found.output
    missed = json.loads(found.stdout)["missed"]
    assert any("film_actor" in write for tried in missed for write in tried["writes"])
    assert one(admin, COPIES) == 0
    after = connect()
    assert not fired(after)
    run("check", "film_cast", "--rounds", "60", "--seed", "1")
    assert fired(after)


def test_a_copy_has_rows_only_of_what_the_check_reads(film: Connection) -> None:
    film.execute("create table large as select n from generate_series(1, 9) n")
    unneeded = {t for (t,) in film.execute("select publish.unneeded_tables('film_cast')")}
    assert {"public.large", "public.rental", "publish.published", "publish.outbox_0"} <= unneeded
    assert not {"public.film", "public.actor", "publish.kind", "publish.capture"} & unneeded


def test_ctrl_c_drops_the_copy(
    film: Connection, background: Background, admin: Connection, url: str
) -> None:
    process = background("check", "film_cast", "--copy", "--rounds", "100000")
    until(lambda: one(admin, COPIES))
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=PATIENCE)
    assert process.returncode != 0
    assert one(admin, COPIES) == 0
