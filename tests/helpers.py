"""Two sessions in one test: waiting for facts instead of sleeping, and the questions every
guarantee asks of the feed."""

from __future__ import annotations

import re
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import Any, LiteralString, TypeVar

import psycopg
import servers
from psycopg.rows import namedtuple_row

from pgpublish.embedded import Cluster

T = TypeVar("T")
Connection = psycopg.Connection[Any]

PATIENCE = 30  # seconds that anything may take before a test gives up

# A function that waits while somebody holds advisory lock (1, key): put into a view, it stops the
# drain in the middle of projecting that key, for as long as the test wants: without the drain's
# lock_timeout.
GATE = """
create function gate(key int) returns int language plpgsql set lock_timeout = 0 as $$
begin
  if exists (select from pg_locks l
              where l.locktype = 'advisory' and l.classid = 1 and l.objid = key and l.granted) then
    perform pg_advisory_lock_shared(1, key);
    perform pg_advisory_unlock_shared(1, key);
  end if;
  return key;
end $$;
"""

# How many runs of jobs hold their advisory lock in this database.
LOCKS: LiteralString = """
select count(*) from pg_locks l
 where l.locktype = 'advisory' and l.classid = 1886741101
   and l.database = (select d.oid from pg_database d where d.datname = current_database())
"""

# Two tables joined by the view of a projected kind; a write to either marks the article's key.
ARTICLES = """
create table author (id int primary key, name text not null);
create table article (
  id int primary key,
  author_id int references author,
  title text,
  live boolean not null default true
);
create view article_view as
  select a.id, a.title, u.name as author
    from article a left join author u on u.id = a.author_id
   where a.live;
select publish_define('article', 'article_view');
create trigger publish after insert or update or delete on article
  for each row execute function publish_enqueue('article', 'id');
create function mark_articles() returns trigger language plpgsql as $$
begin
  perform publish_enqueue('article', a.id::text) from article a where a.author_id = new.id;
  return null;
end $$;
create trigger publish after update on author for each row execute function mark_articles();
-- Who moves an article to an author and who renames that author must not pass each other unseen:
-- mark_articles would not find the article, and the article's mark would be drained too early.
create function hold_author() returns trigger security definer language plpgsql as $$
begin
  perform from author u where u.id = new.author_id for share;
  return new;
end $$;
create trigger hold before insert or update of author_id on article
  for each row execute function hold_author();
"""


def until(fact: Callable[[], T], seconds: float = PATIENCE) -> T:
    """What fact() returns as soon as it is true."""
    deadline = time.monotonic() + seconds
    while not (answer := fact()):
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.002)
    return answer


def begin(work: Callable[..., T], *arguments: Any) -> Future[T]:
    """Does work in another thread. Ask .result(PATIENCE) for what it returned or raised."""
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(work(*arguments))
        except BaseException as error:
            future.set_exception(error)

    Thread(target=run, daemon=True).start()
    return future


def pid(conn: Connection) -> int:
    return conn.info.backend_pid


def waits(conn: Connection, waiting: int) -> bool:
    """True when backend `waiting` is blocked by another one, as conn sees it."""
    return one(conn, "select cardinality(pg_blocking_pids(%s)) > 0", waiting)


def one(conn: Connection, query: LiteralString, *arguments: Any) -> Any:
    """The first column of the first row."""
    row = conn.execute(query, arguments or None).fetchone()
    assert row is not None, query
    return row[0]


def sqlstate(conn: Connection, query: str, *arguments: object) -> str | None:
    """With which a statement fails; None: it does not."""
    try:
        conn.execute(query.encode(), arguments or None)
    except psycopg.Error as error:
        return error.sqlstate
    return None


def blocks(conn: Connection, query: str) -> int:
    """Blocks that the query touches, and all that its functions ask."""
    plan = one(conn, f"explain (analyze, buffers, format json) {query}")[0]["Plan"]  # type: ignore[arg-type]
    touched: int = plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]
    return touched


def drain(conn: Connection, batch: int = 500) -> Any:
    with conn.cursor(row_factory=namedtuple_row) as cursor:
        return cursor.execute("select * from publish_drain(%s)", [batch]).fetchone()


def drain_all(conn: Connection, batch: int = 500) -> int:
    """Drains until there is nothing more, then checks the feed; returns how many revs it gave."""
    published = 0
    for _ in range(10_000):
        done = drain(conn, batch)
        assert not done.busy
        if done.scanned == 0:
            check_feed(conn)
            return published
        published += done.published
    raise AssertionError("the outbox does not become empty")


def enqueue(conn: Connection, kind: str, source_id: str, payload: str | None = None, **more: Any):
    """publish_enqueue with named arguments; payload is JSON text."""
    arguments = {"payload": payload, **more} if payload is not None else more
    names = "".join(f", {name} => %({name})s" for name in arguments)
    query = f"select publish_enqueue(%(kind)s, %(source_id)s{names})"
    arguments.update(kind=kind, source_id=source_id)
    row = conn.execute(query.encode(), arguments).fetchone()
    assert row is not None
    return row[0]


def feed(conn: Connection, kind: str) -> dict[str, Any]:
    """source_id → payload of what is published and not deleted."""
    return dict(
        conn.execute(
            "select p.source_id, p.payload from publish.published p"
            " where p.kind = %s and not p.deleted",
            [kind],
        ).fetchall()
    )


