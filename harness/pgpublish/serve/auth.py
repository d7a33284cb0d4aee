"""Who asks: a bearer token of publish_token_add, a JSON Web Token, or nobody in particular."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import jwt
from starlette.requests import HTTPConnection

from pgpublish.errors import BadArgument, BadToken, NotGranted
from pgpublish.serve.settings import Settings, is_loopback
from pgpublish.serve.shared import Shared
from pgpublish.serve.store import Store, digest

LONGEST_TOKEN = 8 << 10
AHEAD_S = 30  # that the clock of who signs a token may be ahead of ours
FORWARDED = {  # what proxies add
    "cf-connecting-ip",
    "forwarded",
    "true-client-ip",
    "via",
    "x-client-ip",
    "x-envoy-external-address",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-real-ip",
}
LAST_SECOND = 253402300799  # of the year 9999, the last that datetime knows


@dataclass(frozen=True)
class Reader:
    """role and scope: whose rights count. expires_at: when its streams end. token: None where it
    came without."""

    role: str
    scope: str | None
    expires_at: datetime | None = None
    token: str | None = None

    def expires_in(self) -> float | None:
        if self.expires_at is None:
            return None
        return (self.expires_at - datetime.now(UTC)).total_seconds()


class Auth:
    def __init__(self, store: Store, settings: Settings) -> None:
        self.store = store
        self.settings = settings
        self._known: Shared[Reader] = Shared(settings.recheck)

    async def reader(self, request: HTTPConnection, *, in_query: bool = False) -> Reader:
        """in_query: the token may be a parameter, for EventSource, which sends no headers.

        Raises BadToken, NotGranted, BadArgument, ConnectionFailed.
        """
        if self.settings.local_only:
            _require_local(request)
        token = _bearer(request)
        if in_query and "access_token" in request.query_params:
            if token is not None:
                raise BadArgument("the token is given twice", hint="Send it as a header only.")
            token = request.query_params["access_token"]
        if token is None:
            if self.settings.public is None:
                raise BadToken(
                    "a token is needed",
                    hint="Send the header Authorization: Bearer ….",
                    sqlstate="PT401",
                )
            return Reader(self.settings.public, None)
        return await self.check(token)

    async def check(self, token: str) -> Reader:
        """Whose token this is, as the database said within the last seconds."""
        if len(token) > LONGEST_TOKEN or not token.isascii():
            raise _bad("it is not a token")
        reader = await self._known.get(digest(token), lambda: self._check(token))
        left = reader.expires_in()
        if left is not None and left <= 0:
            raise _bad("its time is over")
        return reader

    async def require(self, reader: Reader) -> None:
        """Raises BadToken if its token ended, or is worth something else than before."""
        left = reader.expires_in()
        if left is not None and left <= 0:
            raise _bad("its time is over")
        if reader.token is not None:
            now = await self.check(reader.token)
            if (now.role, now.scope) != (reader.role, reader.scope):
                raise _bad("it is worth something else now")

    def is_signed(self, token: str) -> bool:
        """It is a JSON Web Token, which the database knows nothing of."""
        return self.settings.jwt is not None and token.count(".") == 2

    async def _check(self, token: str) -> Reader:
        if self.is_signed(token):
            return self._decoded(token)
        _, role, scope, expires_at = await self.store.token(token)
        return Reader(role, scope, expires_at, token)

    def _decoded(self, token: str) -> Reader:
        known = self.settings.jwt
        assert known is not None
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                known.key,
                algorithms=[known.algorithm],
                audience=known.audience,
                issuer=known.issuer,
                leeway=AHEAD_S,  # of nbf and iat: check() looks at exp without it
                options={"require": ["exp"], "verify_aud": known.audience is not None},
            )
        except jwt.PyJWTError as error:
            raise _bad(str(error)) from None
        role = known.role or claims.get(known.role_claim)
        if not isinstance(role, str) or not role:
            raise _lacks(known.role_claim)
        scope = None
        if known.scope_claim is not None:
            scope = claims.get(known.scope_claim)
            if isinstance(scope, int) and not isinstance(scope, bool):
                scope = str(scope)
            if not isinstance(scope, str) or not scope:
                raise _lacks(known.scope_claim)
        ends = datetime.fromtimestamp(min(int(claims["exp"]), LAST_SECOND), UTC)
        return Reader(role, scope, ends, token)


def _bearer(request: HTTPConnection) -> str | None:
    values = request.headers.getlist("authorization")
    if not values:
        return None
    scheme, _, token = values[0].partition(" ")
    if len(values) > 1 or scheme.lower() != "bearer" or not token.strip():
        raise _bad("the header Authorization is not one Bearer token")
    return token.strip()


def _require_local(request: HTTPConnection) -> None:
    """A page of another site reaches a loopback address by a name of its own; a proxy by ours."""
    given = re.fullmatch(r"(?:\[([^\[\]]*)\]|([^:]*))(?::[0-9]*)?", request.headers.get("host", ""))
    host = "" if given is None else given[1] or given[2] or ""
    forwarded = not FORWARDED.isdisjoint(request.headers.keys())
    if forwarded or not is_loopback(host):
        raise NotGranted(
            "this server answers only on this machine",
            detail="It was started without a rule for who may read.",
            hint="Start it with --public ROLE, or with --tokens to ask for tokens.",
            sqlstate="PT403",
        )


def _bad(detail: str) -> BadToken:
    return BadToken("this token is not accepted", detail=detail, sqlstate="PT401")


def _lacks(claim: str) -> NotGranted:
    return NotGranted(
        "this token does not say whose it is",
        detail=f"Its claim {claim} is not a text.",
        hint="Let the issuer of the token set it.",
        sqlstate="PT403",
    )
