"""Tracked jobs: run one, or work through those of some kinds that are due.

The database decides which job starts, who has it, and what a failure means; see publish_job_start.
Here a body of code runs between the start and its settling, and a thread keeps the lease meanwhile.
"""

from __future__ import annotations

import json
import logging
import re
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from inspect import isasyncgenfunction, iscoroutinefunction, isgeneratorfunction
from threading import Condition, Event, Thread
from typing import Any, LiteralString, TypeVar

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.pq import TransactionStatus
from psycopg.rows import tuple_row

from pgpublish.database import Connection, connect, rows
from pgpublish.drain import retryable
from pgpublish.errors import (
    BadArgument,
    ConnectionFailed,
    CursorInvalid,
    JobIgnored,
    NotDefined,
    PublishError,
    StaleToken,
    translate,
)

LEASE_S = 60.0
MIN_WAIT_S = 0.02
MAX_WAIT_S = 1.0  # between two looks of an idle worker, which doubles its wait each time
PRUNE_EVERY_S = 600.0
PRUNE = 10_000  # jobs in a transaction
CLOSE_S = 15.0
HELD_S = 1.0
TIDY = "reset session authorization; reset role; reset all; close all; unlisten *; discard temp"
SETTINGS = ("autocommit", "isolation_level", "read_only", "deferrable")  # of a connection
SURROGATE = re.compile("[\ud800-\udfff]")
LOG = logging.getLogger(__name__)

Handler = Callable[[Connection, "Job"], None]
H = TypeVar("H", bound=Handler)
HANDLERS: dict[str, Handler] = {}


class Returned(BaseException):
    """Ends a body whose worker is being stopped; not an Exception, so that no body catches it."""


@dataclass
class Job:
    """A job that this process runs. attempt counts the starts since the last success, with this."""

    id: str
    kind: str
    token: int
    attempt: int
    max_attempts: int
    _data: Any
    _conn: Connection = field(repr=False)
    _stop: Event = field(default_factory=Event, repr=False)
    _unsure: bool = field(default=False, repr=False)  # what was saved last may be rolled back
    _lost: bool = field(default=False, repr=False)
    _at_the_end: dict[str, Any] = field(default_factory=dict, repr=False)

    @property
    def data(self) -> dict[str, Any]:
        """As it was when the job started, with what was saved since and not rolled back.

        Asks the database after a save in a transaction, as that may not have been committed.
        Raises BadArgument for what jsonb takes and Python's json does not: numbers of over 4,300
        digits, nesting a thousand deep.
        """
        if self._unsure and self._conn.info.transaction_status in (
            TransactionStatus.IDLE, TransactionStatus.INTRANS,
        ):  # fmt: skip
            self.reload()
        if not isinstance(self._data, dict):
            raise BadArgument(
                "the job's data is more than Python can read",
                detail=f"job {self.id!r}: {self._data[:60]} …",
                hint="See it with psql: select data from publish_jobs(id => …)",
            )
        return self._data

    def reload(self) -> None:
        """Reads data again: somebody else may have saved in this run's name."""
        row = _transact(self._conn, "select data::text from public.publish_jobs(id => %s)", self.id)
        if row is not None:
            self._data = _loads(row[0])
        self._unsure = _in_transaction(self._conn)

    def save(self, **data: Any) -> None:
        """Merges data into the job's: where the next run goes on if this one dies. Keeps the lease.

        Inside `with conn.transaction()` it is part of that transaction: what was done there and how
        far that is are committed together. Call it last, as it holds the job's row to the end; a
        session that is idle in there for longer than the lease is ended. On a connection without
        autocommit it commits what is open.
        Raises StaleToken when another worker has the job or the lease ran out; BadArgument for what
        is no JSON, or over 1 MB.
        """
        try:
            _transact(
                self._conn,
                "select public.publish_job_beat(%s, %s, %s)",
                self.id, self.token, _json(data),
            )  # fmt: skip
        except (StaleToken, NotDefined):
            self._lost = True
            raise
        if not self._conn.autocommit:
            _commit_unless_in_block(self._conn)
        if _in_transaction(self._conn):
            self._unsure = True
        else:
            self.data.update(data)
            self.check()

    def update(self, **data: Any) -> None:
        """Merges data into the job's when it succeeds, and only then."""
        _json(data)
        self._at_the_end.update(data)

    def stop_at(self, stop: Event) -> None:
        """Hands the job back at the first save or check after stop is set."""
        self._stop = stop

    def check(self) -> None:
        """A place where a worker that is being stopped may hand the job back, as in save."""
        if self._stop.is_set():
            raise Returned


