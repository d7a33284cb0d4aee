"""`pgpublish backfill`: asks for a walk, shows how far it is, and leaves it to the drains."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import islice
from threading import Event
from typing import Any

import pytest
from click.testing import CliRunner, Result
from conftest import Background, Connect, Connection
from helpers import drain, drain_all, one, until

from pgpublish import cli, walk
from pgpublish.cli import walk as walk_cli
from pgpublish.errors import NotDefined
from pgpublish.walk import Walk

KEYS = 2500


@pytest.fixture
def run(url: str) -> Callable[..., Result]:
    return lambda *arguments: CliRunner().invoke(cli.main, ["--database-url", url, *arguments])


@pytest.fixture
def things(db: Connection) -> Connection:
    db.execute("create table thing (id int primary key, v text)")
    db.execute("create view thing_feed as select id, v from thing")
    db.execute("select publish_define('thing', 'thing_feed')")
    db.execute("insert into thing select i, 'v' from generate_series(1, %s) i", [KEYS])
    return db


def test_it_ends_when_every_key_is_marked_and_the_drain_publishes_them(
    run: Callable[..., Result], things: Connection, background: Background
) -> None:
    background("drain")
    said = run("backfill", "thing")
    assert (said.exit_code, said.stdout) == (
        0, f"marked {KEYS:,} keys; the drain publishes them\n"
    )  # fmt: skip
    until(lambda: one(things, "select publish_head()") == KEYS)
    assert one(things, "select walks from publish_status()") == 0


def test_with_json_it_says_what_a_program_needs(
    run: Callable[..., Result], things: Connection, background: Background
) -> None:
    asked = json.loads(run("backfill", "thing", "--no-wait", "--json").stdout)
    assert asked["kind"] == "thing"
    assert one(things, "select requested_at >= %s from publish.walk", asked["asked_at"])
    background("drain")
    assert json.loads(run("backfill", "thing", "--json").stdout)["marked"] == KEYS


def test_no_wait_asks_and_returns(run: Callable[..., Result], things: Connection) -> None:
    said = run("backfill", "thing", "--no-wait")
    assert (said.exit_code, said.stdout) == (0, "asked for thing; the drain marks its keys\n")
    assert things.execute("select kind, reason, began_at from publish.walk").fetchall() == [
        ("thing", "asked for", None)
    ]
    assert drain_all(things) == KEYS


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_a_command_that_is_stopped_leaves_the_walk_to_the_drains_and_says_so(
    things: Connection, background: Background, how: signal.Signals
) -> None:
    command = background("backfill", "thing")
    until(lambda: one(things, "select count(*) from publish.walk") == 1)
    drain(things, 100)
    assert one(things, "select marked from publish_walks('thing')") == 100
    command.send_signal(how)
    output, errors = command.communicate(timeout=10)
    assert (command.returncode, output) == (1, "")
    assert "the walk goes on in the database" in errors
    assert drain_all(things) == KEYS
    assert one(things, "select marked from publish_walks('thing')") == KEYS


def test_a_walk_that_is_over_between_two_looks_is_counted_all_the_same(
    things: Connection,
) -> None:
    asked_at = walk.ask(things, "thing")
    drain_all(things, 5000)
    (only,) = walk.follow(things, "thing", asked_at, Event())
    assert only.ended_at is not None
    assert only.marked == KEYS


def test_a_walk_that_began_before_it_was_asked_for_is_not_taken_for_it(
    things: Connection,
) -> None:
    walk.ask(things, "thing")
    drain(things, 1000)
    asked_at = walk.ask(things, "thing")
    looks = walk.follow(things, "thing", asked_at, Event())
    first = next(looks)
    assert (first.marked, first.ended_at) == (1000, None)
    while one(things, "select count(*) from publish.walk where began_at is not null"):
        drain(things, 1000)
    assert next(looks).began_at is None, "the second walk"
    drain_all(things, 1000)
    last = next(looks)
    assert last.began_at is not None
    assert last.began_at >= asked_at
    assert list(looks) == []


def test_two_that_ask_at_once_are_both_answered(
    run: Callable[..., Result], things: Connection, background: Background
) -> None:
    commands = [background("backfill", "thing", "--json") for _ in range(2)]
    until(lambda: one(things, "select count(*) from publish.walk") == 2)
    drain_all(things)
    for command in commands:
        output, errors = command.communicate(timeout=20)
        assert json.loads(output)["marked"] == KEYS, errors


def test_a_kind_that_has_no_view_any_more_ends_it(things: Connection) -> None:
    asked_at = walk.ask(things, "thing")
    things.execute("select publish_define('thing')")
    drain(things)
    with pytest.raises(NotDefined):
        list(walk.follow(things, "thing", asked_at, Event()))


def test_it_is_refused_for_a_kind_that_is_not_projected(
    run: Callable[..., Result], things: Connection
) -> None:
    things.execute("select publish_define('note')")
    for kind in ("note", "nope"):
        refused = run("backfill", kind)
        assert refused.exit_code == 1
        assert "hint: " in refused.stderr
    assert one(things, "select count(*) from publish.walk") == 0


def test_a_walk_goes_on_while_rows_change(
    things: Connection, connect: Connect, background: Background
) -> None:
    things.execute("select publish_capture('thing', 'thing')")
    background("drain", "--batch", "50")
    command = background("backfill", "thing")
    writer, n = connect(), 0
    while command.poll() is None:
        n += 1
        writer.execute("update thing set v = %s where id = %s", [f"w{n}", 1 + n % KEYS])
        writer.execute("delete from thing where id = %s", [1 + n * 7 % KEYS])
    assert command.returncode == 0
    until(lambda: one(things, "select depth from publish_status()") == 0)
    different = one(
        things,
        "select count(*) filter (where p.payload is distinct from to_jsonb(f.*)) from thing_feed f"
        " full join publish.published p on p.source_id = f.id::text and not p.deleted",
    )
    assert different == 0


# --- what it shows


@pytest.fixture
def walked(things: Connection) -> Walk:
    """A walk that was asked for."""
    walk.ask(things, "thing")
    (asked,) = walk.walks(things, "thing")
    return asked


def looks(*walks: Any) -> tuple[Iterator[Walk], Callable[[], float]]:
    """Walks to look at, and a clock that moves a second with each."""
    seconds = iter(range(1000))
    return iter(walks), lambda: float(next(seconds))


def moved(walk: Walk, marked: int, **changes: Any) -> Walk:
    """The walk, under way and so many keys on."""
    place = {"began_at": walk.requested_at, "marked": marked, "position": f"view:{marked}"}
    return Walk(**{**vars(walk), **place, **changes})


def test_without_a_step_in_three_seconds_it_says_once_that_no_drain_runs(
    walked: Walk, capsys: pytest.CaptureFixture[str]
) -> None:
    walks, clock = looks(*[walked] * 3, moved(walked, 10), moved(walked, 20), moved(walked, 30))
    walk_cli.watch("thing", walks, clock)
    assert capsys.readouterr().err == ""
    walks, clock = looks(*[walked] * 9, *[moved(walked, n) for n in range(9)])
    walk_cli.watch("thing", walks, clock)
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.count("pgpublish drain") == told.err.count("pg_cron") == 1
    assert told.err.count("\n") == 1


def test_a_page_that_fails_is_told_at_each_attempt_without_control_characters(
    walked: Walk, capsys: pytest.CaptureFixture[str]
) -> None:
    later = walked.requested_at + timedelta(seconds=10)
    failed = [
        moved(walked, 0, attempts=n, due_at=later, message="bad \x1b[2J view")
        for n in (1, 1, 1, 1, 1, 1, 2)
    ]
    walks, clock = looks(*failed)
    walk_cli.watch("thing", walks, clock)
    assert capsys.readouterr().err.splitlines() == [
        f"a page failed, attempt {n}: bad \\x1b[2J view" for n in (1, 2)
    ]


def test_the_failure_of_a_real_page_is_shown(
    things: Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    things.execute(
        "create or replace view thing_feed as select id, v from thing where 1 / (id - id) = 0"
    )
    asked_at = walk.ask(things, "thing")
    drain(things)
    walk_cli.watch("thing", islice(walk.follow(things, "thing", asked_at, Event()), 1))
    assert capsys.readouterr().err == "a page failed, attempt 1: division by zero\n"


def test_rate_and_time_left_are_those_of_what_was_seen(walked: Walk) -> None:
    assert walk_cli.speed(moved(walked, 500, estimate=7_000_500), 0, 0.5) == (
        "1,000 keys/s, 1:56:40 left"
    )
    assert walk_cli.speed(moved(walked, 500, estimate=100), 0, 0.5) == "1,000 keys/s, 0:00:00 left"
    assert walk_cli.speed(moved(walked, 500), 500, 2.0) == ""
