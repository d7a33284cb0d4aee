"""Errors as application/problem+json (RFC 9457), with the code of the database."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from pgpublish.errors import BadArgument, ConnectionFailed, PublishError

RETRY_AFTER = {"Retry-After": "2"}


class Busy(Exception):
    """As many clients as may are there."""


def problem(
    status: int,
    title: str,
    *,
    detail: str | None = None,
    hint: str | None = None,
    code: str | None = None,
    headers: dict[str, str] | None = None,
) -> Response:
    body = {
        "type": "about:blank",
        "title": title,
        "status": status,
        "detail": detail,
        "hint": hint,
        "code": code,
    }
    text = json.dumps({name: value for name, value in body.items() if value is not None})
    return Response(
        text,
        status,
        {"Cache-Control": "no-store", **(headers or {})},
        media_type="application/problem+json",
    )


def of(error: PublishError) -> Response:
    """PTnnn is the status. What else went wrong in the database is not the client's to know."""
    if isinstance(error, ConnectionFailed) or error.sqlstate in ("57014", "53300", "PT503"):
        return problem(503, "the database does not answer now", headers=RETRY_AFTER)
    if error.sqlstate[:2] != "PT" and not isinstance(error, BadArgument):
        return problem(500, "the feed cannot be read", code=error.sqlstate or None)
    code = error.sqlstate or "PT400"
    status = int(code[2:])
    headers = {"WWW-Authenticate": 'Bearer realm="pgpublish"'} if status == 401 else None
    return problem(
        status, error.message, detail=error.detail, hint=error.hint, code=code, headers=headers
    )


async def on_error(_: Request, error: Exception) -> Response:
    if isinstance(error, PublishError):
        return of(error)
    if isinstance(error, HTTPException):
        title = HTTPStatus(error.status_code).phrase.lower()
        return problem(error.status_code, title, headers=dict(error.headers or {}))
    if isinstance(error, Busy):
        return problem(503, "too many clients", headers=RETRY_AFTER)
    return problem(500, "the server failed")


HANDLERS: dict[Any, Any] = {
    kind: on_error for kind in (PublishError, HTTPException, Busy, Exception)
}
