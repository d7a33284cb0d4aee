"""GET /stream: server-sent events. First the pages from the client's cursor, read for its rights;
then what the hub hands out."""

from __future__ import annotations

import asyncio
import json
import logging
import random
from contextlib import suppress
from dataclasses import dataclass

from starlette.types import Message, Receive, Scope, Send

from pgpublish.errors import ConnectionFailed, PublishError
from pgpublish.serve.auth import Auth, Reader
from pgpublish.serve.hub import Batch, Filter, Hub, Subscriber, events
from pgpublish.serve.rights import Rights
from pgpublish.serve.settings import Settings
from pgpublish.serve.shared import Shared
from pgpublish.serve.store import Part, Store

log = logging.getLogger("pgpublish.serve")

HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),  # nginx would keep events back
]


@dataclass(frozen=True)
class Wanted:
    """reader: whose rights count. cursor: None begins. kinds: None for all it may read."""

    reader: Reader
    cursor: str | None
    kinds: list[str] | None
    filter: Filter


BEHIND_S = 0.05  # until a page is asked for again that was older than what others have


class _Over(Exception):
    """The stream ends; the client comes again with its Last-Event-ID."""


class Stream:
    """An ASGI response. What it holds is bounded by settings.buffer and one page."""

    def __init__(
        self,
        wanted: Wanted,
        *,
        store: Store,
        hub: Hub,
        auth: Auth,
        rights: Rights,
        parts: Shared[Part],
        settings: Settings,
    ) -> None:
        self.wanted = wanted
        self.cursor = wanted.cursor
        self.upto = 0
        self.look_at = 0.0
        self.store = store
        self.hub = hub
        self.auth = auth
        self.rights = rights
        self.parts = parts
        self.settings = settings
        self._transport: asyncio.Transport | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._send = send
        if scope["http_version"] == "1.1":  # else there are no chunks
            self._transport = scope.get("pgpublish.transport")
        self._looked()
        await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
        gone = asyncio.ensure_future(_disconnected(receive))
        told = asyncio.ensure_future(self._tell(scope))
        try:
            await asyncio.wait({gone, told}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            gone.cancel()
            told.cancel()
            for ended in await asyncio.gather(gone, told, return_exceptions=True):
                if isinstance(ended, Exception):
                    log.error("a stream failed", exc_info=ended)

    async def _tell(self, scope: Scope) -> None:
        try:
            # Many clients of one server that went away do not all come back at one moment.
            await self._write(f"retry: {random.randrange(500, 3000)}\n\n".encode())
            while True:
                subscriber = self.hub.join(self.wanted.filter, self.settings.buffer)
                try:
                    await self._catch_up(subscriber)
                    await self._follow(subscriber)
                finally:
                    self.hub.leave(subscriber)
        except (_Over, PublishError) as over:
            log.debug("stream ends: %s", over)
            await self._write(b"", more=False)
        except TimeoutError:
            # It does not read. What the server still holds for it goes with the connection.
            transport = scope.get("pgpublish.transport")
            if transport is not None:
                transport.abort()

    async def _catch_up(self, subscriber: Subscriber) -> None:
        """The pages from the cursor to the head, and at least to where the subscriber begins, which
        a page that others asked for before, or a standby's, may not reach. The subscriber keeps
        what comes during it."""
        more = True
        while more:
            await self._still_allowed()
            part = await self._part()
            if part.reason is not None:
                self.cursor = None
                await self._write(_event("reset", {"reason": part.reason}))
                continue
            assert part.cursor is not None
            assert part.start is not None
            if self.cursor is None:
                # Who is interrupted here comes again as who began now: deletions from now on count.
                await self._write(events([], part.start))
            self.cursor, self.upto, more = part.cursor, part.upto, part.more
            await self._write(events(part.changes, part.cursor))
            if not more and self.upto < subscriber.since and not subscriber.lost:
                more = True
                await asyncio.sleep(BEHIND_S)

    async def _part(self) -> Part:
        reader, kinds, size = self.wanted.reader, self.wanted.kinds, self.settings.batch
        return await self.parts.get(
            (reader.role, reader.scope, self.cursor, None if kinds is None else tuple(kinds)),
            lambda: self.store.part(reader.role, reader.scope, self.cursor, size, kinds),
        )

    async def _follow(self, subscriber: Subscriber) -> None:
        """Until changes were left out for this stream: then it catches up, unless it is slow."""
        if not subscriber.slow:
            await self._write(_event("live", {"cursor": self.cursor}))
        live = not subscriber.slow
        while not (subscriber.slow or subscriber.lost):
            batch = subscriber.take()
            if batch is not None and batch.upto > self.upto:
                data = batch.after(self.upto)
                self.cursor, self.upto = batch.cursor, batch.upto
                await self._write(data)
            if self.hub.stopping.is_set():
                raise _Over("the server stops")
            left = self.look_at - asyncio.get_running_loop().time()
            if left <= 0:
                await self._look(subscriber)
            elif batch is None:
                await self._pause(subscriber, left)
        if live and subscriber.slow:
            raise _Over("it reads too slowly")

    async def _pause(self, subscriber: Subscriber, wait: float) -> None:
        if self._transport is not None:
            subscriber.at_once = self._at_once
        try:
            async with asyncio.timeout(wait):
                await subscriber.woken.wait()
        except TimeoutError:
            pass
        finally:
            subscriber.at_once = None

    def _at_once(self, batch: Batch) -> bool:
        """Writes the bytes that all streams share, if this client has taken all before: waking a
        task, and the framework's way to the same socket, cost ten times as much."""
        assert self._transport is not None
        if self._transport.get_write_buffer_size() or self._transport.is_closing():
            return False
        if batch.upto > self.upto:
            if batch.changes[0][0] <= self.upto:
                return False
            self.cursor, self.upto = batch.cursor, batch.upto
            self._transport.write(batch.chunk)
        return True

    async def _look(self, subscriber: Subscriber) -> None:
        """At each heartbeat, however much there is to tell: whether it may still read."""
        with suppress(ConnectionFailed):  # then nothing can be told either
            await self._still_allowed()
        if not (subscriber.waiting or subscriber.slow or subscriber.lost):
            if self.hub.cursor is not None and self.hub.upto >= self.upto:
                self.cursor = self.wanted.filter.own(self.hub.cursor)
                self.upto = self.hub.upto
            await self._write(f"id: {self.cursor}\n\n".encode())
        self._looked()

    def _looked(self) -> None:
        left = self.wanted.reader.expires_in()
        wait = self.settings.heartbeat if left is None else min(self.settings.heartbeat, left)
        self.look_at = asyncio.get_running_loop().time() + wait

    async def _still_allowed(self) -> None:
        """Raises PublishError when the token ended, or its rights are others."""
        wanted = self.wanted
        if self.hub.stopping.is_set():
            raise _Over("the server stops")
        await self.auth.require(wanted.reader)
        if await self.rights.filter(wanted.reader, wanted.kinds) != wanted.filter:
            raise _Over("the rights are others")

    async def _write(self, data: bytes, more: bool = True) -> None:
        message: Message = {"type": "http.response.body", "body": data, "more_body": more}
        async with asyncio.timeout(self.settings.patience):
            await self._send(message)


def _event(name: str, data: dict[str, object]) -> bytes:
    return f"event: {name}\ndata: {json.dumps(data)}\n\n".encode()


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
