"""A worker: one dispatcher, some threads."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Event, Thread

import psycopg

from pgpublish import sinks
from pgpublish.database import Connection, failure, session_is_over
from pgpublish.deliver import calls
from pgpublish.deliver.dispatcher import dispatch
from pgpublish.deliver.sender import Sender
from pgpublish.deliver.shared import Connect, Delivered, Shared
from pgpublish.drain import retryable
from pgpublish.errors import BadArgument, DatabaseError, MissingPart, PublishError


def run(
    connect: Connect,
    stop: Event,
    *,
    names: list[str] | None = None,
    threads: int = 4,
    batch: int = 500,
    once: bool = False,
    report: Callable[[Delivered], None] = lambda delivered: None,
    warn: Callable[[str], None] = lambda message: None,
    clock: Callable[[], float] = time.monotonic,
) -> dict[str, str]:
    """Delivers these subscriptions, or all, until stop is set; once: until nothing is ready.

    Returns, after once, which of them have something that could not be delivered, and why. After
    stop, what is in flight may take sinks.GRACE_S; the rest is handed back. A session that is over
    is replaced. Raises ConnectionFailed only if the first cannot be opened, NotDefined for a name
    that is no subscription, and OutputClosed.
    """
    shared = Shared(
        connect,
        stop,
        names=names,
        threads=threads,
        batch=batch,
        report=report,
        warn=warn,
        clock=clock,
    )
    with shared.session() as conn:
        for sink in sinks.third_party():
            try:
                calls.register_sink(conn, sink)
            except (MissingPart, BadArgument, DatabaseError) as error:
                warn(f"{error.message}: {error.detail}")
        for name in names or []:
            calls.sink_of(conn, name)
    done = Event()
    pool = [Thread(target=Sender(shared).serve, args=(done,), daemon=True) for _ in range(threads)]
    for thread in pool:
        thread.start()
    try:
        return _dispatch(shared, once)
    finally:
        done.set()
        for thread in pool:
            thread.join(2 * sinks.GRACE_S)


def _dispatch(shared: Shared, once: bool) -> dict[str, str]:
    """On one session after another."""
    while not shared.stop.is_set():
        try:
            with shared.session() as conn:
                try:
                    dispatch(conn, shared, once=once)
                    shared.presence.end(conn)
                    return undelivered(conn, shared) if once else {}
                except psycopg.OperationalError as error:  # while it waited for notifications
                    if shared.crashed:
                        raise
                    raise failure(conn, error) from error
        except PublishError as error:
            if shared.crashed or not (session_is_over(error) or retryable(error)):
                raise
            delay = shared.backoff.next()
            if not shared.stop.is_set():
                shared.warn(f"connection lost, trying again in {delay:.1f} s: {error.message}")
            shared.stop.wait(delay)
    return {}


def undelivered(conn: Connection, shared: Shared) -> dict[str, str]:
    """Subscription: why something waits or was given up, though nothing is ready."""
    found = {}
    for name, waits, why in calls.waiting(conn, shared.names):
        if waits or name in shared.given_up:
            found[name] = shared.failed.get(name) or why
    return found
