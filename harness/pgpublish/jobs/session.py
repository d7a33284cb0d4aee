"""Calls on the connection of a job, which its body has too, and the JSON that they take."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import nullcontext, suppress
from typing import Any, LiteralString

import psycopg
from psycopg.pq import TransactionStatus
from psycopg.rows import tuple_row

from pgpublish.database import Connection, failure
from pgpublish.errors import BadArgument, translate
from pgpublish.session import Session, limited

HELD_S = 1.0
TIDY = "reset session authorization; reset role; reset all; close all; unlisten *; discard temp"
SURROGATE = re.compile("[\ud800-\udfff]")


def row(conn: Connection, query: LiteralString, *arguments: object) -> tuple[Any, ...] | None:
    """The first row, with any row factory of conn. Raises what its SQLSTATE stands for."""
    try:
        with limited(conn), conn.cursor(binary=True, row_factory=tuple_row) as cursor:
            return cursor.execute(query, arguments).fetchone()
    except psycopg.Error as error:
        raise failure(conn, error) from error


def transact(conn: Connection, query: LiteralString, *arguments: object) -> tuple[Any, ...] | None:
    """One call, committed unless it is in a transaction that the caller began."""
    if conn.autocommit or in_transaction(conn):
        return row(conn, query, *arguments)
    try:
        with conn.transaction():
            return row(conn, query, *arguments)
    except psycopg.Error as error:
        raise translate(error) from error


def in_transaction(conn: Connection) -> bool:
    """Not so when it is lost: then there is nothing to end."""
    status = conn.info.transaction_status
    return status not in (TransactionStatus.IDLE, TransactionStatus.UNKNOWN)


def takes_calls(conn: Connection) -> bool:
    """Whether it is idle, or in a transaction that has not failed."""
    return conn.info.transaction_status in (TransactionStatus.IDLE, TransactionStatus.INTRANS)


def roll_back(conn: Connection) -> None:
    if in_transaction(conn):
        with suppress(psycopg.Error):
            conn.rollback()


def commit_unless_in_block(conn: Connection) -> None:
    """Commits, but inside `with conn.transaction()`, which does that at its end."""
    try:
        conn.commit()
    except psycopg.ProgrammingError as error:
        if error.sqlstate is not None:
            raise translate(error) from error
    except psycopg.Error as error:
        raise translate(error) from error


def asked(conn: Connection) -> int:
    """How often it asked the server for something; 0: nobody counts."""
    return conn.asked if isinstance(conn, Session) else 0


def is_held(conn: Connection) -> bool:
    """Whether a stream that was not read to its end, or another thread, keeps it busy."""
    if conn.lock.acquire(timeout=HELD_S):
        conn.lock.release()
        return False
    return True


def tidy(conn: Connection) -> None:
    """The session as it was, but for what was prepared and its advisory locks, the job's included.

    Inside a transaction that the body left open, it is as that ends.
    """
    within = conn.autocommit or in_transaction(conn)
    try:
        with nullcontext() if within else conn.transaction():
            conn.execute(TIDY, prepare=False)
    except psycopg.Error as error:
        raise translate(error) from error


def to_json(value: Any, what: str = "a job's data") -> str:
    """value as JSON text that jsonb takes. Raises BadArgument."""
    try:
        text = json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise BadArgument(
            f"{what} must be JSON",
            detail=str(error),
            hint="Pass dicts with text keys, lists, text, finite numbers, booleans and None.",
        ) from error
    for string in strings(value):
        require_text(string, what)
    return text


def data_json(data: Mapping[str, Any]) -> str:
    return to_json(dict(data))


def require_text(text: str, what: str) -> None:
    """Raises BadArgument for text that PostgreSQL cannot hold."""
    if "\0" in text or (not text.isascii() and SURROGATE.search(text)):
        raise BadArgument(
            f"{what} must not hold the character NUL, nor half of one",
            detail=ascii(text[:60]),
            hint="PostgreSQL has no place for it: take it out.",
        )


def strings(data: object) -> Iterator[str]:
    """All text in it, keys too."""
    left = [data]
    while left:
        match left.pop():
            case str(text):
                yield text
            case dict(pairs):
                left += pairs.keys()
                left += pairs.values()
            case list(items) | tuple(items):
                left += items


def from_json(text: str) -> Any:
    """The value of JSON text; the text itself where Python cannot read it."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def printable_text(text: str) -> str:
    """What a text column can hold."""
    return text.encode("utf-8", "replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")
