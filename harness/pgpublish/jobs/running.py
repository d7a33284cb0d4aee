"""A body of code between the start of a job and its settling."""

from __future__ import annotations

import os
import re
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any, LiteralString

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from pgpublish.database import Connection, connect
from pgpublish.errors import (
    BadArgument,
    CursorInvalid,
    JobIgnored,
    NotDefined,
    PublishError,
    StaleToken,
    translate,
)
from pgpublish.jobs import session
from pgpublish.jobs.api import add
from pgpublish.jobs.heart import Heart, heart
from pgpublish.jobs.job import Job, Returned
from pgpublish.jobs.session import data_json, in_transaction, printable_text, transact

LEASE_S = 60.0
COLUMNS: LiteralString = "id, kind, data::text, token, attempt, max_attempts"
Following = tuple[list[str], str | None, float]  # a job of these kinds, by whom, seconds of lease


@contextmanager
def start(
    conn: Connection,
    id: str,
    *,
    kind: str = "script",
    data: Mapping[str, Any] | None = None,
    lease: float = LEASE_S,
    max_attempts: int = 10,
    worker: str | None = None,
    skip_error: bool = False,
) -> Iterator[Job]:
    """Runs the block as job `id`, which is added if there is none; lease is in seconds.

    An exception marks it failed, with its traceback, and is raised again unless skip_error. Success
    commits and an exception rolls back what the block left open on conn. The lease is kept by a
    thread, on a second connection with conn's parameters and role, which is opened first.
    Raises Locked when somebody else runs it, JobIgnored when it failed too often or was cancelled,
    StaleToken when this run has lost it, ConnectionFailed, BadArgument.
    """
    if in_transaction(conn):
        raise BadArgument(
            "a job cannot be started inside a transaction",
            detail=f"job {id!r}",
            hint="Nobody else would see that it runs. Commit first.",
        )
    with heart(like(conn)) as beating:
        try:
            with conn.transaction():  # a start that is refused leaves no new job
                add(conn, id, kind, data, max_attempts=max_attempts)
                job = take(conn, id, None, worker, lease)
        except psycopg.Error as error:
            raise translate(error) from error
        # None: its last attempt was lost, which is written down now; then the refusal says so.
        job = job or take(conn, id, None, worker, lease)
        assert job is not None
        with running(job, beating, lease, skip_error=skip_error):
            yield job


def like(conn: Connection) -> Callable[[], Connection]:
    """Opens connections with conn's parameters and the role it has now."""
    row = transact(conn, "select nullif(current_user, session_user)")
    dsn, password = conn.info.dsn, conn.info.password or None
    options = conninfo_to_dict(dsn).get("options")
    if row is not None and row[0] is not None:  # set role
        options = f"{options or ''} -c role=" + re.sub(r"([\s\\])", r"\\\1", row[0])
    like = make_conninfo(dsn, password=password, options=options)
    return lambda: connect(like, name="pgpublish jobs")


def take(
    conn: Connection, id: str | None, kinds: list[str] | None, worker: str | None, lease: float
) -> Job | None:
    try:
        row = transact(
            conn,
            f"select {COLUMNS}"
            " from public.publish_job_start(%s::text, %s::text[], %s::text, %s::interval, %s::int)",
            *(id, kinds, worker, span(lease), conn.info.backend_pid),
        )
    except CursorInvalid as error:
        raise JobIgnored(
            error.message, detail=error.detail, hint=error.hint, sqlstate=error.sqlstate
        ) from error
    return started(conn, row)


def started(conn: Connection, row: tuple[Any, ...] | None) -> Job | None:
    if row is None:
        return None
    id, kind, data, token, attempt, max_attempts = row
    return Job(id, kind, token, attempt, max_attempts, session.from_json(data), conn)


def span(lease: float) -> timedelta:
    try:
        return timedelta(seconds=lease)
    except (ValueError, OverflowError) as error:
        raise BadArgument(
            "lease must be seconds", detail=str(error), hint="Pass a number, at most a year."
        ) from error


