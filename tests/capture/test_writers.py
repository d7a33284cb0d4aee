"""Captured tables written by what applications write with: pools, poolers, ORMs, pgbench.

Each writes beside a drain. Then the feed is what the views say, and verify finds no difference.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import Any

import pooler
import psycopg
import pytest
from conftest import Connect, Connection
from helpers import begin, drain, drain_all, feed, one
from marks import says, verify
from psycopg_pool import ConnectionPool
from servers import Server

WRITERS = 4
HERE = Path(__file__).parent

SCHEMA = """
create table author (id bigint primary key, name text not null);
create table item (
  id bigint primary key,
  author_id bigint references author on delete cascade,
  title text not null,
  number int not null default 0
);
create index on item (author_id);
create table part (item_id bigint, n int, note text, primary key (item_id, n))
  partition by hash (n);
create table part_0 partition of part for values with (modulus 2, remainder 0);
create table part_1 partition of part for values with (modulus 2, remainder 1);
create view item_view as
  select i.id, i.title, i.number, a.name,
         (select count(*) from part p where p.item_id = i.id) as parts
    from item i left join author a on a.id = i.author_id;
select publish_define('item', 'item_view');
select publish_capture('item', 'item');
select publish_capture('item', 'author',
                       lookup => 'select id from item where author_id = any ($1)');
