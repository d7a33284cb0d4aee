"""Opening connections and calling functions. Everything else takes a connection as its first
argument."""

from __future__ import annotations

import os
from concurrent.futures import Future, wait
from threading import Thread
from typing import Any, LiteralString

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import TransactionStatus
from psycopg.rows import dict_row, tuple_row
from psycopg.types.json import set_json_loads

from pgpublish import conninfo, exact
from pgpublish.errors import BadArgument, ConnectionFailed, PublishError, translate
from pgpublish.session import PATIENCE_S, STOP_S, Session, Stop, limited

Connection = psycopg.Connection[Any]

LOOK_S = 0.1
SLACK_S = 15.0  # that a call may take beyond its own statement_timeout

# After these the same session would fail again: it is read-only after a failover, its transaction
# is aborted, or a pooler's server session is not the one that this session knows.
POISONED = ("25006", "25P02", "26000", "42P05")


def connect(
    database_url: str | None = None, *, name: str = "pgpublish", primary: bool = False
) -> Session:
    """A connection in autocommit mode that prepares nothing: there may be a pooler.

    database_url, else DATABASE_URL, else libpq's PG* variables. primary: of several hosts, one that
    takes writes. What was given there for keepalives and target_session_attrs counts. Raises
    ConnectionFailed.
    """
    given = database_url or os.environ.get("DATABASE_URL", "")
    conninfo.check(given)
    try:
        return Session.connect(given, **parameters(given, name, primary))
    except psycopg.Error as error:
        # Without its cause, which a traceback would show with what stands in the URL.
        raise conninfo.without_secrets(translate(error), given) from None


def parameters(url: str, name: str, primary: bool = False) -> dict[str, Any]:
    """What connect adds to a URL. A peer that vanished is noticed within 90 s."""
    given = conninfo_to_dict(url)
    wanted: dict[str, Any] = {
        "connect_timeout": 10,
        "keepalives_idle": 30,
        "keepalives_interval": 10,
        "keepalives_count": 3,
        "tcp_user_timeout": 60_000,
    }
    hosts = str(given.get("host") or given.get("hostaddr") or os.environ.get("PGHOST", ""))
    if primary and "," in hosts and "PGTARGETSESSIONATTRS" not in os.environ:
        wanted["target_session_attrs"] = "read-write"
    return {
        "autocommit": True,
        "prepare_threshold": None,
        "client_encoding": "utf8",  # over PGCLIENTENCODING, the role and the database
        "fallback_application_name": name,
    } | {key: value for key, value in wanted.items() if key not in given}


def worker_session(database_url: str | None, stop: Stop) -> Connection:
    """A connection to a primary, watched. Raises as connect does, and ConnectionFailed when stop is
    set and no server answers: in a thread, as nothing ends a look-up of a name."""
    opening: Future[Session] = Future()

    def run() -> None:
        try:
            opening.set_result(connect(database_url, primary=True))
        except BaseException as error:
            opening.set_exception(error)

    Thread(target=run, daemon=True).start()
    while not wait([opening], LOOK_S).done:
        if stop.is_set() and not wait([opening], STOP_S).done:
            raise ConnectionFailed("stopped before a server answered")
    return watch(opening.result(), stop)


def watch(conn: Connection, stop: Stop | None = None) -> Connection:
    """Gives each call of ours on a session a deadline, sooner once stop is set; returns conn.

    A call may take PATIENCE_S, or its statement_timeout if that is longer; see session.limited.
    Does nothing with a connection that connect has not made. Raises as call does.
    """
    if not isinstance(conn, Session) or conn.patience is not None:
        return conn
    conn.patience, conn.stop = PATIENCE_S, stop
    try:
        pid, timeout_s = call(
            conn,
            "select pg_backend_pid(),"
            " extract(epoch from current_setting('statement_timeout')::interval)::float8",
        )
    except PublishError:
        conn.close()
        raise
    conn.pooled = pid != conn.info.backend_pid
    conn.patience = max(PATIENCE_S, timeout_s + SLACK_S if timeout_s else 0.0)
    return conn


