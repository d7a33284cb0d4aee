"""URLs of brokers: a client reads its settings from them too, so that only some may stand there."""

from __future__ import annotations

import re
from collections.abc import Collection
from urllib.parse import parse_qsl, urlsplit

from pgpublish.errors import BadArgument

SPECIAL = re.compile(r"[\s\x00-\x1f\x7f]")


def checked(
    url: str, option: str, *, schemes: Collection[str], parameters: Collection[str] = ()
) -> str:
    """The URL as it was given. Raises BadArgument, which does not show it: it may hold a login."""
    try:
        parts = urlsplit(url)
        asked = parse_qsl(parts.query, keep_blank_values=True)
        fine = parts.scheme in schemes and bool(parts.hostname) and parts.port != 0
    except ValueError:
        fine, asked = False, []
    if not fine or SPECIAL.search(url) or "@" in parts.path + parts.query + parts.fragment:
        raise BadArgument(
            "this is not a URL of this sink",
            detail=f"Option {option}.",
            hint=f"Write {' or '.join(f'{s}://…' for s in schemes)}, a login percent-encoded.",
        ) from None
    if not {name for name, _ in asked} <= set(parameters):
        raise BadArgument(
            "the URL has a parameter that it may not have",
            detail=f"Option {option}.",
            hint=f"Allowed: {', '.join(parameters) or 'none'}.",
        )
    return url
