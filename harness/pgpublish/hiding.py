"""Keeps secrets out of what is shown: an endpoint may quote one whole, in part, or encoded.

Hidden is what a text has in common with a secret: SHARED characters in a row, in either case, or
a whole word of it. The secret counts as it is, percent-encoded and decoded, base64 and decoded from
base64; a URL counts with its login as a client sends it.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator
from contextlib import suppress
from urllib.parse import quote, unquote, urlsplit

SHARED = 6
WORD = 4  # characters; a shorter one says nothing, and would be found everywhere
MASK = "***"
WORDS = re.compile(r"\w+")
COMMON = {"http", "https"}  # stand before what is secret, and in every message


class Hider:
    """Hides these secrets."""

    def __init__(self, secrets: Iterable[str]) -> None:
        forms = {_lower(form) for secret in secrets for form in _forms(secret)}
        self._pieces = {f[n : n + SHARED] for f in forms for n in range(len(f) - SHARED + 1)}
        self._words = {w for f in forms for w in WORDS.findall(f) if len(w) >= WORD} - COMMON

    def hide(self, text: str) -> str:
        """The text with MASK for all that could be of a secret."""
        if not (self._pieces or self._words):
            return text
        low = _lower(text)
        hidden = bytearray(len(low))
        for n in range(len(low) - SHARED + 1):
            if low[n : n + SHARED] in self._pieces:
                hidden[n : n + SHARED] = b"x" * SHARED
        for found in WORDS.finditer(low):
            if found[0] in self._words:
                hidden[found.start() : found.end()] = b"x" * len(found[0])
        return "".join(
            MASK if run[0].startswith(b"x") else text[slice(*run.span())]
            for run in re.finditer(rb"x+|\0+", hidden)
        )


def _lower(text: str) -> str:
    """In lower case, with every character in its place."""
    return "".join(low if len(low := c.lower()) == 1 else c for c in text)


def _forms(secret: str) -> Iterator[str]:
    plain = unquote(secret)
    texts = {secret, plain, *secret.split()}
    with suppress(ValueError):
        url = urlsplit(secret)
        texts.add(f"{unquote(url.username or '')}:{unquote(url.password or '')}")
    for text in texts:
        yield text
        yield quote(text, safe="")
        # What stands before it moves the text within groups of three bytes; the first and the last
        # characters depend on the neighbours.
        for before in range(3):
            encoded = b64encode(b"\0" * before + text.encode(errors="replace")).decode().rstrip("=")
            yield encoded[4 if before else 0 : -1]
        with suppress(ValueError):
            yield b64decode(text.removeprefix("whsec_"), validate=True).decode()
