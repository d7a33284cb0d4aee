"""(l) The feed over HTTP: many streams of one process, and pages against the SQL call alone."""

from __future__ import annotations

import http.client
import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from tempfile import TemporaryDirectory

import psutil  # type: ignore[import-untyped]

from bench.capture import CAPTURE, finish, pgbench, touch_script
from bench.deliver import process, publish
from bench.latency import Reader, cpu, drained, loop
from bench.measure import Line, Target, both, percentile, rates
from bench.server import Bench, Connection, connect

STREAMS = 2000
WATCHED = 50  # of these; in a process of their own, which the others do not hold up
WRITES_PER_SECOND = 200
BATCH = 500
PAGE = "select publish_serve_page('publish_reader', null, %s, %s)::text"


@contextmanager
def serving(url: str) -> Iterator[tuple[int, psutil.Process]]:
    """Port and process of `pgpublish serve`."""
    started: list[int] = []

    def command(port: int, _: str) -> list[str]:
        started.append(port)
        return [sys.executable, "-m", "pgpublish", "--database-url", url, "serve",
                "--port", str(port), "--heartbeat", "15"]  # fmt: skip

    with process(command) as port:
        (server,) = [
            child
            for child in psutil.Process().children()
            if "serve" in child.cmdline() and str(port) in child.cmdline()
        ]
        yield port, server


def clients(port: int, count: int, which: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "bench.readers", str(port), str(count), which],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def said(group: subprocess.Popen[str]) -> str:
    assert group.stdout is not None
    return group.stdout.readline()


def streams(bench: Bench) -> Iterator[Line]:
    """Writes at a fixed rate to a captured table, the drain loop, the server, and its clients in
    processes of their own; the first second is left out."""
    count = bench.scaled(STREAMS, 200)
    duration = bench.scaled(20, 4)
    with bench.database("bench_serve") as url, connect(url) as conn, loop(url):
        conn.execute(CAPTURE)
        with serving(url) as (port, server), TemporaryDirectory() as folder:
            crowd = clients(port, count - WATCHED, "crowd")
            watched = clients(port, WATCHED, "watched")
            try:
                for group in (crowd, watched):
                    if said(group) != "live\n":
                        raise RuntimeError("the clients did not come up")
                script = touch_script(folder, bench.items)
                reader = Reader(conn)
                head = reader.since
                used, began = cpu([server]), time.time()
                writer = pgbench(bench, url, script, f"-R{WRITES_PER_SECOND}", f"-T{duration}")
                read: list[tuple[float, float]] = []
                while writer.poll() is None:
                    read += reader.wait(0.2)
                output = finish(writer)
                used, took = cpu([server]) - used, time.time() - began
                memory = server.memory_info().rss / 1e6
                while not drained(conn):
                    time.sleep(0.05)
                changes = published(conn) - head
                for group in (crowd, watched):
                    print(published(conn), file=group.stdin, flush=True)
                said(crowd)
                got = json.loads(said(watched))
            finally:
                for group in (crowd, watched):
                    group.kill()
                    group.wait()
    processed = re.search(r"transactions actually processed: (\d+)", output)
    assert processed is not None
    rate = int(processed[1]) / duration
    taken = [delay for written, delay in got if written > began + 1]
    readable = [(at - written) * 1000 for written, at in read if written > began + 1]
    name = f"{count:,} streams, {rate:,.0f} writes/s"
    for percent, most in ((50, 50), (99, 250)):
        yield Line("l", f"{name}, write to client, p{percent}", ours=percentile(taken, percent),
                   theirs=percentile(readable, percent), against="one reader of the database",
                   unit="ms", target=Target(most, False))  # fmt: skip
    yield Line("l", f"{name}, cost of the server", ours=used / took * 100, unit="% of core",
               target=Target(100, False))  # fmt: skip
    yield Line("l", f"{name}, memory of the server", ours=memory, unit="MB",
               target=Target(300, False))  # fmt: skip
    yield Line("l", f"{name}, changes told a second", ours=changes * count / took, unit="")


def published(conn: Connection) -> int:
    row = conn.execute("select publish_head()").fetchone()
    assert row is not None
    return int(row[0])


def pages(bench: Bench) -> Iterator[Line]:
    """Each page of the feed once: as a request on one connection, and as the call alone. That in a
    session which did nothing else, as the server's: one that drained before has memory at hand, and
    is faster by a third."""
    count = bench.scaled(50_000, 5_000)
    rounds = bench.scaled(7, 2)
    with bench.database("bench_pages") as url, connect(url) as conn:
        publish(conn, count)
        cursors: list[str | None] = []
        cursor, more = None, True
        while more:
            cursors.append(cursor)
            row = conn.execute(
                "select p.page ->> 'cursor', (p.page -> 'more')::bool"
                " from publish_serve_page('publish_reader', null, %s, %s) p (page)",
                [cursor, BATCH],
            ).fetchone()
            assert row is not None
            cursor, more = row
        with serving(url) as (port, _), connect(url) as alone:
            for what, headers in (("", {}), (", gzip", {"Accept-Encoding": "gzip"})):
                with closing(http.client.HTTPConnection("127.0.0.1", port)) as client:
                    taken = [
                        both(
                            [partial(page, client, cursor, headers) for cursor in cursors],
                            [partial(call, alone, cursor) for cursor in cursors],
                        )
                        for _ in range(rounds)
                    ]
                yield rates("l", f"pages of {BATCH} by HTTP{what}", count, taken, unit="rows/s",
                            against="the SQL call alone",
                            target=None if what else Target(0.7))  # fmt: skip


def page(client: http.client.HTTPConnection, cursor: str | None, headers: dict[str, str]) -> None:
    given = "" if cursor is None else f"&cursor={cursor}"
    client.request("GET", f"/changes?limit={BATCH}&wait=1{given}", headers=headers)
    answer = client.getresponse()
    body = answer.read()
    if answer.status != 200 or not body:
        raise RuntimeError(f"{answer.status}: {body!r}")


def call(conn: Connection, cursor: str | None) -> None:
    conn.execute(PAGE, [cursor, BATCH])


def run(bench: Bench) -> Iterator[Line]:
    yield from streams(bench)
    yield from pages(bench)
