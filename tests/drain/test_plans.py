"""What a drain costs does not depend on statistics: a session that planned its queries on a trickle
reads as little when there are 100,000 rows of everything, and so does one that plans by statistics of
another time. Counted in blocks, of which a query that reads a whole table or index touches hundreds."""

from __future__ import annotations

from collections.abc import Callable
from statistics import median
from typing import Any, LiteralString, NamedTuple

import pytest
from conftest import Connect, Connection
from helpers import blocks, drain, one

ROWS = 100_000
GROWN = 60_000

SCHEMA = """
create table part (id int primary key, name text);
create table item (id int primary key, part_id int, n int not null default 0,
                   filler text not null default repeat('x', 100));
create index on item (part_id);
create table pair (a int, b text, n int, filler text not null default repeat('x', 100),
                   primary key (a, b));
create view item_feed as
  select i.id, i.n, p.name, 1 / (i.n + 1) as ratio
    from item i left join part p on p.id = i.part_id;
create view pair_feed as select a, b, n from pair;
select publish_define('item', 'item_feed'), publish_capture('item', 'item'),
       publish_capture('item', 'part', lookup => 'select id from item where part_id = any ($1)');
select publish_define('pair', 'pair_feed', '{a,b}'), publish_capture('pair', 'pair');
select publish_define('event', retention => '30 days');
select publish_define('quiet'), publish_set('publishing', 'off', 'quiet');
insert into part select n, 'old' from generate_series(1, 10) n;
insert into item select n, n % 9 + 2, 1 from generate_series(1, 99) n;
insert into item values (100, 1, 1);
insert into pair select n, 'x', 1 from generate_series(1, 100) n;
select publish_enqueue('event', n::text, '1') from generate_series(1, 100) n;
"""

# Rows that were all drained, walks and marks that wait for later, failures of which nothing is due.
FILL = f"""
set session_replication_role = replica;
insert into part select n, 'old' from generate_series(1001, {ROWS}) n;
insert into item select n, n, 1 from generate_series(1001, {ROWS}) n;
insert into pair select n, 'x', 1 from generate_series(1001, {ROWS}) n;
reset session_replication_role;
with head as (select publish_head() as head),
row as (
  select row_number() over () as n, k.kind,
         case k.kind when 'pair' then format('["%s", "x"]', n) else n::text end as source_id
    from generate_series(1001, {ROWS // 3}) n, (values ('item'), ('pair'), ('event')) k (kind)),
feed as (
  insert into publish.published (rev, kind, source_id, schema_version, payload, payload_hash,
                                 deleted, payload_no, created_at, updated_at)
  select h.head + r.n, r.kind, r.source_id, 1, '{{"some": "payload of about a hundred bytes"}}',
         '\\x00', false, case r.kind when 'event' then 0 end, now(), now()
    from head h, row r)
insert into publish.drain (drain_id, head_before, head, drained, scanned, keys, published,
                           unchanged, quarantined, lag, duration, at)
select d.drain_id + r.n, h.head + r.n - 1, h.head + r.n, d.drained, 1, 1, 1, 0, 0, '0', '0',
       now() - interval '5 minutes'
  from head h, row r, (select * from publish.drain order by drain_id desc limit 1) d;
insert into publish.outbox (xid, seq, kind, source_ids)
select '3', n, (array['item', 'pair', 'event'])[n % 3 + 1], array[n::text]
  from generate_series(1, {ROWS}) n;
insert into publish.deferred (due_at, reason, kind, source_id, payload, sqlstate)
select now() + interval '1 hour' + random() * interval '1 day',
       case when s.sqlstate is null then 'scheduled' else 'failed' end,
       case when s.sqlstate is null then 'event' else 'item' end, (s.first + n)::text,
       case when s.sqlstate is null then '1'::jsonb end, s.sqlstate
  from (values (null, 1000000), ('22012', 2000000), ('57014', 3000000)) s (sqlstate, first)
 cross join generate_series(1, {ROWS}) n;
insert into publish.deferred (due_at, reason, kind, source_id, payload)
select 'infinity', 'off', 'quiet', n::text, '1' from generate_series(1001, {ROWS}) n;
insert into publish.walk (kind, reason, due_at)
select 'event', 'asked for', now() + interval '1 hour' from generate_series(1, {ROWS}) n;
insert into publish.floor (kind, floor, pruned)
select 'event', n, 1 from generate_series(1, {ROWS // 10}) n
on conflict do nothing;
"""


class Call(NamedTuple):
    """A write, and a call of which the blocks are counted; keys: how many it is about."""

    write: LiteralString
    query: LiteralString
    keys: int


DRAIN: LiteralString = "select publish_drain(100)"
LAST: LiteralString = "(select max(id) from item)"