select publish_capture('item', 'part', key => 'item_id');
select publish_define('part', 'part', key => '{item_id,n}');
select publish_capture('part', 'part');
insert into author select n, 'n' from generate_series(1, 5) n;
insert into item select n, n % 5 + 1, 't' from generate_series(1, 50) n;
"""


@pytest.fixture
def db(connect: Connect) -> Connection:
    db = connect()
    db.execute(SCHEMA.encode())
    return db


@contextmanager
def drained(db: Connection, connect: Connect) -> Iterator[None]:
    """Drains beside what is written inside, and tells at the end whether all is there."""
    stop = Event()
    beside = connect()

    def go_on() -> None:
        while not stop.is_set():
            drain(beside, 20)

    drains = begin(go_on)
    head = one(db, "select publish_head()")
    try:
        yield
    finally:
        stop.set()
        drains.result(30)
    drain_all(db)
    assert one(db, "select publish_head()") > head
    for kind in ("item", "part"):
        assert feed(db, kind) == says(db, kind)
        assert verify(db, kind)[1] == {}
    assert one(db, "select count(*) from publish.quarantine") == 0
    assert one(db, "select count(*) from publish_audit()") == 0


def write(conn: psycopg.Connection[Any], dice: random.Random) -> None:
    """One transaction of one of the shapes that a driver sends."""
    n, a = dice.randint(1, 60), dice.randint(1, 5)
    with conn.transaction(force_rollback=dice.random() < 0.1):
        shape = dice.randint(0, 5)
        if shape == 0:
            with conn.cursor() as cursor:
                cursor.executemany(
                    "insert into item (id, author_id, title) values (%s, %s, %s)"
                    " on conflict (id) do update set title = excluded.title, number = item.number",
                    [(n + i, a, str(dice.random())) for i in range(5)],
                )
        elif shape == 1:
            first = dice.randint(1000, 1 << 40)
            with conn.cursor().copy("copy item (id, author_id, title) from stdin") as copy:
                for i in range(5):
                    copy.write_row((first + i, a, "copied"))
        elif shape == 2:
            conn.execute("update author set name = %s where id = %s", [str(dice.random()), a])
        elif shape == 3:
            conn.execute("delete from item where id = %s returning id", [n])
        elif shape == 4:
            conn.execute(
                "insert into part values (%s, %s, 'x') on conflict (item_id, n)"
                " do update set note = %s",
                [n, a, str(dice.random())],
            )
            with conn.transaction(force_rollback=True):
                conn.execute("delete from part where item_id = %s", [n])
        else:
            conn.execute("update part set n = n + 2 where item_id = %s and n < 3", [n])
            conn.execute("update item set number = number + 1 where id = %s", [n])


def written(url: str, **options: Any) -> None:
    """By threads that share a psycopg pool, which is smaller than they are many."""

    def writes(pool: ConnectionPool[Any], seed: int) -> None:
        dice = random.Random(seed)
        for _ in range(40):
            try:
                with pool.connection() as conn:
                    write(conn, dice)
            except (psycopg.errors.DeadlockDetected, psycopg.errors.UniqueViolation):
                pass

    with (
        ConnectionPool(url, min_size=3, max_size=3, kwargs=options) as pool,
        ThreadPoolExecutor(WRITERS) as threads,
    ):
        for done in [threads.submit(writes, pool, seed) for seed in range(WRITERS)]:
            done.result(60)


def test_a_psycopg_pool_that_prepares_everything(
    db: Connection, connect: Connect, url: str
) -> None:
    with drained(db, connect):
        written(url, prepare_threshold=0)


@pytest.mark.parametrize("prepares", [False, True])
def test_a_pooler_in_transaction_mode(
    db: Connection, connect: Connect, cluster: Server, database: str, prepares: bool
) -> None:
    if prepares and pooler.version() < (1, 21):
        pytest.skip("pgbouncer knows prepared statements since 1.21")
    with drained(db, connect), pooler.pooled(cluster, database, prepares=prepares) as url:
        written(url, prepare_threshold=0 if prepares else None)


def test_sqlalchemy(db: Connection, connect: Connect, url: str) -> None:
    sa = pytest.importorskip("sqlalchemy")
    from sqlalchemy import orm
    from sqlalchemy.dialects.postgresql import insert

    class Base(orm.DeclarativeBase):
        pass

    class Item(Base):
        __tablename__ = "item"
        id = orm.mapped_column(sa.BigInteger, primary_key=True, autoincrement=False)
        author_id = orm.mapped_column(sa.BigInteger)
        title = orm.mapped_column(sa.Text)
        number = orm.mapped_column(sa.Integer, default=0)

    engine = sa.create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(url))
    with drained(db, connect), orm.Session(engine) as session:
        session.add_all([Item(id=n, author_id=n % 5 + 1, title="sa") for n in range(100, 200)])
        session.commit()
        for item in session.scalars(sa.select(Item).where(Item.id < 120)):
            item.title += " changed"
        session.commit()
        session.execute(sa.insert(Item), [dict(id=n, title="many") for n in range(200, 260)])
        session.execute(sa.update(Item), [dict(id=n, title="by key") for n in range(200, 230)])
        session.commit()
        upsert = insert(Item).values([dict(id=n, title="up") for n in range(250, 270)])
        session.execute(
            upsert.on_conflict_do_update(
                index_elements=["id"], set_={"title": upsert.excluded.title}
            ).returning(Item.id)
        )
        session.execute(insert(Item).values(id=250, title="not").on_conflict_do_nothing())
        session.commit()
        session.execute(sa.update(Item).where(Item.id > 260).values(number=Item.number + 1))
        with session.begin_nested() as nested:
            session.execute(sa.delete(Item).where(Item.id == 100))
            nested.rollback()
        session.delete(session.get(Item, 101))
        session.commit()
        session.execute(sa.delete(Item))
        session.rollback()
    engine.dispose()


def test_django(db: Connection, connect: Connect, url: str) -> None:
    pytest.importorskip("django")
    with drained(db, connect):
        subprocess.run(
            [sys.executable, str(HERE / "django_writer.py")],
            env=os.environ | {"DATABASE_URL": url}, check=True, timeout=60,
        )  # fmt: skip
    assert one(db, "select count(*) from item where id >= 200") == 82 - 1 - 12


PGBENCH = """
\\set n random(1, 60)
\\set a random(1, 5)
begin;
insert into item values (:n, :a, 'b') on conflict (id) do update set number = item.number + 1;
update author set name = :n where id = :a;
end;
delete from item where id = :n + 30;
insert into part values (:n, :a, 'b') on conflict (item_id, n) do update set note = excluded.note;
update part set n = n + 5 where item_id = :n and n = :a and :a % 2 = 0
   and not exists (select from part p where p.item_id = :n and p.n = :a + 5);
"""


@pytest.mark.parametrize("mode", ["simple", "extended", "prepared"])
def test_pgbench(
    db: Connection, connect: Connect, cluster: Server, database: str, tmp_path: Path, mode: str
) -> None:
    script = tmp_path / "script.sql"
    script.write_text(PGBENCH)
    script.chmod(0o644)
    tmp_path.chmod(0o755)
    with drained(db, connect):
        subprocess.run(
            [cluster.tool("pgbench"), "-n", "-M", mode, "-c", str(WRITERS), "-j", "2", "-t", "60",
             "--max-tries=20", "-f", str(script), "-h", str(cluster.folder), "-p",
             str(cluster.port), "-U", "postgres", database],
            check=True, capture_output=True, timeout=60,
        )  # fmt: skip
