"""From 0.1.0, as it was released, to a release that adds, changes and removes: with rows in every
table, while workers of 0.1.0 go on, killed at every step, its server killed, two at once.

The next release is a copy of this checkout in which that much is edited; it runs as processes of
its own, as does what runs beside it.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event, Thread
from typing import Any, LiteralString

import psycopg
import pytest
import servers
from helpers import begin, drain, drain_all, feed, one, pid, running_cluster, until
from marks import says, verify
from psycopg.rows import namedtuple_row
from serve.serving import Events, Serving, free_port
from test_migrate import assert_equal, catalog

from pgpublish import locking
from pgpublish.embedded import Cluster

ROOT = Path(__file__).parents[1]
RELEASE = ROOT / "tests/fixtures/0.1.0.sql"
Connection = psycopg.Connection[Any]
NewDatabase = Callable[..., str]

# What may be empty: a table that only says who has locked it, and what 0.1.0's psql script leaves
# to migrate.
EMPTY = {"writer", "_yoyo_version", "yoyo_lock", "_yoyo_log", "_yoyo_migration"}

FILL = """
create table author (id int primary key, name text);
create table article (id int primary key, author_id int, title text, tenant text);
create index on article (author_id);
create table day (day date, n int, primary key (day, n)) partition by range (day);
create table day_1 partition of day for values from ('2026-01-01') to ('2026-02-01');
create table day_2 partition of day default;
create view article_view as
  select a.id, a.title, a.tenant, u.name as author
    from article a left join author u on u.id = a.author_id;
create view failing as select a.id, 1 / (a.id - 1) as n from article a;
insert into author select n, 'n' from generate_series(1, 5) n;
select publish_define('article', 'article_view', scope => 'tenant');
select publish_capture('article', 'article');
select publish_capture('article', 'author',
                       lookup => 'select id from article where author_id = any ($1)');
select publish_define('day', 'day', key => '{day,n}');
select publish_capture('day', 'day');
select publish_define('failing', 'failing', key => '{id}');
select publish_capture('failing', 'article');
select publish_define('note');
insert into article select n, n % 5 + 1, 'a', 'x' from generate_series(1, 20) n;
insert into day select date '2026-01-25' + n, n from generate_series(1, 20) n;
select publish_enqueue('note', n::text, to_jsonb(n)) from generate_series(1, 20) n;
select publish_grant('publish_reader', '{article}', 'x');
select publish_token_add('t', 'publish_reader');
select publish_job_add('done', 'k');
select publish_job_add('waits', 'k', run_at => now() + interval '1 day');
select publish_job_limit('k', 2);
select publish_job_schedule('nightly', 'k', '0 3 * * *');
select publish_accept('consumer', 'm');
select publish_set('job_retention', '30 days');
insert into publish.worker_start (worker_id, name, kind) values
  ('00000000-0000-4000-8000-000000000000', 'w', 'drain');
insert into publish.worker_beat (worker_id, doing) values
  ('00000000-0000-4000-8000-000000000000', 'draining');
"""


class Release:
    """A checkout of the next release, 0.2.0."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        skipped = shutil.ignore_patterns("__pycache__")
        for name in ("harness", "sql", "migrations"):
            shutil.copytree(ROOT / name, folder / name, ignore=skipped)
        self.edit("harness/pgpublish/__init__.py", '= version("pgpublish")', '= "0.2.0"  # version')
        self.add(
            "migrations/8001_noted.sql",
            "set local role publish_owner;\n"
            "alter table publish.published add column noted text;\n"
            "alter table publish.kind add column is_noted boolean not null default false;\n"
            "create table publish.noted (n int primary key);\n",
        )
        self.add("migrations/8002_more.sql", "select;\n")
        # Every write calls another function from now on. A write may be between two lines of one
        # that calls the old one, so that stays for a release.
        headers = folder / "sql/capture/headers.sql"
        text = headers.read_text()
        self.call("publish.headers", "publish.mark_headers")
        headers.rename(folder / "sql/capture/mark_headers.sql")
        headers.write_text(text)
        # The old name of one that an administrator calls goes.
        self.call("publish.audit_names", "publish.names_audit")
        (folder / "sql/verify/audit_names.sql").rename(folder / "sql/verify/names_audit.sql")
        # One that workers call returns two columns more.
        drain = self.folder / "sql/drain/publish_drain.sql"
        text = drain.read_text()
        text = text.replace(
            "head bigint, busy boolean\n", "head bigint, busy boolean, noted int, more int\n"
        )
        text = text.replace("state.head, false;", "state.head, false, 7, 7;")
        text = re.sub(r"(\n +)true;", r"\1true, 7, 7;", text)
        drain.write_text("drop function if exists public.publish_drain(int);\n" + text)

    def call(self, old: str, new: str) -> None:
        for file in sorted((self.folder / "sql").rglob("*.sql")):
            file.write_text(re.sub(rf"{re.escape(old)}\b", new, file.read_text()))

    def add(self, path: str, text: str) -> Path:
        file = self.folder / path
        file.write_text(text)
        return file

    def edit(self, path: str, old: str, new: str) -> None:
        file = self.folder / path
        text = file.read_text()
        assert text.count(old) == 1, path
        file.write_text(text.replace(old, new))

    def halt_after(self, path: str) -> Callable[[], object]:
        """The migration waits there for advisory lock (7), until what is returned is called."""
        file = self.folder / path
        text = file.read_text()
        file.write_text(text + "\nset local lock_timeout = 0;\nselect pg_advisory_xact_lock(7);\n")
        return lambda: file.write_text(text)

    def command(self, url: str, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "pgpublish", "--database-url", url, *arguments],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd="/",
            env=os.environ | {"PYTHONPATH": str(self.folder / "harness")},
        )  # fmt: skip

    def migrate(self, url: str) -> str:
        process = self.command(url, "migrate")
        said, wrong = process.communicate(timeout=60)
        assert process.returncode == 0, wrong
        return said


