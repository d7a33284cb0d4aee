"""Whatever is written, in whatever order transactions end and drains run: the feed is the view.

Hypothesis draws schedules of statements, transactions, savepoints, drains and looks of
publish_verify over four sessions, and plays them. `pytest --schedules N` plays more of them.
"""

from __future__ import annotations

import string
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, LiteralString

import psycopg
import pytest
from conftest import Connect, Connection
from helpers import drain_all, feed, head, one, quarantine, record_revs, revs_given
from hypothesis import HealthCheck, Phase, example, given, seed, settings
from hypothesis import strategies as st
from marks import knows
from psycopg.pq import TransactionStatus

from pgpublish import verify as verify_room
from pgpublish.errors import PublishError

SCHEDULES_OF_A_TEST = 25
WRITERS = 3

# Two kinds. "airport": a joined parent found by lookup, aggregates over a plain child with row
# security and over a partitioned one, a filter, rows for which it fails until they are repaired.
# "reading": a composite key in partitions, joined to a parent.
SCHEMA = """
create table country (code text primary key, name text);
create table airport (
  id int primary key, country text, title text, live boolean not null default true, note text);
create table runway (
  id int primary key, length int,
  airport_id int references airport on delete cascade on update cascade);
create table reading (airport_id int, day int, value int, primary key (airport_id, day))
  partition by range (day);
create table reading_early partition of reading for values from (minvalue) to (3);
create table reading_late partition of reading for values from (3) to (9)
  partition by list (airport_id);
create table reading_late_odd partition of reading_late for values in (1, 3, 5);
create table reading_late_even partition of reading_late default;
-- Hides every row from who does not own the table.
alter table runway enable row level security;
create index on airport (country);
create index on runway (airport_id);

create view airport_view as
  select a.id, a.title, c.name as country, count(r.id) as runways, sum(r.length) as length,
         (select max(m.value) from reading m where m.airport_id = a.id) as highest,
         case when a.title = 'fails' then 1 / (a.id - a.id) end as works
    from airport a
    left join country c on c.code = a.country
    left join runway r on r.airport_id = a.id
   where a.live
   group by a.id, c.code;
create view reading_view as
  select m.airport_id, m.day, m.value, a.title
    from reading m left join airport a on a.id = m.airport_id
   where m.value > 0;

select publish_define('airport', 'airport_view');
select publish_capture('airport', 'airport', columns => '{country,title,live}');
select publish_capture('airport', 'country',
                       lookup => 'select id from airport where country = any ($1)');
select publish_capture('airport', 'runway', key => 'airport_id');
select publish_capture('airport', 'reading', key => 'airport_id');
select publish_define('reading', 'reading_view', '{airport_id,day}');
select publish_capture('reading', 'reading');
select publish_capture('reading', 'airport', columns => '{title}',
  lookup => 'select airport_id, day from reading where airport_id = any ($1)');
"""

BEGINNING = """
insert into country values ('a', 'n0'), ('b', 'n1');
insert into airport select i, chr(96 + i % 3), 't0', i <> 2 from generate_series(1, 4) i;
insert into runway select i, i * 100, 1 + i % 3 from generate_series(1, 4) i;
insert into reading select i, d, i + d from generate_series(1, 3) i, generate_series(2, 3) d;
"""

RESET = """
set local session_replication_role = replica;
delete from country;
delete from airport;
delete from runway;
delete from reading;
delete from rev_given;
delete from publish.outbox;
delete from publish.published;
delete from publish.drain;
delete from publish.walk;
delete from publish.deferred;
"""

