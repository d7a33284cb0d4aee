"""Everything at once on a server that is killed again and again: `make torture` plays two minutes.

Writers, drains, maintenance and readers run in threads of their own; any of them may lose its
session at any moment, and then begins another. At the end nothing committed is missing, the feed is
the view, and each reader that followed resets holds exactly the feed.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event
from typing import Any

import psycopg
import pytest
from helpers import check_feed, drain, feed, one, quarantine, running_cluster, until
from marks import says, verify
from psycopg.rows import namedtuple_row

from pgpublish.embedded import Cluster
from pgpublish.migrate import migrate

WRITERS, DRAINS, READERS = 3, 2, 2
KEYS = 40

# "article": joined to a parent that is looked up. "entry": payloads; the ledger is written in the
# same transactions, and is what the feed must say.
SCHEMA = """
create table author (id int primary key, name text);
create table article (id int primary key, author_id int, title text, live boolean);
create index on article (author_id);
create view article_view as
  select a.id, a.title, u.name as author
    from article a left join author u on u.id = a.author_id
   where a.live;
create table ledger (key text primary key, number int not null);
insert into author select i, 'n0' from generate_series(1, 5) i;
insert into ledger select 'hot ' || i, 0 from generate_series(1, 5) i;
select publish_define('article', 'article_view');
select publish_capture('article', 'article', columns => '{author_id,title,live}');
select publish_capture('article', 'author', columns => '{name}',
                       lookup => 'select id from article where author_id = any ($1)');
select publish_define('entry');
"""

STATEMENTS = [
    "insert into article values ({i}, {a}, '{n}', true) on conflict (id) do update"
    " set title = excluded.title, live = not article.live",
    "update article set title = '{n}' where id between {i} and {i} + 5",
    "update article set author_id = {a} where id = {i}",
    "update author set name = '{n}' where id = {a}",
    "delete from article where id = {i}",
    "truncate article",
    "insert into ledger values ('{n}', 1);"
    "select publish_enqueue('entry', '{n}', '1')",
    "with hot as (update ledger set number = number + 1 where key = 'hot {a}' returning *)"
    " select publish_enqueue('entry', h.key, to_jsonb(h.number)) from hot h",
]  # fmt: skip
WEIGHTS = [8, 4, 4, 2, 3, 0.1, 4, 6]


class Torture:
    """What the threads share. count: what was done, by name."""

    def __init__(self, cluster: Cluster, seed: int) -> None:
        self.cluster = cluster
        self.random = random.Random(seed)
        self.stop = Event()
        self.quiet = Event()  # nobody writes any more and all is drained
        self.failed = Event()
        self.count: dict[str, int] = {}

    def did(self, what: str) -> None:
        self.count[what] = self.count.get(what, 0) + 1

    def sessions(self, step: Callable[[psycopg.Connection[Any]], bool]) -> None:
        """Repeats step until it returns False, in a new session whenever one is lost."""
        goes_on = True
        while goes_on and not self.failed.is_set():
            with suppress(psycopg.OperationalError, psycopg.InterfaceError):
                url = self.cluster.url()
                with psycopg.connect(url, autocommit=True, connect_timeout=5) as conn:
                    while goes_on and not self.failed.is_set():
                        goes_on = step(conn)
            self.failed.wait(0.02)

    # --- who works

    def write(self, writer: int) -> None:
        dice = random.Random(self.random.random())
        written = 0

        def step(conn: psycopg.Connection[Any]) -> bool:
            nonlocal written
            written += 1
            try:
                with conn.transaction(force_rollback=dice.random() < 0.1):
                    if dice.random() < 0.3:
                        conn.execute("set local synchronous_commit = off")
                    for number in range(dice.choice([1, 1, 1, 2, 4])):
                        name = f"{writer}-{written}-{number}"
                        with conn.transaction(force_rollback=dice.random() < 0.1):
                            self.statement(conn, dice, name)
                        if dice.random() < 0.05:
                            self.stop.wait(dice.random() / 4)
                self.did("transactions")
            except (psycopg.errors.DeadlockDetected, psycopg.errors.QueryCanceled):
                pass
            return not self.stop.is_set()

        self.sessions(step)

    def statement(self, conn: psycopg.Connection[Any], dice: random.Random, name: str) -> None:
        text = dice.choices(STATEMENTS, WEIGHTS)[0]
        text = text.format(i=dice.randint(1, KEYS), a=dice.randint(1, 5), n=name)
        conn.execute(text.encode())

    def drain(self, _: int) -> None:
        dice = random.Random(self.random.random())

        def step(conn: psycopg.Connection[Any]) -> bool:
            with (
                suppress(psycopg.errors.QueryCanceled),
                conn.transaction(force_rollback=dice.random() < 0.1),
            ):
                if dice.random() < 0.5:  # then a crash may take back what readers have read
                    conn.execute("set local synchronous_commit = off")
                drain(conn, dice.choice([1, 3, 20, 500]))
                self.did("drains")
            if dice.random() < 0.02:
                with suppress(psycopg.errors.QueryCanceled):
                    conn.execute("select * from publish_maintain()")
            return not self.stop.wait(0.01)

        self.sessions(step)

    def read(self, _: int) -> dict[str, Any]:
        """Follows the feed and its resets until all is quiet: pub_id → payload."""
        held: dict[str, Any] = {}
        cursor: str | None = None
        last = 0

        def step(conn: psycopg.Connection[Any]) -> bool:
            nonlocal cursor, last
            ends = self.quiet.is_set()
            try:
                page = one(conn, "select publish_page(%s, 50)", cursor)
            except psycopg.errors.QueryCanceled:
                return True
            if page["reset"]:
                self.did("resets")
                held.clear()
                last, cursor = 0, None
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

    # --- who destroys

    def destroy(self, seconds: float) -> None:
        ends_at = time.monotonic() + seconds
        deed = self.kill_server
        while time.monotonic() < ends_at:
            time.sleep(self.random.uniform(0.3, 2.0))
            deed()
            deed = self.random.choice([self.kill_server, self.kill_backend, self.end, self.cancel])

    def kill_server(self) -> None:
        """SIGKILL to the server and all its processes, as when the machine's power fails."""
        server = self.server()
        os.kill(server, signal.SIGSTOP)  # it must not start anything now
        processes = [*children(server), server]
        for process in processes:
            os.kill(process, signal.SIGKILL)
        until(lambda: not any(map(runs, processes)))
        self.cluster.stop()
        self.cluster.start()
        self.did("server killed")

    def kill_backend(self) -> None:
        """SIGKILL to one backend: the server ends all and recovers."""
        with suppress(psycopg.Error), psycopg.connect(self.cluster.url()) as conn:
            (process,) = conn.execute(
                "select a.pid from pg_stat_activity a where a.backend_type = 'client backend'"
                " order by random() limit 1"
            ).fetchone()
            assert process in children(self.server())
            os.kill(process, signal.SIGKILL)
            self.did("backend killed")
        until(self.cluster.answers)

    def end(self) -> None:
        self.each("pg_terminate_backend")

    def cancel(self) -> None:
        self.each("pg_cancel_backend")

    def each(self, function: str) -> None:
        with suppress(psycopg.Error), psycopg.connect(self.cluster.url()) as conn:
            conn.execute(
                f"select {function}(a.pid) from pg_stat_activity a"
                " where a.backend_type = 'client backend' and a.pid <> pg_backend_pid()".encode()
            )
            self.did(function)

    def server(self) -> int:
        return int((self.cluster.data / "postmaster.pid").read_text().split()[0])


