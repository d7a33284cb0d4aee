"""Workers and what happens between them and the server: each session may end, each call may stay
without an answer, and no worker ends or stands still."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from threading import Event
from typing import Any, LiteralString

import psycopg
import pytest
from conftest import Connect, Connection
from delivery import notes, subscribe
from helpers import PATIENCE, begin, drain_all, enqueue, one, running_cluster, until
from pooler import pooled, proxied
from receiver import Receiver, receiving

from pgpublish import database as sessions
from pgpublish import deliver, drain, session
from pgpublish.cli.console import Database, reconnect
from pgpublish.embedded import Cluster
from pgpublish.errors import ConnectionFailed, DatabaseError
from pgpublish.sinks import policy

SETTLED: LiteralString = (
    "select bool_and(cursor = head and retries = 0 and workers is null)"
    " from publish_subscriptions()"
)


def hook(conn: Connection, endpoint: Receiver, **settings: Any) -> None:
    options = {"url": endpoint.url, "allow_private": True}
    subscribe(conn, "s", "webhook", options=options, backoff_min="1 ms", backoff_max="20 ms",
              **settings)  # fmt: skip


@pytest.fixture
def stop() -> Iterator[Event]:
    stop = Event()
    yield stop
    stop.set()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "PATIENCE_S", 1.0)
    monkeypatch.setattr(session, "CANCEL_S", 0.3)


@pytest.fixture(autouse=True)
def _unix_sockets(monkeypatch: pytest.MonkeyPatch) -> None:
    """The proxy is in this process, where a sink's policy allows it none."""
    monkeypatch.setenv(policy.NETWORKS, " ".join(policy.NATURES))


@pytest.fixture
def start() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Runs the command in a process of its own."""
    started: list[subprocess.Popen[str]] = []

    def run(url: str, *arguments: str, **more: Any) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "pgpublish", "--database-url", url, *arguments],
            **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
            | more,
        )  # fmt: skip
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.communicate()


def delivering(url: str, stop: Event, **options: Any) -> Any:
    """A worker in this process, whose sessions are watched."""
    return begin(partial(deliver.run, **options), lambda: sessions.connect(url), stop)


# --- a peer that is silent


@pytest.mark.usefixtures("impatient")
def test_a_worker_goes_on_when_all_its_connections_are_dead(
    db: Connection, cluster: Cluster, database: str, stop: Event
) -> None:
    notes(db, 3)
    with receiving() as endpoint, proxied(cluster, database) as proxy:
        hook(db, endpoint)
        running = delivering(proxy.url, stop)
        until(lambda: len(endpoint.requests) == 3 and one(db, SETTLED))
        proxy.freeze()
        enqueue(db, "note", "4", "4")
        drain_all(db)
        endpoint.wait(lambda e: len(e.requests) == 4)
        until(lambda: one(db, SETTLED))
        stop.set()
        running.result(PATIENCE)


@pytest.mark.usefixtures("impatient")
def test_a_batch_whose_connection_died_while_it_was_sent_is_settled_on_another(
    db: Connection, cluster: Cluster, database: str, stop: Event
) -> None:
    notes(db, 1)
    with proxied(cluster, database) as proxy:

        def answer(request: Any) -> int:
            proxy.freeze()
            return 200

        with receiving(answer) as endpoint:
            hook(db, endpoint, lease="1 h")
            running = delivering(proxy.url, stop)
            until(lambda: one(db, SETTLED))
            stop.set()
            running.result(PATIENCE)
    assert len(endpoint.requests) == 1


@pytest.mark.usefixtures("impatient")
def test_a_drain_loop_goes_on_when_its_connection_is_dead(
    db: Connection, cluster: Cluster, database: str, stop: Event
) -> None:
    db.execute("select publish_define('note')")
    with proxied(cluster, database) as proxy:
        running = begin(reconnect, Database(proxy.url, False), stop,
                        lambda conn: drain.run(conn, stop))  # fmt: skip
        for n in (1, 2):
            enqueue(db, "note", str(n), str(n))
            until(lambda n=n: one(db, "select publish_head()") == n)
            proxy.freeze()
        stop.set()
        running.result(PATIENCE)


@pytest.mark.parametrize(
    "command", [["deliver"], ["drain"], ["run"], ["work", "redrive"]], ids=lambda c: c[0]
)
def test_sigterm_ends_a_worker_whose_connections_are_dead(
    db: Connection, cluster: Cluster, database: str, start: Any, command: list[str]
) -> None:
    subscribe(db, "s")
    sessions: LiteralString = (
        "select count(*) from pg_stat_activity a where a.datname = current_database()"
        " and a.application_name = 'pgpublish' and a.state = 'idle'"
    )
    with proxied(cluster, database) as proxy:
        process = start(proxy.url, *command)
        until(lambda: one(db, sessions) > 0)
        proxy.freeze()
        process.send_signal(signal.SIGTERM)
        began = time.monotonic()
        _, errors = process.communicate(timeout=PATIENCE)
    assert time.monotonic() - began < 12
    assert process.returncode in (0, 3), errors  # 3: it was still looking at the schema
    assert "Traceback" not in errors


def test_sigterm_ends_a_worker_that_nobody_lets_in(start: Any) -> None:
    """A server that accepts and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        process = start(f"host=127.0.0.1 port={silent.getsockname()[1]} sslmode=disable", "deliver")
        silent.accept()
        process.send_signal(signal.SIGTERM)
        began = time.monotonic()
        _, errors = process.communicate(timeout=PATIENCE)
    assert time.monotonic() - began < 8
    assert process.returncode == 3, errors