CALLS = {
    "nothing": Call("", DRAIN, 0),
    "a new key": Call(f"insert into item select {LAST} + 1, 2, 1", DRAIN, 1),
    "a changed key": Call("update item set n = n + 1 where id = 5", DRAIN, 1),
    "an unchanged key": Call("update item set n = n where id = 5", DRAIN, 1),
    "a key that is gone": Call(f"delete from item where id = {LAST}", DRAIN, 1),
    "80 changed keys": Call("update item set n = n + 1 where id between 10 and 89", DRAIN, 80),
    "a composite key": Call("update pair set n = n + 1 where a = 5", DRAIN, 1),
    "a new composite key": Call("insert into pair select max(a) + 1, 'x', 1 from pair", DRAIN, 1),
    "80 composite keys": Call("update pair set n = n + 1 where a between 10 and 89", DRAIN, 80),
    "a new payload": Call(
        "select publish_enqueue('event', gen_random_uuid()::text, '1')", DRAIN, 1
    ),
    "a changed payload": Call("select publish_enqueue('event', '5', to_jsonb(random()))", DRAIN, 1),
    "the same payload": Call(
        "select publish_enqueue('event', '6', '1');select publish_drain()"
        ";select publish_enqueue('event', '6', '1')", DRAIN, 1,
    ),
    "80 payloads": Call(
        "select publish_enqueue('event', n::text, to_jsonb(random())) from generate_series(10, 89) n",
        DRAIN, 80,
    ),
    "a payload of a kind that is off": Call("select publish_enqueue('quiet', '7', '1')", DRAIN, 1),
    "80 payloads of it": Call(
        "select publish_enqueue('quiet', n::text, '1') from generate_series(10, 89) n", DRAIN, 80
    ),
    "a lookup": Call("update part set name = name || 'x' where id = 1", DRAIN, 1),
    "a scheduled payload": Call(
        "insert into publish.deferred (due_at, reason, kind, source_id, payload)"
        " values (now(), 'scheduled', 'event', '7', to_jsonb(random()))", DRAIN, 1,
    ),
    "a key that fails": Call("update item set n = -1 where id = 7", DRAIN, 1),
    "a key that fails again": Call(
        "update publish.deferred set due_at = now() where kind = 'item' and source_id = '7'",
        DRAIN, 1,
    ),
    "a key that is repaired": Call("update item set n = 1 where id = 7", DRAIN, 1),
    "blame": Call(
        "update item set n = n + 1 where id = 8;"
        "select setval('publish.attempt', k.kind_no * 4) from publish.kind k where k.kind = 'item'",
        DRAIN, 1,
    ),
    "a mark of a key that is put aside": Call("", DRAIN, 1),
    "a key that was put aside": Call("", DRAIN, 1),
    "blame again": Call(
        "insert into publish.deferred (due_at, reason, kind, source_id, sqlstate)"
        " values (now(), 'failed', 'item', '9', '57014');"
        "update publish.drain set retried = false"
        " where drain_id = (select max(drain_id) from publish.drain);"
        "select setval('publish.attempt', k.kind_no * 4 + 1)"
        "  from publish.kind k where k.kind = 'item';", DRAIN, 1,
    ),
    "its end": Call(
        "update publish.deferred set due_at = now() where kind = 'item' and source_id = '9'",
        DRAIN, 1,
    ),
    "the first page of a walk": Call("select publish_walk('item')", "select publish_drain(10)", 10),
    "a page of a walk over the view": Call(
        "update publish.walk set position = 'view:50' where kind = 'item'", "select publish_drain(10)", 20
    ),
    "a page of a walk over the feed": Call(
        "update publish.walk set position = 'feed:50' where kind = 'item'", "select publish_drain(10)", 20
    ),
    "a page of a walk over composite keys": Call(
        "delete from publish.walk where kind <> 'event'; select publish_drain();"
        "insert into publish.walk (kind, reason, position, began_at)"
        """ values ('pair', 'asked for', 'view:["50", "x"]', now())""",
        "select publish_drain(10)", 20,
    ),
    "a page over the feed of these": Call(
        """update publish.walk set position = 'feed:["50", "x"]' where kind = 'pair'""", "select publish_drain(10)", 20
    ),
    "backfill": Call(
        "delete from publish.walk where kind <> 'event'", "select publish_backfill('item', '50', 10)", 10
    ),
    "verify of the view": Call(
        "update item set n = n + 1 where id = 52", "select publish_verify('item', false, 'view:50', 10)",
        10,
    ),
    "verify of the feed": Call("", "select publish_verify('item', false, 'feed:50', 10)", 10),
    "verify of composite keys": Call(
        "update pair set n = n + 1 where a = 52", """select publish_verify('pair', false, 'view:["50", "x"]', 10)""", 10
    ),
    "await_work": Call("", "select publish.await_work(1, 1)", 0),
    "await_work with nothing": Call("select publish_drain()", "select publish.await_work(5, 1)", 0),
    "maintain": Call("", "select publish_maintain(10)", 10),
    "prune": Call(
        "update publish.published set updated_at = '2000-01-01'"
        " where rev in (select p.rev from publish.published p"
        "                where p.kind = 'event' order by p.rev limit 10)",
        "select publish.prune(10)", 10,
    ),
}  # fmt: skip

