"""The primary dies with changes that were delivered and that its standby never had. `pytest
--failovers 20 -s tests/deliver/test_failover.py` plays twenty, each from its seed.

Everything is real: two clusters, `pgpublish run` with both as hosts, a webhook that fails now and
then, the example in JavaScript, Redis and NATS. Each consumer follows the rule of docs/deliver.md.
"""

from __future__ import annotations

import asyncio
import json
import random
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import brokers
import psycopg
import pytest
import redis
from conftest import Connection
from delivery import subscribe
from helpers import cut, enqueue, one, replay, running_cluster, standby_of, until
from psycopg.rows import namedtuple_row
from receiver import Request, receiving
from replicas import in_process, running
from test_sinks import make_stream, read_stream

from pgpublish.embedded import Cluster
from pgpublish.migrate import migrate

KEYS = 60
PACE = {"max_attempts": 10_000, "backoff_min": "10 ms", "backoff_max": "100 ms"}
Held = dict[str, Any]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    metafunc.parametrize("seed", range(1, metafunc.config.getoption("--failovers") + 1))


class Consumers:
    """By name: where each is delivered to, and what it holds."""

    def __init__(self, dice: random.Random, log: Path) -> None:
        self.dice = dice
        self.log = log
        self.shows: dict[str, Callable[[], Held]] = {}
        self.subscriptions: dict[str, tuple[str, dict[str, Any]]] = {}

    def webhook(self, stack: ExitStack) -> None:
        """Refuses, breaks, or answers after it has taken the event that it failed."""
        replica = in_process()

        def answer(request: Request) -> int:
            fate = self.dice.random()
            if fate < 0.05:
                return 503
            for event in request.event if isinstance(request.event, list) else [request.event]:
                replica.take(event)
            return 500 if fate < 0.1 else 204

        endpoint = stack.enter_context(receiving(answer))

        def shows() -> Held:
            with endpoint.changed:
                held: Held = replica.shows()
                return held

        mode = self.dice.choice(["structured", "batch"])
        options = {"url": endpoint.url, "allow_private": True, "mode": mode}
        self.subscriptions["webhook"] = ("webhook", options)
        self.shows["webhook"] = shows

    def example(self, stack: ExitStack) -> None:
        consumer = stack.enter_context(running("node", self.log))
        self.subscriptions["example"] = ("webhook", consumer.options)
        self.shows["example"] = consumer.shows

    def redis(self, stack: ExitStack) -> None:
        server = stack.enter_context(brokers.redis_server())
        client = stack.enter_context(redis.Redis(port=server.port))
        options = {"url": f"redis://127.0.0.1:{server.port}", "stream": "feed"}
        self.subscriptions["redis"] = ("redis", options)
        self.shows["redis"] = lambda: after(
            [json.loads(fields[b"event"]) for _, fields in client.xrange("feed")]
        )

    def nats(self, stack: ExitStack) -> None:
        (server,) = stack.enter_context(brokers.nats_servers())
        asyncio.run(make_stream(server.port))
        options = {"servers": [f"nats://127.0.0.1:{server.port}"], "subject": "feed.{kind}"}
        self.subscriptions["nats"] = ("nats", options)
        self.shows["nats"] = lambda: after(
            [event for _, event in asyncio.run(read_stream(server.port))]
        )

    def wrong(self, conn: Connection) -> dict[str, int]:
        """How many keys each holds otherwise than this database publishes them."""
        rows = conn.execute(
            "select p.pub_id::text, p.payload from publish.published p where not p.deleted"
        ).fetchall()
        right: Held = dict(rows)
        held = {name: shows() for name, shows in self.shows.items()}
        return {
            name: sum(h.get(key, self) != right.get(key, self) for key in h.keys() | right.keys())
            for name, h in held.items()
        }


def after(events: list[dict[str, Any]]) -> Held:
    """What a consumer holds that was given these events."""
    replica = in_process()
    for event in events:
        replica.take(event)
    shown: Held = replica.shows()
    return shown