@contextmanager
def running(
    job: Job,
    beating: Heart,
    lease: float,
    *,
    skip_error: bool = False,
    tidy: bool = False,
    success: Callable[[Job], object] = lambda job: done(job),
) -> Iterator[None]:
    """Watches over the block and settles the job by how it ends, success if it ends well.

    tidy: the session is a worker's; what the body set in it must reach neither the settling nor the
    next job. A body that asked the server nothing has set nothing.
    """
    beating.watch(job, lease)
    asked = session.asked(job._conn)
    try:
        yield
        leave_if_forked(job)
        if session.is_held(job._conn):
            raise BadArgument(
                "the body left its connection busy",
                detail=f"job {job.id!r}",
                hint="Read a stream to its end, or close it.",
            )
        beating.forget(job)
        if tidy and not (asked and asked == session.asked(job._conn)):
            session.tidy(job._conn)
        success(job)
    except BaseException as error:
        leave_if_forked(job, error)
        beating.forget(job)
        held = session.is_held(job._conn)
        if not held:
            session.roll_back(job._conn)
            if tidy:
                with suppress(PublishError):
                    session.tidy(job._conn)
        try:
            if isinstance(error, Returned | KeyboardInterrupt):  # stopped: not the job's failure
                settle(job, beating, "select public.publish_job_release(%s::text, %s::bigint)")
                raise
            if job._lost:
                raise
            fail(job, beating, error)  # also when it exits: it has not done its work
            if not skip_error:
                raise
        finally:
            if held:
                job._conn.close()  # nothing else frees it; not sooner, as the job's lock is its


def leave_if_forked(job: Job, error: BaseException | None = None) -> None:
    """Ends the process if the body forked it from the one that runs the job.

    The session is the parent's: settling on it, or closing it, would end the parent's run.
    """
    if os.getpid() != job._pid:
        code = error.code if isinstance(error, SystemExit) else int(error is not None)
        if error is not None and not isinstance(error, SystemExit):
            traceback.print_exception(error)
        with suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code if isinstance(code, int) else int(code is not None))


def done(job: Job, following: Following | None = None) -> Job | None:
    """Settles it as succeeded. Returns the next job that is due, if one of those following is
    asked for: started in the same call, which saves a round trip and a commit."""
    data = data_json(job._at_the_end) if job._at_the_end else None
    if job._unsure:
        job.reload()  # as long as nobody else can have changed it
    found = None
    try:
        if following is None or in_transaction(job._conn):
            settle_done(job, data)
        else:
            found = done_and_take(job, data, following)
    except (StaleToken, NotDefined):
        job._lost = True
        raise
    if in_transaction(job._conn):
        try:
            job._conn.commit()
        except psycopg.Error as error:
            raise translate(error) from error
    if isinstance(job._data, dict):
        job._data.update(job._at_the_end)
    job._unsure = False
    return found


def settle_done(job: Job, data: str | None) -> None:
    query: LiteralString = "select public.publish_job_done(%s::text, %s::bigint, %s::jsonb)"
    transact(job._conn, query, job.id, job.token, data)


def done_and_take(job: Job, data: str | None, following: Following) -> Job | None:
    """Where the next cannot be started, this one is done all the same."""
    conn, (kinds, worker, lease) = job._conn, following
    try:
        row = transact(
            conn,
            f"select {COLUMNS}"
            " from public.publish_job_next(%s::text, %s::bigint, %s::jsonb, %s::text[],"
            " %s::text, %s::interval, %s::int)",
            *(job.id, job.token, data, kinds, worker, span(lease), conn.info.backend_pid),
        )
    except (StaleToken, NotDefined):
        raise
    except PublishError:
        settle_done(job, data)
        return None
    return started(conn, row)


def fail(job: Job, beating: Heart, error: BaseException) -> None:
    """Writes the failure down, if the job is still ours and a server is there."""
    row = settle(
        job,
        beating,
        "select status from public.publish_job_fail(%s::text, %s::bigint, %s::text,"
        " %s::text, %s::text)",
        error_name(error),
        printable_text(message_of(error)),
        printable_text("".join(traceback.format_exception(error))),
    )
    if row is not None:
        error._job_status = row[0]  # type: ignore[attr-defined]


def settle(
    job: Job, beating: Heart, query: LiteralString, *arguments: object
) -> tuple[Any, ...] | None:
    """On the job's connection, or on a new one if that is lost or the body left it unable to.

    None if the run has lost its job, or no server is there.
    """
    arguments = (job.id, job.token, *arguments)
    with suppress(PublishError):
        try:
            try:
                if not job._conn.lock.locked():
                    return transact(job._conn, query, *arguments)
            except (StaleToken, NotDefined):
                raise
            except PublishError:
                pass
            return beating.settle(query, *arguments)
        except (StaleToken, NotDefined):
            job._lost = True
    return None


def error_name(error: BaseException) -> str:
    if isinstance(error, psycopg.Error | PublishError) and error.sqlstate:
        return error.sqlstate
    kind = type(error)
    return (
        kind.__qualname__
        if kind.__module__ == "builtins"
        else (f"{kind.__module__}.{kind.__qualname__}")
    )


def message_of(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as broken:
        return f"its message raises {type(broken).__name__}"