# Every kind of statement, in a paragraph for each table, so that a table with fewer of them is
# written as often; what each letter in braces stands for is below.
STATEMENTS = [
    paragraph.splitlines()
    for paragraph in r"""
update airport set title = '{t}' where id = {i}
update airport set title = 'fails' where id in ({i}, {j})
insert into airport values ({f}, '{c}', '{t}')
insert into airport values ({f}, '{c}', '{t}', true), ({f} + 1, '{c}', null, false)
insert into airport select i, '{c}', '{t}' from generate_series({i}, {j}) i on conflict do nothing
insert into airport values ({i}, '{c}', '{t}') on conflict (id) do update set title = excluded.title
copy airport (id, country, title) from stdin csv;{f},{c},{t}\n1{f},{c},{t}
update airport set title = '{t}' where id between {i} and {j}
update airport set country = '{c}' where id = {i}
update airport set country = '{c}', note = '{t}'
update airport set live = not live where id in ({i}, {j})
update airport set note = '{t}'
update airport set id = {f} where id = {j}
update airport set id = id + 6 where id between {i} and {j}
delete from airport where id = {i}
delete from airport where country = '{c}'
truncate {table}
merge into airport a using (values ({i}, '{t}'), ({j}, '{t}')) s (id, title) on a.id = s.id \
  when matched then update set title = s.title, live = true \
  when not matched then insert (id, title) values (s.id, s.title)
merge into airport a using generate_series({i}, {j}) s on a.id = s \
  when matched and a.id = {k} then update set id = a.id + 6 \
  when matched then delete \
  when not matched then insert (id, country) values (s, '{c}')
with gone as (delete from airport where id = {i} returning *) \
  insert into airport select {j}, g.country, g.title from gone g
with moved as (update airport set country = '{c}' where id <= {i} returning country) \
  update country set name = '{t}' where code in (select country from moved)

insert into country values ('{c}', '{t}')
insert into country values ('{c}', '{t}'), ('e', '{t}') \
  on conflict (code) do update set name = excluded.name
update country set name = '{t}' where code = '{c}'
update country set name = '{t}'
update country set code = '{c}' where code = '{d}'
delete from country where code = '{c}'
copy country from stdin csv;{c},{t}
merge into country c using (values ('{c}')) s (code) on c.code = s.code \
  when matched then delete when not matched then insert values (s.code, '{t}')

insert into runway values ({i}, {n}, {j})
insert into runway select i, {n}, {j} from generate_series({i}, {k}) i on conflict do nothing
update runway set length = {n} where airport_id = {i}
update runway set airport_id = {i} where id = {j}
update runway set airport_id = {i}
update runway set id = {i} where id = {j}
delete from runway where id <= {i}
copy runway from stdin csv;{i},{n},{j}
with gone as (delete from runway where airport_id = {i} returning *) \
  insert into reading select g.airport_id, g.id, g.length from gone g on conflict do nothing

insert into reading values ({i}, {y}, {n}), ({j}, {y}, {n})
insert into reading select {i}, d, {n} from generate_series(1, 4) d \
  on conflict (airport_id, day) do update set value = excluded.value
insert into reading_early values ({i}, 1, {n})
insert into reading_late_even values ({i} * 2, {y} + 2, {n})
update reading set value = {n} where airport_id = {i}
update reading set day = {y} where day = {z} and airport_id = {i}
update reading set day = 5 - day
update reading set airport_id = {i} where airport_id = {j}
update reading_late set value = value - 1
delete from reading where day = {y}
delete from reading_early
copy reading from stdin csv;{i},{y},{n}\n{j},{z},{n}
copy reading_late_odd from stdin csv;1,3,{n}\n5,4,{n}
merge into reading m using airport a on m.airport_id = a.id and m.day = {y} \
  when matched and a.id > {i} then delete \
  when matched then update set day = {z}, value = {n} \
  when not matched then insert values (a.id, {y}, {n})
""".strip()
    .replace("\\\n", "")
    .split("\n\n")
]

KINDS: dict[str, LiteralString] = {
    "airport": "select v.id::text, to_jsonb(v) from airport_view v",
    "reading": "select jsonb_build_array(v.airport_id::text, v.day::text)::text, to_jsonb(v)"
               "  from reading_view v",
}  # fmt: skip

VALUES = {
    "f": st.integers(3, 9),
    "table": st.sampled_from(
        ["airport cascade", "country", "runway", "reading", "reading_late_odd"]
    ),
    **dict.fromkeys("ijk", st.integers(1, 5)), **dict.fromkeys("cd", st.sampled_from("abc")),
    "t": st.sampled_from(["t0", "t1", "t2"]), "n": st.integers(0, 2),
    **dict.fromkeys("yz", st.integers(1, 4)),
}  # fmt: skip

