"""What the commands share: how they connect, stop, fail, and print."""

from __future__ import annotations

import os
import signal
import time
from _thread import start_new_thread
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from errno import EPIPE
from functools import wraps
from threading import Event
from types import FrameType
from typing import Any, Concatenate, ParamSpec, TypeVar

import click
import psycopg

from pgpublish import embedded, migrate
from pgpublish.cli import config
from pgpublish.database import Connection, connect, session_is_over, worker_session
from pgpublish.errors import BadArgument, OutputClosed, PublishError, translate
from pgpublish.retry import Backoff
from pgpublish.session import limited
from pgpublish.terminal import guard, printable, say, say_json

P = ParamSpec("P")
R = TypeVar("R")
STEADY_S = 1.0  # a session that lasted as long was a good one


SECTIONS = {
    "Start": "demo init migrate sql completion",
    "Publish": "publish unpublish rename check define capture enqueue backfill drain",
    "Read": "changes serve",
    "Deliver": "subscribe subscriptions deliver pause resume seek resync unsubscribe dead",
    "Jobs": "work jobs",
    "Operate": "run status top report metrics doctor verify audit quarantine settings set cron"
    " uninstall",
}


class Commands(click.Group):
    """Says every PublishError as message, detail and hint, with its exit code; reads the settings
    of config.py; lists its commands in sections.

    A broken pipe is left to click, which exits 1 and says nothing.
    """

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **more: Any,
    ) -> click.Context:
        if not {"--help", "--version"} & set(args):
            completes = bool(more.get("resilient_parsing"))
            try:
                more["default_map"] = config.load(self)
                if not completes:
                    config.warn(more["default_map"])
            except PublishError as error:
                if not completes:
                    fail(error)
        return super().make_context(info_name, args, parent, **more)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        limit = formatter.width - 6 - max(map(len, self.commands))
        for title, names in SECTIONS.items():
            found = [(name, self.commands[name]) for name in names.split()]
            with formatter.section(title):
                formatter.write_dl([(name, c.get_short_help_str(limit)) for name, c in found])

    def invoke(self, ctx: click.Context) -> Any:
        guard()
        try:
            return super().invoke(ctx)
        except psycopg.Error as error:
            fail(translate(error))
        except PublishError as error:
            fail(error)
        except UnicodeError as error:
            fail(
                BadArgument(
                    "an argument or standard input is not UTF-8",
                    detail=str(error),
                    hint="Write it in UTF-8.",
                )
            )
        except OSError as error:
            if error.errno == EPIPE:
                raise
            fail(PublishError(error.strerror or str(error), detail=error.filename))


def fail(error: PublishError) -> None:
    if isinstance(error, OutputClosed):
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # for what is written on the way out
    say(f"pgpublish: {error.message}", err=True)
    if error.detail:
        say(f"  {error.detail.strip()}", err=True)
    if error.hint:
        say(f"  hint: {error.hint.strip()}", err=True)
    raise SystemExit(error.exit_code)


class Database:
    """How to connect, as the options before the command say."""

    def __init__(self, url: str | None, use_embedded: bool) -> None:
        self.url = url
        self.use_embedded = use_embedded

    @contextmanager
    def server(self) -> Iterator[None]:
        """Runs the embedded server as long, if that was asked for."""
        if not self.use_embedded:
            yield
            return
        with embedded.server(embedded.home()) as cluster:
            self.url = cluster.url()
            yield

    def connect(self) -> Connection:
        return connect(self.url)

    def worker(self, stop: Event) -> Connection:
        """A session of which each call has a deadline, sooner once stop is set."""
        return worker_session(self.url, stop)

    def require_current(self, stop: Event) -> None:
        """Raises SchemaMismatch unless the schema is of this version or a newer one."""
        with self.worker(stop) as conn, limited(conn):
            migrate.require_usable(conn)


def with_connection(
    *, current: bool = True
) -> Callable[[Callable[Concatenate[Connection, P], R]], Callable[P, R]]:
    """Passes an open connection; current: only if the schema is exactly this version's."""

    def decorate(command: Callable[Concatenate[Connection, P], R]) -> Callable[P, R]:
        @wraps(command)
        def run(*args: P.args, **kwargs: P.kwargs) -> R:
            database = click.get_current_context().find_object(Database)
            assert database is not None
            with database.server(), database.connect() as conn:
                if current:
                    migrate.require_current(conn)
                return command(conn, *args, **kwargs)

        return run

    return decorate


@contextmanager
def stop_on_signals() -> Iterator[Event]:
    """An event that SIGTERM and SIGINT set; a second signal acts as usual.

    It is set by a thread of its own: the handler may interrupt stop.wait() while that holds the
    event's lock, and would wait for it for ever.
    """
    stop = Event()
    before: dict[signal.Signals, Any] = {}

    def handle(number: int, frame: FrameType | None) -> None:
        signal.signal(number, before[signal.Signals(number)])
        start_new_thread(stop.set, ())

    for number in (signal.SIGTERM, signal.SIGINT):
        before[number] = signal.signal(number, handle)
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
batch_option = click.option(
    "--batch",
    type=click.IntRange(1, 100_000),
    envvar="PGPUBLISH_BATCH",
    show_envvar=True,
    default=500,
    show_default=True,
    help="Rows in one transaction, at most.",
)


def reconnect(
    database: Database,
    stop: Event,
    work: Callable[[Connection], None],
    *,
    warn: Callable[[str], None] | None = None,
) -> None:
    """Runs work on a worker's session, and again on a new one when that is over, until stop is set.

    Raises every other error of work.
    """
    backoff = Backoff()
    while not stop.is_set():
        began = time.monotonic()
        try:
            with database.worker(stop) as conn:
                work(conn)
        except PublishError as error:
            if not session_is_over(error):
                raise
            if stop.is_set():
                return
            if time.monotonic() - began > STEADY_S:
                backoff.reset()
            delay = backoff.next()
            (warn or log)(f"connection lost, trying again in {delay:.1f} s: {error.message}")
            stop.wait(delay)


def log(message: str) -> None:
    at = datetime.now().astimezone().isoformat(timespec="seconds")
    say(f"{at} {printable(message)}", err=True)


def done(as_json: bool, said: str, **facts: Any) -> None:
    """What a command that prints no rows says at its end."""
    if as_json:
        say_json(facts)
    else:
        say(printable(said))
