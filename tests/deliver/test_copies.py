"""Copies of a database by each way there is: whoever reads its pages, and whoever is sent its
changes, ends with what the copy says. Promotion, restore and template are in test_resets.py."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import servers
from conftest import Connection
from delivery import claim, notes, subscribe
from helpers import drain_all, enqueue, one, running_cluster, until
from test_resets import Consumer, published, session, state, write

from pgpublish.embedded import Cluster
from pgpublish.errors import ConnectionFailed
from pgpublish.migrate import migrate


class Reader:
    """Reads pages and keeps the cursor; begins again when it is told to."""

    def __init__(self) -> None:
        self.cursor: str | None = None
        self.held: dict[str, Any] = {}
        self.resets = 0

    def read(self, conn: Connection) -> None:
        while True:
            page = one(conn, "select publish_page(%s, 7)", self.cursor)
            if page["reset"]:
                assert self.resets < 9
                self.resets, self.cursor, self.held = self.resets + 1, None, {}
                continue
            for change in page["changes"]:
                self.held[change["pub_id"]] = None if change["deleted"] else change["payload"]
            self.cursor = page["cursor"]
            if not page["more"]:
                return

    def shows(self) -> dict[str, Any]:
        return {key: payload for key, payload in self.held.items() if payload is not None}


def begin(conn: Connection) -> tuple[Reader, Consumer]:
    """A feed of 20 notes, with somebody who reads it and somebody it is sent to."""
    migrate(conn)
    notes(conn, 20)
    subscribe(conn, "s", lanes=2)
    reader, consumer = Reader(), Consumer()
    reader.read(conn)
    consumer.deliver(conn)
    return reader, consumer


def go_on(conn: Connection) -> None:
    """What is written before the copy and not drained, deletions too."""
    for n in range(15, 26):
        enqueue(conn, "note", str(n), f'"left {n}"')
    enqueue(conn, "note", "3", deleted=True)


def exact(conn: Connection, reader: Reader, consumer: Consumer) -> None:
    reader.read(conn)
    consumer.deliver(conn)
    says = published(conn)
    assert {str(key): payload for key, payload in says.items()} == reader.shows()
    assert says == consumer.shows()


@contextmanager
def made(kind: str, *initdb: str) -> Iterator[Cluster]:
    """A cluster by initdb that does not run yet."""
    root = servers.new_folder()
    cluster = servers.new_cluster(kind, root)
    try:
        cluster.folder.mkdir()
        cluster.folder.chmod(0o700)
        if cluster.user:
            shutil.chown(cluster.folder, cluster.user)
        if initdb:
            cluster.run("initdb", "--pgdata", str(cluster.data), "--auth", "trust",
                        "--username", "postgres", "--encoding", "UTF8", "--no-locale",
                        "--no-sync", *initdb)  # fmt: skip
        yield cluster
    finally:
        cluster.stop(signal.SIGQUIT)
        shutil.rmtree(root, ignore_errors=True)


def test_pg_upgrade_loses_nothing_and_resets_nobody_who_is_resumed(server_kind: str) -> None:
    if server_kind != "embedded":
        pytest.skip("it is from Debian's version to the embedded one")
    with running_cluster("debian") as old:
        with session(old) as db:
            reader, consumer = begin(db)
            write(db, 10, 22, "before")
            go_on(db)
        old.stop()
        with made("embedded", "--no-data-checksums") as new:
            done = subprocess.run(
                [str(new.bin / "pg_upgrade"), "--username", "postgres", "--no-sync",
                 "--old-bindir", str(old.bin), "--old-datadir", str(old.data),
                 "--new-bindir", str(new.bin), "--new-datadir", str(new.data),
                 "--socketdir", str(new.folder)],
                user=new.user, cwd=new.folder, capture_output=True, text=True, timeout=120,
            )  # fmt: skip
            assert done.returncode == 0, done.stdout[-2000:] + done.stderr
            new.start()
            with session(new) as db:
                assert migrate(db) == []
                drain_all(db)
                reader.read(db)
                assert (claim(db, "s"), state(db)[0]) == ([], "paused")
                write(db, 5, 9, "after")
                db.execute("select publish_resume('s')")
                exact(db, reader, consumer)
                assert len(consumer.shows()) == 24
                assert (consumer.events, reader.resets) == ([], 0)


@pytest.mark.parametrize(("older", "newer"), [("debian", "embedded"), ("embedded", "debian")])
def test_a_dump_into_another_version_is_exact_after_a_resync(
    server_kind: str, older: str, newer: str
) -> None:
    if server_kind != "embedded":
        pytest.skip("it is between Debian's version and the embedded one")
    with running_cluster(older) as one_cluster, running_cluster(newer) as other:
        tools = other if newer == "embedded" else one_cluster  # pg_dump of the newer version
        file = str(tools.folder / "moved.dump")
        with session(one_cluster) as db:
            reader, consumer = begin(db)
            go_on(db)
            tools.run("pg_dump", "--format", "custom", "--file", file,
                      "--dbname", one_cluster.url())  # fmt: skip
            write(db, 5, 30, "lost")
            reader.read(db)
            consumer.deliver(db)
        with session(other) as empty:
            migrate(empty)  # makes the roles
            empty.execute("create database moved template template0")
        if newer == "embedded":
            tools.run("pg_restore", "--dbname", other.url("moved"), file)
        else:  # pg_restore goes on after a setting that an older server does not know
            with pytest.raises(ConnectionFailed) as said:
                tools.run("pg_restore", "--dbname", other.url("moved"), file)
            (unknown,) = re.findall(r"ERROR: +(.*)", str(said.value.detail))
            assert "transaction_timeout" in unknown
        with session(other, "moved") as moved:
            assert migrate(moved) == []
            drain_all(moved)
            assert consumer.shows() != published(moved)
            moved.execute("select publish_resync('s')")
            write(moved, 1, 4, "new")
            exact(moved, reader, consumer)
            assert reader.resets == 1


def test_a_base_backup_that_is_started_without_recovery_needs_a_resync(server_kind: str) -> None:
    """Nothing tells it from the cluster after a crash: identity and timeline are the same."""
    with running_cluster(server_kind) as primary, made(server_kind) as copy:
        with session(primary) as db:
            reader, consumer = begin(db)
            go_on(db)
            copy.run("pg_basebackup", "--pgdata", str(copy.data), "--dbname", primary.url(),
                     "--checkpoint", "fast", "--no-sync")  # fmt: skip
            write(db, 5, 30, "lost")
            reader.read(db)
            consumer.deliver(db)
        primary.stop(signal.SIGQUIT)
        copy.start()
        with session(copy) as db:
            drain_all(db)
            assert consumer.shows() != published(db)
            assert state(db)[0] == "active"
            db.execute("select publish_resync('s')")
            write(db, 1, 4, "after")
            exact(db, reader, consumer)
            assert reader.resets == 1


COPIED = """
create schema publish;
create table publish.published (
  rev bigint primary key, kind text not null, pub_id uuid not null, deleted boolean not null,
  payload jsonb, updated_at timestamptz not null);
