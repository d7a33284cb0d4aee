"""JSON of the feed is read and written with every digit, to any depth."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from click.testing import CliRunner
from conftest import Connection

from pgpublish import Change, exact, follow
from pgpublish.cli import main

DEEP = "[" * 5000 + '{"a": [1.10, "x\\" ]", {}, []], "b": {"c": null, "d": {}}}' + "]" * 5000


@pytest.mark.parametrize(
    "text",
    ["12345678901234567890.12345", "1.10", "9" * 6000, "-0.000000000000000000000000000001",
     "9007199254740993", '{"a": [1.50, {"b": -1.0}], "c": "é"}', "1" + "0" * 400, "[]", "{}", DEEP],
)  # fmt: skip
def test_what_was_read_is_written_as_it_was(text: str) -> None:
    assert exact.dumps(exact.loads(text), ascii_only=False) == text


def test_broken_json_is_refused_at_any_depth() -> None:
    for text in ("[1", "[" * 5000, "[" * 5000 + "]" * 4999, "nul", "NaN", "[-Infinity]"):
        with pytest.raises(ValueError, match=r"."):
            exact.loads(text)


def test_numbers_arrive_with_every_digit(db: Connection, url: str) -> None:
    numbers = '{"total": 12345678901234567890.12345, "rate": 1.10, "id": 9007199254740993}'
    db.execute("select publish_define('note')")
    db.execute("select publish_enqueue('note', '1', %s::jsonb)", [numbers])
    db.execute("select publish_enqueue('note', '2', %s::jsonb)", ["9" * 5000])
    db.execute("select publish_drain()")
    events = follow(url, wait=False)
    found = [event.payload for event in events if isinstance(event, Change)]
    assert found[0] == {
        "total": Decimal("12345678901234567890.12345"), "rate": Decimal("1.10"),
        "id": 9007199254740993,
    }  # fmt: skip
    assert str(found[0]["rate"]) == "1.10"
    assert found[1] == Decimal("9" * 5000)
    printed = CliRunner().invoke(main, ["--database-url", url, "changes", "--json"])
    as_text = json.JSONDecoder(parse_float=str, parse_int=str).decode
    first, second = map(as_text, printed.stdout.splitlines())
    assert first["payload"] == as_text(numbers)
    assert second["payload"] == "9" * 5000


@pytest.mark.parametrize("flag", [[], ["--json"]])
def test_a_deep_payload_is_read_by_the_command(flag: list[str], db: Connection, url: str) -> None:
    db.execute("select publish_define('note')")
    db.execute("select publish_enqueue('note', '1', %s::jsonb)", ["[" * 990 + "]" * 990])
    db.execute("select publish_drain()")
    result = CliRunner().invoke(main, ["--database-url", url, "changes", *flag])
    assert result.exit_code == 0, result.stderr
    assert "[" * 990 in result.stdout
