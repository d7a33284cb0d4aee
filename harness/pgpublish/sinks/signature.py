"""Signatures as the Standard Webhooks specification 1.0 has them: symmetric, version v1."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence

from pgpublish.errors import BadArgument


def keys(secrets: Sequence[str]) -> list[bytes]:
    """The bytes of secrets written whsec_… or plain base64. Raises BadArgument, without them."""
    try:
        found = [base64.b64decode(s.removeprefix("whsec_"), validate=True) for s in secrets]
    except binascii.Error:
        found = [b""]
    if not all(found):
        raise BadArgument(
            "a signing secret is empty or not base64",
            detail="Option secrets.",
            hint="Write whsec_ and the base64 of 24 to 64 random bytes.",
        ) from None
    return found


def headers(keys: Sequence[bytes], message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """webhook-id, -timestamp and -signature; one signature per key, so that keys can rotate."""
    signed = f"{message_id}.{timestamp}.".encode() + body
    signatures = [
        "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode() for key in keys
    ]
    found = {"webhook-id": message_id, "webhook-timestamp": str(timestamp)}
    return found | ({"webhook-signature": " ".join(signatures)} if signatures else {})
