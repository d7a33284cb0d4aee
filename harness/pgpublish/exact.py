"""JSON with every digit of a number, and to any depth.

Python's json reads 1.10 as a double, refuses integers of more than 4,300 digits, and ends at about
a thousand levels; PostgreSQL's jsonb does none of this. What Python's json can do, it does here.
"""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Any

DIGITS = 4000  # of an int; Python refuses to read or write more than 4,300
TOKEN = re.compile(r'[ \t\r\n]*([][{},:]|"(?:[^"\\]|\\.)*"|[^][{},:" \t\r\n]+)', re.DOTALL)


def loads(text: str) -> Any:
    """The value; a number with a fraction or an exponent is a Decimal. Raises ValueError."""
    try:
        return _decoder.decode(text)
    except RecursionError:
        return _deep(text)


def loads_bytes(text: str | bytes) -> Any:
    """loads, as psycopg calls it."""
    return loads(text.decode() if isinstance(text, bytes) else text)


def dumps(value: Any, *, ascii_only: bool = True) -> str:
    """JSON text of what loads returned, and of what json.dumps takes. Raises TypeError."""
    try:
        return json.dumps(value, ensure_ascii=ascii_only)
    except (TypeError, RecursionError, ValueError):
        return _written(value, ascii_only)


def _number(text: str) -> int | Decimal:
    return int(text) if len(text) <= DIGITS else Decimal(text)


def _refuse(word: str) -> Any:
    raise ValueError(f"{word} is not JSON")


_decoder = json.JSONDecoder(parse_float=Decimal, parse_int=_number, parse_constant=_refuse)


def _deep(text: str) -> Any:
    """loads without recursion, of text that is JSON but for its depth."""
    root: list[Any] = []
    stack: list[Any] = [root]
    names: list[str] = []  # of the objects that are open; a name waits for its value
    wants_name = False
    for token in (found[1] for found in TOKEN.finditer(text)):
        if token in "]}":
            stack.pop()
            wants_name = False
        elif token == ",":
            wants_name = isinstance(stack[-1], dict)
        elif wants_name:
            names.append(_decoder.decode(token))
            wants_name = False
        elif token != ":":
            value: Any = {} if token == "{" else [] if token == "[" else _decoder.decode(token)
            if isinstance(stack[-1], dict):
                stack[-1][names.pop()] = value
            else:
                stack[-1].append(value)
            if token in "{[":
                stack.append(value)
                wants_name = token == "{"
    if len(root) != 1 or len(stack) != 1:
        raise ValueError("this is not JSON")
    return root[0]


def _written(value: Any, ascii_only: bool) -> str:
    parts: list[str] = []
    todo: list[tuple[bool, Any]] = [(False, value)]  # whether it is text already, and what
    while todo:
        is_text, item = todo.pop()
        if is_text:
            parts.append(item)
        elif isinstance(item, Decimal):
            parts.append(_digits(item))
        elif isinstance(item, dict):
            inner = [(False, v) for v in item.values()]
            heads = [json.dumps(str(name), ensure_ascii=ascii_only) + ": " for name in item]
            todo.append((True, "}"))
            for n in range(len(inner) - 1, -1, -1):
                todo += [inner[n], (True, (", " if n else "") + heads[n])]
            todo.append((True, "{"))
        elif isinstance(item, list | tuple):
            todo.append((True, "]"))
            for n in range(len(item) - 1, -1, -1):
                todo += [(False, item[n]), (True, ", " if n else "")]
            todo.append((True, "["))
        else:
            parts.append(json.dumps(item, ensure_ascii=ascii_only))
    return "".join(parts)


def _digits(number: Decimal) -> str:
    if not number.is_finite():
        raise ValueError("JSON has no such number")
    return format(number, "f")