def children(process: int) -> list[int]:
    return [int(p) for p in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


def runs(process: int) -> bool:
    """Whether it still holds what it held; a zombie holds nothing."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@contextmanager
def running(torture: Torture, pool: ThreadPoolExecutor) -> Iterator[list[Any]]:
    """Writers and drains run inside the block; what the readers hold is ready behind it."""
    works = [pool.submit(torture.write, n) for n in range(WRITERS)]
    works += [pool.submit(torture.drain, n) for n in range(DRAINS)]
    readers = [pool.submit(torture.read, n) for n in range(READERS)]
    try:
        yield readers
    except BaseException:
        torture.failed.set()
        raise
    finally:
        torture.stop.set()
        for work in works:
            work.result(60)


@pytest.mark.timeout(600)
def test_nothing_is_lost_or_wrong_while_everything_is_killed(
    server_kind: str, pytestconfig: pytest.Config
) -> None:
    seconds = pytestconfig.getoption("--torture")
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")  # shown when it fails
    with running_cluster(server_kind, autovacuum_naptime="1s") as cluster:
        with psycopg.connect(cluster.url(), autocommit=True) as conn:
            migrate(conn)
            conn.execute(SCHEMA.encode())
        torture = Torture(cluster, seed)
        with ThreadPoolExecutor(WRITERS + DRAINS + READERS) as pool:
            try:
                with running(torture, pool) as readers:
                    torture.destroy(seconds)
                with psycopg.connect(
                    cluster.url(), autocommit=True, row_factory=namedtuple_row
                ) as conn:
                    until(lambda: is_drained(conn), 60)
                    torture.quiet.set()
                    held = [reader.result(60) for reader in readers]
                    is_right(conn, held)
            except BaseException:
                torture.failed.set()
                raise
        print(torture.count)
        assert torture.count["server killed"] > 0
        assert torture.count["transactions"] > 0


def is_drained(conn: psycopg.Connection[Any]) -> bool:
    """Drains; True when nothing is left, also of what was put off after a cancel."""
    while drain(conn).scanned:
        pass
    return not one(conn, "select exists (select from publish.deferred)") and not one(
        conn, "select exists (select from publish.walk)"
    )


def is_right(conn: psycopg.Connection[Any], held: list[dict[str, Any]]) -> None:
    check_feed(conn)
    assert quarantine(conn) == {}
    assert feed(conn, "article") == says(conn, "article")
    _, found = verify(conn, "article")
    assert found == {}
    ledger = dict(conn.execute("select key, number from ledger where number > 0").fetchall())
    assert feed(conn, "entry") == ledger
    rows = conn.execute(
        "select p.pub_id::text, p.payload from publish.published p where not p.deleted"
    ).fetchall()
    for reader in held:
        assert reader == dict(rows)
