"""Rows, values and spans of time as people read them."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from tabulate import tabulate

from pgpublish import exact
from pgpublish.terminal import printable, say, say_json


def terminal_width(otherwise: int = 100_000) -> int:
    """In columns; otherwise: of a pipe or a file, which can hold whole lines."""
    try:
        return os.get_terminal_size().columns or otherwise
    except OSError:
        return otherwise


def plain(value: object) -> object:
    """A value of JSON's types; intervals in seconds."""
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, datetime):
        return value.isoformat()
    if value is None or isinstance(value, int | float | str | dict | list | Decimal):
        return value
    return str(value)


def cell(value: object) -> object:
    """A value for people: a time in the local zone, a span with its unit."""
    if isinstance(value, dict | list):
        return exact.dumps(value, ascii_only=False)
    if isinstance(value, timedelta):
        return span(value)
    if isinstance(value, datetime):
        return value.astimezone().isoformat(" ", "seconds")
    return printable(value) if isinstance(value, str) else plain(value)


def span(value: timedelta) -> str:
    """Like 3.2 ms, 1.50 s, 12 min, 3 h or 9 d."""
    seconds = value.total_seconds()
    if seconds < 1:
        return f"{seconds * 1000:.1f} ms"
    if seconds < 120:
        return f"{seconds:.2f} s" if seconds < 10 else f"{seconds:.0f} s"
    length, unit = next(
        u for u in ((86_400, "d"), (3_600, "h"), (60, "min")) if seconds >= 2 * u[0]
    )
    return f"{seconds / length:.0f} {unit}"


def show_rows(rows: Sequence[dict[str, Any]], as_json: bool, *, none: str) -> None:
    """Rows as a table people can read, or as one JSON object a line; none: what to say without.

    A table that is too wide, for 80 columns where there is no terminal, is shown as records.
    """
    if as_json:
        for row in rows:
            say_json({name: plain(value) for name, value in row.items()})
    elif rows:
        cells = [["-" if v is None else cell(v) for v in row.values()] for row in rows]
        table = tabulate(cells, headers=list(rows[0]), tablefmt="simple", disable_numparse=True)
        width = terminal_width(80)
        if max(map(len, table.splitlines())) <= width:
            say(table)
        else:
            say("\n\n".join(record(list(rows[0]), values, width) for values in cells))
    else:
        say(none, err=True)


def record(names: Sequence[str], values: Sequence[object], width: int) -> str:
    """A line for each value, and more where it does not fit."""
    indent = max(map(len, names)) + 2
    return "\n".join(
        textwrap.fill(
            str(value) or "-",
            max(width, indent + 20),
            initial_indent=name.ljust(indent),
            subsequent_indent=" " * indent,
            break_on_hyphens=False,
        )
        for name, value in zip(names, values, strict=True)
    )


def short(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"
