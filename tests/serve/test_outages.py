"""Databases that restart, die or are promoted in the middle of a stream: no client has a gap."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from itertools import takewhile
from typing import Any

import httpx
import psycopg
import pytest
from helpers import (
    PATIENCE,
    begin,
    drain_all,
    enqueue,
    head,
    replay,
    running_cluster,
    standby_of,
    until,
)
from pooler import pooled, proxied
from psycopg.conninfo import make_conninfo
from psycopg.rows import namedtuple_row
from serving import Serving, free_port, serving

from pgpublish.migrate import migrate
from pgpublish.serve import hub

pytest_plugins = ["served"]


def session(cluster: Any) -> Any:
    return psycopg.connect(cluster.url(), autocommit=True, row_factory=namedtuple_row)


class Client:
    """Follows a stream, comes back whenever it ends, and holds what it was told."""

    def __init__(self, server: Serving) -> None:
        self.server = server
        self.held: dict[str, Any] = {}
        self.last_id: str | None = None
        self.resets = 0

    def follow(self, until_n: int) -> None:
        """Until some note says {"n": until_n}."""
        while True:
            headers = {"Last-Event-ID": self.last_id} if self.last_id else {}
            try:
                with self.server.stream(**headers) as events:
                    while (event := events.next()) is not None:
                        self.last_id = events.last_id
                        if self.took(*event, until_n):
                            return
            except (OSError, EOFError, AssertionError):
                until(self.server.is_ready)

    def took(self, name: str, data: Any, until_n: int) -> bool:
        if name == "reset":
            self.resets += 1
            self.held.clear()
        if name != "change":
            return False
        self.held.pop(data["pub_id"], None)
        if not data["deleted"]:
            self.held[data["pub_id"]] = data["payload"]
        return not data["deleted"] and data["payload"]["n"] == until_n


def notes(conn: Any, numbers: range) -> None:
    for n in numbers:
        enqueue(conn, "note", str(n % 7), f'{{"n": {n}}}')
        drain_all(conn)


def published(conn: Any) -> dict[str, Any]:
    return {
        str(row[0]): row[1]
        for row in conn.execute(
            "select p.pub_id, p.payload from publish.published p where not p.deleted"
        ).fetchall()
    }


def test_after_a_crash_and_a_restart_of_the_database_streams_go_on(server_kind):
    with running_cluster(server_kind) as cluster:
        db = session(cluster)
        migrate(db)
        db.execute("select publish_define('note')")
        notes(db, range(5))
        with serving(cluster.url()) as server:
            client = Client(server)
            following = begin(client.follow, 30)
            until(lambda: len(client.held) == 5)
            for how in (signal.SIGQUIT, signal.SIGINT):
                cluster.stop(how)
                until(lambda: not server.feed.hub.connected)
                assert not server.is_ready()
                answer = httpx.get(f"{server.url}/changes", timeout=PATIENCE)
                assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
                cluster.start()
                db = session(cluster)
                notes(db, range(head(db), head(db) + 6))
            notes(db, range(30, 31))
            following.result(PATIENCE)
            assert client.held == published(db)
        db.close()


@pytest.mark.timeout(180)
def test_a_standby_serves_and_after_its_promotion_goes_on(server_kind):
    with running_cluster(server_kind) as primary:
        db = session(primary)
        migrate(db)
        db.execute("select publish_define('note')")
        notes(db, range(5))
        with standby_of(primary, server_kind) as standby:
            copy = session(standby)
            with serving(standby.url()) as server:
                client = Client(server)
                following = begin(client.follow, 40)
                until(lambda: len(client.held) == 5)
                notes(db, range(5, 12))
                replay(db, copy)
                until(lambda: {"n": 11} in client.held.values())
                db.close()
                primary.stop(signal.SIGQUIT)
                copy.execute("select pg_promote()")
                notes(copy, range(20, 41))
                following.result(PATIENCE)
                assert client.held == published(copy)
                assert client.resets == 0  # it had seen nothing that was lost
                waiting = begin(client.follow, 50)
                notes(copy, range(50, 51))
                waiting.result(PATIENCE)
            copy.close()


@pytest.mark.timeout(180)
def test_a_failover_in_the_middle_of_a_stream_leaves_no_gap(server_kind):
    """The server knows both, and goes to the one that can be written."""
    with running_cluster(server_kind) as primary:
        db = session(primary)
        migrate(db)
        db.execute("select publish_define('note')")
        notes(db, range(5))
        with standby_of(primary, server_kind) as standby:
            copy = session(standby)
            both = make_conninfo(
                primary.url(),
                host=f"{primary.folder},{standby.folder}",
                port=f"{primary.port},{standby.port}",
                target_session_attrs="read-write",
            )
            with serving(both) as server:
                client = Client(server)
                following = begin(client.follow, 40)
                until(lambda: len(client.held) == 5)
                notes(db, range(5, 12))
                replay(db, copy)
                db.close()
                primary.stop(signal.SIGQUIT)
                copy.execute("select pg_promote()")
                notes(copy, range(20, 41))
                following.result(PATIENCE)
                assert (client.held, client.resets) == (published(copy), 0)
            copy.close()


def test_after_a_failover_that_lost_changes_a_client_drops_what_it_had(server_kind):
    with running_cluster(server_kind) as primary:
        db = session(primary)
        migrate(db)
        db.execute("select publish_define('note')")
        notes(db, range(5))
        with standby_of(primary, server_kind) as standby:
            with session(standby) as copy:
                replay(db, copy)
            standby.stop()
            with serving(primary.url()) as server:
                client = Client(server)
                following = begin(client.follow, 11)
                notes(db, range(5, 12))
                following.result(PATIENCE)
            db.close()
            primary.stop(signal.SIGQUIT)
            standby.start()
            copy = session(standby)
            copy.execute("select pg_promote()")
            assert head(copy) < 12
            notes(copy, range(60, 70))
            with serving(standby.url()) as server:
                client.server = server
                begin(client.follow, 69).result(PATIENCE)
                assert client.resets == 1
                assert client.held == published(copy)
            copy.close()


def test_the_command_serves_and_ends_its_streams_when_it_is_stopped(url, orders, put, background):
    put("note", "a", "1")
    port = free_port()
    process = background("serve", "--port", str(port))
    server = Serving(port)
    until(lambda: server.is_ready() or process.poll() is not None)
    assert process.poll() is None, process.stderr.read()
    with server.stream() as events:
        assert len(events.until("live")) == 1
        os.kill(process.pid, signal.SIGTERM)
        while events.next() is not None:
            pass
    said = process.communicate(timeout=PATIENCE)[1]
    assert process.returncode == 0, said
    assert "for this machine only" in said
    assert "Traceback" not in said
    assert "ERROR" not in said


@pytest.mark.parametrize(
    ("code", "arguments"),
    [
        (1, ["--host", "0.0.0.0"]),
        (1, ["--host", "127.example"]),
        (2, ["--public", "publish_reader", "--tokens"]),
        (2, ["--port", "0"]),
        (1, ["--host", "nowhere.invalid", "--tokens"]),
        (1, ["--tokens", "--origin", "https://shop.example/"]),
        (1, ["--tokens", "--origin", "shop.example"]),
        (1, ["--tokens", "--origin", "https://Shop.example"]),
        (1, ["--tokens", "--jwt-key", sys.executable]),
        (1, ["--tokens", "--jwt-key", __file__]),
    ],
)
def test_the_command_refuses_what_nobody_meant(url, code, arguments):
    done = subprocess.run(
        [sys.executable, "-m", "pgpublish", "--database-url", url, "serve", *arguments],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert (done.returncode, "Traceback" in done.stderr) == (code, False)
    if code == 1 and "--tokens" not in arguments:
        assert "who may read is not said" in done.stderr


def test_streams_and_pages_work_through_a_pooler(cluster, orders, put):
    put("note", "a", "1")
    with pooled(cluster, orders.info.dbname) as url, serving(url) as server:
        assert len(server.get("/changes").json()["changes"]) == 1
        with server.stream() as events:
            assert len(events.until("live")) == 1
            put("note", "b", "2")  # no notification comes through
            assert [change["payload"] for change in events.changes(1)] == [2]


def test_connections_that_forward_nothing_more_are_given_up(cluster, orders, put, monkeypatch):
    put("note", "a", "1")
    with (
        proxied(cluster, orders.info.dbname) as proxy,
        serving(proxy.url, call_time=3.0) as server,
        server.stream() as events,
    ):
        assert len(events.until("live")) == 1
        monkeypatch.setattr(hub, "PATIENCE_S", 1.0)
        proxy.freeze()
        put("note", "b", "2")
        assert [change["payload"] for change in events.changes(1)] == [2]
        until(lambda: server.get("/changes").status_code == 200)


def test_the_command_warns_of_a_public_role_that_reads_nothing(url, orders):
    command = [sys.executable, "-m", "pgpublish", "--database-url", url, "serve"]
    serves = subprocess.Popen(
        [*command, "--public", "nobody", "--port", str(free_port())],
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert serves.stderr is not None
    try:
        lines = iter(serves.stderr.readline, "")
        said = "".join(takewhile(lambda line: "serving" not in line, lines))
    finally:
        serves.terminate()
        serves.communicate(timeout=PATIENCE)
    assert "nothing is granted" in said
    assert "nobody" in said
