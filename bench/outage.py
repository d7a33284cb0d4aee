"""(j) What deliveries do to an endpoint that is down, refuses some changes for ever, or can take
little: publish_claim, publish_settle and the worker's own limits, in a simulated time."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Event

from bench.clock import Loop, database
from bench.measure import Line, Target, percentile
from bench.server import Bench, Connection
from pgpublish.deliver import calls
from pgpublish.deliver.pacing import Pacing
from pgpublish.sinks import Failure, Message
from pgpublish.sinks.concurrent import send_all

NAME = "s"
BATCH = 500
CONCURRENCY = 10  # requests of one batch at a time
HOUR_S, DAY_S = 3600.0, 86_400.0
SLOW_S, FAST_S = 0.05, 0.001  # an answer; a refused connection
LOOK_S = 0.005  # what a look for work takes
REAL_S = 300.0  # that one simulation may take

# What the endpoint answers to a change, some seconds later: None, or a class of failure.
Answer = Callable[[Message], Awaitable[str | None]]


@dataclass
class World:
    """A worker of so many threads, an endpoint, and what came of it. published, delivered: when, by
    rev, in seconds since the beginning."""

    conn: Connection
    answer: Answer
    threads: int
    loop: Loop = field(init=False)
    requests: list[float] = field(default_factory=list)
    failed: list[float] = field(default_factory=list)
    published: dict[int, float] = field(default_factory=dict)
    delivered: dict[int, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.loop = Loop(self.conn)
        self.pacing = Pacing(BATCH)
        self.news = asyncio.Event()
        self.todo: asyncio.Queue[str] = asyncio.Queue()
        self.keys = itertools.count(1)
        self.end = time.monotonic() + REAL_S
        self.stop = Event()

    def run(self, life: Callable[[World], Awaitable[None]]) -> None:
        """Until life ends."""

        async def both() -> None:
            work = [
                asyncio.ensure_future(w)
                for w in (self.dispatch(), *(self.serve() for _ in range(self.threads)))
            ]
            told = asyncio.ensure_future(life(self))
            done, waiting = await asyncio.wait({told, *work}, return_when=asyncio.FIRST_COMPLETED)
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)
            for task in done:
                task.result()

        self.loop.run_until_complete(both())
        self.loop.close()

    def now(self) -> float:
        return self.loop.time()

    def publish(self, count: int) -> range:
        """New keys; returns their revs."""
        conn = self.loop.at()
        keys = [str(next(self.keys)) for _ in range(count)]
        conn.execute(
            "select count(publish_enqueue('note', k, '1')) from unnest(%s::text[]) k", [keys]
        )
        while conn.execute("select scanned from publish_drain(2000)").fetchone() != (0,):
            pass
        row = conn.execute("select publish_head()").fetchone()
        assert row is not None
        revs = range(row[0] - count + 1, row[0] + 1)
        self.published.update(dict.fromkeys(revs, self.now()))
        self.news.set()
        return revs

    def dead(self) -> int:
        row = self.loop.at().execute("select dead from publish_subscriptions()").fetchone()
        assert row is not None
        return int(row[0])

    async def dispatch(self) -> None:
        """As pgpublish.deliver.dispatcher does, with one subscription."""
        while True:
            assert time.monotonic() < self.end, f"not within {REAL_S:.0f} s"
            self.news.clear()
            await asyncio.sleep(LOOK_S)
            wait_s = DAY_S
            for name, ready, seconds in calls.deliverable(self.loop.at(), [NAME]):
                for _ in range(ready - self.todo.qsize()):
                    self.todo.put_nowait(name)
                if not ready:
                    wait_s = seconds + 0.001
            with suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self.news.wait()

    async def serve(self) -> None:
        """As pgpublish.deliver.sender does."""
        while True:
            name = await self.todo.get()
            while await self.deliver(name):
                pass
            self.news.set()

    async def deliver(self, name: str) -> bool:
        size, began = self.pacing.size(name), self.now()
        claimed = calls.claim(self.loop.at(), name, "bench", size)
        if claimed is None:
            return False
        token, _, messages = claimed
        failures = await send_all(
            self.send, messages, self.stop, concurrency=CONCURRENCY, clock=self.now
        )
        self.pacing.sent(
            name,
            asked=size,
            claimed=len(messages),
            unsent=sum(f.kind == "unsent" for f in failures),
            seconds=self.now() - began,
        )
        calls.settle(self.loop.at(), token, failures)
        return True

    async def send(self, message: Message) -> Failure | None:
        self.requests.append(self.now())
        kind = await self.answer(message)
        if kind is not None:
            self.failed.append(self.now())
            return Failure(message, kind, "simulated")  # type: ignore[arg-type]
        self.delivered.setdefault(message.rev, self.now())
        return None

    async def until(self, fact: Callable[[], bool], most_s: float) -> None:
        """Looks each second."""
        end = self.now() + most_s
        while not fact():
            assert self.now() < end, f"not within {most_s:,.0f} simulated seconds"
            await asyncio.sleep(1)

    def delays(self, revs: Iterator[int] | range) -> list[float]:
        return [self.delivered[rev] - self.published[rev] for rev in revs if rev in self.delivered]


def world(
    conn: Connection, answer: Answer, *, threads: int = 4, lanes: int = 1, max_attempts: int = 15
) -> World:
    """A subscription with the default settings but for these."""
    conn.execute("select publish_define('note')")
    conn.execute(
        "select publish_subscribe(%s, 'stdout', lanes => %s, max_attempts => %s)",
        [NAME, lanes, max_attempts],
    )
    return World(calls.prepare(conn), answer, threads)


def line(name: str, value: float, unit: str, most: float | None = None) -> Line:
    target = None if most is None else Target(most, at_least=False)
    return Line("j", name, ours=value, unit=unit, target=target)


def outage(bench: Bench, pending: int) -> Iterator[Line]:
    """Nothing else is published while the endpoint is down."""
    down_s = bench.scaled(int(12 * HOUR_S), 600)

    async def answer(message: Message) -> str | None:
        is_down = one.now() < down_s
        await asyncio.sleep(FAST_S if is_down else SLOW_S)
        return "endpoint" if is_down else None

    async def life(one: World) -> None:
        revs = one.publish(pending)
        await one.until(lambda: all(rev in one.delivered for rev in revs), down_s + HOUR_S)

    with database(bench, "bench_outage") as conn:
        one = world(conn, answer)
        one.run(life)
        after = [at - down_s for at in one.delivered.values()]
        name = f"{down_s / HOUR_S:.3g} h outage, {pending:,} pending: "
        yield line(name + "requests", len(one.requests), "")
        yield line(name + "dead letters", one.dead(), "", 0)
        yield line(name + "first after", min(after), "s", 61)
        yield line(name + "last after", max(after), "s", 120)


def poisons(bench: Bench) -> Iterator[Line]:
    """30 changes that the endpoint answers with 500 for ever, one healthy change in 10 s."""
    count = bench.scaled(30, 5)
    bad: set[int] = set()
    healthy: list[int] = []

    async def answer(message: Message) -> str | None:
        await asyncio.sleep(SLOW_S)
        return "endpoint" if message.rev in bad else None

    async def life(one: World) -> None:
        bad.update(one.publish(count))
        while one.dead() < count:
            assert one.now() < DAY_S
            await asyncio.sleep(10)
            healthy.extend(one.publish(1))
        await one.until(lambda: all(rev in one.delivered for rev in healthy), HOUR_S)

    with database(bench, "bench_poison") as conn:
        one = world(conn, answer, max_attempts=bench.scaled(15, 6))
        one.run(life)
        delays = one.delays(iter(healthy))
        name = f"{count} poisons, 6 healthy a minute: "
        yield line(name + "failed requests", len(one.failed), "")
        yield line(name + "dead letters", one.dead(), "")
        yield line(name + "all dead after", one.now() / 60, "min")
        yield line(name + "healthy, p50", percentile(delays, 50), "s")
        yield line(name + "healthy, p99", percentile(delays, 99), "s", 10)


def herd(bench: Bench) -> Iterator[Line]:
    """32 lanes find an endpoint again that takes 50 requests at a time, and answers more with 503;
    ten more changes come each second."""
    lanes, most = 32, 50
    pending, down_s = bench.scaled(20_000, 1000), bench.scaled(int(HOUR_S), 120)
    busy = 0
    healthy: list[int] = []

    async def answer(message: Message) -> str | None:
        nonlocal busy
        if one.now() < down_s or busy >= most:
            await asyncio.sleep(FAST_S)
            return "endpoint"
        busy += 1
        try:
            await asyncio.sleep(SLOW_S)
        finally:
            busy -= 1
        return None

    async def life(one: World) -> None:
        revs = one.publish(pending)
        await asyncio.sleep(down_s - one.now())
        while not all(rev in one.delivered for rev in revs):
            assert one.now() < down_s + HOUR_S
            await asyncio.sleep(0.1)
            healthy.extend(one.publish(1))
        await one.until(lambda: all(rev in one.delivered for rev in healthy), HOUR_S)

    with database(bench, "bench_herd") as conn:
        one = world(conn, answer, threads=lanes, lanes=lanes)
        one.run(life)
        backlog = [one.delivered[rev] for rev in range(1, pending + 1)]
        least = pending * SLOW_S / most
        took = max(backlog) - down_s
        name = f"{lanes} lanes, {pending:,} pending: "
        while_down = sum(at < down_s for at in one.requests)
        yield line(name + f"requests in {down_s / HOUR_S:.3g} h", while_down, "")
        yield line(name + "then refused", len(one.failed) - while_down, "")
        yield line(name + "dead letters", one.dead(), "", 0)
        yield Line(
            "j",
            name + "recovered after",
            ours=took,
            theirs=least,
            unit="s",
            against=f"{most} requests at any time",
            ratios=[took / least],
        )
        yield line(name + "healthy, p99", percentile(one.delays(iter(healthy)), 99), "s")


def run(bench: Bench) -> Iterator[Line]:
    for pending in (1, 20, bench.scaled(1000, 100)):
        yield from outage(bench, pending)
    yield from poisons(bench)
    yield from herd(bench)
