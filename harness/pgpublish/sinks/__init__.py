"""Where deliveries go: what a sink is, and how one is found.

A sink is made from a subscription's options by an entry point of group `pgpublish.sinks`. A third
party's class also names its options, so that publish_subscribe can check them:

    class Pigeon:
        OPTIONS = {"loft": "string required"}
        def __init__(self, options: Options) -> None: ...
        def send(self, messages, stop): ...
        def close(self) -> None: ...
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from threading import Event
from typing import Any, Literal, NamedTuple, Protocol

from pgpublish.errors import BadArgument, MissingPart, NotDefined, PublishError
from pgpublish.sinks.hiding import Hider

GROUP = "pgpublish.sinks"
GRACE_S = 5.0  # that what is in flight may take after stop is set

FailureClass = Literal["encoding", "endpoint", "rejected", "gone", "unknown", "unsent"]


class Message(NamedTuple):
    """One change to deliver, as publish_claim returns it. id: epoch/rev. data: the payload as JSON
    text; None: deleted. headers: JSON text. attempts: failures before this one. time: RFC 3339."""

    id: str
    source: str
    rev: int
    kind: str
    pub_id: str
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
    """A subscription's options, env:NAME resolved. hide: its text without what those hold."""

    values: Mapping[str, Any] = field(repr=False)
    hide: Callable[[str], str] = field(default=str, repr=False)

    def text(self, name: str, default: str = "") -> str:
        return str(self.values.get(name, default))

    def number(self, name: str, default: float) -> float:
        return float(self._of(name, default, float))

    def positive(self, name: str, default: float) -> float:
        """A number above 0: a timeout of none would wait for ever."""
        value = self.number(name, default)
        if not 0 < value < math.inf:
            raise BadArgument(
                "the option must be above 0", detail=f"Option {name}.",
                hint="Correct the environment variable or the subscription.",
            )  # fmt: skip
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
                "an option has no such value", detail=f"Option {name}.",
                hint="Correct the environment variable or the subscription.",
            ) from None  # fmt: skip


def resolve(options: Mapping[str, Any], environ: Mapping[str, str] = os.environ) -> Options:
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
                detail=f"Variable {name}.", hint="Set it for the worker.",
            )  # fmt: skip
        secrets.append(environ[name])
        return environ[name]

    values = of(dict(options))
    return Options(values, Hider(secrets).hide)


def load(name: str) -> Any:
    """What makes the sink of this name. Raises NotDefined, MissingPart, BadArgument."""
    found = entry_points(group=GROUP, name=name)
    if not found:
        raise NotDefined(
            "the sink is not installed here", detail=f"Sink {name}.",
            hint="Install the package that has it beside pgpublish.",
        )  # fmt: skip
    try:
        return next(iter(found)).load()
    except ImportError as error:
        raise MissingPart(
            f"the sink {name} needs a package that is not installed", detail=str(error),
            hint="Install what its package needs." if name in third_party()
            else f"pip install 'pgpublish[{name}]'",
        ) from error  # fmt: skip
    except Exception as error:
        raise BadArgument(
            f"the sink {name} cannot be loaded", detail=f"{type(error).__name__}: {error}",
            hint="Mend the package that has it, or take it away.",
        ) from error  # fmt: skip


def make(name: str, options: Options) -> Sink:
    """The sink of this name. Raises NotDefined, MissingPart, BadArgument."""
    factory = load(name)
    try:
        sink: Sink = factory(options)
    except PublishError as error:
        error.detail = options.hide(error.detail or "")
        raise
    except Exception as error:  # a file that is not there, or whatever a third party's raises
        reason = options.hide(f"{type(error).__name__}: {error}")
        raise BadArgument(
            f"the sink {name} cannot be made", detail=reason,
            hint="Correct the subscription's options.",
        ) from error  # fmt: skip
    return sink


def third_party() -> list[str]:
    """Names of the sinks that other packages installed. Loads none."""
    points = entry_points(group=GROUP)
    return sorted({p.name for p in points if not p.value.startswith("pgpublish.")})


def known_options(name: str) -> str:
    """The options that a third party's sink names, as JSON. Raises as load does."""
    factory = load(name)
    try:
        return json.dumps(dict(getattr(factory, "OPTIONS", {})))
    except (TypeError, ValueError) as error:
        raise BadArgument(
            f"the sink {name} names its options wrongly", detail=str(error),
            hint='OPTIONS is a dict as {"url": "string required"}.',
        ) from error  # fmt: skip
