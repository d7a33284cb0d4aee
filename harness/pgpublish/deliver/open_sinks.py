"""The sinks that one thread keeps open."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress

from pgpublish import sinks
from pgpublish.sinks import Sink

KEPT = 64


class OpenSinks:
    """Made again when a subscription's options change; the one used longest ago is closed."""

    def __init__(self, warn: Callable[[str], None]) -> None:
        self._warn = warn
        self._open: dict[str, tuple[object, Sink, sinks.Options]] = {}

    def get(self, name: str, sink: str, options: str) -> tuple[Sink, sinks.Options]:
        """The sink of this subscription, and its options. Raises PublishError."""
        kept = self._open.pop(name, None)
        if kept is None or kept[0] != (sink, options):
            if kept is not None:
                _close(kept[1])
            resolved = sinks.resolve(json.loads(options), warn=self._warn)
            kept = ((sink, options), sinks.make(sink, resolved), resolved)
        self._open[name] = kept
        if len(self._open) > KEPT:
            _close(self._open.pop(next(iter(self._open)))[1])
        return kept[1], kept[2]

    def close(self) -> None:
        for _, sink, _ in self._open.values():
            _close(sink)
        self._open.clear()


def _close(sink: Sink) -> None:
    with suppress(Exception):  # what does not end well ends all the same
        sink.close()