# Two sessions met, or the rows are not as the statement needs them: it is rolled back.
EXPECTED = {
    "55P03": "lock_timeout", "40001": "serialization_failure", "40P01": "deadlock_detected",
    "23505": "unique_violation", "23503": "foreign_key_violation", "21000": "row changed twice",
    "3B001": "no savepoint", "PT423": "a verify that waited for lock_timeout",
}  # fmt: skip


@dataclass(frozen=True)
class Step:
    """What is done, and by which writer; None: by the session that only drains and looks.

    number: the batch of a drain or a look; of a statement 1 if it begins a transaction.
    """

    by: int | None
    do: str
    number: int = 0


@st.composite
def statement(draw: st.DrawFn) -> str:
    template = draw(st.sampled_from(draw(st.sampled_from(STATEMENTS))))
    names = {name for _, name, _, _ in string.Formatter().parse(template) if name}
    return template.format(**{name: draw(VALUES[name]) for name in sorted(names)})


def steps(by: st.SearchStrategy[int | None], *what: str, batches: Sequence[int] = (0,)) -> Any:
    return st.builds(Step, by, st.sampled_from(what), st.sampled_from(batches))


# Small ones cut transactions; large ones keep up, so that what an open one holds back is last.
DRAINED = (1, 2, 3, 5, 9, 500, 500, 500)

nobody = st.none()
writer = st.integers(0, WRITERS - 1)
write = st.builds(Step, writer, statement(), st.integers(0, 1))
step = st.sampled_from(
    [
        *[write] * 9,
        steps(writer, "begin isolation level repeatable read"),
        *[steps(writer, "commit", "commit", "rollback")] * 2,
        steps(writer, "savepoint s", "rollback to s"),
        *[steps(nobody, "drain", batches=DRAINED)] * 4,
        steps(writer, "drain", batches=DRAINED),
        steps(nobody | writer, "verify", batches=(1, 3, 500)),
    ]
).flatmap(lambda chosen: chosen)


@st.composite
def race(draw: st.DrawFn) -> list[Step]:
    """One writes and commits last; what another one writes beside it is drained before."""
    late, early = draw(st.permutations(range(WRITERS)))[:2]
    return [
        Step(late, "begin"), Step(late, draw(statement())), Step(early, draw(statement())),
        Step(early, "commit"), Step(None, "drain", 500), Step(late, "commit"),
    ]  # fmt: skip


part = st.sampled_from([*[st.builds(lambda one: [one], step)] * 9, race()]).flatmap(lambda p: p)
schedule = st.lists(part, min_size=12, max_size=40).map(lambda parts: [*chain(*parts)])

# The race that lookups are left to the drain for. The airport is drained before its country's new
# name commits, and was not of that country yet when the name was written.
RENAMED_BESIDE = [
    Step(0, "begin"),
    Step(0, "update country set name = 'new' where code = 'a'"),
    Step(1, "update airport set country = 'a' where id = 3"),
    Step(None, "drain", 500),
    Step(0, "commit"),
]

