"""What a person reads first: help, tables and completion."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta

import click
import pytest
from click.testing import CliRunner, Result
from conftest import Connection
from helpers import one
from test_docs import every_command

from pgpublish import cli
from pgpublish.cli.console import SECTIONS
from pgpublish.cli.tables import show_rows, span
from pgpublish.terminal import finish, progress_bar

WORDS = [path for path in every_command(cli.main) if path]


@pytest.fixture
def run(url: str) -> Callable[..., Result]:
    def invoke(*arguments: str) -> Result:
        return CliRunner().invoke(cli.main, ["--database-url", url, *arguments])

    return invoke


def test_each_command_is_in_one_section() -> None:
    listed = [name for names in SECTIONS.values() for name in names.split()]
    assert sorted(listed) == sorted(cli.main.commands)


@pytest.mark.parametrize("path", [(), ("jobs",), ("dead",), ("quarantine",)], ids=" ".join)
def test_no_summary_is_cut_off(path: tuple[str, ...]) -> None:
    help = CliRunner().invoke(cli.main, [*path, "--help"], terminal_width=80).output
    listing = help[help.index("Start:" if not path else "Commands:") :]
    assert "..." not in listing
    assert max(map(len, help.splitlines())) <= 80


@pytest.mark.parametrize("path", WORDS, ids=" ".join)
def test_a_command_says_what_it_does_and_each_option_what_it_is(path: tuple[str, ...]) -> None:
    command: click.Command = cli.main
    for word in path:
        assert isinstance(command, click.Group)
        command = command.commands[word]
    assert command.help
    first = command.help.split()[0]
    assert first[0].isupper()
    assert not first.endswith("s") or first in ("Pass", "Process"), "not the imperative"
    assert first not in ("Have", "The", "A")
    for option in command.params:
        if isinstance(option, click.Option):
            assert option.help, option.name


def test_a_table_that_is_too_wide_is_shown_as_records(capsys: pytest.CaptureFixture[str]) -> None:
    row = {"kind": "note", "message": "word " * 40, "waited": timedelta(seconds=90)}
    show_rows([row, row], False, none="")
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[0].split() == ["kind", "note"]
    assert " ".join(lines).count("word") == 80
    assert sum(line.split() == ["waited", "90", "s"] for line in lines) == 2


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.0032, "3.2 ms"), (1.5, "1.50 s"), (59, "59 s"), (720, "12 min"), (10_800, "3 h"),
     (777_600, "9 d")],
)  # fmt: skip
def test_a_span_has_its_unit(seconds: float, said: str) -> None:
    assert span(timedelta(seconds=seconds)) == said


def test_lists_fit_80_columns(run: Callable[..., Result], db: Connection) -> None:
    long = "a long name of something that a person thought up at night and kept"
    db.execute("select publish_job_add(%s, %s, '{\"done\": 1000000, \"total\": 3000000}')",
               [long, long])  # fmt: skip
    token = one(db, "select token from publish_job_start(id => %s, worker => 'w')", long)
    db.execute("select publish_job_fail(%s, %s, %s, %s)", [long, token, long, long * 3])
    db.execute("create view bad as select 1 as id, 1 / (random() * 0)::int as v")
    db.execute("select publish_define('bad', 'bad')")
    db.execute("select publish_enqueue('bad', '1')")
    db.execute("select publish_drain()")
    for words in (
        ["jobs"],
        ["quarantine", "list"],
        ["status"],
        ["subscriptions"],
        ["jobs", "limits"],
    ):
        shown = run(*words)
        assert shown.exit_code == 0, shown.output
        assert all(len(line) <= 80 for line in shown.output.splitlines()), shown.output
    assert "division by zero" in run("quarantine", "list").output


def test_a_progress_bar_ends_at_100_percent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    with progress_bar(label="x", length=1000) as bar:
        bar.update(10)  # an estimate that was far too high
        finish(bar)
        assert bar.pct == 1.0
        assert bar.pos == 10


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_for_a_shell_calls_the_command(shell: str) -> None:
    script = CliRunner().invoke(cli.main, ["completion", shell])
    assert script.exit_code == 0
    assert f"_PGPUBLISH_COMPLETE={shell}_complete" in script.output


def test_a_shell_is_offered_commands_kinds_and_subscriptions(db: Connection, url: str) -> None:
    db.execute("select publish_define('note'); select publish_define('nothing')")
    db.execute("select publish_subscribe('search', 'stdout')")

    def offered(*words: str) -> list[str]:
        environment = os.environ | {
            "_PGPUBLISH_COMPLETE": "bash_complete", "COMP_WORDS": " ".join(["pgpublish", *words]),
            "COMP_CWORD": str(len(words)), "DATABASE_URL": url,
        }  # fmt: skip
        result = subprocess.run([sys.executable, "-m", "pgpublish"], env=environment,
                                capture_output=True, text=True)  # fmt: skip
        assert result.stderr == ""
        return [line.split(",")[1] for line in result.stdout.splitlines()]

    assert offered("verif") == ["verify"]
    assert offered("verify", "not") == ["note", "nothing"]
    assert offered("quarantine", "retry", "note") == ["note"]
    assert offered("pause", "s") == ["search"]
