"""The documentation says what the code does."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click
import doc_session
import psycopg
import pytest
import reference
from click.testing import CliRunner
from psycopg.conninfo import make_conninfo

from pgpublish import cli, errors
from pgpublish.cli import config

ROOT = Path(__file__).parents[1]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])


@pytest.mark.parametrize(
    "page", [p for p in PAGES if doc_session.BLOCK.search(p.read_text())], ids=lambda p: p.name
)
def test_sql_sessions_print_what_the_page_says(page: Path, url: str) -> None:
    text = page.read_text()
    written = [block["text"] for block in doc_session.BLOCK.finditer(text)]
    produced = doc_session.outputs(url, text)
    assert [doc_session.masked(t) for t in produced] == [doc_session.masked(t) for t in written]


def test_the_first_view_needs_no_superuser_and_no_schema_public(url: str) -> None:
    page = (ROOT / "docs/first-view.md").read_text()
    written = [block["text"] for block in doc_session.BLOCK.finditer(page)]
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute("create role seller login in role publish_admin")
        conn.execute("create schema seller authorization seller")
        try:
            produced = doc_session.outputs(make_conninfo(url, user="seller"), page)
        finally:
            conn.execute("drop owned by seller cascade")
            conn.execute("drop role seller")
    produced = [text.replace("seller.", "public.") for text in produced]  # six letters both
    assert [doc_session.masked(t) for t in produced] == [doc_session.masked(t) for t in written]


def test_commands_page_is_what_help_prints() -> None:
    assert (ROOT / "docs/commands.md").read_text() == commands_page()


def test_errors_page_lists_every_sqlstate_and_exit_code() -> None:
    page = (ROOT / "docs/errors.md").read_text()
    assert set(re.findall(r"^\| (PT\d{3}) ", page, re.M)) == set(errors.BY_SQLSTATE)
    codes = {c.exit_code for c in vars(errors).values()
             if isinstance(c, type) and issubclass(c, errors.PublishError)}  # fmt: skip
    assert codes | {0, 2} == {int(n) for n in re.findall(r"^\| (\d) ", page, re.M)}


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        assert (page.parent / target).exists(), target


def test_the_readme_is_short_and_the_index_has_every_page() -> None:
    assert len((ROOT / "README.md").read_text().split()) < 900
    index = ROOT / "docs/README.md"
    linked = {name for name in re.findall(r"\]\((\S+?\.md)\)", index.read_text())}
    assert {page.name for page in (ROOT / "docs").glob("*.md")} - {index.name} <= linked


def test_a_term_is_told_once() -> None:
    terms = re.findall(r"^\| ([\w ,]+) \| ", (ROOT / "docs/glossary.md").read_text(), re.M)
    assert [t for t in terms if t != "term" and terms.count(t) > 1] == []


def test_the_settings_page_names_every_setting() -> None:
    page = (ROOT / "docs/settings.md").read_text()
    rows = dict(re.findall(r"^\| `([\w-]+)` \|.*?`(\w+)` \| [^|]+ \| [^|]+ \|$", page, re.M))
    assert set(rows) == {"url", *config.SHARED, *config.POLICY}
    assert {name: rows[name] for name in config.POLICY} == config.POLICY


WRITTEN = [*PAGES, ROOT / "sql/README.md", ROOT / "CONTRIBUTING.md"]


@pytest.mark.parametrize("page", WRITTEN, ids=lambda p: p.name)
def test_the_tests_that_a_page_names_exist(page: Path) -> None:
    files = [f for f in (ROOT / "tests").rglob("test_*") if f.suffix in (".py", ".sql")]
    known = {f.stem for f in files}
    known.update(n for f in files for n in re.findall(r"^def (test_\w+)", f.read_text(), re.M))
    named = set(re.findall(r"`(test_\w+)`", page.read_text()))
    assert named <= known, sorted(named - known)


@pytest.mark.parametrize("page", WRITTEN, ids=lambda p: p.name)
def test_the_objects_that_a_page_names_exist(page: Path) -> None:
    sql = [f for name in ("sql", "migrations") for f in (ROOT / name).rglob("*.sql")]
    code = "\n".join(f.read_text() for f in sql)
    named = set(re.findall(r"`(publish(?:_gate)?[._]\w+)(?![\w…])", page.read_text()))
    known = set(re.findall(r"publish(?:_gate)?[._]\w+", code))
    assert named <= known, sorted(named - known)


def test_the_table_of_public_functions_is_that_of_the_catalog(url: str) -> None:
    table = (ROOT / "sql/README.md").read_text().split("\n## Public functions\n")[1]
    told = {
        function: "".join(sorted(row[2]))
        for row in re.findall(r"^\| (\w+) \| (.+?) \| .* \| ([WRKAS ]+) \|$", table, re.M)
        for function in re.findall(r"`(\w+)`", row[1])
    }
    roles = {"W": "writer", "R": "reader", "K": "worker", "A": "admin", "S": "server"}
    with psycopg.connect(url) as conn:
        rows = conn.execute(
            "select p.proname, n.letter"
            "  from pg_proc p"
            " cross join unnest(%s::text[], %s::text[]) as n (letter, role)"
            " where p.pronamespace = 'public'::regnamespace and p.proname like 'publish\\_%%'"
            "   and has_function_privilege('publish_' || n.role, p.oid, 'execute')",
            [list(roles), list(roles.values())],
        ).fetchall()
    granted: dict[str, set[str]] = {}
    for function, letter in rows:
        granted.setdefault(function, set()).add(letter)
    assert {f: set(told[f]) - {" "} for f in told} == granted


def test_the_reference_is_what_the_catalog_says(url: str) -> None:
    with psycopg.connect(url) as conn:
        assert reference.PAGE.read_text() == reference.page(conn)


def every_command(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Words of each command, those of groups before those in them."""
    yield path
    for name, command in sorted(group.commands.items()):
        if isinstance(command, click.Group):
            yield from every_command(command, (*path, name))
        else:
            yield (*path, name)


def commands_page() -> str:
    """docs/commands.md, from the commands' own help."""
    page = "# Commands\n\nWritten from `--help`; `make docs` renews it.\n"
    for path in every_command(cli.main):
        result = CliRunner().invoke(
            cli.main, [*path, "--help"], prog_name="pgpublish", terminal_width=90
        )
        title = " ".join(("pgpublish", *path))
        page += f"\n## {title}\n\n```\n{result.output.rstrip()}\n```\n"
    return page


if __name__ == "__main__":
    (ROOT / "docs/commands.md").write_text(commands_page())
