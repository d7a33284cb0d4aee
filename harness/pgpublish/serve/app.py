"""The application: which address is answered by what."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from pgpublish import conninfo
from pgpublish.errors import BadArgument, ConnectionFailed
from pgpublish.serve import openapi
from pgpublish.serve.auth import Auth
from pgpublish.serve.hub import Hub, cancelled
from pgpublish.serve.now import Now
from pgpublish.serve.pages import Asked, Pages
from pgpublish.serve.problem import HANDLERS, Busy, problem
from pgpublish.serve.rights import Rights
from pgpublish.serve.settings import Settings
from pgpublish.serve.shared import Shared
from pgpublish.serve.store import Part, Store
from pgpublish.serve.stream import Stream, Wanted

LONGEST_CURSOR = 200
MOST_KINDS = 100
LARGEST_BATCH = 1000


class Server:
    """What the addresses of one application share."""

    def __init__(self, url: str, settings: Settings) -> None:
        self.settings = settings
        self.store = Store(url, settings.sessions, settings.call_time)
        self.hub = Hub(url, settings)
        self.auth = Auth(self.store, settings)
        self.rights = Rights(self.store, settings.recheck)
        self.pages = Pages(self.store, self.hub, self.auth, self.rights, settings)
        self.now = Now(self.auth, self.rights, self.store, settings)
        self.parts: Shared[Part] = Shared()
        self.streams = 0

    @asynccontextmanager
    async def running(self, _: Starlette) -> AsyncIterator[None]:
        async with self.store.opened():
            reading = asyncio.create_task(self.hub.run())
            try:
                yield
            finally:
                self.hub.stop()
                await cancelled(reading)

    async def changes(self, request: Request) -> Response:
        reader = await self.auth.reader(request)
        asked = Asked(
            reader,
            _cursor(request, "cursor"),
            _number(request, "limit", 1, LARGEST_BATCH, self.settings.batch),
            _kinds(request),
        )
        wait = _number(request, "wait", 0, int(self.settings.longest_wait), 0)
        return await self.pages.answer(request, asked, wait)

    async def stream(self, request: Request) -> Response | Stream:
        reader = await self.auth.reader(request, in_query=True)
        cursor = request.headers.get("last-event-id") or _cursor(request, "cursor")
        _check_cursor(cursor)
        kinds = _kinds(request)
        filter = await self.rights.filter(reader, kinds)
        if cursor is not None:  # an error while it has a status
            await self.store.page(reader.role, reader.scope, cursor, 1, kinds)
        try:
            async with asyncio.timeout(5):
                await self.hub.placed.wait()
        except TimeoutError:
            raise ConnectionFailed("the feed is not read yet") from None
        return Stream(
            Wanted(reader, cursor, kinds, filter),
            store=self.store,
            hub=self.hub,
            auth=self.auth,
            rights=self.rights,
            parts=self.parts,
            settings=self.settings,
        )

    async def one(self, request: Request) -> Response:
        reader = await self.auth.reader(request)
        try:
            pub_id = str(UUID(request.path_params["pub_id"]))
        except ValueError:
            raise BadArgument("this is not a pub_id", sqlstate="PT400") from None
        text = await self.store.get(reader.role, reader.scope, request.path_params["kind"], pub_id)
        if text is None:
            return problem(404, "nothing is published under this pub_id", code="PT404")
        return Response(
            text,
            headers={
                "Cache-Control": "no-cache" if reader.token is None else "private, no-cache",
                "Vary": "Authorization",
            },
            media_type="application/json",
        )

    async def described(self, _: Request) -> Response:
        return JSONResponse(openapi.DOCUMENT)

    async def alive(self, _: Request) -> Response:
        return PlainTextResponse("ok\n", headers={"Cache-Control": "no-store"})

    async def ready(self, _: Request) -> Response:
        if self.hub.stopping.is_set() or not self.hub.connected:
            return problem(503, "the feed is not read", headers={"Retry-After": "2"})
        await self.store.head()
        return PlainTextResponse("ready\n", headers={"Cache-Control": "no-store"})


class Streams:
    """An ASGI application of its own, since Starlette answers a Response only."""

    def __init__(self, server: Server) -> None:
        self.server = server

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # Before anything is asked for it: a crowd that comes back costs the database nothing.
        if self.server.streams >= self.server.settings.streams:
            raise Busy
        self.server.streams += 1
        try:
            request = Request(scope, receive)
            answer = await self.server.stream(request)
            if request.method == "HEAD":
                answer = Response(None, media_type="text/event-stream")
            await answer(scope, receive, send)
        finally:
            self.server.streams -= 1


class Heads:
    """Refuses a request whose head is too large, also where it came in one piece."""

    def __init__(self, inner: ASGIApp, most: int) -> None:
        self.inner = inner
        self.most = most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            size = len(scope.get("raw_path") or b"") + len(scope["query_string"])
            size += sum(len(name) + len(value) + 4 for name, value in scope["headers"])
            if size > self.most:
                answer = problem(431, "the head of the request is too large")
                await answer(scope, receive, send)
                return
        await self.inner(scope, receive, send)


def app(url: str | None = None, settings: Settings | None = None) -> Starlette:
    """url: of a role that is a member of publish_server; else DATABASE_URL, else PG* variables.

    Its lifespan opens the sessions; where you mount it, enter
    `feed.router.lifespan_context(feed)` in your own lifespan.
    """
    given = url if url is not None else os.environ.get("DATABASE_URL", "")
    conninfo.check(given)
    settings = settings or Settings()
    server = Server(given, settings)
    middleware = [Middleware(Heads, most=settings.header)]
    if settings.origins:
        middleware.append(
            Middleware(
                CORSMiddleware,
                allow_origins=list(settings.origins),
                allow_methods=["GET", "HEAD"],
                allow_headers=["Authorization", "Last-Event-ID", "Cache-Control"],
                expose_headers=["ETag", "Retry-After"],
                max_age=3600,
            )
        )
    routes = [
        Route("/changes", server.changes),
        Route("/stream", Streams(server), methods=["GET", "HEAD"]),
        Route("/kinds/{kind:path}/{pub_id}", server.one),
        Route("/openapi.json", server.described),
        Route("/healthz", server.alive),
        Route("/readyz", server.ready),
        *server.now.routes(),
    ]
    made = Starlette(
        routes=routes, middleware=middleware, exception_handlers=HANDLERS, lifespan=server.running
    )
    made.router.redirect_slashes = False  # it would send a token to what the header Host says
    made.state.server = server
    return made


def _number(request: Request, name: str, low: int, high: int, default: int) -> int:
    text = request.query_params.get(name)
    if text is None:
        return default
    if not re.fullmatch(r"[0-9]{1,9}", text) or not low <= int(text) <= high:
        raise BadArgument(
            f"{name} is a whole number from {low} to {high}",
            sqlstate="PT400",
            hint="Leave it out for the usual one.",
        )
    return int(text)


def _cursor(request: Request, name: str) -> str | None:
    cursor = request.query_params.get(name) or None
    _check_cursor(cursor)
    return cursor


def _check_cursor(cursor: str | None) -> None:
    if cursor is not None and (len(cursor) > LONGEST_CURSOR or not cursor.isprintable()):
        raise BadArgument(
            "this is not a cursor",
            sqlstate="PT400",
            hint="Pass the cursor of the previous page unchanged, or none to begin.",
        )


def _kinds(request: Request) -> list[str] | None:
    """kinds=a,b and kinds=a&kinds=b say the same."""
    given = request.query_params.getlist("kinds")
    if not given:
        return None
    kinds = sorted({kind for part in given for kind in part.split(",") if kind})
    if not kinds or len(kinds) > MOST_KINDS or any("\0" in kind for kind in kinds):
        raise BadArgument(
            f"kinds names 1 to {MOST_KINDS} kinds",
            sqlstate="PT400",
            hint="Leave it out for all that you may read.",
        )
    return kinds
