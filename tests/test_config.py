"""pgpublish.toml: below flags and the environment, and no mistake in it passes unseen."""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from conftest import Connection

from pgpublish import cli
from pgpublish.cli import config

Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command in a folder with this pgpublish.toml, in an environment that says nothing."""
    monkeypatch.chdir(tmp_path)
    for name in [*config.POLICY.values(), "DATABASE_URL", "PGPUBLISH_CONFIG", "PGPUBLISH_BATCH"]:
        monkeypatch.setenv(name, "")  # so that what a run sets is taken back
        monkeypatch.delenv(name)

    def invoke(*arguments: str, text: str | None = None, mode: int = 0o600) -> Result:
        if text is not None:
            Path(config.NAME).write_text(text)
            Path(config.NAME).chmod(mode)
        return CliRunner().invoke(cli.main, arguments)

    return invoke


def drains(result: Result) -> int:
    return len(result.stdout.splitlines())


def test_a_flag_counts_over_the_environment_and_that_over_the_file(
    run: Run, db: Connection, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    db.execute("select publish_define('note')")

    def drained(*flags: str) -> int:
        db.execute("select publish_enqueue('note', n::text, to_jsonb(random()))"
                   "  from generate_series(1, 12) n")  # fmt: skip
        result = run("drain", "--once", "--json", *flags)
        assert result.exit_code == 0, result.output
        return max(json.loads(line)["scanned"] for line in result.stdout.splitlines())

    Path(config.NAME).write_text(f"url = {json.dumps(url)}\nbatch = 2\n")
    assert drained() == 2
    Path(config.NAME).write_text(f"url = {json.dumps(url)}\nbatch = 2\n[drain]\nbatch = 3\n")
    assert drained() == 3
    monkeypatch.setenv("PGPUBLISH_BATCH", "4")
    assert drained() == 4
    assert drained("--batch", "6") == 6


def test_the_url_of_the_file_is_below_that_of_the_environment(
    run: Run, db: Connection, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    nowhere = "host=/nowhere dbname=x"
    text = f"url = {json.dumps(nowhere)}"
    assert run("status", text=text).exit_code == 3
    monkeypatch.setenv("DATABASE_URL", url)
    assert run("status").exit_code == 0
    assert run("--database-url", nowhere, "status").exit_code == 3


def test_the_file_may_be_elsewhere_but_must_be_there(
    run: Run, db: Connection, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "other.toml"
    file.write_text(f"url = {json.dumps(url)}")
    monkeypatch.setenv("PGPUBLISH_CONFIG", str(file))
    assert run("status", text="this = 'file is not read'").exit_code == 0
    file.unlink()
    result = run("status")
    assert (result.exit_code, result.stderr.count("there is no such file")) == (1, 1)


def test_a_workers_policy_goes_where_the_environment_says_nothing(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGPUBLISH_SINKS", "nats")
    text = """
    sinks = ["webhook"]
    networks = ["public", "10.1.0.0/16"]
    env-prefix = ["A_", "B_"]
    ambient-credentials = true
    """
    assert run("sql", text=text).exit_code == 0
    found = [os.environ[name] for name in config.POLICY.values()]
    assert found == ["nats", "public,10.1.0.0/16", "A_,B_", "true"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("bacth = 5", "Did you mean batch?"),
        ("[drain]\nbacth = 5", "Did you mean batch?"),
        ("[drian]\nbatch = 5", "Did you mean drain?"),
        ("[jobs.wacth]\ninterval = 1", "Did you mean watch or batch?"),
        ("qqqq = 5", "Use ambient-credentials, audit, "),
        ("batch = 0", "batch: 0 is not in the range"),
        ("batch = 'many'", "batch: 'many' is not a valid integer"),
        ("batch = true", "batch = True"),
        ("batch = [1]", "batch = [1]"),
        ("[drain]\nonce = 'yes'", "drain.once = yes"),
        ("drain = 5", "drain is a command"),
        ("[jobs]\nwatch = 5", "jobs.watch is a command"),
        ("url = 5", "url is no text"),
        ("sinks = 'webhook'", "sinks is no array"),
        ("networks = [10]", "networks is no text"),
        ("ambient-credentials = 'yes'", "Write true or false."),
        ("url = postgres", "this is not TOML"),
    ],
)
def test_a_mistake_is_named_with_what_to_write(run: Run, text: str, said: str) -> None:
    result = run("status", text=text)
    assert result.exit_code == 1
    assert result.stderr.startswith(f"pgpublish: the settings in {config.NAME} are wrong\n")
    assert said in result.stderr
    assert "Traceback" not in result.stderr
    assert run("--help").exit_code == 0, "help is there all the same"


def test_a_file_that_others_can_write_or_that_shows_them_a_password_is_warned_of(run: Run) -> None:
    secret = 'url = "postgresql://u:hidden@localhost:1/x"'
    assert "warning" not in run("sql", text=secret, mode=0o600).stderr
    assert "warning" not in run("sql", text="batch = 5", mode=0o644).stderr
    written = run("sql", text="batch = 5", mode=0o664).stderr
    assert written.startswith("warning: other users can write")
    shown = run("sql", text=secret, mode=0o644).stderr
    assert shown.startswith("warning: other users can read the password")
    assert "hidden" not in shown


def test_init_writes_a_file_once_that_changes_nothing_and_names_settings_that_exist(
    run: Run,
) -> None:
    assert run("init").exit_code == 0
    file = Path(config.NAME)
    assert file.stat().st_mode & 0o777 == 0o600
    text = file.read_text()
    assert tomllib.loads(text) == {}
    every = re.sub(r"^# (?=\[|[a-z-]+ = )", "", text, flags=re.M)
    assert set(tomllib.loads(every)) >= {"url", *config.SHARED, *config.POLICY}
    assert run("sql", text=every).exit_code == 0
    again = run("init")
    assert (again.exit_code, file.read_text()) == (1, every)
