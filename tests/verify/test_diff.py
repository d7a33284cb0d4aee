"""verify --diff shows how what is published differs from the view, field by field."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import CliRunner, Result
from helpers import drain_all

from pgpublish import cli

Run = Callable[..., Result]


@pytest.fixture
def run(url: str) -> Run:
    return lambda *arguments: CliRunner().invoke(cli.main, ["--database-url", url, *arguments])


@pytest.fixture
def items(db: Any) -> Any:
    """Key 1 and 2 differ in a field, 3 is missing, 4 is surplus, 5 is equal."""
    db.execute(
        "create table item (id int primary key, name text, price numeric(6, 2), doc jsonb);"
        "create view item_view as select i.id, i.name, i.price, i.doc from item i;"
        "select publish_define('item', 'item_view');"
        "insert into item select n, 'name ' || n, n, '{\"a\": 1}' from generate_series(1, 5) n;"
        "delete from item where id = 3; select publish_walk('item')"
    )
    drain_all(db)
    db.execute(
        "update item set price = 10.50, name = E'new\\nline' where id = 1;"
        "update item set doc = jsonb_build_object('long', repeat('x', 500)) where id = 2;"
        "insert into item values (3, 'three', 3, null); delete from item where id = 4"
    )
    return db


def test_each_difference_is_shown_as_published_and_as_the_view_says(items: Any, run: Run) -> None:
    found = run("verify", "item", "--diff")
    assert found.exit_code == 6
    lines = found.stdout.splitlines()
    assert all(len(line) <= 80 for line in lines), lines
    at = lines.index("  stale          1")
    assert lines[at + 1 : at + 3] == [
        '    name: "name 1" → "new\\nline"',
        "    price: 1.00 → 10.50",
    ]
    doc = lines[lines.index("  stale          2") + 1]
    assert doc.startswith('    doc: {"a": 1} → {"long": "xxx')
    assert doc.endswith("…")
    assert lines[lines.index("  missing        3") + 1].startswith('    nothing → {"id": 3')
    assert lines[lines.index("  surplus        4") + 1].endswith(" → nothing")


def test_as_json_the_values_are_whole_and_exact(items: Any, run: Run) -> None:
    found = run("verify", "item", "--diff", "--json").stdout
    assert '"old": 1.00, "new": 10.50' in found
    by_key = {d["source_id"]: d for d in json.loads(found)["differences"]}
    assert len(by_key["2"]["fields"][0]["new"]["long"]) == 500
    assert by_key["3"]["fields"][0]["field"] is None
    assert "5" not in by_key


def test_a_new_schema_version_is_a_field_and_nothing_differs_after_the_drain(
    items: Any, run: Run
) -> None:
    items.execute("update publish.kind set schema_version = 2 where kind = 'item'")
    assert "schema_version: 1 → 2" in run("verify", "item", "--diff").stdout
    run("verify", "item", "--repair")
    drain_all(items)
    again = run("verify", "item", "--diff")
    assert (again.exit_code, again.stdout) == (0, "item: 4 keys checked, all as the view says\n")
