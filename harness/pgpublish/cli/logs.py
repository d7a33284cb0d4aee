"""How workers log: as text or JSON, summed under load, or only what is wrong."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime
from threading import RLock, Timer
from typing import Any

import click

from pgpublish.drain import Drained
from pgpublish.terminal import printable, say, say_json

EVERY_S = 10.0  # between two lines on one subject

quiet_option = click.option("--quiet", is_flag=True, help="Log only what is wrong.")
format_option = click.option(
    "--log-format",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="Of the log on stderr.",
)


COUNTS = {"scanned", "keys", "published", "unchanged", "quarantined", "sent", "failed", "dead"}
COUNTS |= {"duration"}
FIRST = {"first_rev"}  # the oldest counts; of everything else the newest does


@dataclass
class _Sum:
    """What happened to one subject and was not said yet."""

    said_at: float
    times: int = 0
    facts: dict[str, Any] = field(default_factory=dict)

    def add(self, facts: dict[str, Any]) -> None:
        self.times += 1
        for name, value in facts.items():
            if name in COUNTS:
                self.facts[name] = self.facts.get(name, 0) + value
            elif value is not None and (name not in FIRST or name not in self.facts):
                self.facts[name] = value


class Log:
    """Lines on stderr. Under load one each EVERY_S seconds on a subject: the first at once, then
    how often it happened, the sums of its counts and the newest of the rest."""

    def __init__(
        self,
        *,
        quiet: bool = False,
        as_json: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._quiet = quiet
        self._as_json = as_json
        self._clock = clock
        self._sums: dict[str, _Sum] = {}
        self._timer: Timer | None = None
        self._lock = RLock()

    def warn(self, message: str) -> None:
        self._add("warning: " + message, {"warning": message})

    def report(self, subject: str, facts: dict[str, Any]) -> None:
        if not self._quiet:
            self._add(subject, facts)

    def flush(self) -> None:
        """Says what was not said yet, and forgets what had nothing new."""
        with self._lock:
            self._timer = None
            self._sums = {subject: each for subject, each in self._sums.items() if each.times}
            for each in self._sums.values():
                self._say(each)

    def _add(self, subject: str, facts: dict[str, Any]) -> None:
        with self._lock:
            each = self._sums.get(subject)
            if each is None:
                each = self._sums[subject] = _Sum(self._clock() - EVERY_S)
            each.add(facts)
            if self._clock() - each.said_at >= EVERY_S:
                self._say(each)
            elif self._timer is None:
                self._timer = Timer(EVERY_S, self.flush)
                self._timer.daemon = True
                self._timer.start()

    def _say(self, each: _Sum) -> None:
        facts, times = each.facts, each.times
        each.facts, each.times, each.said_at = {}, 0, self._clock()
        if times > 1:
            facts["times"] = times
        at = datetime.now().astimezone().isoformat(timespec="seconds")
        if self._as_json:
            say_json({"at": at, **facts}, err=True)
            return
        words = facts.pop("warning", "")
        more = " ".join(f"{name}={json.dumps(value)}" for name, value in facts.items())
        say(printable(" ".join(part for part in (at, words, more) if part)), err=True)


@contextmanager
def flushed(logs: Log) -> Iterator[None]:
    """Says at the end what was not said yet."""
    try:
        yield
    finally:
        logs.flush()


def drains(logs: Log) -> Callable[[Drained], None]:
    """What to do with a drain: log it."""
    return lambda drained: logs.report("drain", {k: v for k, v in asdict(drained).items() if v})
