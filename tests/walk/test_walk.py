"""Walks over a whole kind: asked for in a transaction, done by the drains page by page."""

from __future__ import annotations

import psycopg
import pytest
from conftest import Connect, Connection
from helpers import begin, drain, drain_all, one, pid, until, waits


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
    drain_all(things)
    assert live(things) == {"2"}


@pytest.mark.parametrize("isolation", ["read committed", "repeatable read"])
def test_truncate_unpublishes_also_what_its_snapshot_does_not_see(
    things: Connection, connect: Connect, isolation: str
) -> None:
    truncating = connect(autocommit=False)
    truncating.execute(f"set transaction isolation level {isolation}")
    truncating.execute("select count(*) from thing")
    things.execute("insert into thing values (7, 'seven', false)")
    drain_all(things)
    truncating.execute("truncate thing")
    truncating.commit()
    drain_all(things)
    assert live(things) == set()


def test_a_walk_goes_on_page_by_page_and_lets_live_changes_through(things: Connection) -> None:
    things.execute("insert into thing select i, 'x', i > 5 from generate_series(1, 25) i")
    drain_all(things)
    things.execute("select publish_define('thing', 'open_thing')")
    things.execute("select publish_drain(4)")
    things.execute("update thing set name = 'now' where id = 1")
    drain_all(things, 4)
    assert live(things) == {"1", "2", "3", "4", "5"}
    name = things.execute(
        "select payload ->> 'name' from publish.published where source_id = '1'"
    ).fetchone()
    assert name == ("now",)
    assert things.execute("select count(*) from publish.walk").fetchone() == (0,)


def test_beside_live_changes_that_nearly_fill_a_batch_a_walk_makes_no_backlog_grow(
    things: Connection,
) -> None:
    things.execute("insert into thing select i, 'x', false from generate_series(1, 600) i")
    drain_all(things)
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
    drain_all(things)
    assert things.execute("select walks from publish_status()").fetchone() == (0,)


def test_a_walk_goes_on_while_live_changes_fill_every_batch(things: Connection) -> None:
    things.execute("insert into thing select i, 'x', false from generate_series(1, 100) i")
    drain_all(things)
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
    drain_all(things)
    things.execute("select publish_define('thing', 'open_thing')")
    things.execute("drop view open_thing")
    things.execute("select publish_define('note'); select publish_enqueue('note', 'n', '{}')")
    drain_all(things)
    assert live(things) == {"1", "n"}
    walk = things.execute("select attempts, message is not null from publish.walk").fetchone()
    assert walk == (1, True)


def test_requests_made_before_a_walk_begins_are_one_walk(things: Connection) -> None:
    things.execute("insert into thing values (1, 'x', false)")
    for version in (2, 3, 4):
        things.execute("select publish_define('thing', 'every_thing', null, %s)", [version])
    drain_all(things)
    marked = things.execute("select sum(marked), count(*) from publish_walks('thing')").fetchone()
    assert marked == (1, 1), "one walk of one key"
    assert things.execute("select count(*) from publish.walk").fetchone() == (0,)
    version = things.execute("select schema_version from publish.published").fetchone()
    assert version == (4,)


def test_a_walk_asked_for_by_a_transaction_that_rolls_back_is_not_done(
    things: Connection, connect: Connect
) -> None:
    things.execute("insert into thing values (1, 'x', false)")
    drain_all(things)
    other = connect(autocommit=False)
    other.execute("truncate thing")
    other.rollback()
    assert drain(things).scanned == 0


def test_a_walk_of_a_kind_without_a_view_keeps_no_other_from_being_done(things: Connection) -> None:
    things.execute("select publish_define('note')")
    things.execute("insert into thing values (1, 'x', false)")
    drain_all(things)
    things.execute("insert into publish.walk (kind, reason) values ('note', 'by mistake')")
    things.execute("truncate thing")
    drain_all(things)
    assert live(things) == set()
    assert things.execute("select count(*) from publish.walk").fetchone() == (0,)


KEYS = 3000


@pytest.fixture
def many(things: Connection) -> Connection:
    things.execute("alter table thing disable trigger thing")
    things.execute("insert into thing select n, 'v', false from generate_series(1, %s) n", [KEYS])
    things.execute("alter table thing enable trigger thing")
    return things


def test_publish_walks_shows_what_runs_then_what_waits_then_what_ended(
    many: Connection,
) -> None:
    for kind in ("ended", "runs", "waits"):
        many.execute("select publish_define(%s, 'every_thing')", [kind])
    many.execute("select publish_walk('ended')")
    drain_all(many)
    many.execute("select publish_walk('runs')")
    drain(many, 100)
    many.execute("select publish_walk('waits')")
    walks = many.execute("select * from publish_walks()").fetchall()
    assert [walk.of_kind for walk in walks] == ["runs", "waits", "ended"]
    running, waiting, ended = walks
    assert (running.position, running.marked, running.reason) == ("view:100", 100, "asked for")
    assert KEYS / 2 < running.estimate < KEYS * 2
    assert (waiting.began_at, waiting.marked, waiting.position) == (None, 0, None)
    assert waiting.requested_at < ended.ended_at or ended.requested_at < waiting.requested_at
    assert (ended.position, ended.marked == KEYS) == (None, True)
    assert ended.requested_at <= ended.began_at <= ended.ended_at
    assert many.execute("select of_kind from publish_walks('ended')").fetchall() == [("ended",)]


