"""(i) Delivery: the worker against bare loops of the same clients, idle subscriptions, catching up,
and that claim and settle stay flat while an old snapshot is held open."""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from threading import Event

import aiohttp
import nats
import psutil  # type: ignore[import-untyped]
import redis

from bench.drain import mark
from bench.latency import cpu
from bench.measure import Line, Target, rates, seconds
from bench.server import Bench, Connection, connect
from pgpublish import database, deliver
from pgpublish.sinks import Message, cloudevents, signature

BATCH = 1000
CONCURRENCY = 10
ROUNDS = 5
SECRET = "whsec_" + "QUJD" * 8

# A local endpoint that costs little: answers 204 to each complete request.
ENDPOINT = """
import asyncio, sys
class Answer(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport, self.buffer = transport, b""
    def data_received(self, data):
        self.buffer += data
        while (end := self.buffer.find(b"\\r\\n\\r\\n")) >= 0:
            head = self.buffer[:end].lower()
            at = head.index(b"content-length:") + 15
            size = int(head[at:].split(b"\\r\\n", 1)[0])
            if len(self.buffer) < end + 4 + size:
                return
            self.buffer = self.buffer[end + 4 + size:]
            self.transport.write(b"HTTP/1.1 204 No Content\\r\\n\\r\\n")
async def main():
    server = await asyncio.get_running_loop().create_server(Answer, "127.0.0.1", int(sys.argv[1]))
    await server.serve_forever()
asyncio.run(main())
"""


