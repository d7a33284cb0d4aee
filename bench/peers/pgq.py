"""PgQ (Debian's postgresql-15-pgq3) with its triggers: the nearest to a captured table.

PgQ passes on each write to a table; ours, what a view shows now, once for several writes. So each
row is written once here, and the same travels: the row as JSON. Nothing runs PgQ's ticker but its
consumer, before each look, which is far more often than its daemon does.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from tempfile import TemporaryDirectory

from bench.capture import finish, pgbench, rate, touch_script
from bench.drain import drain_all
from bench.measure import Line, Target, percentile, rates, seconds
from bench.server import Bench, Connection, connect

INSTALL = """
create extension pgq;
select pgq.create_queue('row');
select pgq.register_consumer('row', 'reader');
update pgq.queue set queue_ticker_max_lag = '0', queue_ticker_idle_period = '0';
create table bench.theirs (like bench.item including all);
insert into bench.theirs select i.* from bench.item i;
create trigger pgq_row after insert or update or delete on bench.theirs
  for each row execute function pgq.jsontriga('row');
select publish_define('row', 'bench.item', array['id']);
select publish_capture('row', 'bench.item');
"""

TOUCH = "update bench.{} set touched_at = clock_timestamp() where id = :id;\n"
TOUCH_MANY = "update bench.{} set touched_at = clock_timestamp() where id between %s and %s"

# When what came was written, as seconds since 1970.
OURS = """
select c.rev, extract(epoch from (c.payload ->> 'touched_at')::timestamptz)::float8
  from publish_changes(%s, 500) c
"""
THEIRS = """
select e.ev_id, extract(epoch from (e.ev_data::json ->> 'touched_at')::timestamptz)::float8
  from pgq.get_batch_events(%s) e
"""


class Ours:
    """Drains, and reads what is new."""

    table = "item"

    def __init__(self, conn: Connection) -> None:
        self.since = int(value(conn, "select publish_head()"))

    def __call__(self, conn: Connection) -> list[float]:
        drain_all(conn, 500)
        written: list[float] = []
        while rows := conn.execute(OURS, [self.since]).fetchall():
            self.since = rows[-1][0]
            written += [at for _, at in rows]
        return written


class Theirs:
    """Ticks, and reads batch by batch."""

    table = "theirs"

    def __call__(self, conn: Connection) -> list[float]:
        conn.execute("select pgq.ticker('row')")
        written: list[float] = []
        while batch := value(conn, "select pgq.next_batch('row', 'reader')"):
            written += [at for _, at in conn.execute(THEIRS, [batch]).fetchall()]
            conn.execute("select pgq.finish_batch(%s)", [batch])
        return written


Sides = Mapping[str, Ours | Theirs]


def value(conn: Connection, query: str) -> int:
    row = conn.execute(query.encode()).fetchone()
    assert row is not None
    return row[0] or 0


def enqueued(bench: Bench, url: str, conn: Connection) -> Iterator[Line]:
    writes, rounds = bench.scaled(2000, 200), bench.scaled(5, 1)
    taken: dict[str, list[float]] = {"item": [], "theirs": []}
    with TemporaryDirectory() as folder:
        for turn in range(rounds):
            for table in list(taken)[:: 1 if turn % 2 else -1]:
                script = touch_script(folder, bench.items, TOUCH.format(table))
                output = finish(pgbench(bench, url, script, "-t", str(writes)))
                taken[table].append(4 * writes / rate(output))
    yield rates("m", "single-row updates, captured, 4 clients", 4 * writes,
                list(zip(taken["item"], taken["theirs"], strict=True)),
                unit="tx/s", against="PgQ's trigger", target=Target(1))  # fmt: skip


def consumed(bench: Bench, conn: Connection, sides: Sides, when: str) -> Iterator[Line]:
    """Rows written 50 at a time, then taken by one consumer."""
    count, rounds = bench.scaled(10_000, 1000), bench.scaled(5, 1)
    taken: dict[str, list[float]] = {side: [] for side in sides}
    for turn in range(rounds):
        for name, side in list(sides.items())[:: 1 if turn % 2 else -1]:
            write_many(conn, side, count)
            came: list[float] = []
            taken[name].append(seconds(lambda side=side, came=came: came.extend(side(conn))))
            if len(came) != count:
                raise RuntimeError(f"{name}: {len(came)} came of {count}")
    yield rates("m", f"captured rows to a consumer{when}", count,
                list(zip(taken["pgpublish"], taken["PgQ"], strict=True)),
                unit="rows/s", against="PgQ", target=Target(1))  # fmt: skip


def write_many(conn: Connection, side: Ours | Theirs, count: int) -> None:
    for first in range(1, count, 50):
        conn.execute(TOUCH_MANY.format(side.table).encode(), [first, first + 49])


def latencies(bench: Bench, url: str, conn: Connection, sides: Sides, when: str) -> Iterator[Line]:
    """200 writes a second; the consumer looks again 5 ms after it found nothing."""
    duration = bench.scaled(10, 2)
    waits: dict[str, list[float]] = {}
    for name, side in sides.items():
        waits[name] = []
        with TemporaryDirectory() as folder:
            script = touch_script(folder, bench.items, TOUCH.format(side.table))
            writer = pgbench(bench, url, script, "-R200", f"-T{duration}")
            try:
                while writer.poll() is None:
                    came = side(conn)
                    now = time.time()
                    waits[name] += [(now - at) * 1000 for at in came]
                    time.sleep(0 if came else 0.005)
                finish(writer)
            finally:
                writer.kill()
        side(conn)
    for percent in (50, 99):
        ours, theirs = (percentile(waits[name], percent) for name in ("pgpublish", "PgQ"))
        yield Line("m", f"write to consumer at 200/s, p{percent}{when}", ours=ours, theirs=theirs,
                   unit="ms", against="PgQ", ratios=[ours / theirs],
                   target=Target(1, at_least=False))  # fmt: skip


def run(bench: Bench) -> Iterator[Line]:
    with bench.database("bench_pgq") as url, connect(url) as conn:
        found = "select count(*)::int from pg_available_extensions where name = 'pgq'"
        if not value(conn, found):
            print("m  PgQ is not here: run with --server debian, and apt-get install"
                  " postgresql-15-pgq3")  # fmt: skip
            return
        conn.execute(INSTALL.encode(), prepare=False)
        sides: Sides = {"pgpublish": Ours(conn), "PgQ": Theirs()}
        for side in sides.values():
            write_many(conn, side, bench.items)
            side(conn)
        conn.execute("vacuum analyze")
        yield from enqueued(bench, url, conn)
        for side in sides.values():
            side(conn)
        yield from consumed(bench, conn, sides, "")
        yield from latencies(bench, url, conn, sides, "")
        with connect(url) as reader, reader.transaction():
            reader.execute("set transaction isolation level repeatable read")
            reader.execute("select from bench.item limit 1")
            churned = bench.scaled(100_000, 2000)
            for _ in range(0, churned, bench.scaled(10_000, 1000)):
                for side in sides.values():
                    write_many(conn, side, bench.scaled(10_000, 1000))
                    side(conn)
            when = f", snapshot older than {churned:,} rows"
            yield from consumed(bench, conn, sides, when)
            yield from latencies(bench, url, conn, sides, when)