def test_of_a_kind_only_the_last_walk_that_ended_is_kept(many: Connection) -> None:
    for _ in range(3):
        asked_at = one(many, "select publish_walk('thing')")
        drain_all(many)
    (walk,) = many.execute("select * from publish_walks('thing')").fetchall()
    assert walk.began_at > asked_at


def test_a_higher_version_is_published_in_pages_beside_live_changes_and_survives_a_kill(
    many: Connection, connect: Connect
) -> None:
    many.execute("select publish_backfill('thing', batch => 100000)")
    drain_all(many)
    before = dict(many.execute("select source_id, pub_id from publish.published").fetchall())
    head = one(many, "select publish_head()")
    many.execute("select publish_define('thing', 'every_thing', schema_version => 2)")
    assert one(many, "select walks from publish_status()") == 1
    for _ in range(3):
        assert drain(many, 200).published <= 200
    many.execute("update thing set name = 'live' where id = %s", [KEYS])

    gate, victim = connect(), connect()
    gate.execute("begin; lock table publish.published in access exclusive mode")
    drained = begin(drain, victim, 200)
    until(lambda: waits(gate, pid(victim)))
    gate.execute("select pg_terminate_backend(%s)", [pid(victim)])
    with pytest.raises(psycopg.OperationalError):
        drained.result(30)
    gate.execute("rollback")

    drain_all(many, 200)
    rows = many.execute(
        "select source_id, pub_id, schema_version from publish.published"
    ).fetchall()
    assert {row.schema_version for row in rows} == {2}
    assert {row.source_id: row.pub_id for row in rows} == before
    # Each once; the live one, which is published before the walk comes to it, once more.
    assert one(many, "select publish_head()") - head <= KEYS + 1
    assert one(many, "select walks from publish_status()") == 0


def test_of_what_is_published_a_walk_marks_only_what_the_view_does_not_show(
    many: Connection,
) -> None:
    """Else each walk over a kind that is published already would project every key twice."""
    many.execute("select publish_walk('thing')")
    drain_all(many)
    many.execute("alter table thing disable trigger all; delete from thing where id % 100 = 0")
    many.execute("select publish_walk('thing')")
    drain_all(many, 200)
    assert one(many, "select marked from publish_walks('thing')") == KEYS
    assert len(live(many)) == KEYS - KEYS // 100


def test_a_walk_of_a_kind_that_was_published_under_another_key_marks_the_old_keys(
    things: Connection,
) -> None:
    things.execute("insert into thing select n, 'x', false from generate_series(1, 5) n")
    things.execute("create view by_name as select 'n' || id as name, id from thing")
    things.execute("select publish_define('thing', 'by_name', key => '{name}')")
    drain_all(things)
    assert live(things) == {"n1", "n2", "n3", "n4", "n5"}
    things.execute("select publish_define('thing', 'by_name', key => '{id}')")
    drain_all(things)
    assert live(things) == {"1", "2", "3", "4", "5"}


def test_a_walk_that_fails_is_tried_once_however_often_it_was_asked_for(things: Connection) -> None:
    """A row trigger asks for one at each row whose key fails."""
    things.execute("insert into thing values (1, 'one', false)")
    things.execute("create function never() returns int volatile language plpgsql as"
                   " $$ begin raise notice 'asked'; return 1 / 0; end $$")  # fmt: skip
    things.execute("create view fails as select id + never() as id from thing")
    things.execute("select publish_define('fails', 'fails')")
    things.execute("select publish.request_walk('fails', 'again') from generate_series(1, 1000)")
    asked: list[str] = []
    things.add_notice_handler(lambda notice: asked.append(notice.message_primary or ""))
    for _ in range(3):
        drain(things)
    assert asked.count("asked") <= 2
    assert one(things, "select count(*) from publish.walk where kind = 'fails'") == 1


def test_the_walk_of_a_lost_page_may_be_gone_by_then(things: Connection) -> None:
    """A drain died in a page; before the next one, somebody had the walk wait, or ended it."""
    things.execute("select publish.request_walk('thing', 'asked')")
    things.execute("update publish.walk set due_at = now() + interval '1 hour'")
    lost_page = "select setval('publish.attempt', kind_no * 4 + 2) from publish.kind"
    for gone in ("select 1", "delete from publish.walk"):
        things.execute(gone.encode())
        things.execute(lost_page)
        drain(things)
        assert one(things, "select last_value from publish.attempt") == 0
        assert (
            things.execute("select attempts from publish.walk where attempts <> 0").fetchall() == []
        )