@pytest.mark.usefixtures("impatient")
def test_a_call_that_takes_too_long_is_cancelled_and_its_session_kept(
    url: str,
) -> None:
    with sessions.connect(url) as plain:
        conn = sessions.watch(plain)
        with pytest.raises(DatabaseError) as caught:
            sessions.call(conn, "select pg_sleep(60)")
        assert caught.value.sqlstate == "57014"
        assert one(conn, "select 1") == 1


@pytest.mark.usefixtures("impatient")
def test_a_session_with_a_statement_timeout_gets_that_time(url: str) -> None:
    with sessions.connect(f"{url} options='-c statement_timeout=3min'") as conn:
        assert sessions.watch(conn).patience == 180 + sessions.SLACK_S


@pytest.mark.usefixtures("impatient")
def test_what_a_body_asks_itself_may_take_as_long_as_it_likes(url: str) -> None:
    with sessions.connect(url) as conn:
        sessions.watch(conn)
        conn.execute("select pg_sleep(1.5)")


# --- a session that ends, or is of no use any more


def spoil(conn: Connection, how: str) -> None:
    if how == "terminated":
        with psycopg.connect(conn.info.dsn, autocommit=True) as other:
            other.execute("select pg_terminate_backend(%s, 10000)", [conn.info.backend_pid])
    elif how == "idle":
        conn.execute("set idle_session_timeout = '50ms'")
    elif how == "read-only":
        conn.execute("set default_transaction_read_only = on")
    elif how == "aborted":
        with pytest.raises(psycopg.errors.DivisionByZero):
            conn.execute("begin; select 1 / 0")
    elif how == "too short a transaction":
        conn.execute("set transaction_timeout = '1ms'")


SPOILED = ["terminated", "idle", "read-only", "aborted", "too short a transaction"]


@pytest.mark.parametrize("how", SPOILED)
def test_whatever_ends_or_poisons_a_session_is_answered_by_a_new_one(
    db: Connection, url: str, stop: Event, how: str
) -> None:
    """Here the first six sessions are spoiled: the dispatcher's, and those of its threads."""
    if how.startswith("too short") and db.info.server_version < 170000:
        pytest.skip("transaction_timeout is of PostgreSQL 17")
    notes(db, 5)
    made: list[Connection] = []

    def connect() -> Connection:
        conn = sessions.watch(sessions.connect(url), stop)
        made.append(conn)
        if 1 < len(made) <= 6:
            spoil(conn, how)
        return conn

    with receiving() as endpoint:
        hook(db, endpoint)
        running = begin(partial(deliver.run, threads=2), connect, stop)
        endpoint.wait(lambda e: len(e.requests) == 5)
        until(lambda: one(db, SETTLED))
        assert not running.done()
        stop.set()
        running.result(PATIENCE)


@pytest.mark.parametrize("how", SPOILED)
def test_the_drain_loop_survives_them_too(db: Connection, url: str, stop: Event, how: str) -> None:
    if how.startswith("too short") and db.info.server_version < 170000:
        pytest.skip("transaction_timeout is of PostgreSQL 17")
    db.execute("select publish_define('note')")
    enqueue(db, "note", "1", "1")
    spoiled: list[Connection] = []

    def work(conn: Connection) -> None:
        if len(spoiled) < 2:
            spoiled.append(conn)
            spoil(conn, how)
        drain.run(conn, stop)

    running = begin(reconnect, Database(url, False), stop, work)
    until(lambda: one(db, "select publish_head()") == 1)
    stop.set()
    running.result(PATIENCE)


def test_a_worker_follows_the_primary_of_several_hosts(
    db: Connection, cluster: Cluster, database: str, server_kind: str
) -> None:
    with running_cluster(server_kind, default_transaction_read_only="on") as other:
        hosts = f"host={other.folder},{cluster.folder} port=5432,5432 user=postgres"
        with sessions.connect(f"{hosts} dbname={database}", primary=True) as conn:
            assert conn.info.host == str(cluster.folder)
        with pytest.raises(ConnectionFailed):
            sessions.connect(f"host={other.folder},{other.folder} user=postgres dbname=postgres",
                    primary=True)  # fmt: skip


