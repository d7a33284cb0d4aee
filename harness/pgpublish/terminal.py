"""The one place that writes to a terminal.

Text that comes from the database or from an endpoint could steer a terminal: clear it, set its
title, hide or reverse what follows. So no other module writes to stdout or stderr, and here
everything that is not a printable character is written out as an escape sequence of text.
"""

from __future__ import annotations

import logging
import re
import sys
import threading
import traceback
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any
from unicodedata import category

import click

from pgpublish import exact

if TYPE_CHECKING:
    from rich.live import Live
    from rich.text import Text

# What may be none; most text is all of these, and a match is fast.
HARMLESS = re.compile(r"[ -~]*")
CLEAR = "\033[2J\033[1;1H"


def say(text: str = "", *, err: bool = False, end: str = "\n") -> None:
    """Writes text for people; line breaks and tabs stay."""
    _write(printable(text, "\n\t") + end, err)


def say_json(value: Any, *, err: bool = False) -> None:
    """Writes value as one line of JSON, each number with all its digits."""
    _write(json_line(value) + "\n", err)


def json_line(value: Any) -> str:
    """value as one line of JSON, for say."""
    return json_text(exact.dumps(value))


def say_as_is(text: str) -> None:
    """Writes what this package wrote, to stdout."""
    _write(text, False)


def painted(text: str, width: int = 0, *, right: bool = False, **style: Any) -> str:
    """text for say_painted: printable, as wide as width, with click's styles."""
    text = printable(text)
    return click.style(text.rjust(width) if right else text.ljust(width), **style)


def say_painted(text: str) -> None:
    """Writes what painted has made; without colours where there is no terminal."""
    _write(text + "\n", False)


def live_screen() -> Live:
    """A screen of its own that is drawn again and again, of what words() makes."""
    from rich.console import Console
    from rich.live import Live

    return Live(console=Console(highlight=False), screen=True, auto_refresh=False)


def words(text: str, style: str = "") -> Text:
    """text for live_screen: printable, and never markup."""
    from rich.text import Text

    return Text(printable(text), style=style, no_wrap=True, overflow="ellipsis")


def clear() -> None:
    """Empties the screen."""
    if sys.stdout.isatty():
        _write(CLEAR, False)


def printable(text: str, but: str = "") -> str:
    """text with what could steer a terminal written out as in Python, but for these characters."""
    if HARMLESS.fullmatch(text):
        return text
    return "".join(c if _harmless(c) or c in but else _escaped(c) for c in text)


def json_text(text: str) -> str:
    """The same JSON with what could steer a terminal as \\uXXXX; text has no line break."""
    if HARMLESS.fullmatch(text):
        return text
    return "".join(c if _harmless(c) else _json_escaped(c) for c in text)


def progress_bar(*, label: str, **more: Any) -> AbstractContextManager[Any]:
    """click's progress bar on stderr, if that is a terminal."""
    show: Callable[[Any], str | None] = more.pop("item_show_func", lambda item: item)

    def shown(item: Any) -> str | None:
        text = show(item)
        return None if text is None else printable(text)

    return click.progressbar(
        label=printable(label).replace("%", "%%"),
        file=sys.stderr,
        hidden=not sys.stderr.isatty(),
        show_pos=True,
        show_percent=True,
        item_show_func=shown,
        **more,
    )


def finish(bar: Any) -> None:
    """Has the bar end at 100 %, where its length was an estimate."""
    bar.length = bar.pos = max(1, bar.pos)
    bar.render_progress()


def guard() -> None:
    """Has what others write on our behalf go through here: the log lines of client libraries, and
    the tracebacks of errors that nobody foresaw."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, ValueError):
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    if not any(isinstance(handler, _Lines) for handler in logging.root.handlers):
        logging.root.addHandler(_Lines(logging.WARNING))
    sys.excepthook = _crashed
    threading.excepthook = lambda it: _crashed(
        it.exc_type, it.exc_value or it.exc_type(), it.exc_traceback
    )


class _Lines(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        say(f"{record.name}: {self.format(record)}", err=True)


def _crashed(kind: type[BaseException], error: BaseException, where: TracebackType | None) -> None:
    say("".join(traceback.format_exception(kind, error, where)), err=True, end="")


def _harmless(c: str) -> bool:
    return c.isprintable() or category(c) == "Zs"


def _escaped(c: str) -> str:
    return c.encode("unicode_escape").decode()


def _json_escaped(c: str) -> str:
    units = c.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[n]:02x}{units[n + 1]:02x}" for n in range(0, len(units), 2))


def _write(text: str, err: bool) -> None:
    click.echo(text, nl=False, err=err)
