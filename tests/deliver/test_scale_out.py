"""Two databases deliver into one stream of three nodes; a replica merges them, another one reads a
standby. All of them are killed, and a database loses its newest changes in a failover. `make
scale` does it sixty times.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from threading import Event, Thread
from typing import Any

import brokers
import psycopg
import pytest
from delivery import subscribe
from faults import Faults
from helpers import enqueue, one, standby_of, until
from psycopg.rows import namedtuple_row
from test_brokers import make_stream

from pgpublish.migrate import migrate

EXAMPLES = Path(__file__).parents[2] / "examples"
KEYS = 60


class Running:
    """A command that is killed, and started again."""

    def __init__(self, stack: ExitStack, command: Callable[[], list[str]]) -> None:
        self.command = command
        self.start()
        stack.callback(self.kill)

    def start(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, *self.command()], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env={k: v for k, v in os.environ.items() if k != "LD_PRELOAD"},
        )  # fmt: skip

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def again(self) -> None:
        self.kill()
        self.start()

    def watch(self) -> None:
        """As what runs it would: a start that finds no server ends."""
        if self.process.poll() is not None:
            self.start()


class Shard:
    """A database, its writer and its worker; its own source, as both are named postgres."""

    def __init__(self, name: str, kind: str, stack: ExitStack, seed: int, nats: list[str]) -> None:
        self.name = name
        self.dice = random.Random(f"{seed} {name}")
        self.faults = Faults(kind, stack, random.Random(f"{seed} faults of {name}"))
        with self.session() as conn:
            migrate(conn)
            conn.execute("select publish_define('note')")
            options = {
                "servers": nats,
                "subject": "feed.{kind}",
                "source": f"/{name}",
                "timeout": 2,
            }
            subscribe(conn, "nats", "nats", options=options, lanes=2, max_attempts=10_000,
                      backoff_min="10 ms", backoff_max="200 ms", lease="5 s")  # fmt: skip
        self.worker = Running(
            stack,
            lambda: ["-m", "pgpublish", "--database-url", self.faults.cluster.url(), "run"],
        )

    def session(self) -> psycopg.Connection[Any]:
        conn = self.faults.connect()
        conn.row_factory = namedtuple_row
        return conn

    def write(self, stop: Event) -> None:
        """Changes, deletes and creates keys until it is to stop."""
        while not stop.is_set():
            try:
                with self.session() as conn:
                    while not stop.wait(0.005):
                        key = str(self.dice.randint(1, KEYS))
                        if self.dice.random() < 0.2:
                            enqueue(conn, "note", key, deleted=True)
                        else:
                            enqueue(conn, "note", key, json.dumps(self.dice.random()))
            except psycopg.OperationalError:
                stop.wait(0.05)

    def fail_over(self) -> None:
        self.faults.fail_over()
        self.worker.again()

    def published(self) -> dict[tuple[str, str], Any]:
        with self.session() as conn:
            rows = conn.execute(
                "select p.pub_id::text, p.payload from publish.published p where not p.deleted"
            ).fetchall()
        return {(f"/{self.name}", key): payload for key, payload in rows}

    def life(self) -> int:
        """0 while the server comes back: a killed backend ends all sessions, the newest too."""
        self.worker.watch()
        with suppress(psycopg.OperationalError), self.session() as conn:
            return one(conn, "select life from publish_subscriptions()")
        return 0

    def told(self) -> list[Any]:
        """What somebody would look at who wonders why it does not end."""
        with self.session() as conn:
            return conn.execute(
                "select to_jsonb(s), to_jsonb(d) from publish_subscriptions() s, publish_status() d"
            ).fetchall()

    def is_done(self) -> bool:
        self.worker.watch()
        with suppress(psycopg.OperationalError), self.session() as conn:
            return one(conn, "select depth = 0 from publish_status()") and one(
                conn,
                "select state = 'active' and behind = 0 and retries = 0 and dead = 0"
                " and workers is null from publish_subscriptions()",
            )
        return False


def held(file: Path, query: str) -> list[Any]:
    with closing(sqlite3.connect(file, timeout=30)) as db:
        return db.execute(query).fetchall()


@contextmanager
def written(*shards: Shard) -> Iterator[None]:
    stop = Event()
    writers = [Thread(target=shard.write, args=(stop,), daemon=True) for shard in shards]
    for writer in writers:
        writer.start()
    try:
        yield
    finally:
        stop.set()
        for writer in writers:
            writer.join(30)


def test_two_databases_and_one_consumer_are_exact_while_all_are_killed(
    server_kind: str, pytestconfig: pytest.Config, tmp_path: Path
) -> None:
    outages = pytestconfig.getoption("--outages")
    seed = pytestconfig.getoption("--seed") or random.randrange(1 << 32)
    print(f"seed {seed}")
    dice = random.Random(seed)
    with ExitStack() as stack:
        nodes = stack.enter_context(brokers.nats_servers(3))
        asyncio.run(asyncio.wait_for(make_stream(nodes[0].port, replicas=3), 30))
        urls = [f"nats://127.0.0.1:{node.port}" for node in nodes]
        a, b = (Shard(name, server_kind, stack, seed, urls) for name in "ab")
        merged, read = tmp_path / "merged", tmp_path / "read"
        consumer = Running(stack, lambda: [str(EXAMPLES / "nats_replica.py"), str(merged), *urls])
        standby = stack.enter_context(standby_of(b.faults.cluster, server_kind))
        Running(stack, lambda: [str(EXAMPLES / "sqlite_replica.py"), standby.url(), str(read)])

        def kill_node() -> None:
            node = dice.choice(nodes)
            assert node.process is not None
            node.process.kill()
            node.process.wait()
            time.sleep(dice.uniform(0.1, 1))
            node.start()

        deeds: dict[str, Callable[[], None]] = {
            "node": kill_node,
            "consumer": consumer.again,
            "server of a": a.faults.kill_server,
            "server of b": b.faults.kill_server,
            "backend of a": a.faults.kill_backend,
            "worker of a": a.worker.again,
            "worker of b": b.worker.again,
        }
        killed: Counter[str] = Counter()
        with written(a, b):
            for _ in range(outages):
                time.sleep(dice.uniform(0.2, 0.6))
                name = dice.choice([*deeds, "node"])
                deeds[name]()
                killed[name] += 1
            life = until(a.life)
            a.fail_over()
            until(lambda: a.life() > life and merged_life(merged, "/a") > life, 60)
            time.sleep(0.5)  # in which b, in its old life, goes on
        print(f"seed {seed}: {dict(killed)}, and a failed over")
        for shard in (a, b):
            try:
                until(shard.is_done, 60)
            except AssertionError:
                print(shard.name, shard.told())
                raise
        right = a.published() | b.published()

        def is_merged() -> bool:
            consumer.watch()
            return merges(merged) == right

        until(is_merged, 60)
        until(lambda: reads(read) == {key for _, key in b.published()}, 60)


def merges(file: Path) -> dict[tuple[str, str], Any]:
    rows = held(file, "select source, subject, data from held where data is not null")
    return {(source, subject): json.loads(data) for source, subject, data in rows}


def merged_life(file: Path, source: str) -> int:
    found = held(file, f"select life from life where source = '{source}'")
    return int(found[0][0]) if found else 0


def reads(file: Path) -> set[str]:
    return {key for (key,) in held(file, "select pub_id from held")}
