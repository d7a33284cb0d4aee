"""A function of somebody else in schema public that has the name of one of ours is never called in
its place: each call names the schema, gives every argument, and says its type."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import test_catalog
from conftest import Connection

from pgpublish import resources

PACKAGE = Path(__file__).parents[1] / "harness/pgpublish"
# Their SQL is shown to be read, run in a database of its own, or refused where such a function is.
APART = ("demo/", "plan/applying.py")
TRIGGERS = ("publish_enqueue",)  # named where triggers are looked for, and called nowhere
CALL = re.compile(r"(\w+\.)?\b(publish_[a-z_]+)\(((?:[^()']|'[^']*')*)\)")
GIVEN = re.compile(
    r".+::(text|name|int|bigint|boolean|jsonb|uuid|interval|timestamptz|numeric|bytea|regclass"
    r"|regprocedure)(\[\])?|\d+|%d|true|false|interval '[\w ]+'"
)


def calls(package: Path) -> Iterator[tuple[str, str, str, list[str]]]:
    """Where, schema, function and arguments of each call that stands in a string."""
    for path in sorted(package.rglob("*.py")):
        place = path.relative_to(package).as_posix()
        if place.startswith(APART):
            continue
        tree = ast.parse(path.read_text())
        prose = set()
        for node in ast.walk(tree):
            if isinstance(node, ast.Expr):
                prose.add(id(node.value))
            elif isinstance(node, ast.Call):
                prose |= {id(k.value) for k in node.keywords if k.arg in ("hint", "help")}
                prose |= {id(a) for a in node.args if ast.unparse(node.func) in ("log", "say")}
        for node in ast.walk(tree):
            if isinstance(node, ast.JoinedStr):
                text = "".join(v.value if isinstance(v, ast.Constant) else "?" for v in node.values)
            elif isinstance(node, ast.Constant) and id(node) not in prose:
                text = node.value.decode() if isinstance(node.value, bytes) else str(node.value)
            else:
                continue
            for schema, name, arguments in CALL.findall(text):
                given = [a.strip() for a in arguments.split(",")] if arguments else []
                yield f"{place}:{node.lineno}", schema, name, given


def takes_of(db: Connection) -> dict[str, int]:
    """How many arguments each public function takes."""
    found = db.execute(
        "select p.proname, max(p.pronargs) from pg_proc p"
        " where p.pronamespace = 'public'::regnamespace group by p.proname"
    )
    return dict(found.fetchall())


def test_every_call_gives_each_argument_with_its_type(db: Connection) -> None:
    takes = takes_of(db)
    found = [*calls(PACKAGE)]
    assert len(found) > 40
    wrong = [
        (place, name, given)
        for place, schema, name, given in found
        if schema != "public." or len(given) != takes[name]
        or not all(GIVEN.fullmatch(argument) for argument in given)
    ]  # fmt: skip
    assert wrong == []


def test_that_rule_sees_a_call_that_breaks_it(
    db: Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = ("publish_head()", "public.publish_get(%s, %s::uuid)", "public.publish_page(%s::text)")
    (tmp_path / "loose.py").write_text("".join(f"x = 'select {call}'\n" for call in wrong))
    assert [line for line, *_ in calls(tmp_path)] == [f"loose.py:{n}" for n in (1, 2, 3)]
    monkeypatch.setitem(globals(), "PACKAGE", tmp_path)
    with pytest.raises(AssertionError):
        test_every_call_gives_each_argument_with_its_type(db)


def test_every_call_inside_sql_gives_each_argument(db: Connection) -> None:
    """There, each has a type: variables and arguments do."""
    takes = takes_of(db)
    assert [
        f"{file.path}: {name}"
        for file in resources.functions()
        for name, given in test_catalog.calls(file)
        if len(given) < takes.get(name, 0) and name not in TRIGGERS
    ] == []
