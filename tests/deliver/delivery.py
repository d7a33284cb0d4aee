"""A feed of notes, and claim and settle as a worker calls them."""

from __future__ import annotations

import json
from typing import Any

from conftest import Connection
from helpers import drain_all
from psycopg.rows import namedtuple_row


def notes(conn: Connection, count: int) -> None:
    """Publishes notes 1..count at revs 1..count."""
    conn.execute("select publish_define('note')")
    conn.execute(
        "select publish_enqueue('note', n::text, to_jsonb(n)) from generate_series(1, %s) n",
        [count],
    )
    drain_all(conn)


def subscribe(conn: Connection, name: str, sink: str = "stdout", **settings: Any) -> None:
    """publish_subscribe with named arguments; options as a dict."""
    options = json.dumps(settings.pop("options", {}))
    names = "".join(f", {key} => %({key})s" for key in settings)
    query = f"select publish_subscribe(%(name)s, %(sink)s, %(options)s{names})"
    conn.execute(query.encode(), {"name": name, "sink": sink, "options": options, **settings})


def claim(conn: Connection, name: str, worker: str = "w", limit: int = 100) -> list[Any]:
    with conn.cursor(row_factory=namedtuple_row) as cursor:
        return cursor.execute(
            "select * from publish_claim(%s, %s, %s)", [name, worker, limit]
        ).fetchall()


def settle(conn: Connection, batch: list[Any], failed: list[dict[str, Any]] | None = None) -> Any:
    with conn.cursor(row_factory=namedtuple_row) as cursor:
        return cursor.execute(
            "select * from publish_settle(%s, %s)", [batch[0].token, json.dumps(failed or [])]
        ).fetchone()


def failure(row: Any, kind: str, **more: Any) -> dict[str, Any]:
    return {"pub_id": str(row.pub_id), "rev": row.rev, "class": kind, "message": "no", **more}
