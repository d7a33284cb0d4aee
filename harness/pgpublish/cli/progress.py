"""A job in a few words: how far it is, and what went wrong last."""

from __future__ import annotations

from typing import Any, TypeGuard

BAR = 20  # characters of a progress bar


def last_error(row: dict[str, Any]) -> str | None:
    """The beginning of it, if the job has not succeeded since."""
    if not row["error"] or row["status"] == "succeeded":
        return None
    return f"{row['error']}: {row['message']}".splitlines()[0][:60]


def part(data: Any) -> str:
    """How far a job is, in at most 15 columns."""
    bar = progress(data)
    return bar.split("] ")[-1].split()[0] if "]" in bar else bar


def progress(data: Any) -> str:
    """data.done of data.total as a bar, where a job keeps them."""
    if not isinstance(data, dict) or not is_count(done := data.get("done")):
        return ""
    if not is_count(total := data.get("total")) or total == 0:
        return f"{done:,}"
    share = min(1.0, done / total)
    filled = int(share * BAR)
    return f"[{'#' * filled}{'-' * (BAR - filled)}] {share:4.0%} {done:,}/{total:,}"


def is_count(value: Any) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e15