"""
COLUMNS = "rev, kind, pub_id, deleted, payload, updated_at"
NEWEST = "select max(rev) from publish.published"
READ = "select rev, pub_id, deleted, payload from publish.published where rev > %s order by rev"


def test_logical_replication_of_the_feed_is_read_in_order_by_rev(server_kind: str) -> None:
    """Into a schema publish of another database, which has no pgpublish."""
    if servers.major_version(server_kind) < 15:
        pytest.skip("column lists came with PostgreSQL 15")
    with (
        running_cluster(server_kind, wal_retrieve_retry_interval="50ms") as cluster,
        session(cluster) as db,
    ):
        reader, consumer = begin(db)
        db.execute("create database elsewhere")
        db.execute(f"create publication feed for table publish.published ({COLUMNS})".encode())
        db.execute("select pg_create_logical_replication_slot('feed', 'pgoutput')")
        with session(cluster, "elsewhere") as copy:
            copy.execute(COPIED)
            copy.execute(
                f"create subscription feed connection '{cluster.url()}' publication feed"
                " with (create_slot = false, slot_name = 'feed')".encode()
            )
            until(lambda: one(copy, "select bool_and(srsubstate = 'r') from pg_subscription_rel"))
            held: dict[Any, Any] = {}
            since = 0
            for first in range(1, 20, 3):
                write(db, first, first + 6, f"round {first}")
                enqueue(db, "note", str(first), deleted=True)
                drain_all(db)
                head = one(db, "select publish_head()")
                until(lambda head=head: one(copy, NEWEST) == head)
                for row in copy.execute(READ, [since]).fetchall():
                    since = row.rev
                    held[row.pub_id] = None if row.deleted else row.payload
                shown = {key: payload for key, payload in held.items() if payload is not None}
                assert shown == published(db)
            copy.execute("alter subscription feed disable")
            copy.execute("alter subscription feed set (slot_name = none)")
            copy.execute("drop subscription feed")
        until(lambda: not one(db, "select active from pg_replication_slots"))
        db.execute("select pg_drop_replication_slot('feed')")
        exact(db, reader, consumer)
