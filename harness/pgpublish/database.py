"""Opening connections and calling functions. Everything else takes a connection as its first
argument."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Any, LiteralString

import psycopg
from psycopg.pq import TransactionStatus
from psycopg.rows import dict_row

from pgpublish.errors import BadArgument, ConnectionFailed, translate

Connection = psycopg.Connection[Any]


def connect(database_url: str | None = None, *, name: str = "pgpublish") -> Connection:
    """A connection in autocommit mode that prepares nothing: there may be a pooler.

    database_url, else DATABASE_URL, else libpq's PG* variables. Raises ConnectionFailed.
    """
    try:
        return psycopg.connect(
            database_url or os.environ.get("DATABASE_URL", ""),
            autocommit=True,
            prepare_threshold=None,
            fallback_application_name=name,
            connect_timeout=10,
        )
    except psycopg.OperationalError as error:
        raise translate(error) from error
    except psycopg.ProgrammingError as error:
        raise ConnectionFailed(
            "this is not a database URL",
            detail=str(error).strip(),
            hint="Write it as postgresql://user@host:5432/database or host=… dbname=…",
        ) from error


def call(conn: Connection, query: LiteralString, *arguments: object) -> tuple[Any, ...]:
    """The first row of one function call. Raises the PublishError its SQLSTATE stands for."""
    try:
        row = conn.execute(query, arguments).fetchone()
    except psycopg.Error as error:
        raise translate(error) from error
    assert row is not None, query
    return tuple(row)


def transact(conn: Connection, *statements: bytes) -> tuple[Any, ...]:
    """The first row of the last statement, all of them in one transaction and one round trip.

    The transaction is READ COMMITTED whatever the session's default, and nothing is prepared, so
    that a pooler's session is left as it was found; what a statement sets must be local. Each
    statement has a statement_timeout of its own. Raises as call does, BadArgument inside a
    transaction, and ConnectionFailed when the server ended the session.
    """
    if conn.info.transaction_status in (TransactionStatus.INTRANS, TransactionStatus.INERROR):
        raise BadArgument(
            "this connection is in a transaction", hint="Commit it, or call the function itself."
        )
    query = b"; ".join((b"begin isolation level read committed", *statements, b"commit"))
    try:
        cursor = conn.execute(query, prepare=False)
    except psycopg.Error as error:
        with suppress(psycopg.Error):
            conn.rollback()
        failure = translate(error)
        if conn.closed and not isinstance(failure, ConnectionFailed):
            failure = ConnectionFailed(
                failure.message,
                detail=failure.detail,
                hint="Connect again.",
                sqlstate=failure.sqlstate,
            )
        raise failure from error
    for _ in statements:
        cursor.nextset()
    row = cursor.fetchone()
    assert row is not None, query
    return tuple(row)


def rows(conn: Connection, query: LiteralString, *arguments: object) -> list[dict[str, Any]]:
    """Every row of one function call, by column name. Raises as call does."""
    try:
        with conn.cursor(row_factory=dict_row) as cursor:
            return cursor.execute(query, arguments).fetchall()
    except psycopg.Error as error:
        raise translate(error) from error


def tuples(conn: Connection, query: LiteralString, *arguments: object) -> list[tuple[Any, ...]]:
    """All rows of one function call. Raises the PublishError its SQLSTATE stands for."""
    try:
        return conn.execute(query, arguments).fetchall()
    except psycopg.Error as error:
        raise translate(error) from error
