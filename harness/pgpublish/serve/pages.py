"""GET /changes: pages as JSON, cacheable, and long polls. Equal requests share one query and one
compression."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from pgpublish.serve.auth import Auth, Reader
from pgpublish.serve.hub import Hub
from pgpublish.serve.problem import Busy
from pgpublish.serve.rights import Rights
from pgpublish.serve.settings import Settings
from pgpublish.serve.shared import Shared
from pgpublish.serve.store import Page, Store

COMPRESSED_FROM = 1000
LEVEL = 5
ASIDE_FROM = 64 << 10  # larger ones are compressed in a thread


@dataclass(frozen=True)
class Asked:
    """A page that somebody wants."""

    reader: Reader
    cursor: str | None
    batch: int
    kinds: list[str] | None

    @property
    def key(self) -> tuple[object, ...]:
        kinds = None if self.kinds is None else tuple(self.kinds)
        return (self.reader.role, self.reader.scope, self.cursor, self.batch, kinds)


@dataclass
class Body:
    """A page as it is sent. It is compressed once, when the first asks for that."""

    plain: bytes
    tag: str
    page: Page
    _zipping: asyncio.Task[bytes] | None = None

    async def zipped(self) -> bytes:
        if self._zipping is None:
            self._zipping = asyncio.ensure_future(_zipped(self.plain))
        return await asyncio.shield(self._zipping)


class Pages:
    def __init__(
        self, store: Store, hub: Hub, auth: Auth, rights: Rights, settings: Settings
    ) -> None:
        self.store = store
        self.auth = auth
        self.hub = hub
        self.rights = rights
        self.settings = settings
        self.shared: Shared[Body] = Shared()
        self.waiting = 0

    async def answer(self, request: Request, asked: Asked, wait: float) -> Response:
        """wait: how long a page without changes is waited for, in seconds. Raises PublishError."""
        if wait <= 0:
            return await self._response(request, asked, await self._body(asked))
        if self.waiting >= self.settings.waiting:
            raise Busy
        filter = await self.rights.filter(asked.reader, asked.kinds)
        subscriber = self.hub.join(filter, 0)  # first, so that nothing comes in between
        self.waiting += 1
        try:
            body = await self._body(asked)
            loop = asyncio.get_running_loop()
            until = loop.time() + wait
            while body.page.empty and not body.page.reset and not body.page.more:
                left = until - loop.time()
                if left <= 0 or self.hub.stopping.is_set() or await request.is_disconnected():
                    break
                is_behind = body.page.head < subscriber.since  # it was asked for before
                try:
                    async with asyncio.timeout(min(left, 0.05 if is_behind else 5.0)):
                        await subscriber.woken.wait()
                except TimeoutError:
                    if not is_behind:
                        continue
                self.hub.leave(subscriber)
                subscriber = self.hub.join(filter, 0)
                await self.auth.require(asked.reader)
                body = await self._body(asked)
            return await self._response(request, asked, body)
        finally:
            self.waiting -= 1
            self.hub.leave(subscriber)

    async def _body(self, asked: Asked) -> Body:
        return await self.shared.get(asked.key, lambda: self._read(asked))

    async def _read(self, asked: Asked) -> Body:
        reader = asked.reader
        page = await self.store.page(
            reader.role, reader.scope, asked.cursor, asked.batch, asked.kinds
        )
        plain = page.text.encode()
        return Body(plain, f'W/"{hashlib.sha256(plain).hexdigest()[:32]}"', page)

    async def _response(self, request: Request, asked: Asked, body: Body) -> Response:
        headers = {
            "Cache-Control": self._caching(asked, body.page),
            "ETag": body.tag,
            "Vary": "Authorization, Accept-Encoding",
        }
        if body.tag in _tags(request.headers.get("if-none-match", "")):
            return Response(None, 304, headers)
        content = body.plain
        if len(content) >= COMPRESSED_FROM and takes_gzip(
            request.headers.get("accept-encoding", "")
        ):
            content = await body.zipped()
            headers["Content-Encoding"] = "gzip"
        return Response(content, 200, headers, media_type="application/json")

    def _caching(self, asked: Asked, page: Page) -> str:
        """Below the head a page may be kept: who reads an older copy of it goes on from its cursor,
        and there meets what has changed since. The first page names the head as it is now."""
        if page.reset:
            return "no-store"
        if not page.more:
            return "no-cache" if asked.reader.token is None else "private, no-cache"
        who = "public" if asked.reader.token is None else "private"
        if asked.cursor is None:
            return f"{who}, max-age={min(self.settings.cache, 5)}"
        return f"{who}, max-age={self.settings.cache}, immutable"


async def _zipped(plain: bytes) -> bytes:
    if len(plain) < ASIDE_FROM:
        return gzip.compress(plain, LEVEL, mtime=0)
    return await asyncio.to_thread(gzip.compress, plain, LEVEL, mtime=0)


def _tags(header: str) -> set[str]:
    return {tag.strip() for tag in header.split(",")}


def takes_gzip(header: str) -> bool:
    for part in header.lower().split(","):
        coding, _, parameters = part.partition(";")
        if coding.strip() in ("gzip", "*"):
            return parameters.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False
