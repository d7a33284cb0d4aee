"""The feed is read once for all streams of a process, and each gets its part.

One session listens, and reads what is new whenever it is told, or looks each second: a standby and
a pooler pass no notification on. Changes are written out once for each filter, not for each stream.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg.rows import namedtuple_row

from pgpublish.database import parameters
from pgpublish.serve.settings import Settings

log = logging.getLogger("pgpublish.serve")

LONGEST_PAUSE_S = 2.0
PATIENCE_S = 20.0  # that one read may take


@dataclass(frozen=True)
class Filter:
    """What a stream shows: kinds (None: all), and of kinds with a scope, rows of this one (None:
    all rows). rights: the end of its cursors, which says what was granted."""

    kinds: frozenset[str] | None
    scope: str | None
    rights: str | None = None

    def own(self, cursor: str) -> str:
        """The hub's cursor as one of this reader's."""
        return cursor if self.rights is None else f"{cursor}.{self.rights}"

    def shows(self, row: Any) -> bool:
        if self.kinds is not None and row.kind not in self.kinds:
            return False
        if not row.is_scoped:
            return not row.is_departed
        if self.scope is None:
            return not row.is_departed
        return bool(row.of_scope == self.scope)


@dataclass(frozen=True)
class Batch:
    """Changes of one read for one filter: (rev, JSON text) each. cursor, upto: after them. data:
    as server-sent events; chunk: that as a chunk of HTTP/1.1. All streams share these bytes."""

    cursor: str
    upto: int
    changes: list[tuple[int, str]]
    data: bytes
    chunk: bytes

    def after(self, rev: int) -> bytes:
        """As server-sent events, without what is at or below rev."""
        if not self.changes or self.changes[0][0] > rev:
            return self.data
        return events([text for at, text in self.changes if at > rev], self.cursor)


def events(changes: Iterable[str], cursor: str) -> bytes:
    """Each change as an event; the last has the cursor as its id, or there is an id alone, which
    moves a client's Last-Event-ID and tells it nothing."""
    told = "\n".join(f"data: {text}\n" for text in changes)
    return (f"{told[:-1]}\nid: {cursor}\n\n" if told else f"id: {cursor}\n\n").encode()


@dataclass(eq=False)
class Subscriber:
    """What waits for one stream, at most `most` bytes, of what was published after rev `since`.
    slow: it was more. lost: the hub's cursor could not go on. After either nothing comes, and what
    waited is gone. at_once: takes a batch without waking the stream, or says that it cannot."""

    filter: Filter
    most: int
    since: int
    waiting: deque[Batch] = field(default_factory=deque)
    size: int = 0
    slow: bool = False
    lost: bool = False
    woken: asyncio.Event = field(default_factory=asyncio.Event)
    at_once: Callable[[Batch], bool] | None = None

    def push(self, batch: Batch) -> None:
        if self.slow or self.lost:
            return
        if self.at_once is not None and not self.waiting and self.at_once(batch):
            return
        self.size += len(batch.data)
        if self.size > self.most and self.waiting:
            self.slow = True
            self._drop()
            return
        self.waiting.append(batch)
        self.woken.set()

    def lose(self) -> None:
        self.lost = True
        self._drop()

    def _drop(self) -> None:
        self.size = 0
        self.waiting.clear()
        self.woken.set()

    def take(self) -> Batch | None:
        if not self.waiting:
            self.woken.clear()
            return None
        batch = self.waiting.popleft()
        self.size -= len(batch.data)
        return batch


