"""What a server of the feed may do, and how much of it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from ipaddress import ip_address

import jwt

from pgpublish.errors import BadArgument

ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[^/?#A-Z\s]+")
ALGORITHMS = ("RS256", "ES256", "HS256")


@dataclass(frozen=True)
class Jwt:
    """How JSON Web Tokens are checked, and which claims say whose they are.

    key: a public key as PEM, or the secret of HS256. role: of all of them; None: the claim
    role_claim names it. scope_claim: where the scope is; a token without it is refused.
    """

    key: str = field(repr=False)
    algorithm: str
    audience: str | None = None
    issuer: str | None = None
    role: str | None = None
    role_claim: str = "role"
    scope_claim: str | None = None

    def __post_init__(self) -> None:
        if self.algorithm not in ALGORITHMS:
            raise BadArgument(
                "this algorithm is not supported",
                detail=f"Algorithm {self.algorithm}.",
                hint=f"Use one of {', '.join(ALGORITHMS)}.",
            )
        if self.algorithm == "HS256" and len(self.key.encode()) < 32:
            raise BadArgument(
                "the secret of HS256 is too short",
                detail=f"It has {len(self.key.encode())} bytes.",
                hint="Use 32 random bytes or more.",
            )
        if self.algorithm != "HS256" and "PRIVATE KEY" in self.key:
            raise BadArgument(
                "this is a private key",
                detail=f"Algorithm {self.algorithm}.",
                hint="Give the server the public key only.",
            )
        try:
            jwt.algorithms.get_default_algorithms()[self.algorithm].prepare_key(self.key)
        except (jwt.PyJWTError, ValueError, TypeError):
            raise BadArgument(
                "this is not a key of that algorithm",
                detail=f"Algorithm {self.algorithm}.",
                hint="Give a public key as PEM; for HS256 the secret, which is no PEM.",
            ) from None


@dataclass(frozen=True)
class Settings:
    """Limits and rights of a server; times in seconds, sizes in bytes.

    public: the role that reads for who comes without a token; None: nobody may. local_only: answer
    only who calls a loopback name directly, not through a proxy. origins: pages of which origins
    may read, "*" for any. connections: of all sorts, at most; streams and waiting: of these, how
    many are streams and long polls. buffer: what a stream may have unsent before it is cut.
    patience: how long a client may not read. header, header_time: of a request's head. keep_alive:
    between two requests. cache: how long a page below the head may be kept. recheck: how old what
    is known of a token or of rights may be. look: between two looks without a notification.
    """

    public: str | None = None
    local_only: bool = False
    jwt: Jwt | None = None
    origins: tuple[str, ...] = ()
    connections: int = 4000
    streams: int = 2500
    waiting: int = 1000
    batch: int = 500
    longest_wait: float = 60.0
    heartbeat: float = 15.0
    patience: float = 30.0
    buffer: int = 1 << 20
    header: int = 16 << 10
    header_time: float = 10.0
    keep_alive: int = 30
    cache: int = 3600
    sessions: int = 4
    call_time: float = 15.0
    recheck: float = 5.0
    look: float = 1.0

    def __post_init__(self) -> None:
        for origin in self.origins:
            if origin != "*" and not ORIGIN.fullmatch(origin):
                raise BadArgument(
                    "this is not an origin",
                    detail=f"Origin {origin}.",
                    hint="Write scheme, host and port, as browsers do: https://shop.example",
                )


def is_loopback(host: str) -> bool:
    """host: localhost or an address. Any other name may lead anywhere, also 127.0.0.1.example."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
