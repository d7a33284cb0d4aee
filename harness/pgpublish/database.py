"""Opening connections. Everything else takes one as its first argument."""

from __future__ import annotations

import os
from typing import Any

import psycopg
from psycopg.rows import TupleRow

from pgpublish.errors import translate

Connection = psycopg.Connection[Any]


def connect(
    database_url: str | None = None, *, name: str = "pgpublish"
) -> psycopg.Connection[TupleRow]:
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
    except psycopg.Error as error:
        raise translate(error) from error
