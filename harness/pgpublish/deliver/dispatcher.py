"""Looks for work, and keeps what is in hand."""

from __future__ import annotations

from pgpublish.database import Connection, listen
from pgpublish.deliver import calls, pacing
from pgpublish.deliver.shared import WAKE_S, Shared
from pgpublish.drain import retryable
from pgpublish.errors import PublishError, StaleToken

POLL_S = 5.0  # also without a notification
POOLED_POLL_S = 1.0  # a pooler passes none on
LOOK_SHARE = 20  # of the time, at most 1/20 goes into looking


def dispatch(conn: Connection, shared: Shared, *, once: bool = False) -> None:
    """Looks for work until stop is set; once: until there is none now. Raises PublishError, and
    what broke a thread."""
    pooled = not listen(conn, "publish")
    look_at = earliest = 0.0
    while not shared.stop.is_set():
        if shared.crashed:
            raise shared.crashed[0]
        now = shared.clock()
        tend(conn, shared)
        shared.presence.beat(conn, doing(shared))
        if now >= look_at:
            was_idle = shared.queue.idle()
            wait = look(conn, shared)
            shared.backoff.reset()
            if once and was_idle and shared.queue.idle():
                return
            earliest = now + (shared.clock() - now) * LOOK_SHARE
            wait = WAKE_S if once else min(wait, POOLED_POLL_S) if pooled else wait
            look_at = max(earliest, now + wait)
        if await_news(conn, shared, pooled, look_at - shared.clock()) or (
            once and shared.queue.idle()
        ):
            shared.changed.clear()
            look_at = min(look_at, max(earliest, shared.clock()))


def doing(shared: Shared) -> str:
    names = sorted({claimed.name for claimed in shared.held.now()})
    return f"delivering to {', '.join(names)}" if names else "waiting for changes"


def await_news(conn: Connection, shared: Shared, pooled: bool, seconds: float) -> bool:
    """Whether there may be something new; after WAKE_S at the latest."""
    timeout = max(0.0, min(WAKE_S, seconds))
    if pooled:
        shared.stop.wait(timeout)
        return shared.changed.is_set()
    told = len(list(conn.notifies(timeout=timeout, stop_after=1)))
    return told > 0 or shared.changed.is_set()


def look(conn: Connection, shared: Shared) -> float:
    """Queues what is ready; returns in how many seconds there may be more."""
    wait = POLL_S
    queued = shared.queue.waiting()
    for name, ready, wait_s in calls.deliverable(conn, shared.names):
        if shared.resting.get(name, 0.0) > shared.clock():
            continue
        if ready:
            shared.queue.add(name, ready - queued[name])
        else:
            wait = min(wait, wait_s)
    return wait


def tend(conn: Connection, shared: Shared) -> None:
    """Renews the leases that have run for a third of their time, and sees who is slow."""
    now = shared.clock()
    for claimed in shared.held.now():
        if claimed.began + pacing.SLOW_S <= now:
            shared.pacing.took_long(claimed.name)
        if claimed.extend_at > now:
            continue
        claimed.extend_at = now + claimed.lease_s / 3
        try:
            calls.extend(conn, claimed.token)
        except StaleToken:
            claimed.lost.set()
        except PublishError as error:
            if not retryable(error):
                raise
            claimed.extend_at = now + claimed.lease_s / 12
            shared.warn(f"{claimed.name}: its lease is not extended yet: {error.message}")