class Hub:
    """cursor, upto: what the streams were told; None until the first read, and while it begins
    again. reads: how many."""

    def __init__(self, url: str, settings: Settings) -> None:
        self.url = url
        self.settings = settings
        self.cursor: str | None = None
        self.upto = 0
        self.reads = 0
        self.connected = False
        self.placed = asyncio.Event()
        self.stopping = asyncio.Event()
        self._groups: dict[Filter, set[Subscriber]] = defaultdict(set)

    def join(self, filter: Filter, most: int) -> Subscriber:
        subscriber = Subscriber(filter, most, self.upto)
        self._groups[filter].add(subscriber)
        return subscriber

    def leave(self, subscriber: Subscriber) -> None:
        group = self._groups[subscriber.filter]
        group.discard(subscriber)
        if not group:
            del self._groups[subscriber.filter]

    def __len__(self) -> int:
        return sum(map(len, self._groups.values()))

    def stop(self) -> None:
        """All streams end at their next look."""
        self.stopping.set()
        for group in self._groups.values():
            for subscriber in group:
                subscriber.woken.set()

    async def run(self) -> None:
        """Until it is cancelled; an outage is waited for."""
        pause = 0.1
        while True:
            try:
                async with await psycopg.AsyncConnection.connect(
                    self.url, row_factory=namedtuple_row, **parameters(self.url, "pgpublish serve")
                ) as conn:
                    listening = await self._listen(conn)
                    while True:
                        await self._read_all(conn)
                        self.connected, pause = True, 0.1
                        if not listening and not await _in_recovery(conn):
                            listening = await self._listen(conn)
                        await self._wait(conn, listening)
            except (psycopg.Error, OSError, TimeoutError) as error:
                self.connected = False
                log.warning("the feed is not read, trying again: %s", _first_line(error))
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))
            pause = min(pause * 2, LONGEST_PAUSE_S)

    async def _listen(self, conn: psycopg.AsyncConnection[Any]) -> bool:
        """Not on a standby, nor through a pooler that would have others hear it."""
        cursor = await conn.execute("select pg_backend_pid(), pg_is_in_recovery()")
        row = await cursor.fetchone()
        assert row is not None
        if row[1] or row[0] != conn.info.backend_pid:
            return False
        await conn.execute("listen publish")
        return True

    async def _wait(self, conn: psycopg.AsyncConnection[Any], listening: bool) -> None:
        look = self.settings.look
        if not listening:
            await asyncio.sleep(min(look, 0.25))
            return
        async for _ in conn.notifies(timeout=look, stop_after=1):
            pass

    async def _read_all(self, conn: psycopg.AsyncConnection[Any]) -> None:
        more = True
        while more:
            async with asyncio.timeout(PATIENCE_S):
                cursor = await conn.execute(
                    "select * from public.publish_serve_feed(%s::text, %s::int)",
                    [self.cursor, self.settings.batch],
                )
                rows = await cursor.fetchall()
            self.reads += 1
            first = rows[0]
            more = first.more
            if first.reason is not None:
                log.warning("streams are read again: %s", first.reason)
                self.cursor = None
                continue
            if self.cursor is None:
                # What was published up to here is told to nobody: all streams read it themselves.
                for group in self._groups.values():
                    for subscriber in group:
                        subscriber.lose()
            self.cursor, self.upto = first.next, first.upto
            self.placed.set()
            began = time.thread_time()
            self._tell([row for row in rows if row.change is not None], first.next, first.upto)
            await asyncio.sleep(0)  # the streams write
            # With many of them, fewer and larger reads: they cost at most half the time.
            await asyncio.sleep(min(time.thread_time() - began, 0.1))

    def _tell(self, rows: list[Any], cursor: str, upto: int) -> None:
        if not rows:
            return
        for filter, group in list(self._groups.items()):
            changes = [(row.rev, row.change) for row in rows if filter.shows(row)]
            if changes:
                own = filter.own(cursor)
                data = events([text for _, text in changes], own)
                batch = Batch(own, upto, changes, data, b"%x\r\n%b\r\n" % (len(data), data))
                for subscriber in group:
                    subscriber.push(batch)


async def _in_recovery(conn: psycopg.AsyncConnection[Any]) -> bool:
    cursor = await conn.execute("select pg_is_in_recovery()")
    row = await cursor.fetchone()
    return row is None or bool(row[0])


def _first_line(error: BaseException) -> str:
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__


async def cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