# A walk is asked for while another one is under way, and past airport 1 in the view and the feed.
TRUNCATED_TWICE = [
    Step(None, "drain", 500),
    Step(0, "truncate country"),
    *[Step(None, "drain", 1)] * 5,
    Step(0, "truncate runway"),
]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A seed, and a time limit, for every few schedules."""
    if "number" in metafunc.fixturenames:
        schedules = metafunc.config.getoption("--schedules")
        metafunc.parametrize("number", range(-(-schedules // SCHEDULES_OF_A_TEST)))


@pytest.mark.timeout(500)  # Hypothesis looks for a shorter schedule that fails, too.
def test_the_feed_is_the_view_after_any_schedule(connect: Connect, number: int) -> None:
    db, *writers = (connect() for _ in range(1 + WRITERS))
    db.execute(SCHEMA.encode())
    record_revs(db)
    for conn in (db, *writers):
        conn.execute("set lock_timeout = '2ms'")

    @seed(number)
    @settings(
        max_examples=SCHEDULES_OF_A_TEST, deadline=None, derandomize=True, print_blob=False,
        report_multiple_bugs=False, phases=(Phase.explicit, Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(
        schedule, st.lists(st.booleans(), min_size=WRITERS, max_size=WRITERS),
        st.sampled_from([3, 20, 500]),
    )  # fmt: skip
    @example(RENAMED_BESIDE, [True] * WRITERS, 500)
    @example(TRUNCATED_TWICE, [True] * WRITERS, 1)
    def holds(steps: list[Step], commits: list[bool], batch: int) -> None:
        for conn in writers:
            conn.rollback()
        db.execute(RESET.encode())
        db.execute(BEGINNING.encode())
        pub_ids: dict[tuple[str, str], Any] = {}
        for step in steps:
            play(db if step.by is None else writers[step.by], step)
            if step.do in ("drain", "commit"):
                keep_their_pub_ids(db, pub_ids)
        for conn, commit in zip(writers, commits, strict=True):
            conn.execute(b"commit" if commit else b"rollback")
        drain_all(db, batch)
        db.execute("update airport set title = 'repaired' where title = 'fails'")
        # What waits because its table was being truncated.
        db.execute(
            "update publish.deferred set due_at = now(); update publish.walk set due_at = now()"
        )
        drain_all(db, batch)
        keep_their_pub_ids(db, pub_ids)
        is_what_the_views_say(db)

    holds()


def play(conn: Connection, step: Step) -> None:
    """One step. What cannot be done now is left out."""
    if not knows(conn, step.do):
        return
    idle = conn.info.transaction_status == TransactionStatus.IDLE
    if step.do.startswith(("begin", "commit", "rollback", "savepoint")):
        if step.do.startswith("begin") != idle:
            return
    elif step.do in READS and not idle and isolation(conn) != "read committed":
        return  # TRUNCATE shows an older snapshot an empty table, and nothing can help that.
    elif step.do not in READS and idle and step.number:
        conn.execute("begin")
    try:
        if step.do in READS:
            READS[step.do](conn, step.number)
        elif step.do.startswith("copy"):
            command, _, lines = step.do.partition(";")
            with conn.cursor().copy(command.encode()) as copy:
                copy.write(lines.replace("\\n", "\n"))
        else:
            conn.execute(step.do.encode())
    except (psycopg.Error, PublishError) as error:
        if error.sqlstate not in EXPECTED:
            raise
    if conn.info.transaction_status == TransactionStatus.INERROR:
        try:
            conn.execute("rollback to s")
        except psycopg.errors.InvalidSavepointSpecification:
            conn.rollback()


def isolation(conn: Connection) -> str:
    level: str = one(conn, "show transaction_isolation")
    return level


def drain(conn: Connection, batch: int) -> None:
    conn.execute("select * from publish_drain(%s)", [batch])


def compared(conn: Connection, kind: str, batch: int) -> Iterator[Any]:
    """Every page of publish_verify."""
    page = verify_room.compare(conn, kind, batch=batch)
    yield page
    while page.next is not None:
        page = verify_room.compare(conn, kind, after=page.next, batch=batch)
        yield page


def verify(conn: Connection, batch: int) -> None:
    """At any moment, in any session: what differs is still to be drained."""
    for kind in KINDS:
        for page in compared(conn, kind, batch):
            assert page.differences is None


READS: dict[str, Callable[[Connection, int], None]] = {"drain": drain, "verify": verify}


def keep_their_pub_ids(db: Connection, known: dict[tuple[str, str], Any]) -> None:
    """Keys stay in the feed, with the pub_id that they had when they were first seen there."""
    now = db.execute("select kind, source_id, pub_id from publish.published").fetchall()
    now = {(kind, source_id): pub_id for kind, source_id, pub_id in now}
    assert known == {key: now.get(key) for key in known}
    known.update(now)


def is_what_the_views_say(db: Connection) -> None:
    for kind, view in KINDS.items():
        assert feed(db, kind) == dict(db.execute(view).fetchall())
        for page in compared(db, kind, 1000):
            assert (page.differences, page.pending) == (None, 0)
    assert revs_given(db) == list(range(1, head(db) + 1))
    assert quarantine(db) == {}
    problems = [row.problem for row in db.execute("select * from publish_audit()")]
    assert [problem for problem in problems if "write_down" not in problem] == []
