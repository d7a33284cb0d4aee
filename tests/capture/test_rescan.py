"""Walks over a whole kind: asked for in a transaction, done by the drain under its lock."""

from __future__ import annotations

import pytest
from conftest import Connect, Connection

from pgpublish.drain import drain_all


@pytest.fixture
def things(db: Connection) -> Connection:
    db.execute("create table thing (id int primary key, name text, hidden boolean)")
    db.execute("create view every_thing as select id, name from thing")
    db.execute("create view open_thing as select id, name from thing where not hidden")
    db.execute("select publish_define('thing', 'every_thing')")
    db.execute(
        "create trigger thing after insert or update or delete on thing"
        " for each row execute function publish_enqueue('thing', 'id')"
    )
    db.execute(
        "create trigger thing_gone after truncate on thing"
        " for each statement execute function publish_enqueue('thing')"
    )
    return db


def live(db: Connection) -> set[str]:
    rows = db.execute("select source_id from publish.published where not deleted").fetchall()
    return {row[0] for row in rows}


def test_a_redefinition_beside_an_open_drain_hides_what_that_publishes(
    things: Connection, connect: Connect
) -> None:
    things.execute("insert into thing values (1, 'secret', true), (2, 'plain', false)")
    draining = connect(autocommit=False)
    draining.execute("select publish_drain()")
    things.execute("select publish_define('thing', 'open_thing')")
    draining.commit()
    list(drain_all(things))
    assert live(things) == {"2"}


@pytest.mark.parametrize("isolation", ["read committed", "repeatable read"])
def test_truncate_unpublishes_also_what_its_snapshot_does_not_see(
    things: Connection, connect: Connect, isolation: str
) -> None:
    truncating = connect(autocommit=False)
    truncating.execute(f"set transaction isolation level {isolation}")
    truncating.execute("select count(*) from thing")
    things.execute("insert into thing values (7, 'seven', false)")
    list(drain_all(things))
    truncating.execute("truncate thing")
    truncating.commit()
    list(drain_all(things))
    assert live(things) == set()


def test_a_walk_goes_on_page_by_page_and_lets_live_changes_through(things: Connection) -> None:
    things.execute("insert into thing select i, 'x', i > 5 from generate_series(1, 25) i")
    list(drain_all(things))
    things.execute("select publish_define('thing', 'open_thing')")
    things.execute("select publish_drain(4)")
    things.execute("update thing set name = 'now' where id = 1")
    list(drain_all(things, 4))
    assert live(things) == {"1", "2", "3", "4", "5"}
    name = things.execute(
        "select payload ->> 'name' from publish.published where source_id = '1'"
    ).fetchone()
    assert name == ("now",)
    assert things.execute("select count(*) from publish.rescan").fetchone() == (0,)


def test_beside_live_changes_that_nearly_fill_a_batch_a_walk_makes_no_backlog_grow(
    things: Connection,
) -> None:
    things.execute("insert into thing select i, 'x', false from generate_series(1, 600) i")
    list(drain_all(things))
    things.execute("select publish_define('thing', 'open_thing')")
    things.execute("select publish_define('note')")
    depths = set()
    for n in range(40):
        things.execute(
            "select publish_enqueue('note', i::text, to_jsonb(%s::int))"
            "  from generate_series(1, 80) i",
            [n],
        )
        things.execute("select publish_drain(100)")
        row = things.execute("select depth, walks from publish_status()").fetchone()
        assert row is not None
        depths.add(row[0])
    assert max(depths) <= 250, "a page, the live changes beside it, and what they push back"
    list(drain_all(things))
    assert things.execute("select walks from publish_status()").fetchone() == (0,)


def test_a_walk_goes_on_while_live_changes_fill_every_batch(things: Connection) -> None:
    things.execute("insert into thing select i, 'x', false from generate_series(1, 100) i")
    list(drain_all(things))
    things.execute("update thing set hidden = true where id = 100")
    things.execute("select publish_define('thing', 'open_thing')")
    things.execute("select publish_define('note')")
    for n in range(60):
        things.execute(
            "select publish_enqueue('note', i::text, to_jsonb(%s::int))"
            "  from generate_series(1, 100) i",
            [n],
        )
        things.execute("select publish_drain(100)")
    assert things.execute("select walks from publish_status()").fetchone() == (0,)


def test_a_walk_over_a_view_that_is_gone_waits_and_stops_nothing_else(things: Connection) -> None:
    things.execute("insert into thing values (1, 'x', false)")
    list(drain_all(things))
    things.execute("select publish_define('thing', 'open_thing')")
    things.execute("drop view open_thing")
    things.execute("select publish_define('note'); select publish_enqueue('note', 'n', '{}')")
    list(drain_all(things))
    assert live(things) == {"1", "n"}
    walk = things.execute("select attempts, message is not null from publish.rescan").fetchone()
    assert walk == (1, True)


def test_requests_made_before_a_walk_begins_are_one_walk(things: Connection) -> None:
    things.execute("insert into thing values (1, 'x', false)")
    for version in (2, 3, 4):
        things.execute("select publish_define('thing', 'every_thing', null, %s)", [version])
    scanned = [drained.scanned for drained in drain_all(things)]
    assert scanned == [1, 2, 0], "a mark, and the walk's page: the view's key and the feed's"
    assert things.execute("select count(*) from publish.rescan").fetchone() == (0,)
    version = things.execute("select schema_version from publish.published").fetchone()
    assert version == (4,)


def test_a_walk_asked_for_by_a_transaction_that_rolls_back_is_not_done(
    things: Connection, connect: Connect
) -> None:
    things.execute("insert into thing values (1, 'x', false)")
    list(drain_all(things))
    other = connect(autocommit=False)
    other.execute("truncate thing")
    other.rollback()
    assert [drained.scanned for drained in drain_all(things)] == [0]


def test_a_walk_of_a_kind_without_a_view_keeps_no_other_from_being_done(things: Connection) -> None:
    things.execute("select publish_define('note')")
    things.execute("insert into thing values (1, 'x', false)")
    list(drain_all(things))
    things.execute("insert into publish.rescan (kind, reason) values ('note', 'by mistake')")
    things.execute("truncate thing")
    list(drain_all(things))
    assert live(things) == set()
    assert things.execute("select count(*) from publish.rescan").fetchone() == (0,)