@contextmanager
def consumers(dice: random.Random, log: Path) -> Iterator[Consumers]:
    with ExitStack() as stack:
        made = Consumers(dice, log)
        for begin in (made.webhook, made.example, made.redis, made.nats):
            begin(stack)
        yield made


@contextmanager
def worker(*clusters: Cluster) -> Iterator[subprocess.Popen[bytes]]:
    """`pgpublish run` on whichever of these takes writes."""
    hosts = ",".join(str(cluster.folder) for cluster in clusters)
    ports = ",".join(str(cluster.port) for cluster in clusters)
    url = f"host={hosts} port={ports} user=postgres dbname=postgres"
    process = subprocess.Popen(
        [sys.executable, "-m", "pgpublish", "--database-url", url, "run", "--batch", "20"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield process
        assert process.poll() is None, "the worker ended"
    finally:
        process.kill()
        process.wait()


def session(cluster: Cluster) -> Connection:
    return psycopg.connect(cluster.url(), autocommit=True, row_factory=namedtuple_row)


def write(conn: Connection, dice: random.Random, count: int, *, first: int = 1) -> None:
    """Changes, deletes and creates keys; then the key "end", so that its rev is the last."""
    for _ in range(count):
        key = str(dice.randint(first, first + KEYS - 1))
        if dice.random() < 0.2:
            enqueue(conn, "note", key, deleted=True)
        else:
            enqueue(conn, "note", key, json.dumps(dice.random()))
    enqueue(conn, "note", "end", json.dumps(dice.random()))


def is_published(conn: Connection) -> bool:
    """Everything that was written to it until now."""
    return one(conn, "select depth = 0 from publish_status()")


def is_delivered(conn: Connection, life_above: int) -> bool:
    """Everything, of a life above this one."""
    return one(
        conn,
        "select bool_and(s.state = 'active' and s.behind = 0 and s.retries = 0"
        " and s.workers is null and s.life > %s) from publish_subscriptions() s",
        life_above,
    )


@pytest.mark.timeout(300)
def test_every_consumer_is_exact_after_a_failover_that_lost_a_tail(
    server_kind: str, seed: int, tmp_path: Path
) -> None:
    dice = random.Random(seed)
    with consumers(dice, tmp_path / "log") as all_, running_cluster(server_kind) as primary:
        db = session(primary)
        migrate(db)
        db.execute("select publish_define('note')")
        for name, (sink, options) in all_.subscriptions.items():
            subscribe(db, name, sink, options=options, lanes=dice.choice([1, 2, 4]), **PACE)
        write(db, dice, 100)
        with standby_of(primary, server_kind) as standby, worker(primary, standby):
            copy = session(standby)
            until(lambda: is_published(db) and is_delivered(db, 0), 60)
            write(db, dice, dice.randint(0, 40))
            if dice.random() < 0.5:
                until(lambda: is_published(db))
            replay(db, copy)
            cut(copy)
            kept = one(copy, "select publish_head()")
            write(db, dice, dice.randint(30, 80), first=dice.randint(1, KEYS))
            until(lambda: is_published(db))
            lost = one(db, "select publish_head()") - kept
            sent = kept + dice.randint(min(5, lost), lost)
            until(lambda: one(db, "select min(cursor) >= %s from publish_subscriptions()", sent))
            life = one(db, "select max(life) from publish_subscriptions()")
            db.close()
            primary.stop(signal.SIGQUIT)
            before = all_.wrong(copy)
            assert all(before.values()), "nothing that was lost had been delivered"
            assert one(copy, "select pg_promote(true, 60)")
            write(copy, dice, dice.randint(1, 60))
            until(lambda: is_published(copy) and is_delivered(copy, life), 60)
            after_all = all_.wrong(copy)
            copy.close()
    print(f"seed {seed}: {lost} revs lost, keys wrong: {before}, then {after_all}")
    assert not any(after_all.values())