@dataclass(frozen=True)
class Outcome:
    """How a run ended. status: succeeded, failed, ignored, returned, or lost to another worker."""

    id: str
    kind: str
    attempt: int
    status: str
    seconds: float
    error: str | None


def handler(kind: str) -> Callable[[H], H]:
    """Registers a function (conn, job) as what `pgpublish work` does with jobs of this kind.

    Raises BadArgument for a second one, and for one whose call would run nothing of its body.
    """

    def register(function: H) -> H:
        if any(
            is_lazy(function)
            for is_lazy in (iscoroutinefunction, isgeneratorfunction, isasyncgenfunction)
        ):
            raise BadArgument(
                "a handler must be an ordinary function",
                detail=f"kind {kind!r}, {function!r} is async or a generator",
                hint="Call asyncio.run in it.",
            )
        if HANDLERS.setdefault(kind, function) is not function:
            raise BadArgument(
                "this kind of job has a handler",
                detail=f"kind {kind!r}, {HANDLERS[kind].__module__}.{HANDLERS[kind].__qualname__}",
                hint="Register one function for each kind.",
            )
        return function

    return register


def add(
    conn: Connection,
    id: str,
    kind: str,
    data: Mapping[str, Any] | None = None,
    *,
    max_attempts: int = 10,
    priority: int = 0,
) -> bool:
    """publish_job_add: False if there is a job of this id, which stays as it is."""
    row = _transact(
        conn,
        "select public.publish_job_add(%s, %s, %s, priority => %s, max_attempts => %s)",
        id, kind, _json(data or {}), priority, max_attempts,
    )  # fmt: skip
    return bool(row and row[0])


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
    StaleToken when this run lost it meanwhile, ConnectionFailed, BadArgument.
    """
    if _in_transaction(conn):
        raise BadArgument(
            "a job cannot be started inside a transaction",
            detail=f"job {id!r}",
            hint="Nobody else would see that it runs. Commit first.",
        )
    with heart(_like(conn)) as beating:
        try:
            with conn.transaction():  # a start that is refused leaves no new job
                add(conn, id, kind, data, max_attempts=max_attempts)
                job = _start(conn, id, None, worker, lease)
        except psycopg.Error as error:
            raise translate(error) from error
        # None: its last attempt was lost, which is written down now; then the refusal says so.
        job = job or _start(conn, id, None, worker, lease)
        assert job is not None
        with _running(job, beating, lease, skip_error=skip_error):
            yield job


def work(
    conn: Connection,
    kinds: Sequence[str],
    stop: Event,
    *,
    beating: Heart,
    lease: float = LEASE_S,
    worker: str | None = None,
    report: Callable[[Outcome], None] = lambda outcome: None,
    warn: Callable[[str], None] = lambda message: None,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Runs due jobs of these kinds, one after another, until stop is set.

    A handler that fails marks its job and stops nothing else. Once stop is set, the job that runs
    goes on to its end, or to its next save or check outside a transaction, where it is handed back.
    Every ten minutes calls publish_job_prune between jobs, until it has removed all it may.
    Raises ConnectionFailed when conn is lost, BadArgument for a kind without handler.
    """
    for kind in kinds:
        if kind not in HANDLERS:
            raise BadArgument(
                "no handler for this kind of job",
                detail=f"kind {kind!r}; known: {', '.join(sorted(HANDLERS)) or 'none'}",
                hint="Name the module that registers it: --import MODULE",
            )
    if _row(conn, "select pg_backend_pid()") != (conn.info.backend_pid,):
        conn.prepare_threshold = None  # a pooler is between, and a session is not ours to keep
    settings = {name: getattr(conn, name) for name in SETTINGS}
    wait, prune_at = MIN_WAIT_S, clock()
    while not stop.is_set():
        job = None
        try:
            if clock() >= prune_at:
                pruned = _transact(conn, "select public.publish_job_prune(batch => %s)", PRUNE)
                if pruned != (PRUNE,):
                    prune_at = clock() + PRUNE_EVERY_S
            job = _start(conn, None, list(kinds), worker, lease)
        except PublishError as error:
            if not retryable(error):
                raise
            warn(f"between jobs: {error.message}")
        if job is None:
            stop.wait(wait)
            wait = min(wait * 2, MAX_WAIT_S)
            continue
        wait, job._stop = MIN_WAIT_S, stop
        report(_run(job, beating, lease, clock))
        if conn.broken or conn.closed:
            raise ConnectionFailed("the connection was lost", hint="Is the server running?")
        for name, value in settings.items():
            setattr(conn, name, value)


