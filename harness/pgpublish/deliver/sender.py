"""One thread of a worker: takes a subscription, delivers a batch of it, takes the next."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from threading import Event

from pgpublish.database import Connection, session_is_over
from pgpublish.deliver import calls
from pgpublish.deliver.open_sinks import OpenSinks
from pgpublish.deliver.shared import WAKE_S, Claimed, Delivered, Shared
from pgpublish.drain import QUERY_CANCELED, retryable, timed_out
from pgpublish.errors import OutputClosed, PublishError, StaleToken
from pgpublish.retry import Backoff
from pgpublish.sinks import Failure, Options, Sink

REST_S = 30.0  # that a subscription rests which cannot be claimed, or whose sink cannot be made
BUSY_REST_S = 1.0  # after a rollback or a lack of resources in the database
SHOWN = 500  # characters of a reason, once secrets are hidden


class Sender:
    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._sinks = OpenSinks(shared.warn)
        self._conn: Connection | None = None
        self._backoff = Backoff()

    def serve(self, done: Event) -> None:
        """Delivers until stop or done is set. What breaks it goes to shared.crashed."""
        shared = self._shared
        try:
            while not (done.is_set() or shared.stop.is_set()):
                name = shared.queue.take(WAKE_S)
                if name is None:
                    continue
                again = False
                try:
                    again = self._try(name)
                finally:
                    shared.queue.free(name, again=again)
        except BaseException as error:
            shared.crashed.append(error)
        finally:
            self._sinks.close()
            self._drop_session()

    def _try(self, name: str) -> bool:
        """One batch, and what an error means: a new session, or a rest. True: look again."""
        shared = self._shared
        try:
            again = self.deliver(self._session(), name)
            self._backoff.reset()
            return again
        except OutputClosed:
            raise
        except PublishError as error:
            if session_is_over(error):
                self._drop_session()
                delay = self._backoff.next()
                shared.warn(f"connection lost, trying again in {delay:.1f} s: {error.message}")
                shared.stop.wait(delay)
                return True
            shared.warn(f"{name}: {_said(error)}")
            rest_s = BUSY_REST_S if retryable(error) else REST_S
            shared.resting[name] = shared.clock() + rest_s
            shared.failed[name] = _said(error)
            return False

    def _session(self) -> Connection:
        if self._conn is None or self._conn.closed:
            self._conn = self._shared.session()
        return self._conn

    def _drop_session(self) -> None:
        if self._conn is not None:
            with suppress(Exception):
                self._conn.close()
        self._conn = None

    def deliver(self, conn: Connection, name: str) -> bool:
        """One batch of this subscription. False: nothing to claim. Raises PublishError."""
        shared = self._shared
        made = self._sink(conn, name)
        size = shared.pacing.size(name)
        began = shared.clock()
        try:
            found = calls.claim(conn, name, shared.worker, size)
        except PublishError as error:
            if timed_out(error) and shared.pacing.timed_out(name, size):
                shared.warn(f"{name}: {size} changes take too long to claim: {error.message}")
                return True
            raise
        if found is None:
            shared.changed.set()
            return False
        token, lane, messages = found
        sink, options, lease_s = made
        claimed = Claimed(name, token, lane, messages, began, lease_s, began + lease_s / 3)
        shared.held.add(claimed)
        try:
            failures = self._send(sink, claimed, options.hide)
            shared.pacing.sent(
                name,
                asked=size,
                claimed=len(messages),
                unsent=sum(f.kind == "unsent" for f in failures),
                seconds=shared.clock() - began,
            )
            self._settle(claimed, failures)
        except StaleToken as error:
            shared.warn(f"{name}: lane {lane} went to another worker: {error.detail}")
        except OutputClosed:
            self._settle(claimed, [Failure(message, "unsent") for message in messages])
            raise
        finally:
            shared.held.remove(claimed)
        return True

    def _sink(self, conn: Connection, name: str) -> tuple[Sink, Options, float]:
        """What sends, and the lease in seconds. That it cannot be made is written down."""
        sink, options, lease_s = calls.sink_of(conn, name)
        fine = self._shared.fine
        try:
            made = self._sinks.get(name, sink, options)
        except PublishError as error:
            fine.discard(name)
            calls.report_fault(conn, name, _said(error))
            raise
        if name not in fine:
            fine.add(name)
            calls.report_fault(conn, name, None)
        return *made, lease_s

    def _send(self, sink: Sink, claimed: Claimed, hide: Callable[[str], str]) -> list[Failure]:
        """What the sink could not deliver. A sink that breaks has delivered nothing we know of."""
        halt = _Either(self._shared.stop, claimed.lost)
        try:
            told = list(sink.send(claimed.messages, halt))
            ours = {message.pub_id: message for message in claimed.messages} if told else {}
            failures = [
                shown(replace(failure, message=ours[failure.message.pub_id]), hide)
                for failure in told
                if failure.message.pub_id in ours
            ]
        except OutputClosed:
            raise
        except Exception as error:
            reason = f"{type(error).__name__}: {error}"
            return [shown(Failure(m, "unknown", reason), hide) for m in claimed.messages]
        if len(failures) < len(told):
            self._shared.warn(
                f"{claimed.name}: its sink names changes as failed that it was not given"
            )
        return failures

    def _settle(self, claimed: Claimed, failures: Sequence[Failure]) -> None:
        """Settles and reports, again after an error that may pass, for as long as a lease."""
        shared = self._shared
        backoff = Backoff()
        give_up_at = shared.clock() + claimed.lease_s
        while True:
            try:
                counts = calls.settle(self._session(), claimed.token, failures)
                break
            except PublishError as error:
                over = session_is_over(error)
                delay = backoff.next()
                if error.sqlstate == QUERY_CANCELED and not over:  # a lock is the lane's
                    shared.pacing.timed_out(claimed.name, len(claimed.messages))
                if over:
                    self._drop_session()
                if shared.stop.is_set() or shared.clock() + delay >= give_up_at:
                    raise
                if not (over or retryable(error)):
                    raise
                shared.stop.wait(delay)
        self._report(claimed, failures, *counts)

    def _report(
        self, claimed: Claimed, failures: Sequence[Failure], sent: int, failed: int, dead: int
    ) -> None:
        shared = self._shared
        revs = [message.rev for message in claimed.messages]
        reason = next((f.reason for f in failures if f.kind != "unsent"), None)
        if reason is not None:
            shared.failed[claimed.name] = reason
        if dead:
            shared.given_up.add(claimed.name)
        shared.report(
            Delivered(
                claimed.name,
                claimed.lane,
                min(revs),
                max(revs),
                sent,
                failed,
                dead,
                round(shared.clock() - claimed.began, 4),
                reason,
            )
        )


def shown(failure: Failure, hide: Callable[[str], str]) -> Failure:
    """As a person may see it: hidden before it is cut, so that no part of a secret is left."""
    return replace(failure, reason=hide(str(failure.reason)[: calls.LOOKED_AT])[:SHOWN])


def _said(error: PublishError) -> str:
    return "; ".join(part for part in (error.message, error.detail, error.hint) if part)


class _Either(Event):
    """Set when one of two events is."""

    def __init__(self, one: Event, other: Event) -> None:
        super().__init__()
        self.one = one
        self.other = other

    def is_set(self) -> bool:
        return self.one.is_set() or self.other.is_set()