@contextmanager
def process(command: Callable[[int, str], list[str]]) -> Iterator[int]:
    """A server on a free loopback port and in a folder of its own; stopped by its id."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    folder = tempfile.mkdtemp(prefix="pgpublish-bench-")
    started = subprocess.Popen(command(port, folder), stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)  # fmt: skip
    try:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            time.sleep(0.05)
        yield port
    finally:
        started.terminate()
        started.wait(30)
        shutil.rmtree(folder, ignore_errors=True)


def publish(conn: Connection, count: int) -> None:
    """Publishes `count` payloads of about 400 bytes."""
    mark(conn, "message", 1, count)
    while conn.execute("select scanned from publish_drain(2000)").fetchone() != (0,):
        pass
    conn.execute("vacuum analyze publish.published")


def messages(conn: Connection, count: int) -> list[Message]:
    """The feed as the worker would send it, made before the bare loops start."""
    rows = conn.execute(
        "select 'fresh', 'x/' || p.rev, '/bench', lpad(p.rev::text, 29, '0'), p.rev, p.kind,"
        " p.pub_id::text, null, 1, false, p.payload::text, null, 0, p.updated_at::text"
        " from publish.published p order by p.rev limit %s", [count],
    ).fetchall()  # fmt: skip
    return [Message._make(row) for row in rows]


def work(url: str, conn: Connection, name: str, count: int, lanes: int) -> float:
    """Seconds from the first claim to the last settle of `count` changes."""
    conn.execute("select publish_seek(%s, 0)", [name])
    before = conn.execute("select max(token) from publish.batch").fetchone()
    assert before is not None
    deliver.run(lambda: database.connect(url), Event(), names=[name], threads=lanes, batch=BATCH,
                once=True)  # fmt: skip
    row = conn.execute(
        "select sum(b.sent), extract(epoch from max(b.settled_at) - min(b.claimed_at))::float8"
        " from publish.batch b where b.token > %s and b.claimed > 0", before,
    ).fetchone()  # fmt: skip
    assert row is not None
    assert row[0] == count, row
    return float(row[1])


def subscribe(conn: Connection, name: str, sink: str, lanes: int = 1, **options: object) -> None:
    conn.execute(
        "select publish_subscribe(%s, %s, %s, lanes => %s)",
        [name, sink, json.dumps(options), lanes],
    )


def against(
    bench: Bench,
    name: str,
    full: int,
    target: float,
    sink: str,
    options: dict[str, object],
    bare: Callable[[Sequence[Message]], float],
    lanes: int = 1,
) -> Iterator[Line]:
    count = bench.scaled(full, full // 10)
    with bench.database("bench_deliver") as url, connect(url) as conn:
        publish(conn, count)
        subscribe(conn, "s", sink, lanes, **options)
        sent = messages(conn, count)
        bare(sent[:BATCH])
        rounds = []
        for n in range(ROUNDS):
            theirs = bare(sent) if n % 2 == 0 else 0.0
            ours = work(url, conn, "s", count, lanes)
            rounds.append((ours, theirs or bare(sent)))
        lane = "1 lane" if lanes == 1 else f"{lanes} lanes"
        yield rates("i", f"{name}, {BATCH} a batch, {lane}", count, rounds, unit="changes/s",
                    against="bare loop of the client", target=Target(target))  # fmt: skip


def webhook(bench: Bench) -> Iterator[Line]:
    with process(lambda port, _: [sys.executable, "-c", ENDPOINT, str(port)]) as port:
        url = f"http://127.0.0.1:{port}/"
        keys = signature.keys([SECRET])

        def headers(message: Message) -> dict[str, str]:
            body = cloudevents.structured(message)
            signed = signature.headers(keys, message.id, 1, body)
            return {"content-type": cloudevents.STRUCTURED} | signed

        async def post(sent: Sequence[Message]) -> float:
            waiting = iter([(cloudevents.structured(m), headers(m)) for m in sent])
            async with aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=CONCURRENCY)
            ) as session:

                async def loop() -> None:
                    for body, head in waiting:
                        async with session.post(url, data=body, headers=head) as response:
                            await response.read()

                began = time.perf_counter()
                await asyncio.gather(*(loop() for _ in range(CONCURRENCY)))
                return time.perf_counter() - began

        options = {"url": url, "allow_private": True, "concurrency": CONCURRENCY,
                   "secrets": [SECRET]}  # fmt: skip
        yield from against(bench, f"webhook, signed, {CONCURRENCY} at a time", 5000, 0.75,
                           "webhook", options, lambda sent: asyncio.run(post(sent)))  # fmt: skip


def redis_stream(bench: Bench) -> Iterator[Line]:
    def command(port: int, folder: str) -> list[str]:
        return ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--dir", folder,
                "--save", ""]  # fmt: skip

    with process(command) as port, closing(redis.Redis(port=port)) as client:

        def add(sent: Sequence[Message]) -> float:
            events = [
                {
                    "id": m.id,
                    "type": m.kind,
                    "subject": m.pub_id,
                    "event": cloudevents.structured(m),
                }
                for m in sent
            ]
            client.flushall()

            def go() -> None:
                for first in range(0, len(events), BATCH):
                    pipeline = client.pipeline(transaction=False)
                    for event in events[first : first + BATCH]:
                        pipeline.xadd("feed", event)
                    pipeline.execute()

            return seconds(go)

        options = {"url": f"redis://127.0.0.1:{port}/0", "stream": "feed"}
        for lanes in (1, 2):
            yield from against(bench, "Redis stream", 20_000, 0.75, "redis", options, add, lanes)


def nats_stream(bench: Bench) -> Iterator[Line]:
    def command(port: int, folder: str) -> list[str]:
        return ["nats-server", "-a", "127.0.0.1", "-p", str(port), "-js", "-sd", folder]

    with process(command) as port:

        async def send(sent: Sequence[Message]) -> float:
            client = await nats.connect(f"nats://127.0.0.1:{port}")
            stream = client.jetstream(publish_async_max_pending=256)
            with suppress(nats.js.errors.NotFoundError):
                await stream.delete_stream("FEED")
            await stream.add_stream(name="FEED", subjects=["feed.>"])
            events = [(cloudevents.structured(m), {"Nats-Msg-Id": m.id}) for m in sent]
            began = time.perf_counter()
            acks = [
                await stream.publish_async("feed.x", body, headers=headers, wait_stall=10)
                for body, headers in events
            ]
            await asyncio.gather(*acks)
            took = time.perf_counter() - began
            await client.close()
            return took

        options = {"servers": [f"nats://127.0.0.1:{port}"], "subject": "feed.{kind}"}
        yield from against(bench, "NATS JetStream", 20_000, 0.75, "nats", options,
                           lambda sent: asyncio.run(send(sent)))  # fmt: skip


def idle(bench: Bench) -> Iterator[Line]:
    count = bench.scaled(1000, 100)
    with bench.database("bench_idle") as url, connect(url) as conn:
        publish(conn, 1000)
        conn.execute(
            "select publish_subscribe('s' || n, 'stdout', from_rev => publish_head())"
            " from generate_series(1, %s) n", [count],
        )  # fmt: skip
        command = [sys.executable, "-m", "pgpublish", "--database-url", url, "deliver"]
        worker = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            time.sleep(3)
            backends = [psutil.Process(pid) for (pid,) in conn.execute(
                "select pid from pg_stat_activity where datname = current_database()"
                " and application_name = 'pgpublish'").fetchall()]  # fmt: skip
            assert backends
            processes = [psutil.Process(worker.pid), *backends]
            before, began = cpu(processes), time.monotonic()
            time.sleep(bench.scaled(20, 5))
            used = (cpu(processes) - before) / (time.monotonic() - began) * 100
        finally:
            worker.terminate()
            worker.wait(30)
        yield Line("i", f"{count:,} idle subscriptions, worker and backends", ours=used,
                   unit="% of core", target=Target(2, False))  # fmt: skip


def catch_up(bench: Bench) -> Iterator[Line]:
    count, readers = bench.scaled(100_000, 5000), 10
    with bench.database("bench_catch_up") as url, connect(url) as conn:
        publish(conn, count)
        for n in range(readers):
            subscribe(conn, f"s{n}", "stdout")
        before = fetched(conn)
        for n in range(readers):
            drained = 0
            while row := conn.execute(
                "select min(c.token), count(*) from publish_claim(%s, 'bench', %s) c",
                [f"s{n}", BATCH],
            ).fetchone():
                if row[0] is None:
                    break
                conn.execute("select * from publish_settle(%s)", [row[0]])
                drained += row[1]
            assert drained == count
        read = fetched(conn) - before
        yield Line("i", f"rows of the feed read, {count:,} changes to {readers} subscriptions",
                   ours=float(read), theirs=float(count * readers), unit="rows",
                   against="each change once each", ratios=[read / (count * readers)],
                   target=Target(1.01, False))  # fmt: skip


def fetched(conn: Connection) -> int:
    """Rows that index scans have fetched from the feed so far."""
    conn.execute("select pg_stat_force_next_flush()")
    row = conn.execute(
        "select idx_tup_fetch + seq_tup_read from pg_stat_user_tables"
        " where schemaname = 'publish' and relname = 'published'"
    ).fetchone()
    assert row is not None
    return int(row[0])


def flat(bench: Bench) -> Iterator[Line]:
    """A database in which an old snapshot was held over many batches, and one where few were taken,
    turn by turn: what else the machine does meets both."""
    batches = bench.scaled(5000, 300)
    with (
        bench.database("bench_old") as old_url,
        bench.database("bench_new") as new_url,
        connect(old_url) as old_conn,
        connect(new_url) as new_conn,
        connect(old_url) as holder,
    ):
        old, new = Turn(old_conn), Turn(new_conn)
        for turn in (old, new):
            for _ in range(300):
                turn.take()
        holder.execute("begin isolation level repeatable read")
        holder.execute("select count(*) from publish.published")
        for _ in range(batches):
            old.take()
        pairs = [(old.take(), new.take()) for _ in range(bench.scaled(500, 50))]
        last, first = (statistics.median(side) for side in zip(*pairs, strict=True))
        yield Line("i", f"claim and settle, old snapshot, after {batches:,} batches",
                   ours=last * 1000, theirs=first * 1000, unit="ms", against="after 300 batches",
                   ratios=[last / first], target=Target(1.5, at_least=False))  # fmt: skip
        holder.execute("rollback")


class Turn:
    """Twenty changed keys, then the claim and the settle of them, which are timed."""

    def __init__(self, conn: Connection) -> None:
        self.conn = conn
        self.n = 0
        publish(conn, 2000)
        subscribe(conn, "s", "stdout")

    def take(self) -> float:
        self.n += 1
        self.conn.execute(
            "select count(publish_enqueue('message', k::text, jsonb_build_object('n', %s::int)))"
            " from generate_series(1, 20) k", [self.n],
        )  # fmt: skip
        self.conn.execute("select * from publish_drain(500)")
        began = time.perf_counter()
        row = self.conn.execute("select min(c.token) from publish_claim('s', 'b', 20) c").fetchone()
        assert row is not None
        self.conn.execute("select * from publish_settle(%s)", [row[0]])
        return time.perf_counter() - began


def run(bench: Bench) -> Iterator[Line]:
    if not all(map(shutil.which, ("redis-server", "nats-server"))):
        raise SystemExit(f"as root: {Path('tests/install-servers')}")
    for part in (webhook, redis_stream, nats_stream, idle, catch_up, flat):
        yield from part(bench)
