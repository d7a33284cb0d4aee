"""The Retry-After header of RFC 9110: seconds, or one of three forms of date, all of them UTC."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import parsedate_tz

SECONDS = re.compile(r"\d{1,9}(\.\d*)?|\d+", re.ASCII)
LONGEST = 31_536_000.0  # a year


def seconds(retry_after: str | None, now: float) -> float | None:
    """The wait from now, at most a year; 0 for what is past; None where there is no header, or
    nobody can read it. now: Unix seconds."""
    text = (retry_after or "").strip()
    if SECONDS.fullmatch(text):
        return min(float(text), LONGEST)
    found = parsedate_tz(text) if text[:1].isalpha() else None
    if found is None:
        return None
    try:  # parsedate_tz takes a date without a zone, as asctime writes it, for one in local time
        at = datetime(*found[:6], tzinfo=UTC).timestamp() - (found[9] or 0)
    except (ValueError, OverflowError):  # the 31st of February
        return None
    return min(max(0.0, at - now), LONGEST)
