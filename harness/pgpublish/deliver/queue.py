"""Which subscription a free thread takes next."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from threading import Condition


class Queue:
    """Subscriptions with work, once for each lane that is ready, the longest waiting first."""

    def __init__(self, threads: int, is_slow: Callable[[str], bool]) -> None:
        self._threads = threads
        self._is_slow = is_slow
        self._todo: list[str] = []
        self._busy: Counter[str] = Counter()
        self._changed = Condition()  # something was added, or a thread is free

    def waiting(self) -> Counter[str]:
        with self._changed:
            return Counter(self._todo)

    def add(self, name: str, lanes: int = 1) -> None:
        with self._changed:
            self._todo += [name] * lanes
            self._changed.notify_all()

    def take(self, wait_s: float) -> str | None:
        """None after wait_s without one. Slow ones never have all threads, where there are
        several. Call free when done."""
        with self._changed:
            name = self._changed.wait_for(self._next, wait_s)
            if name is not None:
                self._todo.remove(name)
                self._busy[name] += 1
            return name

    def free(self, name: str, *, again: bool) -> None:
        with self._changed:
            self._busy -= Counter([name])
            if again:
                self._todo.append(name)
            self._changed.notify_all()

    def idle(self) -> bool:
        with self._changed:
            return not self._todo and not self._busy.total()

    def _next(self) -> str | None:
        slow = sum(count for name, count in self._busy.items() if self._is_slow(name))
        full = slow >= max(1, self._threads - 1)
        return next((name for name in self._todo if not (full and self._is_slow(name))), None)