TABLES: LiteralString = """
select c.oid::regclass::text from pg_class c
 where c.relkind = 'r' and c.relnamespace in ('publish'::regnamespace, 'public'::regnamespace)
"""


def tables(db: Connection, command: str) -> None:
    for (name,) in db.execute(TABLES).fetchall():
        db.execute(command.replace("%", name).encode())


@pytest.fixture
def db(db: Connection) -> Connection:
    tables(db, "alter table % set (autovacuum_enabled = false)")
    db.execute("select set_config('jit', 'off', false)")
    return db


def settle(db: Connection) -> None:
    while drain(db).scanned:
        pass


def catalog(db: Connection, session: Connection) -> dict[str, int]:
    answer = {}
    for name, (write, query, _) in CALLS.items():
        if write:
            db.execute(write.encode())
        answer[name] = blocks(session, query)
    settle(db)
    return answer


def least(runs: list[dict[str, int]]) -> dict[str, int]:
    return {name: min(run[name] for run in runs) for name in runs[0]}


def worse(first: dict[str, int], last: dict[str, int]) -> dict[str, tuple[int, int]]:
    """What grew by more than the height of the indexes that a key is looked up in."""
    return {
        name: (first[name], last[name])
        for name, (_, _, keys) in CALLS.items()
        if name in last and last[name] > first[name] + 80 + 25 * keys
    }


def of_empty_tables(db: Connection) -> None:
    tables(db, "vacuum analyze %")
    db.execute(SCHEMA.encode())


def of_large_tables(db: Connection) -> None:
    db.execute(SCHEMA.encode())
    settle(db)
    db.execute(FILL.encode())
    tables(db, "vacuum analyze %")
    db.execute(
        "truncate publish.published, publish.outbox, publish.deferred, publish.drain, publish.floor, publish.walk;"
        "set session_replication_role = replica; truncate item, pair, part;"
        "reset session_replication_role;" + SCHEMA[SCHEMA.index("insert into part") :]
    )


def none(db: Connection) -> None:
    db.execute(SCHEMA.encode())


@pytest.mark.parametrize("statistics", [of_empty_tables, of_large_tables, none])
def test_no_call_reads_more_than_index_heights_when_everything_has_grown(
    db: Connection, connect: Connect, statistics: Callable[[Connection], None]
) -> None:
    statistics(db)
    settle(db)
    session = connect()
    first = least([catalog(db, session) for _ in range(7)][-2:])
    db.execute(FILL.encode())
    settle(db)
    assert worse(first, least([catalog(db, session) for _ in range(2)])) == {}
    fresh = connect()
    assert worse(first, least([catalog(db, fresh) for _ in range(7)][-2:])) == {}


@pytest.mark.parametrize("kind", ["projected", "payload"])
def test_a_session_that_grows_from_a_trickle_to_60000_keys_reads_at_most_twice_as_much(
    db: Connection, connect: Connect, kind: str
) -> None:
    tables(db, "vacuum analyze %")
    db.execute(SCHEMA.encode())
    settle(db)
    session = connect()
    write: dict[str, LiteralString] = {
        "projected": "insert into item select n, 2, 1 from generate_series(%s::int, %s::int) n",
        "payload": "select publish_enqueue('event', n::text, '1') from generate_series(%s::int, %s::int) n",
    }
    counts: list[int] = []
    for first in range(1001, 1101):  # a trickle: one by one
        db.execute(write[kind], [first, first])
        drain(session)
    for first in range(2001, 2001 + GROWN, 500):
        db.execute(write[kind], [first, first + 499])
        counts.append(blocks(session, "select publish_drain(500)"))
    assert one(db, "select publish_head()") == 300 + 100 + GROWN
    assert median(counts[-5:]) <= 2 * median(counts[:5])


def test_pruning_60000_events_reads_as_much_for_each_batch(
    db: Connection, connect: Connect
) -> None:
    tables(db, "vacuum analyze %")
    db.execute(SCHEMA.encode())
    settle(db)
    session = connect()
    for _ in range(7):
        blocks(session, "select publish_maintain(1000)")
    db.execute(
        "select publish_enqueue('event', n::text, '1') from generate_series(1001, 1000 + %s) n",
        [GROWN],
    )
    settle(db)
    db.execute("update publish.published set updated_at = '2000-01-01' where kind = 'event'")
    counts: list[Any] = []
    while one(db, "select exists (select from publish.published where kind = 'event')"):
        counts.append(blocks(session, "select publish_maintain(1000)"))
        assert len(counts) < 100
    assert median(counts[-5:]) <= 2 * median(counts[:5])
