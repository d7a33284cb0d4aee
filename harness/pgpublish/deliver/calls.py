"""What a worker asks the database: each a transaction in one round trip, so that a pooler's session
is left as it was found."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

from psycopg.adapt import Loader
from psycopg.types.string import TextLoader

from pgpublish import sinks
from pgpublish.database import Connection, bind, call, transact, transact_all
from pgpublish.sinks import Failure, Message

MAX_RETRY_AFTER_S = 31_536_000.0  # a year; the database caps it lower
LOOKED_AT = 4096  # characters of a reason
COLUMNS = {"data": "payload", "time": "updated_at"}  # of publish_claim, where Message says else
CLAIM = b"select token, lane, " + b", ".join(
    COLUMNS.get(name, name).encode() for name in Message._fields
)
CLAIMABLE = (None, "a worker", "its worker")
UTC = b"select set_config('timezone', 'UTC', true), set_config('datestyle', 'ISO', true)"


class _Time(Loader):
    """A timestamp of a session in UTC as RFC 3339 has it."""

    def load(self, data: Any) -> str:
        return bytes(data).decode().replace(" ", "T") + ":00"


def prepare(conn: Connection) -> Connection:
    """What is only passed on comes as text."""
    conn.adapters.register_loader("jsonb", TextLoader)
    conn.adapters.register_loader("uuid", TextLoader)
    conn.adapters.register_loader("timestamptz", _Time)
    return conn


def claim(
    conn: Connection, name: str, worker: str, batch: int
) -> tuple[int, int, list[Message]] | None:
    """Token, lane and messages; None: there is nothing to send. conn is prepared. Raises
    NotDefined, CursorInvalid."""
    found = transact_all(
        conn,
        UTC,
        CLAIM
        + bind(
            conn, " from public.publish_claim(%s::text, %s::text, %s::int)", name, worker, batch
        ),
    )
    if not found:
        return None
    return found[0][0], found[0][1], [Message._make(row[2:]) for row in found]


def settle(conn: Connection, token: int, failures: Sequence[Failure]) -> tuple[int, int, int]:
    """Sent, failed and dead. Raises StaleToken."""
    failed = [
        {
            "pub_id": failure.message.pub_id,
            "rev": failure.message.rev,
            "class": failure.kind if isinstance(failure.kind, str) else "unknown",
            "message": storable(failure.reason),
            "retry_after": _finite(failure.retry_after),
        }
        for failure in failures
    ]
    sent, parked, dead = transact(
        conn,
        bind(
            conn,
            "select sent, parked, dead from public.publish_settle(%s::bigint, %s::jsonb)",
            token,
            json.dumps(failed),
        ),
    )
    return sent, parked, dead


def extend(conn: Connection, token: int) -> None:
    """Renews the lease. Raises StaleToken."""
    transact(conn, bind(conn, "select public.publish_extend(%s::bigint)", token))


def deliverable(conn: Connection, names: list[str] | None) -> list[tuple[str, int, float]]:
    """Subscription, how many of its lanes are ready, in how many seconds the first one is."""
    query = bind(conn, "select name, ready, wait_s from publish.deliverable(%s)", names)
    return [(name, ready, wait_s) for name, ready, wait_s in transact_all(conn, query)]


def sink_of(conn: Connection, name: str) -> tuple[str, str, float]:
    """Sink, options as JSON, lease in seconds. Raises NotDefined."""
    sink, options, lease = transact(
        conn,
        bind(
            conn,
            "select sink, options::text, extract(epoch from lease)::float8"
            " from publish.sink_of(%s)",
            name,
        ),
    )
    return sink, options, lease


def waiting(conn: Connection, names: list[str] | None) -> list[tuple[str, bool, str]]:
    """Subscriptions (these, or all) that are not paused: name, whether something waits that no
    worker can have now, and what for."""
    query = (
        b"select name, state, waits_for, oldest_undelivered_at is null"
        b" from public.publish_subscriptions()"
    )
    return [
        (name, not none and waits_for not in CLAIMABLE, f"waits for {waits_for}")
        for name, state, waits_for, none in transact_all(conn, query)
        if state != "paused" and (names is None or name in names)
    ]


def report_fault(conn: Connection, name: str, message: str | None) -> None:
    """Says why this subscription cannot work, for publish_subscriptions(); None: it can."""
    said = message and storable(message)
    transact(conn, bind(conn, "select publish.report_fault(%s, %s)", name, said))


def register_sink(conn: Connection, name: str) -> None:
    """Tells the database a third party's options. Raises MissingPart and what call does."""
    call(
        conn,
        "select public.publish_register_sink(%s::text, %s::jsonb)",
        name,
        sinks.known_options(name),
    )


def storable(reason: str) -> str:
    """What a text column can hold of any bytes that an endpoint answered with."""
    return str(reason)[:LOOKED_AT].encode("utf-8", "replace").decode().replace("\0", "")


def _finite(seconds: Any) -> float | None:
    """A wait that JSON can say: at most a year; None for what is no number."""
    try:
        wait = float(seconds)
    except (TypeError, ValueError, OverflowError):
        return None
    return None if math.isnan(wait) else min(max(wait, 0.0), MAX_RETRY_AFTER_S)