def row(conn: Connection, kind: str, source_id: str) -> Any:
    """The row of publish.published of one key, or None."""
    with conn.cursor(row_factory=namedtuple_row) as cursor:
        return cursor.execute(
            "select * from publish.published p where p.kind = %s and p.source_id = %s",
            [kind, source_id],
        ).fetchone()


def quarantine(conn: Connection) -> dict[str, str]:
    """source_id → SQLSTATE of what is set aside."""
    return dict(conn.execute("select source_id, sqlstate from publish.quarantine").fetchall())


def head(conn: Connection) -> int:
    return one(conn, "select publish_head()")


def check_feed(conn: Connection) -> None:
    """What holds at every moment: an unbroken chain of revs, one row for each key and rev."""
    broken = conn.execute(
        "select d.drain_id, d.head_before, d.head, d.published, l.head as before"
        "  from publish.drain d left join publish.drain l on l.drain_id = d.drain_id - 1"
        " where d.head <> d.head_before + d.published"
        "    or d.head_before <> coalesce(l.head, d.head_before)"
        "    or l.drain_id is null and d.drain_id <> (select min(drain_id) from publish.drain)"
    ).fetchall()
    assert broken == []
    keys, distinct_keys, pub_ids, last = conn.execute(
        "select count(*) as keys, count(distinct (kind, source_id)) as distinct_keys,"
        " count(distinct pub_id) as pub_ids, coalesce(max(rev), 0) as last from publish.published"
    ).fetchone()
    assert keys == distinct_keys == pub_ids
    assert last <= head(conn)


def record_revs(conn: Connection) -> None:
    """From now on every rev that is given is written down, with the key it was given to."""
    conn.execute(
        "create table rev_given (rev bigint, kind text, source_id text, payload jsonb);"
        "create function write_down() returns trigger security definer language plpgsql as $$"
        " begin"
        "  insert into public.rev_given values (new.rev, new.kind, new.source_id, new.payload);"
        "  return null;"
        " end $$;"
        "create trigger write_down_new after insert on publish.published"
        " for each row execute function write_down();"
        "create trigger write_down_moved after update on publish.published"
        " for each row when (new.rev <> old.rev) execute function write_down();"
    )


def revs_given(conn: Connection) -> list[int]:
    return [r for (r,) in conn.execute("select rev from rev_given order by rev").fetchall()]


def burn_transaction_ids(conn: Connection, count: int = 30_000) -> None:
    """Moves this cluster's transaction ids far above those of a cluster just made."""
    conn.execute(
        "do $$ begin"
        f" for i in 1..{count} loop perform pg_current_xact_id(); commit; end loop; "
        "end $$".encode()
    )


@contextmanager
def running_cluster(kind: str, **settings: str) -> Iterator[Cluster]:
    """A cluster of the test's own, made by initdb: to be killed, or restored into."""
    root = servers.new_folder()
    cluster = servers.new_cluster(kind, root, **settings)
    try:
        cluster.create()
        cluster.start()
        yield cluster
    finally:
        cluster.stop()
        shutil.rmtree(root, ignore_errors=True)


@contextmanager
def standby_of(primary: Cluster, kind: str, *options: str) -> Iterator[Cluster]:
    """A hot standby that follows the primary, to be promoted."""
    root = servers.new_folder()
    standby = servers.new_cluster(kind, root)
    try:
        standby.folder.mkdir()
        standby.folder.chmod(0o700)
        if standby.user:
            shutil.chown(standby.folder, standby.user)
        standby.run("pg_basebackup", "--pgdata", str(standby.data), "--dbname", primary.url(),
                    "--checkpoint", "fast", "--no-sync", *options)  # fmt: skip
        # What --write-recovery-conf writes, the libpq of an older server might not know.
        with (standby.data / "postgresql.auto.conf").open("a") as settings:
            settings.write(f"primary_conninfo = '{primary.url()}'\n")
        (standby.data / "standby.signal").touch()
        standby.start()
        yield standby
    finally:
        standby.stop(signal.SIGQUIT)
        shutil.rmtree(root, ignore_errors=True)


def replay(db: Connection, copy: Connection) -> None:
    """Waits until the standby has all that the primary wrote."""
    lsn = one(db, "select pg_current_wal_lsn()")
    until(lambda: one(copy, "select pg_last_wal_replay_lsn() >= %s", lsn))


def cut(copy: Connection) -> None:
    """From now on the standby gets nothing."""
    copy.execute("alter system set primary_conninfo = ''")
    copy.execute("select pg_reload_conf()")
    until(lambda: one(copy, "select count(*) from pg_stat_wal_receiver") == 0)


def doctor_checks() -> set[str]:
    """The names that a finding of `pgpublish doctor` may have, as its code writes them."""
    root = Path(__file__).parents[1]
    sql = "".join(f.read_text() for f in sorted((root / "sql/operate").glob("doctor_*.sql")))
    python = (root / "harness/pgpublish/doctor.py").read_text()
    (states,) = re.findall(r"s\.state in \(([^)]*)\)", sql)
    begins = r"(?:select|distinct|row\()\s*'([a-z_]+)',\s*(?:'(?:error|warning)'|case |v\.severity)"
    return {
        *re.findall(begins, sql),
        *re.findall(r'Finding\(\s*"([a-z_]+)"', python),
        *(name.replace(" ", "_") for name in re.findall(r"'([a-z ]+)'", states)),
    }
