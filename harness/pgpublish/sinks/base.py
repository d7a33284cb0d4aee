"""A message, a failure, a sink, and the options it is made from."""

from __future__ import annotations

import json
import logging
import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from threading import Event
from typing import Any, Literal, NamedTuple, Protocol

from pgpublish.errors import BadArgument
from pgpublish.sinks.hiding import Hider

LOG = logging.getLogger("pgpublish.sinks")
GRACE_S = 5.0  # that what is in flight may take after stop is set

FailureClass = Literal["rejected", "encoding", "endpoint", "unknown", "busy", "gone", "unsent"]


class Message(NamedTuple):
    """One change to deliver, as publish_claim returns it.

    part: fresh, retries, or control, which comes alone: its kind is pgpublish.reset or
    pgpublish.resynced. sequence: life and rev, to compare as text. key: the source's, if the
    subscription has it sent. data: the payload as JSON text; None: deleted. headers: JSON text.
    attempts: failures before this one. time: RFC 3339.
    """

    part: str
    id: str
    source: str
    sequence: str
    rev: int
    kind: str
    pub_id: str
    key: str | None
    schema_version: int
    deleted: bool
    data: str | None
    headers: str | None
    attempts: int
    time: str


@dataclass(frozen=True, slots=True)
class Failure:
    """What was not delivered, and why. retry_after: seconds the endpoint asked for; 0: it asked for
    time, and did not say how long."""

    message: Message
    kind: FailureClass
    reason: str = ""
    retry_after: float | None = None


class Sink(Protocol):
    def send(self, messages: Sequence[Message], stop: Event) -> list[Failure]:
        """Sends them all, concurrently if it can: no two are of one key. Returns those that were
        not delivered; when stop is set, what was not begun yet as "unsent"."""

    def close(self) -> None:
        """Ends its connections."""


@dataclass(frozen=True)
class Options:
    """A subscription's options, env:NAME resolved. hide: its text without what those hold. warn:
    says what no failure tells."""

    values: Mapping[str, Any] = field(repr=False)
    hide: Callable[[str], str] = field(default=str, repr=False)
    warn: Callable[[str], None] = field(default=LOG.warning, repr=False)

    def text(self, name: str, default: str = "") -> str:
        return str(self.values.get(name, default))

    def number(self, name: str, default: float) -> float:
        return float(self._of(name, default, float))

    def positive(self, name: str, default: float) -> float:
        """A number above 0: a timeout of none would wait for ever."""
        value = self.number(name, default)
        if not 0 < value < math.inf:
            raise BadArgument(
                "the option must be above 0",
                detail=f"Option {name}.",
                hint="Correct the environment variable or the subscription.",
            )
        return value

    def flag(self, name: str) -> bool:
        value = self.values.get(name, False)
        return value if isinstance(value, bool) else str(value).lower() == "true"

    def words(self, name: str) -> list[str]:
        """An array; from the environment, words between blanks or commas."""
        value = self.values.get(name, [])
        return value.replace(",", " ").split() if isinstance(value, str) else [*map(str, value)]

    def mapping(self, name: str) -> dict[str, Any]:
        """An object; from the environment, its JSON text."""
        value = self.values.get(name, {})
        return dict(self._of(name, value, json.loads) if isinstance(value, str) else value)

    def _of(self, name: str, default: Any, convert: Any) -> Any:
        try:
            return convert(self.values.get(name, default))
        except (TypeError, ValueError):
            raise BadArgument(
                "an option has no such value",
                detail=f"Option {name}.",
                hint="Correct the environment variable or the subscription.",
            ) from None


def resolve(
    options: Mapping[str, Any],
    environ: Mapping[str, str] = os.environ,
    warn: Callable[[str], None] = LOG.warning,
) -> Options:
    """Puts in the environment's values. Raises BadArgument naming the variable that is not set."""
    secrets: list[str] = []

    def of(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: of(inner) for name, inner in value.items()}
        if isinstance(value, list):
            return [of(inner) for inner in value]
        if not isinstance(value, str) or not value.startswith("env:"):
            return value
        name = value.removeprefix("env:")
        if name not in environ:
            raise BadArgument(
                "an option names an environment variable that is not set",
                detail=f"Variable {name}.",
                hint="Set it for the worker.",
            )
        secrets.append(environ[name])
        return environ[name]

    values = of(dict(options))
    return Options(values, Hider(secrets).hide, warn)