def walk(
    conn: Connection,
    job: Job,
    page: Callable[[str | None], tuple[str | None, Mapping[str, int]]],
) -> dict[str, int]:
    """A walk in pages, as a job: page(after) does one and returns (where to go on, counts).

    Each page commits together with `after` and the sums of its counts in the job's data, and a run
    after a kill goes on from there. The walk ends when page returns None, and a later run of the
    same job begins anew. Returns the sums.
    """
    data = job.data
    after: str | None = data.get("after")
    before = data if after is not None else {}
    sums: dict[str, int] = {}
    while True:
        with conn.transaction():
            next_after, counts = page(after)
            for name, count in counts.items():
                sums[name] = sums.get(name, before.get(name, 0)) + count
            job.save(after=next_after, **sums)
        after = next_after
        if after is None:
            return sums
        job.check()


def listing(
    conn: Connection,
    *,
    status: str | None = None,
    kind: str | None = None,
    batch: int = 100,
    oldest_first: bool = False,
    id: str | None = None,
) -> list[dict[str, Any]]:
    """Rows of publish_jobs; data is text where Python cannot read it. Raises BadArgument."""
    found = rows(
        conn,
        "select id, kind, status, priority, attempts, max_attempts, due_at, worker, error, message,"
        " created_at, started_at, beat_at, finished_at, data::text"
        " from public.publish_jobs(%s, %s, %s, %s, %s)",
        status, kind, batch, oldest_first, id,
    )  # fmt: skip
    return [row | {"data": _loads(row["data"])} for row in found]


def job_errors(conn: Connection, id: str, *, batch: int = 100) -> list[dict[str, Any]]:
    """Rows of publish_job_errors, the newest first. Raises NotDefined."""
    return rows(conn, "select * from public.publish_job_errors(%s, %s)", id, batch)


def activity(conn: Connection) -> list[dict[str, Any]]:
    """Rows of publish.job_activity: who runs what, with data as in listing."""
    found = rows(
        conn, "select a.*, a.data::text as json from publish.job_activity a order by since, id"
    )
    return [row | {"data": _loads(row.pop("json"))} for row in found]


def cancel(conn: Connection, id: str) -> bool:
    """publish_job_cancel: False if it had ended. Raises NotDefined."""
    row = _transact(conn, "select public.publish_job_cancel(%s)", id)
    return bool(row and row[0])


def retry(conn: Connection, id: str) -> None:
    """publish_job_retry. Raises NotDefined, and Locked while it runs."""
    _transact(conn, "select public.publish_job_retry(%s)", id)


