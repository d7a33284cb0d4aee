"""Opening connections and calling functions. Everything else takes a connection as its first
argument."""

from __future__ import annotations

import os
from typing import Any, LiteralString

import psycopg
from psycopg.rows import dict_row

from pgpublish.errors import ConnectionFailed, translate

Connection = psycopg.Connection[Any]


def connect(database_url: str | None = None, *, name: str = "pgpublish") -> Connection:
    """A connection in autocommit mode.

    database_url, else DATABASE_URL, else libpq's PG* variables. Raises ConnectionFailed.
    """
    try:
        return psycopg.connect(
            database_url or os.environ.get("DATABASE_URL", ""),
            autocommit=True,
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
