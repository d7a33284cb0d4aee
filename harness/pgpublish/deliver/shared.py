"""What the dispatcher and the threads of one worker share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Event, Lock

from pgpublish.database import Connection, watch
from pgpublish.deliver.calls import prepare
from pgpublish.deliver.pacing import Pacing
from pgpublish.deliver.queue import Queue
from pgpublish.presence import Presence
from pgpublish.retry import Backoff
from pgpublish.sinks import Message

WAKE_S = 0.25  # how soon a stop is seen
Connect = Callable[[], Connection]


@dataclass(frozen=True)
class Delivered:
    """One batch. first_rev, last_rev: of what was in it. duration: seconds from claim to settle."""

    subscription: str
    lane: int
    first_rev: int
    last_rev: int
    sent: int
    failed: int
    dead: int
    duration: float
    reason: str | None  # of the first failure


@dataclass
class Claimed:
    """A batch in hand. lost: the lease went to another worker."""

    name: str
    token: int
    lane: int
    messages: list[Message]
    began: float
    lease_s: float
    extend_at: float
    lost: Event = field(default_factory=Event)


class Held:
    """The batches in hand."""

    def __init__(self) -> None:
        self._batches: dict[int, Claimed] = {}
        self._lock = Lock()

    def add(self, claimed: Claimed) -> None:
        with self._lock:
            self._batches[claimed.token] = claimed

    def remove(self, claimed: Claimed) -> None:
        with self._lock:
            del self._batches[claimed.token]

    def now(self) -> list[Claimed]:
        with self._lock:
            return list(self._batches.values())


class Shared:
    def __init__(
        self,
        connect: Connect,
        stop: Event,
        *,
        names: list[str] | None,
        threads: int,
        batch: int,
        report: Callable[[Delivered], None],
        warn: Callable[[str], None],
        clock: Callable[[], float],
    ) -> None:
        self._connect = connect
        self.stop = stop
        self.names = names
        self.presence = Presence("deliver", clock=clock)
        self.worker = self.presence.name
        self.report = report
        self.warn = warn
        self.clock = clock
        self.pacing = Pacing(batch)
        self.queue = Queue(threads, self.pacing.is_slow)
        self.held = Held()
        self.resting: dict[str, float] = {}  # subscription: until when it is left alone
        self.failed: dict[str, str] = {}  # subscription: why something was not delivered at first
        self.given_up: set[str] = set()  # subscriptions that got a dead letter
        self.fine: set[str] = set()  # subscriptions whose sink could be made, and this was reported
        self.crashed: list[BaseException] = []  # threads; the dispatcher raises the first
        self.backoff = Backoff()  # of the dispatcher's sessions
        self.changed = Event()  # there may be something else to wait for

    def session(self) -> Connection:
        """Raises ConnectionFailed."""
        return prepare(watch(self._connect(), self.stop))