def listen(conn: Connection, channel: LiteralString) -> bool:
    """Has notifications of this channel sent to conn. False: a pooler passes none on, and would
    keep listening for its other clients. Raises as call does."""
    if isinstance(conn, Session) and conn.pooled:
        return False
    try:
        with limited(conn):
            conn.execute(sql.SQL("listen {}").format(sql.Identifier(channel)))
    except psycopg.Error as error:
        raise failure(conn, error) from error
    return True


def failure(conn: Connection, error: psycopg.Error) -> PublishError:
    """What this driver error stands for: ConnectionFailed whenever it ended the session."""
    failed = translate(error)
    if not conn.closed or isinstance(failed, ConnectionFailed):
        return failed
    return ConnectionFailed(
        failed.message, detail=failed.detail, hint="Connect again.", sqlstate=failed.sqlstate
    )


def session_is_over(error: PublishError) -> bool:
    """Whether only another session can do better."""
    return isinstance(error, ConnectionFailed) or error.sqlstate in POISONED


# These take their results in binary: dates and intervals as text depend on DateStyle and
# IntervalStyle, which a role or a database may have set.


def call(conn: Connection, query: LiteralString, *arguments: object) -> tuple[Any, ...]:
    """The first row of one function call. Raises the PublishError its SQLSTATE stands for."""
    row = call_or_none(conn, query, *arguments)
    assert row is not None, query
    return row


def call_or_none(
    conn: Connection, query: LiteralString, *arguments: object
) -> tuple[Any, ...] | None:
    """The first row, if there is one, as a tuple with any row factory of conn. Raises as call."""
    found = tuples(conn, query, *arguments)
    return found[0] if found else None


def transact(conn: Connection, *statements: bytes) -> tuple[Any, ...]:
    """The first row of the last of these statements. Raises as transact_all does."""
    found = transact_all(conn, *statements)
    assert found, statements
    return found[0]


def transact_all(conn: Connection, *statements: bytes) -> list[tuple[Any, ...]]:
    """All rows of the last statement, all of them in one transaction and one round trip.

    The transaction is READ COMMITTED, over the session's default, and nothing is prepared, so
    that a pooler's session is left as it was found; what a statement sets must be local. Each
    statement has a statement_timeout of its own. Raises as call does, BadArgument inside a
    transaction, and ConnectionFailed when the server ended the session.
    """
    status = conn.info.transaction_status
    if status in (TransactionStatus.INTRANS, TransactionStatus.INERROR):
        raise BadArgument(
            "this connection is in a transaction",
            hint="Commit it, or call the function itself.",
            sqlstate="25P02" if status == TransactionStatus.INERROR else "",
        )
    query = b"; ".join((b"begin isolation level read committed", *statements, b"commit"))
    try:
        with limited(conn):
            cursor = conn.cursor(row_factory=tuple_row).execute(query, prepare=False)
    except psycopg.Error as error:
        _roll_back(conn)
        raise failure(conn, error) from error
    for _ in statements:
        cursor.nextset()
    return cursor.fetchall()


def _roll_back(conn: Connection) -> None:
    try:
        with limited(conn):
            conn.rollback()
    except psycopg.Error:
        conn.close()  # a session that cannot even do that is of no use


def bind(conn: Connection, query: LiteralString, *arguments: object) -> bytes:
    """A statement for transact, with its arguments written out."""
    return psycopg.ClientCursor(conn).mogrify(query, arguments).encode(conn.info.encoding)


def rows(conn: Connection, query: LiteralString, *arguments: object) -> list[dict[str, Any]]:
    """Every row of one function call, by column name. Raises as call does."""
    try:
        with limited(conn), conn.cursor(binary=True, row_factory=dict_row) as cursor:
            set_json_loads(exact.loads_bytes, cursor)
            return cursor.execute(query, arguments).fetchall()
    except psycopg.Error as error:
        raise failure(conn, error) from error


def tuples(conn: Connection, query: LiteralString, *arguments: object) -> list[tuple[Any, ...]]:
    """All rows of one function call. Raises the PublishError its SQLSTATE stands for."""
    try:
        with limited(conn), conn.cursor(binary=True, row_factory=tuple_row) as cursor:
            return cursor.execute(query, arguments).fetchall()
    except psycopg.Error as error:
        raise failure(conn, error) from error