class Heart:
    """Beats for the jobs it watches, three times a lease, in a thread with its own connection.

    The job's connection would not do: a long query on it holds up every other call. Opened before
    any job starts, as one whose lease nobody can keep would run twice. A job that was lost is told
    so by its own next save; a connection that was lost is opened again. What keeps it from beating
    it warns of, once until it beats again.
    """

    def __init__(
        self, open_connection: Callable[[], Connection], warn: Callable[[str], None]
    ) -> None:
        self._open = open_connection
        self._warn = warn
        self._conn = open_connection()
        self._conn.prepare_threshold = None  # there may be a pooler
        self._warned: set[str] = set()
        self._due: dict[int, tuple[float, float, Job]] = {}  # token: (when, seconds between, job)
        self._changed = Condition()
        self._ended = False
        self._thread: Thread | None = None

    def watch(self, job: Job, lease: float) -> None:
        with self._changed:
            self._due[job.token] = (time.monotonic() + lease / 3, lease / 3, job)
            if self._thread is None:
                self._thread = Thread(target=self._beat, name="job heartbeat", daemon=True)
                self._thread.start()
            self._changed.notify()

    def forget(self, job: Job) -> None:
        with self._changed:
            self._due.pop(job.token, None)

    def close(self) -> None:
        with self._changed:
            self._ended = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(timeout=CLOSE_S)
        self._conn.close()

    def settle(self, query: LiteralString, *arguments: object) -> tuple[Any, ...] | None:
        """A call on a new connection, for a job whose own will not do it."""
        with self._open() as conn:
            return _row(conn, query, *arguments)

    def _beat(self) -> None:
        while True:
            with self._changed:
                while not self._ended:
                    first = min(self._due.values(), key=lambda due: due[0], default=None)
                    wait = None if first is None else first[0] - time.monotonic()
                    if wait is not None and wait <= 0:
                        break
                    self._changed.wait(wait)
                if self._ended or first is None:
                    return
                _, every, job = first
                self._due[job.token] = (time.monotonic() + every, every, job)
            if not self._extend(job):
                with self._changed:
                    if job.token in self._due:  # again soon, as long as the lease may run
                        self._due[job.token] = (time.monotonic() + every / 4, every, job)

    def _extend(self, job: Job) -> bool:
        """Whether it is as it should be: the lease was extended, or the job lost for good."""
        try:
            row = self._call("select public.publish_job_beat(%s, %s)", job.id, job.token)
        except (StaleToken, NotDefined) as error:
            self.forget(job)
            self._warn(f"job {job.id!r}: its lease is kept no more: {error.message}")
            return True
        except PublishError as error:
            if error.message not in self._warned:
                self._warned.add(error.message)
                self._warn(f"job {job.id!r}: its lease cannot be extended: {error.message}")
            return False
        self._warned.clear()
        return row is not None and row[0] is not None  # null: its own transaction holds the row

    def _call(self, query: LiteralString, *arguments: object) -> tuple[Any, ...] | None:
        """On its connection, or at once on a new one if that is lost."""
        try:
            return _row(self._conn, query, *arguments)
        except PublishError:
            if not self._conn.closed:
                raise
        self._conn = self._open()
        self._conn.prepare_threshold = None
        return _row(self._conn, query, *arguments)


@contextmanager
def heart(
    open_connection: Callable[[], Connection], warn: Callable[[str], None] = LOG.warning
) -> Iterator[Heart]:
    """Raises ConnectionFailed when it cannot connect."""
    try:
        beating = Heart(open_connection, warn)
    except ConnectionFailed as error:
        raise ConnectionFailed(
            "there is no connection to keep the leases of jobs",
            detail=error.message,
            hint="It is one more than those that run jobs. " + (error.hint or ""),
            sqlstate=error.sqlstate,
        ) from error
    try:
        yield beating
    finally:
        beating.close()


