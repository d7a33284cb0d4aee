"""What the operator of a worker lets leave the machine. No option in a row can change it."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from errno import EACCES
from functools import cache
from ipaddress import ip_network

from pgpublish.errors import BadArgument
from pgpublish.sinks.address import Network, nature, parse

PREFIXES = "PGPUBLISH_ENV_PREFIX"
SINKS = "PGPUBLISH_SINKS"
NETWORKS = "PGPUBLISH_NETWORKS"
AMBIENT = "PGPUBLISH_AMBIENT_CREDENTIALS"
NATURES = ("public", "private", "unix")


@dataclass(frozen=True)
class Networks:
    """natures: public and private, as address.nature says, and unix, for sockets that are files.
    named: networks that may be called even if they are special."""

    natures: frozenset[str] = frozenset({"public", "private"})
    named: tuple[Network, ...] = ()

    def allow(self, address: str) -> bool:
        """Whether this address may be called; a name never: who connects looks it up first."""
        try:
            ip = parse(address)
        except ValueError:
            return False
        return nature(ip) in self.natures or any(ip in network for network in self.named)


@dataclass(frozen=True)
class Policy:
    """prefixes: of the environment variables that options may name. sinks: that may be used; None:
    all that are installed. ambient: whether a client may look for credentials that no option
    gives, as a cloud's do in variables, files and on the network."""

    prefixes: tuple[str, ...] = ("PGPUBLISH_SECRET_",)
    sinks: frozenset[str] | None = None
    networks: Networks = field(default_factory=Networks)
    ambient: bool = False

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> Policy:
        """As the environment says. Raises BadArgument."""
        prefixes = tuple(_words(environ, PREFIXES)) or cls.prefixes
        sinks = _words(environ, SINKS)
        ambient = environ.get(AMBIENT, "").strip().lower()
        if ambient not in ("", "true", "false"):
            raise _unknown(AMBIENT, ambient, "Write true or false.")
        return cls(
            prefixes,
            frozenset(sinks) if sinks else None,
            _networks(tuple(_words(environ, NETWORKS))),
            ambient == "true",
        )

    def check_variable(self, name: str) -> None:
        """Raises BadArgument where an option may not name it, whether it is set or not."""
        if not name.startswith(self.prefixes):
            raise BadArgument(
                "an option names an environment variable that it may not have",
                detail=f"Variable {name}; allowed are {', '.join(f'{p}…' for p in self.prefixes)}.",
                hint=f"Set the value under such a name, or set {PREFIXES} for the worker.",
            )

    def check_sink(self, name: str) -> None:
        """Raises BadArgument."""
        if self.sinks is not None and name not in self.sinks:
            raise BadArgument(
                "this worker may not use the sink",
                detail=f"Sink {name}; allowed are {', '.join(sorted(self.sinks))}.",
                hint=f"Add it to {SINKS} of the worker, if it may.",
            )

    def check_hosts(self, hosts: Iterable[str]) -> None:
        """For a client that connects by itself, as far as they are known. Raises BadArgument."""
        for host in hosts:
            try:
                # Without a host, a client calls its own machine.
                found = socket.getaddrinfo(host or "localhost", None, type=socket.SOCK_STREAM)
            except (OSError, UnicodeError):
                continue  # nor will the client find it
            for address in sorted({str(address[0]) for *_, address in found}):
                if not self.networks.allow(address):
                    raise BadArgument(
                        "this worker may not call the address",
                        detail=f"{host} is {address}.",
                        hint=f"Add its network to {NETWORKS} of the worker, if it may.",
                    )


_restricted_to = Networks()


def restrict(networks: Networks) -> None:
    """From now on, no Python code in this process connects to any other network, whichever library
    does it: each address is looked at when it is called, after its name was looked up. What is
    written in C (libpq, librdkafka) is not seen."""
    global _restricted_to
    _restricted_to = networks
    _hook()


@cache
def _hook() -> None:
    sys.addaudithook(_look)


def _look(event: str, arguments: tuple[object, ...]) -> None:
    if event != "socket.connect":
        return
    _, address = arguments
    if isinstance(address, str | bytes):
        if "unix" not in _restricted_to.natures:
            raise OSError(EACCES, f"this worker may not call Unix sockets, as {NETWORKS} says")
    elif isinstance(address, tuple) and not _restricted_to.allow(str(address[0])):
        raise OSError(EACCES, f"this worker may not call {address[0]}, as {NETWORKS} says")


def _words(environ: Mapping[str, str], name: str) -> list[str]:
    return environ.get(name, "").replace(",", " ").split()


def _networks(words: tuple[str, ...]) -> Networks:
    if not words:
        return Networks()
    named = []
    for word in words:
        if word in NATURES:
            continue
        try:
            named.append(ip_network(word, strict=False))
        except ValueError:
            hint = f"Write {', '.join(NATURES)} or networks such as 10.1.0.0/16."
            raise _unknown(NETWORKS, word, hint) from None
    return Networks(frozenset(words) & frozenset(NATURES), tuple(named))


def _unknown(variable: str, value: str, hint: str) -> BadArgument:
    return BadArgument(
        "the worker's environment has a value that means nothing",
        detail=f"{variable}: {value}.",
        hint=hint,
    )