@pytest.fixture
def release(tmp_path: Path) -> Release:
    return Release(tmp_path / "next")


@pytest.fixture(scope="module")
def fresh(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """What the next release installs where there was nothing."""
    folder = tmp_path_factory.mktemp("fresh") / "next"
    with psycopg.connect(cluster.url(), autocommit=True) as admin:
        admin.execute("create database fresh")
        Release(folder).migrate(cluster.url("fresh"))
        yield catalog(cluster.url("fresh"))
        admin.execute("drop database fresh with (force)")


def session(url: str) -> Connection:
    return psycopg.connect(url, autocommit=True, row_factory=namedtuple_row)


@pytest.fixture
def old(cluster: Cluster, new_database: NewDatabase) -> str:
    """URL of a database of 0.1.0 with rows in every table."""
    return filled(cluster.url(new_database()))


def filled(url: str) -> str:
    servers.run_psql(url, "-f", str(RELEASE)).check_returncode()
    with session(url) as conn:
        conn.execute(FILL.encode())
        drain_all(conn)
        conn.execute("select publish_walk('day')")
        drain_all(conn)
        conn.execute("update article set tenant = 'y' where id = 7")
        drain_all(conn)
        conn.execute("select publish_enqueue('note', '20', deleted => true)")
        drain_all(conn)
        conn.execute("update publish.published set updated_at = updated_at - interval '1 year'")
        conn.execute("select * from publish_maintain()")
        conn.execute("select publish_subscribe('all', 'stdout', from_rev => 0)")
        for batch in ("select * from publish_claim('all', 'w', 9)",) * 2:
            found = conn.execute(batch).fetchall()
            failed = f'[{{"pub_id": "{found[0].pub_id}", "rev": {found[0].rev},'
            failed += ' "class": "rejected", "message": "no"}]'
            conn.execute("select publish_settle(%s, %s)", [found[0].token, failed])
        job = one(conn, "select s.token from publish_job_start('done') s")
        conn.execute("select publish_job_step('done', %s, 's', '1')", [job])
        conn.execute("select publish_job_fail('done', %s, 'e', 'm')", [job])
        # One that has sent a part of what it sends again.
        conn.execute("select publish_subscribe('again', 'stdout', from_rev => 0)")
        conn.execute("select publish_resync('again')")
        for _ in range(2):
            found = conn.execute("select * from publish_claim('again', 'w', 9)").fetchall()
            conn.execute("select publish_settle(%s)", [found[0].token])
        conn.execute("update publish.drain set at = at - interval '1 minute'")
        conn.execute("insert into article values (100, 1, 'undrained', 'x')")
        drain_all(conn)
        conn.execute("update article set title = 'undrained' where id = 3")
        conn.execute("select publish_walk('article')")
    return url


def rows(conn: Connection) -> dict[str, list[str]]:
    """Every row of every table of ours as text, but for what migrate itself writes."""
    tables = conn.execute(
        "select c.relname from pg_class c where c.relnamespace = 'publish'::regnamespace"
        " and c.relkind in ('r', 'p') and c.relname not in ('file', 'object', 'noted')"
    ).fetchall()
    return {
        table: sorted(
            text
            for (text,) in conn.execute(
                f"select (to_jsonb(t) - 'noted' - 'is_noted')::text from publish.{table} t".encode()
            )
        )
        for (table,) in tables
        if table not in EMPTY and not table.startswith("outbox_")
    }


def is_exact(conn: Connection) -> None:
    drain_all(conn)
    for kind in ("article", "day"):
        assert feed(conn, kind) == says(conn, kind)
        assert verify(conn, kind)[1] == {}
    assert conn.execute("select * from publish_audit()").fetchall() == []


def test_every_row_of_every_table_survives(old: str, release: Release, fresh: Any) -> None:
    with session(old) as conn:
        before = rows(conn)
        assert [table for table, found in before.items() if not found] == []
        release.migrate(old)
        assert rows(conn) == before
        is_exact(conn)
    upgraded = catalog(old)
    made = re.compile(r"publish_gate\.(project|capture)_\d")  # of what was defined
    upgraded["functions"] = [f for f in upgraded["functions"] if not made.match(str(f[0]))]
    assert_equal(upgraded, fresh)


def test_the_psql_script_of_the_next_release_does_the_same(
    old: str, release: Release, fresh: Any
) -> None:
    script, wrong = release.command(old, "sql").communicate(timeout=60)
    assert wrong == ""
    servers.run_psql(old, text=script).check_returncode()
    with session(old) as conn:
        assert one(conn, "select to_regproc('publish.audit_names') is null")
        is_exact(conn)
    release.migrate(old)
    assert catalog(old)["files"] == fresh["files"]


def test_what_was_under_way_goes_on(old: str, release: Release) -> None:
    """A transaction that is drained in part, a leased batch, a running job: each is ended with what
    was handed out before."""
    with session(old) as conn:
        drain_all(conn)
        with conn.transaction():
            conn.execute(
                "select publish_enqueue('note', 'n' || n, '1') from generate_series(1, 25) n"
            )
        published = drain(conn, 10).published
        assert 0 < published < 25  # a key that failed before may be due again, and take a place
        claimed = conn.execute("select * from publish_claim('all', 'w', 5)").fetchall()
        assert claimed
        job = one(conn, "select s.token from publish_job_start('waits') s")
        release.migrate(old)
        assert one(conn, "select sent from publish_settle(%s)", claimed[0].token) == len(claimed)
        again = []
        while found := conn.execute("select * from publish_claim('again', 'w', 9)").fetchall():
            again += [row.kind for row in found]
            conn.execute("select publish_settle(%s)", [found[0].token])
        assert again.count("pgpublish.resynced") == 1
        assert again.count("article") > 9
        assert one(conn, "select publish_job_step('waits', %s, 's', '1')", job) == 1
        conn.execute("select publish_job_done('waits', %s)", [job])
        assert one(conn, "select status from publish.job where id = 'waits'") == "succeeded"
        assert published + drain_all(conn, 10) == 25
        is_exact(conn)


class Beside:
    """Writers of 0.1.0's day, which must not notice."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.stop = Event()
        self.written = 0
        self.wrong: list[Exception] = []
        self.threads = [Thread(target=self.write, args=(n,), daemon=True) for n in range(2)]

    def write(self, writer: int) -> None:
        try:
            with session(self.url) as conn:
                conn.prepare_threshold = 0
                first = 1000 * (writer + 1)
                while not self.stop.is_set():
                    n = first + self.written % 50
                    with conn.transaction():
                        conn.execute(
                            "insert into article values (%s, 1, %s, 'x')"
                            " on conflict (id) do update set title = excluded.title",
                            [n, str(self.written)],
                        )
                        conn.execute("select publish_enqueue('note', %s, '1')", [str(n)])
                    conn.execute("update author set name = %s where id = 1", [str(n)])
                    conn.execute("update day set n = n where n = 3")
                    self.written += 1
        except Exception as error:
            self.wrong.append(error)

    def __enter__(self) -> Beside:
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        for thread in self.threads:
            thread.join(30)

    def goes_on(self, conn: Connection) -> None:
        """What is written from now on is published, by the workers that run."""
        written, head = self.written, one(conn, "select publish_head()")
        until(lambda: self.wrong or self.written > written + 4)
        assert self.wrong == []
        until(lambda: one(conn, "select publish_head()") > head + 4)
        until(lambda: one(conn, SENT) > head + 4)


@pytest.fixture
def workers(old: str) -> Iterator[None]:
    """All workers of 0.1.0, which are this checkout's, and a stream that somebody reads."""
    port = free_port()
    serve = ["serve", "--public", "publish_reader", "--port", str(port)]
    started = [
        subprocess.Popen(
            [sys.executable, "-m", "pgpublish", "--database-url", old, *command],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )
        for command in (["run"], ["work", "verify"], ["deliver", "--quiet"], serve)
    ]  # fmt: skip
    try:
        with session(old) as conn:
            until(lambda: one(conn, "select depth = 0 from publish_status()"))
            until(Serving(port).is_ready)
            with Serving(port).stream() as events:
                reading = begin(read_on, events, read := [0])
                yield
                head = one(conn, "select publish_head()")
                until(lambda: read[0] >= head or reading.done())
                assert not reading.done()
            until(lambda: one(conn, SENT) >= head)
        for process in started:
            assert process.poll() is None, process.communicate()
        for process in started:
            process.terminate()
            assert process.wait(30) == 0, process.communicate()
    finally:
        for process in started:
            process.kill()
            process.wait()


def read_on(events: Events, read: list[int]) -> None:
    """Reads a stream to its end; read has the rev of the last change."""
    while True:
        read[0] = events.changes(1)[0]["rev"]


# What of the feed each subscription has sent.
SENT: LiteralString = "select min(s.cursor) from publish_subscriptions() s"

# Where the migration of the next release is stopped, in its order.
STEPS = (
    "migrations/8001_noted.sql",
    "migrations/8002_more.sql",
    "sql/capture/mark_headers.sql",
    "sql/drain/publish_drain.sql",
    "sql/verify/drop_removed.sql",
    "sql/walk/walk_page.sql",
)


@pytest.mark.usefixtures("workers")
def test_killed_at_every_step_beside_old_workers(old: str, release: Release, fresh: Any) -> None:
    """SIGKILL of `pgpublish migrate`. Old workers and writers notice nothing, before the next run
    and after it."""
    with session(old) as holder, session(old) as conn, Beside(old) as beside:
        for step in STEPS:
            repair = release.halt_after(step)
            holder.execute("select pg_advisory_lock(7)")
            process = release.command(old, "migrate")
            waiting = until(lambda: blocked(conn, holder))
            process.kill()
            process.communicate()
            beside.goes_on(conn) if step.startswith("sql/") else None
            conn.execute("select pg_terminate_backend(%s, 10000)", [waiting])
            holder.execute("select pg_advisory_unlock(7)")
            repair()
            beside.goes_on(conn)
        release.migrate(old)
        beside.goes_on(conn)
        assert one(conn, "select to_regproc('publish.audit_names') is null")
    with session(old) as conn:
        until(lambda: one(conn, "select depth = 0 from publish_status()"))
        assert catalog(old)["files"] == fresh["files"]


def blocked(conn: Connection, holder: Connection) -> int | None:
    found = conn.execute(
        "select a.pid from pg_stat_activity a where %s = any (pg_blocking_pids(a.pid))",
        [pid(holder)],
    ).fetchone()
    return found[0] if found else None


def test_the_server_killed_in_the_middle(server_kind: str, release: Release, fresh: Any) -> None:
    with running_cluster(server_kind) as own:
        url = filled(own.url())
        repair = release.halt_after("sql/drain/publish_drain.sql")
        with session(url) as holder, session(url) as conn:
            holder.execute("select pg_advisory_lock(7)")
            process = release.command(url, "migrate")
            until(lambda: blocked(conn, holder))
            before = rows(conn) | {"alive": []}  # not logged
            own.stop(signal.SIGQUIT)
        _, wrong = process.communicate(timeout=60)
        assert process.returncode not in (0, None), wrong
        assert "Traceback" not in wrong
        repair()
        own.start()
        with session(url) as conn:
            assert rows(conn) == before
            release.migrate(url)
            assert rows(conn) == before
            is_exact(conn)
        assert catalog(url)["files"] == fresh["files"]


@pytest.mark.usefixtures("workers")
def test_two_at_once_beside_old_workers(old: str, release: Release, fresh: Any) -> None:
    with session(old) as holder, session(old) as conn, Beside(old) as beside:
        holder.execute("select pg_advisory_lock(%s, %s)", locking.LOCK)
        both = [release.command(old, "migrate") for _ in range(2)]
        until(
            lambda: one(
                conn,
                "select count(*) = 2 from pg_locks l where l.locktype = 'advisory'"
                " and l.classid = %s and not l.granted",
                locking.LOCK[0],
            )
        )
        holder.execute("select pg_advisory_unlock(%s, %s)", locking.LOCK)
        for process in both:
            _, wrong = process.communicate(timeout=60)
            assert process.returncode == 0, wrong
        beside.goes_on(conn)
        assert catalog(old)["files"] == fresh["files"]