# --- a pooler


def test_a_worker_leaves_a_poolers_sessions_as_they_were(
    db: Connection, cluster: Cluster, database: str, stop: Event
) -> None:
    notes(db, 1)
    asked: LiteralString = (
        "select array_agg(array[s.name, s.setting] order by s.name) from pg_settings s"
        " where s.name in ('TimeZone', 'DateStyle', 'default_transaction_isolation',"
        " 'statement_timeout')"
    )
    with (
        receiving() as endpoint,
        pooled(cluster, database, size=1) as url,
        psycopg.connect(url, autocommit=True, prepare_threshold=None) as app,
    ):
        before = one(app, asked)
        hook(db, endpoint)
        running = delivering(url, stop)
        for n in range(2, 12):
            enqueue(db, "note", str(n), str(n))
            drain_all(db)
            endpoint.wait(lambda e, n=n: len(e.requests) == n)
        until(lambda: one(db, SETTLED))
        assert one(app, asked) == before
        assert one(app, "select count(*) from pg_prepared_statements") == 0
        assert one(app, "select count(*) from pg_listening_channels()") == 0
        stop.set()
        running.result(PATIENCE)
    assert all(r.event["time"].endswith("+00:00") for r in endpoint.requests)


def test_a_pooler_that_restarts_is_no_reason_to_end(
    db: Connection, cluster: Cluster, database: str, stop: Event
) -> None:
    notes(db, 1)
    urls: list[str] = []
    with receiving() as endpoint:
        hook(db, endpoint)
        with pooled(cluster, database) as url:
            urls.append(url)
            running = begin(deliver.run, lambda: sessions.connect(urls[-1]), stop)
            endpoint.wait(lambda e: len(e.requests) == 1)
            until(lambda: one(db, SETTLED))
        with pooled(cluster, database) as url:
            urls.append(url)
            enqueue(db, "note", "2", "2")
            drain_all(db)
            endpoint.wait(lambda e: len(e.requests) == 2)
            until(lambda: one(db, SETTLED))
            stop.set()
            running.result(PATIENCE)


# --- a statement that takes too long


@pytest.mark.parametrize("when", ["insert", "update"], ids=["claiming", "settling"])
def test_a_batch_over_the_statement_timeout_is_made_smaller(
    db: Connection, url: str, stop: Event, when: str
) -> None:
    """Each change costs 10 ms, and a statement may take 200 ms: 100 never get through."""
    notes(db, 100)
    db.execute(
        "create function slow() returns trigger language plpgsql as"
        " $$ begin perform pg_sleep(new.claimed / 100.0); return new; end $$;"
        f"create trigger slow before {when} on publish.batch for each row"
        " when (new.claimed > 0) execute function slow()".encode()
    )
    with receiving() as endpoint:
        hook(db, endpoint, lease="600 ms")
        running = delivering(f"{url} options='-c statement_timeout=200ms'", stop, threads=1)
        until(lambda: one(db, "select behind = 0 from publish_subscriptions()"), 60)
        stop.set()
        running.result(PATIENCE)
    assert {r.data for r in endpoint.requests} == set(range(1, 101))


def test_a_subscription_that_nobody_can_claim_stops_no_other(
    db: Connection, url: str, stop: Event, connect: Connect
) -> None:
    notes(db, 3)
    subscribe(db, "stuck")
    blocker = connect(autocommit=False)
    blocker.execute(
        "select from publish.lane l join publish.subscription s using (subscription_id)"
        " where s.name = 'stuck' for update of l"
    )
    with receiving() as endpoint:
        hook(db, endpoint)
        running = delivering(f"{url} options='-c lock_timeout=50ms'", stop, threads=1)
        endpoint.wait(lambda e: len(e.requests) == 3)
        stop.set()
        running.result(PATIENCE)
    blocker.rollback()


# --- nobody reads what it prints


@pytest.mark.parametrize(
    "command", [["deliver"], ["drain", "--json"], ["changes", "--follow"]], ids=lambda c: c[0]
)
def test_a_closed_stdout_ends_the_command(
    db: Connection, url: str, start: Any, command: list[str]
) -> None:
    notes(db, 3)
    subscribe(db, "s", lease="1 h")
    enqueue(db, "note", "4", "4")
    reader, writer = os.pipe()
    os.close(reader)
    process = start(url, *command, stdout=writer)
    os.close(writer)
    _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1, errors
    assert "Traceback" not in errors
    assert "Exception ignored" not in errors
    assert one(db, "select workers is null from publish_subscriptions()"), "it was handed back"