def _like(conn: Connection) -> Callable[[], Connection]:
    """Opens connections with conn's parameters and the role it has now."""
    row = _transact(conn, "select nullif(current_user, session_user)")
    dsn, password = conn.info.dsn, conn.info.password or None
    options = conninfo_to_dict(dsn).get("options")
    if row is not None and row[0] is not None:  # set role
        options = f"{options or ''} -c role=" + re.sub(r"([\s\\])", r"\\\1", row[0])
    like = make_conninfo(dsn, password=password, options=options)
    return lambda: connect(like, name="pgpublish jobs")


def _start(
    conn: Connection, id: str | None, kinds: list[str] | None, worker: str | None, lease: float
) -> Job | None:
    try:
        span = timedelta(seconds=lease)
    except (ValueError, OverflowError) as error:
        raise BadArgument(
            "lease must be seconds", detail=str(error), hint="Pass a number, at most a year."
        ) from error
    try:
        row = _transact(
            conn,
            "select id, kind, data::text, token, attempt, max_attempts"
            " from public.publish_job_start(%s, %s, %s, %s, %s)",
            id, kinds, worker, span, conn.info.backend_pid,
        )  # fmt: skip
    except CursorInvalid as error:
        raise JobIgnored(
            error.message, detail=error.detail, hint=error.hint, sqlstate=error.sqlstate
        ) from error
    if row is None:
        return None
    id, kind, data, token, attempt, max_attempts = row
    return Job(id, kind, token, attempt, max_attempts, _loads(data), conn)


def _run(job: Job, beating: Heart, lease: float, clock: Callable[[], float]) -> Outcome:
    """A worker's run of a job by its handler; raises nothing but KeyboardInterrupt."""
    began, status, told = clock(), "succeeded", None
    try:
        with _running(job, beating, lease, tidy=True):
            HANDLERS[job.kind](job._conn, job)
    except Returned:
        status = "returned"
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        status = "lost" if job._lost else getattr(error, "_job_status", "failed")
        told = f"{_error_name(error)}: {_message(error)}"
    return Outcome(job.id, job.kind, job.attempt, status, clock() - began, told)


@contextmanager
def _running(
    job: Job, beating: Heart, lease: float, *, skip_error: bool = False, tidy: bool = False
) -> Iterator[None]:
    """Watches over the block and settles the job by how it ends.

    tidy: the session is a worker's; what the body set in it must reach neither the settling nor the
    next job.
    """
    beating.watch(job, lease)
    try:
        yield
        if _is_held(job._conn):
            raise BadArgument(
                "the body left its connection busy",
                detail=f"job {job.id!r}",
                hint="Read a stream to its end, or close it.",
            )
        beating.forget(job)
        if tidy:
            _tidy(job._conn)
        _done(job)
    except BaseException as error:
        beating.forget(job)
        held = _is_held(job._conn)
        if not held:
            _roll_back(job._conn)
            if tidy:
                with suppress(PublishError):
                    _tidy(job._conn)
        try:
            if isinstance(error, Returned | KeyboardInterrupt):  # stopped: not the job's failure
                _settle(job, beating, "select public.publish_job_release(%s, %s)")
                raise
            if job._lost:
                raise
            _fail(job, beating, error)  # also when it exits: it has not done its work
            if not skip_error:
                raise
        finally:
            if held:
                job._conn.close()  # nothing else frees it; not sooner, as the job's lock is its


def _tidy(conn: Connection) -> None:
    """The session as it was, but for what was prepared and its advisory locks, the job's included.

    Inside a transaction that the body left open, it is as that ends.
    """
    within = conn.autocommit or _in_transaction(conn)
    try:
        with nullcontext() if within else conn.transaction():
            conn.execute(TIDY, prepare=False)
    except psycopg.Error as error:
        raise translate(error) from error


def _done(job: Job) -> None:
    data = _json(job._at_the_end) if job._at_the_end else None
    if job._unsure:
        job.reload()  # as long as nobody else can have changed it
    try:
        _transact(job._conn, "select public.publish_job_done(%s, %s, %s)", job.id, job.token, data)
    except (StaleToken, NotDefined):
        job._lost = True
        raise
    if _in_transaction(job._conn):
        try:
            job._conn.commit()
        except psycopg.Error as error:
            raise translate(error) from error
    if isinstance(job._data, dict):
        job._data.update(job._at_the_end)
    job._unsure = False


