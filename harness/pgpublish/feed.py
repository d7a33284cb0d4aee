"""Reading the feed: follow, for consumers in Python.

for event in pgpublish.follow(url, kinds=["article"], cursor=saved):
    match event:
        case Reset():        # what you hold may be wrong; everything comes again
            ...
        case Change():       # a key's newest state
            ...
        case Resynced():     # that was everything: delete what did not come since Reset
            ...
    if event.cursor != saved:  # the last event of a page
        save(event.cursor)     # in the transaction that keeps what came before it
        saved = event.cursor
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from threading import Event
from typing import Any
from uuid import UUID

import psycopg

from pgpublish.database import (
    Connection,
    failure,
    listen,
    session_is_over,
    worker_session,
)
from pgpublish.drain import retryable, timed_out
from pgpublish.errors import BadArgument, PublishError
from pgpublish.pages import Page as Page
from pgpublish.pages import ask
from pgpublish.pages import page as page
from pgpublish.pages import read as read
from pgpublish.retry import Backoff

LOOK_EVERY_S = 1.0  # also without a notification, which a pooler or a standby does not pass on
READ_ONLY = "25006"  # of LISTEN on a hot standby
START = "start"
RESYNC = "resync"


@dataclass(frozen=True, slots=True)
class Change:
    """The newest state of one key. A number of the payload with a fraction is a Decimal, so that it
    has every digit that the database has. payload: None if deleted."""

    rev: int
    kind: str
    pub_id: UUID
    schema_version: int
    deleted: bool
    payload: Any
    headers: dict[str, Any] | None
    created_at: datetime
    updated_at: datetime
    cursor: str


@dataclass(frozen=True, slots=True)
class Reset:
    """Everything comes again, from the first rev. What is held may be wrong, but is not to be
    deleted yet. reason: why, for people."""

    reason: str
    cursor: str


@dataclass(frozen=True, slots=True)
class Resynced:
    """Everything has come since the last Reset. Delete what is held and did not."""

    cursor: str


FeedEvent = Change | Reset | Resynced


class Follow:
    """What follow returns: iterate over it with `for` or with `async for`."""

    def __init__(
        self,
        database_url: str | None,
        place: _Place,
        *,
        batch: int,
        wait: bool,
        stop: Event,
        warn: Callable[[str], None],
    ) -> None:
        self._url = database_url
        self._place = place
        self._batch = batch
        self._wait = wait
        self._stop = stop
        self._warn = warn

    def __iter__(self) -> Iterator[FeedEvent]:
        for events in self._pages():
            yield from events

    async def __aiter__(self) -> AsyncIterator[FeedEvent]:
        # The reading is done in a thread: one piece of code for deadlines and reconnects.
        pages = self._pages()
        pool = ThreadPoolExecutor(1, "pgpublish-follow")
        loop = asyncio.get_running_loop()
        try:
            while page := await loop.run_in_executor(pool, next, pages, None):
                for event in page:
                    yield event
        finally:
            self._stop.set()
            pool.submit(pages.close)
            pool.shutdown(wait=False)

    def _pages(self) -> Generator[list[FeedEvent]]:
        """Pages of events, none empty; a new session whenever the old one is over."""
        if begun := self._place.begin():
            yield begun
        backoff = Backoff()
        answered = False
        while True:
            try:
                with worker_session(self._url, self._stop) as conn:
                    for page in self._read(conn, backoff):
                        answered = True
                        if page:
                            yield page
                return
            except PublishError as error:
                if not session_is_over(error) or not (answered or self._stop.is_set()):
                    raise
                if self._stop.is_set():
                    return
                delay = backoff.next()
                self._warn(f"connection lost, trying again in {delay:.1f} s: {error.message}")
                self._stop.wait(delay)

    def _read(self, conn: Connection, backoff: Backoff) -> Iterator[list[FeedEvent]]:
        """Pages, some empty, until the end of this session or of the reading."""
        is_told = _listen(conn)
        place, size, answered = self._place, self._batch, False
        while not self._stop.is_set():
            try:
                answer = place.ask(conn, size)
            except PublishError as error:
                if not retryable(error) or not (answered or (timed_out(error) and size > 1)):
                    raise
                self._warn(f"a page was not read: {error.message}")
                size = max(1, size // 2)
                backoff.wait(self._stop)
                continue
            backoff.reset()
            answered, size = True, min(self._batch, size * 2)
            yield place.take(answer)
            if answer["more"]:
                continue
            if not self._wait:
                return
            if is_told:
                _await_notification(conn)
            else:
                self._stop.wait(LOOK_EVERY_S)


def follow(
    database_url: str | None = None,
    *,
    kinds: list[str] | None = None,
    cursor: str | None = None,
    batch: int = 500,
    wait: bool = True,
    stop: Event | None = None,
    warn: Callable[[str], None] = lambda message: None,
) -> Follow:
    """The feed's changes in rev order from cursor on, and then as they are published.

    Iterate with `for` or `async for`. Every event has a cursor to go on from; it moves with the
    last event of a page. Save it in the transaction that keeps what the page said. An event that
    was not saved comes again. cursor: the one that was saved; None begins with a Reset, and so does
    a change of kinds. A plain rev goes on after it.

    batch: changes in a page; a page is also at most about 32 MB, and one is held at a time.
    wait: False ends at the head. stop: ends the iteration within a second once it is set, which
    leaving an `async for` does too. warn: is told of lost connections.

    Lost connections are opened again, after 0.1 s and then later each time, up to 10 s. Of several
    hosts the one is read that takes writes, unless target_session_attrs says otherwise. Behind a
    pooler and on a standby it looks each second instead of listening. Raises ConnectionFailed if
    the first connection fails, BadArgument, NotDefined, and DatabaseError where it may not read.
    """
    if isinstance(kinds, str):
        raise BadArgument("kinds is a list of names", hint=f"Write kinds=[{kinds!r}].")
    return Follow(
        database_url,
        _Place(cursor, kinds),
        batch=batch,
        wait=wait,
        stop=stop or Event(),
        warn=warn,
    )


class _Place:
    """Where the reader is. Its own cursor is that of publish_page, the kinds that it is for, and
    whether Resynced is still to come: `1.….7.9~*~resync`."""

    def __init__(self, cursor: str | None, kinds: list[str] | None) -> None:
        self.kinds = kinds
        self._for = "*" if kinds is None else _digest(kinds)
        at, _, rest = (cursor or START).partition("~")
        of, _, state = rest.partition("~")
        self._reason = "this reader begins"
        if rest and of != self._for:
            at, self._reason = START, "this reader reads other kinds than before"
        self._at: str | None = None if at in (START, "0") else at
        self._resyncs = self._at is None or state == RESYNC

    @property
    def cursor(self) -> str:
        return "~".join([self._at or START, self._for, *([RESYNC] if self._resyncs else [])])

    def begin(self) -> list[FeedEvent]:
        return [Reset(self._reason, self.cursor)] if self._at is None else []

    def ask(self, conn: Connection, batch: int) -> Any:
        return ask(conn, self._at, batch, self.kinds)

    def take(self, answer: dict[str, Any]) -> list[FeedEvent]:
        """The events of one answer. Only the last one's cursor is behind them all."""
        if answer["reset"]:
            self._at, self._resyncs, self._reason = None, True, answer["reason"]
            return self.begin()
        before = self.cursor
        self._at = answer["cursor"]
        ends = self._resyncs and not answer["more"]
        self._resyncs = self._resyncs and not ends
        last = len(answer["changes"]) - 1
        events: list[FeedEvent] = [
            _change(change, self.cursor if number == last and not ends else before)
            for number, change in enumerate(answer["changes"])
        ]
        return [*events, Resynced(self.cursor)] if ends else events


def _change(row: dict[str, Any], cursor: str) -> Change:
    return Change(
        row["rev"],
        row["kind"],
        UUID(row["pub_id"]),
        row["schema_version"],
        row["deleted"],
        row["payload"],
        row["headers"],
        datetime.fromisoformat(row["created_at"]),
        datetime.fromisoformat(row["updated_at"]),
        cursor,
    )


def _digest(kinds: list[str]) -> str:
    return hashlib.sha256("\n".join(sorted(set(kinds))).encode()).hexdigest()[:16]


def _listen(conn: Connection) -> bool:
    """Whether notifications come: not through a pooler, and not from a standby."""
    try:
        return listen(conn, "publish")
    except PublishError as error:
        if error.sqlstate != READ_ONLY:
            raise
        return False


def _await_notification(conn: Connection) -> None:
    try:
        for _ in conn.notifies(timeout=LOOK_EVERY_S, stop_after=1):
            pass
    except psycopg.Error as error:
        raise failure(conn, error) from error
