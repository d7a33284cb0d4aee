"""Everything at once on a server that is killed again and again: `make torture` plays two minutes,
`make torture HOURS=8 SEED=7` more, with the dice of that seed.

Writers, drains, maintenance, walks, verify and readers run in threads of their own; any of them may
lose its session at any moment, and then begins another. Workers that drain, deliver and run jobs
are processes, and are killed, or frozen past their leases. At the end nothing committed is missing,
the feed is the view, and each reader and consumer that followed resets holds exactly the feed. What
is right is told by the tables that were written, and by nothing of ours.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryFile
from threading import Event
from typing import IO, Any

import psycopg
import pytest
from conftest import Process
from faults import FAKETIME, Faults
from helpers import check_feed, drain, feed, head, one, quarantine, record_revs, revs_given, until
from marks import says, verify
from psycopg import errors
from psycopg.rows import namedtuple_row
from receiver import Request, receiving
from replicas import in_process

from pgpublish.embedded import Cluster
from pgpublish.migrate import migrate

WRITERS, DRAINS, READERS = 4, 2, 2
KEYS = 40
LEASE_S = 5  # of deliveries and jobs
HERE = Path(__file__).parent

# "article": joined to a parent that is looked up. "visit": two key columns, over a partitioned
# table. "entry" and "later": payloads; their ledgers are written in the same transactions, and are
# what the feed must say. "asked": jobs that were added.
SCHEMA = """
create table author (id int primary key, name text);
create table article (id int primary key, author_id int, title text, live boolean);
create index on article (author_id);
create table visit (article_id int, day int, note text, primary key (article_id, day))
  partition by list (day);
create table visit_odd partition of visit for values in (1, 3);
create table visit_even partition of visit for values in (2, 4);
create view article_view as
  select a.id, a.title, u.name as author
    from article a left join author u on u.id = a.author_id
   where a.live;
create view visit_view as
  select v.article_id, v.day, v.note, a.title
    from visit v left join article a on a.id = v.article_id;
create table ledger (key text primary key, number int not null);
create table late_ledger (key text primary key);
create table asked (id text primary key);
create table done (id text not null, step text not null);
insert into author select i, 'n0' from generate_series(1, 5) i;
insert into ledger select 'hot ' || i, 0 from generate_series(1, 5) i;
select publish_define('article', 'article_view');
select publish_capture('article', 'article', columns => '{author_id,title,live}');
select publish_capture('article', 'author', columns => '{name}',
                       lookup => 'select id from article where author_id = any ($1)');
select publish_define('visit', 'visit_view', key => '{article_id,day}');
select publish_capture('visit', 'visit');
select publish_capture('visit', 'article', columns => '{title}',
  lookup => 'select article_id, day from visit where article_id = any ($1)');
select publish_define('entry');
select publish_define('later');
"""
PROJECTED = ("article", "visit")

# Slots of two seconds in place of five minutes, and what was drained may go after one.
FAST_SLOTS = """
alter table publish.outbox alter slot set default
  ((floor(date_part('epoch', transaction_timestamp()) / 2))::bigint % 3);
do $$
declare
  v_name text;
  v_text text;
  v_fast text;
begin
  for v_name in values ('publish.outbox_0'), ('publish.outbox_1'), ('publish.outbox_2') loop
    execute format('alter table %s alter slot set default '
                   '((floor(date_part(''epoch'', transaction_timestamp()) / 2))::bigint %% 3)',
                   v_name);
  end loop;
  foreach v_name in array '{empty_slot,slot_holder}'::text[] loop
    v_text := pg_get_functiondef(('publish.' || v_name)::regproc);
    v_fast := replace(replace(v_text, ') / 300)', ') / 2)'), '''1 minute''', '''1 second''');
    assert v_fast <> v_text;
    execute v_fast;
  end loop;
