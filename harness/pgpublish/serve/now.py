"""The page at /, what it asks for and what a person does there; and metrics for Prometheus."""

from __future__ import annotations

import asyncio
import gzip
import json
import logging
from dataclasses import dataclass
from importlib import resources
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from pgpublish import metrics, report
from pgpublish.errors import BadArgument, BadToken, ConnectionFailed, NotGranted
from pgpublish.serve.auth import Auth, Reader
from pgpublish.serve.pages import takes_gzip
from pgpublish.serve.problem import problem
from pgpublish.serve.rights import Rights
from pgpublish.serve.settings import Settings
from pgpublish.serve.shared import Shared
from pgpublish.serve.store import Store
from pgpublish.serve.view import curves, view

log = logging.getLogger("pgpublish.serve")

KEEP_S = 1.0
KEEP_CURVES_S = 10.0  # a step of theirs
LARGEST_BODY = 4 << 10
BODY_TIME_S = 10.0
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self';"
    " img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none';"
    " frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-cache",
}
TYPES = {"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}


@dataclass(frozen=True)
class Body:
    plain: bytes
    zipped: bytes

    @staticmethod
    def of(found: Any) -> Body:
        plain = json.dumps(found, separators=(",", ":")).encode()
        return Body(plain, gzip.compress(plain, 5, mtime=0))


class Now:
    """Each second one read for all readers of one role that see the same."""

    def __init__(self, auth: Auth, rights: Rights, store: Store, settings: Settings) -> None:
        self.auth = auth
        self.rights = rights
        self.store = store
        self.settings = settings
        self.looks: Shared[Body] = Shared(KEEP_S, 1000)
        self.histories: Shared[Body] = Shared(KEEP_CURVES_S)
        self.scrapes: Shared[list[Any]] = Shared(KEEP_S, 1000)

    def routes(self) -> list[Route]:
        return [
            *map(_file, ("page.html", "page.css", "page.js", "icon.svg")),
            Route("/now", self.now),
            Route("/now/curves", self.curves),
            Route("/metrics", self.metrics),
            Route("/operate", self.operate, methods=["POST"]),
        ]

    async def now(self, request: Request) -> Response:
        reader = await self.auth.reader(request)
        await self.rights.filter(reader, None)  # also of its scope, which looks do not tell apart
        operations = self._asks_for_operations(reader)
        acts = reader.token is not None and not self.auth.is_signed(reader.token)

        async def look() -> Body:
            return Body.of(
                view(await self.store.overview(reader.role, reader.scope, operations), acts)
            )

        key = (reader.role, reader.scope is None, operations, acts)
        return _json(request, await self.looks.get(key, look))

    async def curves(self, request: Request) -> Response:
        """The same for all."""
        reader = await self.auth.reader(request)
        await self.rights.filter(reader, None)

        async def look() -> Body:
            return Body.of(curves(await self.store.history()))

        return _json(request, await self.histories.get(None, look))

    def _asks_for_operations(self, reader: Reader) -> bool:
        """Not who comes from anywhere without a token, even if its role may see it."""
        return reader.token is not None or self.settings.local_only

    async def metrics(self, request: Request) -> Response:
        try:
            reader = await self.auth.reader(request)
            if not self._asks_for_operations(reader):
                raise _needs_token()
            rows = await self.scrapes.get(
                (reader.role, reader.scope),
                lambda: self.store.metrics(reader.role, reader.scope),
            )
        except ConnectionFailed as error:
            log.warning("no metrics: %s", error.message)
            rows = []
        text, kind = metrics.scraped(rows, request.headers.get("accept", ""))
        return Response(text, 200, {"Content-Type": kind, "Cache-Control": "no-store"})

    async def operate(self, request: Request) -> Response:
        """The token is in a header, which no page of another site can send."""
        reader = await self.auth.reader(request)
        if reader.token is None:
            raise _needs_token()
        if self.auth.is_signed(reader.token):
            raise NotGranted(
                "a JSON Web Token may only read",
                hint="Use a token of publish_token_add.",
                sqlstate="PT403",
            )
        if request.headers.get("content-type", "").partition(";")[0] != "application/json":
            return problem(415, "the body is JSON", hint="Send Content-Type: application/json.")
        action, name = _asked(await _body(request))
        done = await self.store.operate(reader.token, action, name)
        log.info("%s %r, by a token of role %r", action, name, reader.role)
        return JSONResponse({"done": done}, headers={"Cache-Control": "no-store"})


def _json(request: Request, body: Body) -> Response:
    headers = {"Cache-Control": "no-store", "Vary": "Authorization, Accept-Encoding"}
    content = body.plain
    if takes_gzip(request.headers.get("accept-encoding", "")):
        content = body.zipped
        headers["Content-Encoding"] = "gzip"
    return Response(content, 200, headers, media_type="application/json")


def _needs_token() -> BadToken:
    return BadToken(
        "a token is needed", hint="Send the header Authorization: Bearer ….", sqlstate="PT401"
    )


async def _body(request: Request) -> bytes:
    body = b""
    try:
        async with asyncio.timeout(BODY_TIME_S):
            async for part in request.stream():
                body += part
                if len(body) > LARGEST_BODY:
                    raise BadArgument("the body is too large", sqlstate="PT400")
    except (TimeoutError, ClientDisconnect):
        raise BadArgument("the body did not come", sqlstate="PT400") from None
    return body


def _asked(body: bytes) -> tuple[str, str]:
    try:
        match json.loads(body):
            case {"action": str(action), "name": str(name)} if "\0" not in action + name:
                return action, name
    except (ValueError, RecursionError):
        pass
    raise BadArgument(
        "the body does not say what to do",
        sqlstate="PT400",
        hint='Send {"action": "pause", "name": "shop"}.',
    )


def _file(name: str) -> Route:
    """Read once; it is asked for again each time, since it changes with the version."""
    text = (resources.files("pgpublish.serve") / "static" / name).read_text(encoding="utf-8")
    if name == "page.css":
        text = report.STYLE + text
    kind = TYPES[name.rpartition(".")[2]]

    async def answer(_: Request) -> Response:
        return Response(text, 200, HEADERS, media_type=kind)

    return Route("/" if name == "page.html" else f"/{name}", answer)
