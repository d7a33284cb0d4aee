"""The calls that a server makes: one SQL function each, from a small pool of sessions."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString

import psycopg
from psycopg.rows import tuple_row
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from pgpublish.database import parameters
from pgpublish.errors import BadArgument, ConnectionFailed, PublishError, translate

Row = tuple[Any, ...]


@dataclass(frozen=True)
class Page:
    """text: publish_page's JSON. head: of the feed. more: there is another page now. empty: it has
    no change."""

    text: str
    head: int
    more: bool
    empty: bool
    reset: bool


@dataclass(frozen=True)
class Part:
    """Changes for one stream, as JSON texts. start, cursor: before and after them. reason: the
    cursor cannot go on."""

    start: str | None
    cursor: str | None
    upto: int
    more: bool
    reason: str | None
    changes: list[str]


def digest(token: str) -> bytes:
    """What the database keeps of a token, and all that it is given of one: it may log calls."""
    return hashlib.sha256(token.encode()).digest()


class Store:
    """Reads for readers that come with a token. Each method raises PublishError."""

    def __init__(self, url: str, sessions: int, call_time: float) -> None:
        self.tries = sessions + 1  # all of them may be sessions of a server that is gone
        self.call_time = call_time
        self.began = False
        self.pool: AsyncConnectionPool[psycopg.AsyncConnection[Any]] = AsyncConnectionPool(
            url,
            min_size=1,
            max_size=sessions,
            open=False,
            timeout=2.0,
            max_waiting=10_000,
            reconnect_timeout=2.0,
            kwargs=parameters(url, "pgpublish serve"),
        )

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        await self.pool.open(wait=False)
        self.began = True
        try:
            yield
        finally:
            await self.pool.close(timeout=2.0)

    async def _rows(self, query: LiteralString, *arguments: object) -> list[Row]:
        if not self.began:
            raise RuntimeError(
                "the lifespan of the feed was not entered: where you mount it, enter"
                " feed.router.lifespan_context(feed) in the lifespan of your application"
            )
        failed: PublishError = ConnectionFailed("the database does not answer")
        for _ in range(self.tries):
            try:
                async with asyncio.timeout(self.call_time), self.pool.connection() as conn:
                    cursor = conn.cursor(row_factory=tuple_row)
                    await cursor.execute(query, arguments)
                    return await cursor.fetchall()
            except (PoolTimeout, TimeoutError):
                raise ConnectionFailed("the database does not answer in time") from None
            except psycopg.DataError as error:
                failed = translate(error)
                if failed.sqlstate:
                    raise failed from error
                raise BadArgument("this is not a text that the database takes") from None
            except psycopg.Error as error:
                failed = translate(error)
                if not isinstance(failed, ConnectionFailed):
                    raise failed from error
        raise failed

    async def token(self, token: str) -> tuple[str, str, str | None, datetime | None]:
        """Name, role, scope and end of a token. Raises BadToken."""
        (row,) = await self._rows(
            "select * from public.publish_token_check(%s::bytea)", digest(token)
        )
        return row[0], row[1], row[2], row[3]

    async def reader(
        self, role: str, scope: str | None, kinds: list[str] | None
    ) -> tuple[frozenset[str] | None, str | None, str | None]:
        """Kinds (None: all) and scope of what this reader sees, and the end of its cursors. Raises
        NotGranted, NotDefined."""
        (row,) = await self._rows(
            "select granted, own_scope, rights"
            " from public.publish_serve_reader(%s::name, %s::text, %s::text[])",
            role,
            scope,
            kinds,
        )
        return None if row[0] is None else frozenset(row[0]), row[1], row[2]

    async def page(
        self, role: str, scope: str | None, cursor: str | None, batch: int, kinds: list[str] | None
    ) -> Page:
        (row,) = await self._rows(
            "select p.page::text, (p.page -> 'head')::bigint, (p.page -> 'more')::bool,"
            " p.page -> 'changes' = '[]', (p.page -> 'reset')::bool"
            " from public.publish_serve_page(%s::name, %s::text, %s::text, %s::int, %s::text[])"
            " as p (page)",
            role,
            scope,
            cursor,
            batch,
            kinds,
        )
        return Page(*row)

    async def part(
        self, role: str, scope: str | None, cursor: str | None, batch: int, kinds: list[str] | None
    ) -> Part:
        (row,) = await self._rows(
            "select * from"
            " public.publish_serve_stream(%s::name, %s::text, %s::text, %s::int, %s::text[])",
            role,
            scope,
            cursor,
            batch,
            kinds,
        )
        return Part(*row)

    async def get(self, role: str, scope: str | None, kind: str, pub_id: str) -> str | None:
        (row,) = await self._rows(
            "select public.publish_serve_get(%s::name, %s::text, %s::text, %s::uuid)::text",
            role,
            scope,
            kind,
            pub_id,
        )
        text: str | None = row[0]
        return text

    async def overview(self, role: str, scope: str | None, operations: bool) -> dict[str, Any]:
        """What this reader sees of what happens now; operations: it may ask for them."""
        (row,) = await self._rows(
            "select public.publish_serve_overview(%s::name, %s::text, %s::boolean)",
            role,
            scope,
            operations,
        )
        found: dict[str, Any] = row[0]
        return found

    async def history(self) -> dict[str, Any]:
        (row,) = await self._rows("select public.publish_serve_history()")
        found: dict[str, Any] = row[0]
        return found

    async def metrics(self, role: str, scope: str | None) -> list[Row]:
        return await self._rows(
            "select * from public.publish_serve_metrics(%s::name, %s::text)", role, scope
        )

    async def operate(self, token: str, action: str, name: str) -> int:
        """How many it was done for."""
        (row,) = await self._rows(
            "select public.publish_serve_operate(%s::bytea, %s::text, %s::text)",
            digest(token),
            action,
            name,
        )
        return int(row[0])

    async def head(self) -> int:
        (row,) = await self._rows("select public.publish_head()")
        return int(row[0])
