"""How large each subscription's next batch is, and which of them are slow."""

from __future__ import annotations

from threading import Lock

SLOW_S = 1.0  # a subscription whose batch takes longer is slow


class Pacing:
    """Shared by all threads of a worker."""

    def __init__(self, batch: int) -> None:
        self._most = batch
        self._size: dict[str, int] = {}
        self._cap: dict[str, int] = {}  # of those of which the database could not do more in time
        self._slow: set[str] = set()
        self._lock = Lock()

    def size(self, name: str) -> int:
        """Changes to claim next."""
        with self._lock:
            return self._size.get(name, self._most)

    def is_slow(self, name: str) -> bool:
        return name in self._slow

    def took_long(self, name: str) -> None:
        """What is being sent now is slow already."""
        with self._lock:
            self._slow.add(name)

    def sent(self, name: str, *, asked: int, claimed: int, unsent: int, seconds: float) -> None:
        """Next: as much as was tried of this batch, or more if that went fast."""
        with self._lock:
            cap = self._cap.get(name, self._most)
            size = asked
            if unsent:
                size = max(1, claimed - unsent)
            elif seconds < SLOW_S and claimed == asked:
                size = min(cap, size * 2)
            if size == cap < self._most:
                self._cap[name] = cap + 1 + cap // 16
            self._size[name] = size
            (self._slow.add if seconds >= SLOW_S else self._slow.discard)(name)

    def timed_out(self, name: str, changes: int) -> bool:
        """The database did not do as many in its time: half of it is next, and more only slowly.
        False: there is no half."""
        with self._lock:
            self._size[name] = self._cap[name] = max(1, changes // 2)
        return changes > 1
