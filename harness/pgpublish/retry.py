"""When to try again: later each time, up to a limit."""

from __future__ import annotations

from threading import Event


class Backoff:
    """Waits of first_s, doubled each time up to most_s; at_once: the first one is 0."""

    def __init__(
        self, first_s: float = 0.1, most_s: float = 10.0, *, at_once: bool = False
    ) -> None:
        self._first_s = first_s
        self._most_s = most_s
        self._at_once = at_once
        self.failed = 0  # in a row

    def next(self) -> float:
        """Counts a failure; returns how many seconds to wait after it."""
        self.failed += 1
        doubled = self.failed - (2 if self._at_once else 1)
        return 0.0 if doubled < 0 else min(self._most_s, self._first_s * 2 ** min(doubled, 30))

    def reset(self) -> None:
        """It worked."""
        self.failed = 0

    def wait(self, stop: Event) -> None:
        """Counts a failure, and waits until it is time or stop is set."""
        stop.wait(self.next())
