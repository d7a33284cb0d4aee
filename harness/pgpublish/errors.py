"""What can go wrong, in one tree.

PublishError
 ├─ BadArgument      PT400  an argument is wrong
 ├─ BadToken         PT401  this token is not known, or has expired
 ├─ NotGranted       PT403  this reader may not read that
 ├─ NotDefined       PT404  no such kind, view or column
 ├─ StaleToken       PT409  the lease was lost
 ├─ CursorInvalid    PT410  this cursor cannot be continued
 ├─ JobIgnored       PT410  this job failed too often, or was cancelled
 ├─ PayloadRefused   PT422  a validator or the view's shape refused it
 ├─ Locked           PT423  somebody else holds it
 ├─ Backpressure     PT429  the outbox is over its limit
 ├─ DatabaseError           any other SQLSTATE
 ├─ ConnectionFailed        no server, wrong password, connection lost
 ├─ SchemaMismatch          not migrated, half migrated, or newer than this code;
 │                   PT503  restored without its owners
 ├─ MissingPart             an optional package is not installed
 ├─ Differs                 the feed or its capture is not as it should be
 ├─ Undelivered             deliver --once could not send everything
 └─ OutputClosed            nobody reads what the command prints

PT410 of a job becomes JobIgnored where a job is started.
The PTnnn states carry the HTTP status of the same meaning, which PostgREST passes on.
"""

from __future__ import annotations

import psycopg


class PublishError(Exception):
    """Message, detail and hint as PostgreSQL words them; exit_code is that of the command."""

    exit_code = 1

    def __init__(
        self,
        message: str,
        *,
        detail: str | None = None,
        hint: str | None = None,
        sqlstate: str = "",
    ) -> None:
        super().__init__(message)
        self.message = message
        self.detail = detail
        self.hint = hint
        self.sqlstate = sqlstate


class BadArgument(PublishError):
    pass


class BadToken(PublishError):
    pass


class NotGranted(PublishError):
    pass


class NotDefined(PublishError):
    pass


class StaleToken(PublishError):
    pass


class CursorInvalid(PublishError):
    pass


class JobIgnored(PublishError):
    pass


class PayloadRefused(PublishError):
    pass


class Locked(PublishError):
    exit_code = 5


class Backpressure(PublishError):
    pass


class DatabaseError(PublishError):
    pass


class ConnectionFailed(PublishError):
    exit_code = 3


class SchemaMismatch(PublishError):
    exit_code = 4


class MissingPart(PublishError):
    pass


class Differs(PublishError):
    exit_code = 6


class Undelivered(PublishError):
    exit_code = 7


class OutputClosed(PublishError):
    pass


BY_SQLSTATE: dict[str, type[PublishError]] = {
    "PT400": BadArgument,
    "PT401": BadToken,
    "PT403": NotGranted,
    "PT404": NotDefined,
    "PT409": StaleToken,
    "PT410": CursorInvalid,
    "PT422": PayloadRefused,
    "PT423": Locked,
    "PT429": Backpressure,
    "PT503": SchemaMismatch,
}

HINTS = {
    "28P01": "Check the password: PGPASSWORD, ~/.pgpass or the database URL.",
    "28000": "Check the user name and the server's pg_hba.conf.",
    "3D000": "Create the database, or name another with --database-url.",
    "42501": "Connect as a member of the publish_* role for this who may read the view, or as the"
    " owner for migrate.",
    "42P01": "Is it in this database? Name its schema too, as in public.article_feed.",
    "42883": "Is it in this database? Name its arguments too, as in check_note(jsonb).",
    "25006": "Connect to the primary: this server is a standby or the session is read-only.",
    "22003": "Pass a smaller number.",
    "22007": "Write it as PostgreSQL does, such as 2026-02-03 04:05Z or 90 seconds.",
    "55P03": "Somebody has locked a table for long: pgpublish doctor says who.",
    "57014": "Raise statement_timeout, or pass a smaller --batch.",
}


def translate(error: psycopg.Error) -> PublishError:
    """The error of the tree that this driver error stands for, by SQLSTATE."""
    sqlstate = error.sqlstate or ""
    first_line = (str(error).strip() or type(error).__name__).splitlines()[0]
    message = error.diag.message_primary or first_line
    hint = error.diag.message_hint or HINTS.get(sqlstate)
    kind = BY_SQLSTATE.get(sqlstate, DatabaseError)
    connecting = isinstance(error, psycopg.OperationalError) and not error.diag.message_primary
    if connecting or sqlstate[:2] in ("08", "28") or sqlstate[:3] == "57P" or sqlstate == "3D000":
        kind = ConnectionFailed
        if hint is None:
            hint = next((h for state, h in CONNECT_HINTS if state in message), None) or (
                "Is the server running? Name it with --database-url, DATABASE_URL or PG*."
            )
    return kind(message, detail=error.diag.message_detail, hint=hint, sqlstate=sqlstate)


# libpq gives no SQLSTATE for a refused log-in, only the server's words.
CONNECT_HINTS = (
    ("password", HINTS["28P01"]),
    ("no password supplied", HINTS["28P01"]),
    (
        "invalid value for parameter",
        "Correct that setting: in PGOPTIONS, PGTZ or the database URL.",
    ),
    ("too many", "End sessions that are not needed, or raise the limit that the message names."),
    ("connection slots", "End sessions that are not needed, or raise max_connections."),
    ("does not exist", "Check the user and the database name."),
)
