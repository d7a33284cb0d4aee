"""A message, a failure, a sink, and the options it is made from."""

from __future__ import annotations

import json
import logging
import math
import os
import re
import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Any, Literal, NamedTuple, Protocol

from pgpublish.errors import BadArgument
from pgpublish.hiding import Hider
from pgpublish.sinks.policy import Policy

LOG = logging.getLogger("pgpublish.sinks")
GRACE_S = 5.0  # that what is in flight may take after stop is set
PEM = 1024 * 1024  # characters of certificates
# Options, headers and settings whose values are secrets also where they stand in the row.
SECRET = re.compile(r"pass|secret|token|auth|cookie|credential|(api|access|private)[-_.]?key|pem$")

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
    """A subscription's options, env:NAME resolved. hide: a text without their secrets. warn: says
    what no failure tells. policy: what the worker's operator allows."""

    values: Mapping[str, Any] = field(repr=False)
    hide: Callable[[str], str] = field(default=str, repr=False)
    warn: Callable[[str], None] = field(default=LOG.warning, repr=False)
    policy: Policy = field(default_factory=Policy)

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
        """An array of text; from the environment, words between blanks or commas."""
        value = self.values.get(name, [])
        if isinstance(value, str):
            return value.replace(",", " ").split()
        if not all(isinstance(word, str) for word in value):
            raise BadArgument(
                "the option must be an array of text",
                detail=f"Option {name}.",
                hint='Write it as ["a", "b"].',
            )
        return list(value)

    def mapping(self, name: str) -> dict[str, Any]:
        """An object; from the environment, its JSON text."""
        value = self.values.get(name, {})
        return dict(self._of(name, value, json.loads) if isinstance(value, str) else value)

    def authorities(self) -> str | None:
        """Option ca: certificates as PEM text, or the name of a file of them on the worker's
        machine. Raises BadArgument, in the same words for all that can be wrong: a row's author
        learns nothing about files."""
        given = self.text("ca")
        if not given:
            return None
        try:
            text = given if given.lstrip().startswith("-----BEGIN") else _small_file(given)
            ssl.create_default_context(cadata=text)
        except (OSError, ValueError):
            raise BadArgument(
                "the certificates cannot be read",
                detail="Option ca.",
                hint="Pass PEM text, or name a PEM file on the worker's machine.",
            ) from None
        return text

    def tls(self) -> ssl.SSLContext | None:
        """That trusts the option's certificates and no others; None: the option is not given."""
        text = self.authorities()
        return ssl.create_default_context(cadata=text) if text else None

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
    """Puts in the environment's values. Raises BadArgument naming the variable that is not set, or
    that an option may not have."""
    policy = Policy.of(environ)
    secrets: list[str] = []

    def of(value: Any, hidden: bool) -> Any:
        if isinstance(value, dict):
            return {name: of(inner, hidden or is_secret(name)) for name, inner in value.items()}
        if isinstance(value, list):
            return [of(inner, hidden) for inner in value]
        if not isinstance(value, str):
            return value
        if not value.startswith("env:"):
            secrets.extend([value] if hidden else _login(value))
            return value
        name = value.removeprefix("env:")
        policy.check_variable(name)
        if name not in environ:
            raise BadArgument(
                "an option names an environment variable that is not set",
                detail=f"Variable {name}.",
                hint="Set it for the worker.",
            )
        secrets.append(environ[name])
        return environ[name]

    values = of(dict(options), False)
    return Options(values, Hider(secrets).hide, warn, policy)


def is_secret(name: str) -> bool:
    return bool(SECRET.search(name.lower()))


def _login(text: str) -> list[str]:
    """What stands before the host of a URL, also where something is wrong with the rest."""
    authority = text.partition("://")[2]
    login, at, _ = authority.rpartition("@")
    password = login.partition(":")[2] or login
    return [password] if at else []


def _small_file(name: str) -> str:
    path = Path(name)
    if not path.is_file() or path.stat().st_size > PEM:  # a device or a pipe never ends
        raise ValueError
    return path.read_text("ascii", errors="replace")