end $$;
"""

SMALL = """
alter table publish.published set tablespace small;
alter index publish.published_pkey set tablespace small;
alter index publish.published_key_idx set tablespace small;
alter table publish.drain set tablespace small;
"""

STATEMENTS = [
    "insert into article values ({i}, {a}, '{n}', true) on conflict (id) do update"
    " set title = excluded.title, live = not article.live",
    "update article set title = '{n}' where id between {i} and {i} + 5",
    "update article set author_id = {a} where id = {i}",
    "update author set name = '{n}' where id = {a}",
    "delete from article where id = {i}",
    "truncate article",
    "insert into visit values ({i}, {d}, '{n}') on conflict (article_id, day) do update"
    " set note = excluded.note",
    "update visit set day = 5 - {d} where article_id = {i} and day = {d}"
    " and not exists (select from visit v where v.article_id = {i} and v.day = 5 - {d})",
    "update visit_odd set note = '{n}' where article_id between {i} and {i} + 5",
    "delete from visit where article_id = {i}",
    "truncate visit_even",
    "insert into ledger values ('{n}', 1);"
    "select publish_enqueue('entry', '{n}', '1')",
    "with hot as (update ledger set number = number + 1 where key = 'hot {a}' returning *)"
    " select publish_enqueue('entry', h.key, to_jsonb(h.number)) from hot h",
    "with gone as (delete from ledger where number = 1 and key ="
    " (select l.key from ledger l where l.number = 1 order by random() limit 1) returning key)"
    " select publish_enqueue('entry', g.key, deleted => true) from gone g",
    "insert into late_ledger values ('{n}');"
    "select publish_enqueue('later', '{n}', '1', "
    " available_at => now() + random() * '3 s'::interval)",
    "insert into asked values ('{n}');"
    "select publish_job_add('{n}', 'quick', max_attempts => 1000000,"
    " backoff_min => '10 ms', backoff_max => '1 s')",
]  # fmt: skip
WEIGHTS = [8, 4, 4, 2, 3, 0.1, 5, 3, 2, 1, 0.1, 4, 6, 2, 2, 0.5]

# What a transaction may be given, and what comes of it.
LIMITS = [
    "set local statement_timeout = '5ms'",
    "set local lock_timeout = '1ms'",
    "set local synchronous_commit = off",
]
# 25P02: the timeout ended ROLLBACK TO itself, which psycopg passes over.
LOST = (
    psycopg.OperationalError, psycopg.InterfaceError, errors.TransactionTimeout,
    errors.InFailedSqlTransaction,
)  # fmt: skip
EXPECTED = (
    errors.DeadlockDetected, errors.QueryCanceled, errors.LockNotAvailable, errors.UniqueViolation,
)  # fmt: skip


class Torture:
    """What the threads share."""

    def __init__(self, faults: Faults, seed: int) -> None:
        self.faults = faults
        self.did = faults.did
        self.seed = seed
        self.stop = Event()
        self.quiet = Event()  # nobody writes any more and all is drained
        self.failed = Event()

    def dice(self, *who: object) -> random.Random:
        return random.Random(f"{self.seed} {who}")

    def sessions(self, step: Callable[[psycopg.Connection[Any]], bool]) -> None:
        """Repeats step until it returns False, in a new session whenever one is lost."""
        goes_on = True
        while goes_on and not self.failed.is_set():
            try:
                with self.faults.connect() as conn:
                    while goes_on and not self.failed.is_set():
                        goes_on = step(conn)
            except LOST as error:
                self.did(f"lost: {error.sqlstate or 'connection'}")
            self.failed.wait(0.02)

    # --- who works

    def write(self, writer: int) -> None:
        dice = self.dice("writer", writer)
        written = 0

        def step(conn: psycopg.Connection[Any]) -> bool:
            nonlocal written
            written += 1
            with suppress(*EXPECTED):
                if dice.random() < 0.03:
                    self.prepare(conn, dice, f"{writer}-{written}")
                else:
                    self.transaction(conn, dice, f"{writer}-{written}")
                self.did("transactions")
            return not self.stop.is_set()

        self.sessions(step)

    def transaction(self, conn: psycopg.Connection[Any], dice: random.Random, name: str) -> None:
        with conn.transaction(force_rollback=dice.random() < 0.1):
            if dice.random() < 0.4:
                conn.execute(dice.choice(LIMITS).encode())
            if dice.random() < 0.03 and conn.info.server_version >= 170000:
                conn.execute("set local transaction_timeout = '20ms'")
            for number in range(dice.choice([1, 1, 1, 2, 4])):
                with conn.transaction(force_rollback=dice.random() < 0.1):
                    self.statement(conn, dice, f"{name}-{number}")
                if dice.random() < 0.05:
                    self.stop.wait(dice.random() / 4)

    def statement(self, conn: psycopg.Connection[Any], dice: random.Random, name: str) -> None:
        text = dice.choices(STATEMENTS, WEIGHTS)[0]
        text = text.format(i=dice.randint(1, KEYS), a=dice.randint(1, 5), d=dice.randint(1, 4),
                           n=name)  # fmt: skip
        conn.execute(text.encode())

    def prepare(self, conn: psycopg.Connection[Any], dice: random.Random, name: str) -> None:
        """Somebody else ends it."""
        conn.execute("begin")
        try:
            self.statement(conn, dice, name)
            conn.execute(f"prepare transaction '{name}'".encode())
        finally:
            if not conn.closed:
                conn.execute("rollback")
        self.did("prepared")

    def resolve(self, _: int) -> None:
        """Ends prepared transactions, sooner or later; all of them at the end."""
        dice = self.dice("resolver")

        def step(conn: psycopg.Connection[Any]) -> bool:
            stops = self.stop.wait(0.1)
            left = conn.execute("select x.gid from pg_prepared_xacts x").fetchall()
            for (gid,) in left:
                if stops or dice.random() < 0.3:
                    end = dice.choice(["commit", "commit", "rollback"])
                    with suppress(errors.UndefinedObject, errors.QueryCanceled):
                        conn.execute(f"{end} prepared '{gid}'".encode())
            return not stops or bool(left)

        self.sessions(step)

    def drain(self, number: int) -> None:
        dice = self.dice("drain", number)

        def step(conn: psycopg.Connection[Any]) -> bool:
            with suppress(*EXPECTED):
                if dice.random() < 0.05:
                    conn.execute("call publish_run('1 s', 50)")
                    self.did("runs of cron")
                with conn.transaction(force_rollback=dice.random() < 0.1):
                    if dice.random() < 0.5:  # a crash may take back what readers have read
                        conn.execute(dice.choice(LIMITS).encode())
                    drain(conn, dice.choice([1, 3, 20, 500]))
                    self.did("drains")
            return not self.stop.wait(0.01)

        self.sessions(step)

    def maintain(self, _: int) -> None:
        """Slots are emptied, kinds are walked and compared."""
        dice = self.dice("maintenance")

        def step(conn: psycopg.Connection[Any]) -> bool:
            kind = dice.choice(PROJECTED)
            with suppress(*EXPECTED):
                (emptied,) = conn.execute("select slots_emptied from publish_maintain()").fetchone()
                for _ in range(emptied):
                    self.did("slots emptied")
                if dice.random() < 0.1:
                    conn.execute("select publish_walk(%s)", [kind])
                    self.did("walks")
            try:
                with conn.cursor(row_factory=namedtuple_row) as cursor:
                    page = cursor.execute("select * from publish_verify(%s)", [kind]).fetchone()
                assert page.differences is None, page
                self.did("verified")
            except EXPECTED:
                pass
            except psycopg.Error as error:
                if error.sqlstate != "PT423":  # it waited in vain for what it reads
                    raise
            return not self.stop.wait(0.3)

        self.sessions(step)

    def read(self, number: int) -> dict[str, Any]:
        """Follows the feed and its resets until all is quiet, and starts over now and then:
        pub_id → payload."""
        dice = self.dice("reader", number)
        held: dict[str, Any] = {}
        cursor: str | None = None
        last = 0

        def start_over() -> None:
            nonlocal cursor, last
            held.clear()
            last, cursor = 0, None

        def step(conn: psycopg.Connection[Any]) -> bool:
            nonlocal cursor, last
            ends = self.quiet.is_set()
            if not ends and dice.random() < 0.002:
                start_over()
                self.did("started over")
            try:
                page = one(conn, "select publish_page(%s, 50)", cursor)
            except errors.QueryCanceled:
                return True
            if page["reset"]:
                self.did("resets")
                start_over()
                return True
            for change in page["changes"]:
                assert change["rev"] > last, f"rev {change['rev']} came after {last}"
                last = change["rev"]
                if change["deleted"]:
                    held.pop(change["pub_id"], None)
                else:
                    held[change["pub_id"]] = change["payload"]
            cursor = page["cursor"]
            return page["more"] or not ends

        self.sessions(step)
        return held

    # --- workers, which die

    def work(self, command: list[str]) -> None:
        """One worker after the other. The last one ends when all is quiet."""
        try:
            self.work_on(command)
        except BaseException:
            self.failed.set()
            raise

    def work_on(self, command: list[str]) -> None:
        dice = self.dice(command)
        while not (self.quiet.is_set() or self.failed.is_set()):
            server = self.faults.cluster
            with TemporaryFile("w+") as log:
                process = started(command, server, log)
                dies_at = time.monotonic() + dice.uniform(1, 6)
                while not (self.quiet.wait(0.05) or self.failed.is_set()):
                    if process.poll() is not None:
                        self.did("worker ended")  # there was no server
                        break
                    killed = not self.stop.is_set() and time.monotonic() > dies_at
                    if killed and dice.random() < 0.2:
                        self.freeze(process, started(command, server, log))
                    if killed or self.faults.cluster is not server:
                        self.did("worker killed")
                        break
                process.kill()
                process.wait()
                log.seek(0)
                said = log.read()
                assert "Traceback" not in said, said

    def freeze(self, process: Process, other: Process) -> None:
        """It sleeps past its leases, another gets its work, and then it goes on beside that."""
        process.send_signal(signal.SIGSTOP)
        self.failed.wait(LEASE_S + 2)
        process.send_signal(signal.SIGCONT)
        self.failed.wait(1)
        other.kill()
        other.wait()
        self.did("worker frozen")

    # --- who destroys

    def destroy(self, seconds: float) -> None:
        dice = self.dice("destroyer")
        ends_at = time.monotonic() + seconds
        todo = [self.faults.kill_server]
        while time.monotonic() < ends_at and not self.failed.is_set():
            time.sleep(dice.uniform(0.3, 1.5))
            todo.pop()()
            if not todo:
                todo = self.faults.deeds()
                dice.shuffle(todo)


def started(command: list[str], server: Cluster, log: IO[str]) -> Process:
    return subprocess.Popen(
        [sys.executable, "-m", "pgpublish", "--database-url", server.url(), *command],
        stdout=subprocess.DEVNULL, stderr=log, cwd=HERE / "jobs",
        env={k: v for k, v in os.environ.items() if k != "LD_PRELOAD"},
    )  # fmt: skip


@contextmanager
def running(torture: Torture, pool: ThreadPoolExecutor) -> Iterator[tuple[list[Any], list[Any]]]:
    """Writers and drains run inside the block; readers, and workers, go on behind it."""
    works = [pool.submit(torture.write, n) for n in range(WRITERS)]
    works += [pool.submit(torture.drain, n) for n in range(DRAINS)]
    works += [pool.submit(torture.maintain, 0), pool.submit(torture.resolve, 0)]
    readers = [pool.submit(torture.read, n) for n in range(READERS)]
    workers = [
        pool.submit(torture.work, ["run", "--batch", "20", "--quiet"]),
        pool.submit(
            torture.work, ["work", "quick", "--import", "job_handlers", "--lease", str(LEASE_S)]
        ),
    ]
    try:
        yield readers, workers
        torture.stop.set()
        for work in works:
            work.result(120)
    except BaseException:
        torture.failed.set()
        raise


def test_nothing_is_lost_or_wrong_while_everything_is_killed(
    server_kind: str, pytestconfig: pytest.Config
) -> None:
    seconds = pytestconfig.getoption("--torture")
    seed = pytestconfig.getoption("--seed") or random.randrange(1 << 32)
    print(f"seed {seed}")  # shown when it fails
    dice = random.Random(f"{seed} endpoint")
    replica = in_process()

    def answer(request: Request) -> int:
        """Refuses, breaks, or answers after it has taken the event that it failed."""
        fate = dice.random()
        if fate < 0.05:
            return 503
        replica.take(request.event)
        return 500 if fate < 0.1 else 204

    with ExitStack() as stack:
        endpoint = stack.enter_context(receiving(answer))
        faults = Faults(server_kind, stack, random.Random(seed), autovacuum_naptime="1s")
        with faults.connect() as conn:
            migrate(conn)
            conn.execute(SCHEMA.encode())
            conn.execute(FAST_SLOTS.encode())
            record_revs(conn)
            if faults.small is not None:
                conn.execute(f"create tablespace small location '{faults.small}/data'".encode())
                conn.execute(SMALL.encode())
            conn.execute(
                "select publish_subscribe('hook', 'webhook', %s, lanes => 2,"
                " lease => %s * interval '1 s',"
                " max_attempts => 10000, backoff_min => '10 ms', backoff_max => '200 ms')",
                [json.dumps({"url": endpoint.url, "allow_private": True}), LEASE_S],
            )
        torture = Torture(faults, seed)
        pool = stack.enter_context(ThreadPoolExecutor(WRITERS + DRAINS + READERS + 4))
        try:
            with running(torture, pool) as (readers, workers):
                torture.destroy(seconds)
            faults.set_clock(0)
            with faults.connect() as conn:
                conn.row_factory = namedtuple_row
                for fact in (is_drained, is_delivered):
                    until(lambda fact=fact: torture.failed.is_set() or fact(conn), 90)
                for work in [*readers, *workers]:
                    if work.done():
                        work.result()  # raises
                torture.quiet.set()
                held = [reader.result(60) for reader in readers]
                for worker in workers:
                    worker.result(60)
                with endpoint.changed:
                    held.append(replica.shows())
                is_right(conn, held)
        except BaseException:
            torture.failed.set()
            raise
        finally:
            told(faults, seed, seconds)
            if torture.failed.is_set():
                still_open(faults)
        assert faults.done["server killed"] > 0
        assert faults.done["transactions"] > 0


def told(faults: Faults, seed: int, seconds: float) -> None:
    """How often each thing was done, in all and in a minute."""
    print(f"seed {seed}, {seconds:.0f} s; done, and done a minute:")
    for what, count in sorted(faults.done.items()):
        print(f"  {what:24} {count:7} {count * 60 / seconds:9.1f}")
    if faults.small is None:
        print("  no disk was full: we may not mount here")
    if not FAKETIME.exists():
        print("  no clock was stepped: libfaketime is not installed")


def still_open(faults: Faults) -> None:
    """What is not as it should be at the end."""
    with suppress(psycopg.Error), faults.connect() as conn:
        for query in (
            "select to_jsonb(s) from publish_subscriptions() s",
            "select to_jsonb(w) from publish.worker w where w.alive",
            "select to_jsonb(j) from publish.job j where j.status <> 'succeeded'",
            "select to_jsonb(d) from publish.deferred d limit 5",
            "select to_jsonb(w) from publish.walk w",
            "select to_jsonb(a) - 'backend_start' from pg_stat_activity a"
            " where a.backend_type = 'client backend'",
        ):
            print(query)
            with suppress(psycopg.ProgrammingError):
                for (row,) in conn.execute(query.encode()).fetchall():
                    print("  ", row)


def is_drained(conn: psycopg.Connection[Any]) -> bool:
    """Drains; True when nothing is left, also of what was put off after a cancel."""
    drained = drain(conn)
    return not (
        drained.busy
        or drained.scanned
        or one(conn, "select exists (select from publish.deferred)")
        or one(conn, "select exists (select from publish.walk)")
    )


def is_delivered(conn: psycopg.Connection[Any]) -> bool:
    """All that was published and, of jobs, all that was asked for."""
    return one(
        conn,
        "select bool_and(s.state = 'active' and s.behind = 0 and s.retries = 0 and s.dead = 0"
        " and s.workers is null) from publish_subscriptions() s",
    ) and not one(
        conn,
        "select exists (select from asked a where not exists"
        " (select from publish.job j where j.id = a.id and j.status = 'succeeded'))",
    )


def is_right(conn: psycopg.Connection[Any], held: list[dict[str, Any]]) -> None:
    check_feed(conn)
    assert revs_given(conn) == list(range(1, head(conn) + 1))
    assert quarantine(conn) == {}
    for kind in PROJECTED:
        assert feed(conn, kind) == says(conn, kind)
        _, found = verify(conn, kind)
        assert found == {}
    ledger = dict(conn.execute("select key, number from ledger where number > 0").fetchall())
    assert feed(conn, "entry") == ledger
    late = {key for (key,) in conn.execute("select key from late_ledger").fetchall()}
    assert set(feed(conn, "later")) == late
    lost = "select a.id from asked a where not exists (select from done d where d.id = a.id)"
    assert conn.execute(lost).fetchall() == []
    rows = conn.execute(
        "select p.pub_id::text, p.payload from publish.published p where not p.deleted"
    ).fetchall()
    for reader in held:
        assert reader == dict(rows)