def _fail(job: Job, beating: Heart, error: BaseException) -> None:
    """Writes the failure down, if the job is still ours and a server is there."""
    row = _settle(
        job,
        beating,
        "select status from public.publish_job_fail(%s, %s, %s, %s, %s)",
        _error_name(error),
        _text(_message(error)),
        _text("".join(traceback.format_exception(error))),
    )
    if row is not None:
        error._job_status = row[0]  # type: ignore[attr-defined]


def _settle(
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
                    return _transact(job._conn, query, *arguments)
            except (StaleToken, NotDefined):
                raise
            except PublishError:
                pass
            return beating.settle(query, *arguments)
        except (StaleToken, NotDefined):
            job._lost = True
    return None


def _error_name(error: BaseException) -> str:
    if isinstance(error, psycopg.Error | PublishError) and error.sqlstate:
        return error.sqlstate
    kind = type(error)
    return (
        kind.__qualname__
        if kind.__module__ == "builtins"
        else (f"{kind.__module__}.{kind.__qualname__}")
    )


def _message(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as broken:
        return f"its message raises {type(broken).__name__}"


def _text(text: str) -> str:
    """What a text column can hold."""
    return text.encode("utf-8", "replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")


def _json(data: Mapping[str, Any]) -> str:
    """data as JSON text that jsonb takes. Raises BadArgument."""
    try:
        text = json.dumps(dict(data), allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise BadArgument(
            "a job's data must be JSON", detail=str(error),
            hint="Pass dicts with text keys, lists, text, finite numbers, booleans and None.",
        ) from error  # fmt: skip
    for string in _strings(dict(data)):
        if "\0" in string or (not string.isascii() and SURROGATE.search(string)):
            raise BadArgument(
                "a job's data must not hold the character NUL, nor half of one",
                detail=ascii(string[:60]),
                hint="PostgreSQL's jsonb has no place for it: take it out.",
            )
    return text


def _strings(data: object) -> Iterator[str]:
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


def _loads(text: str) -> Any:
    """The value of JSON text; the text itself where Python cannot read it."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _is_held(conn: Connection) -> bool:
    """Whether a stream that was not read to its end, or another thread, keeps it busy."""
    if conn.lock.acquire(timeout=HELD_S):
        conn.lock.release()
        return False
    return True


def _in_transaction(conn: Connection) -> bool:
    """Not so when it is lost: then there is nothing to end."""
    status = conn.info.transaction_status
    return status not in (TransactionStatus.IDLE, TransactionStatus.UNKNOWN)


def _roll_back(conn: Connection) -> None:
    if _in_transaction(conn):
        with suppress(psycopg.Error):
            conn.rollback()


def _commit_unless_in_block(conn: Connection) -> None:
    """Commits, but inside `with conn.transaction()`, which does that at its end."""
    try:
        conn.commit()
    except psycopg.ProgrammingError as error:
        if error.sqlstate is not None:
            raise translate(error) from error
    except psycopg.Error as error:
        raise translate(error) from error


def _transact(conn: Connection, query: LiteralString, *arguments: object) -> tuple[Any, ...] | None:
    """One call, committed unless it is in a transaction that the caller began."""
    if conn.autocommit or _in_transaction(conn):
        return _row(conn, query, *arguments)
    try:
        with conn.transaction():
            return _row(conn, query, *arguments)
    except psycopg.Error as error:
        raise translate(error) from error


def _row(conn: Connection, query: LiteralString, *arguments: object) -> tuple[Any, ...] | None:
    """The first row, whatever row factory conn has. Raises what its SQLSTATE stands for."""
    try:
        with conn.cursor(row_factory=tuple_row) as cursor:
            return cursor.execute(query, arguments).fetchone()
    except psycopg.Error as error:
        raise translate(error) from error
