"""What comes from the database or an endpoint reaches a terminal as text, never as a command."""

from __future__ import annotations

import ast
import json
import os
import pty
import select
import sys
import time
from pathlib import Path

import pytest
from conftest import Connection

from pgpublish.terminal import json_text, printable

PACKAGE = Path(__file__).parents[1] / "harness/pgpublish"
STEERING = ("\x1b", "\x9b", "\x07", "\x7f", "\u202e", "\u2066", "\r", "\0", "\U000e0041")
HOSTILE = "a\x1b]0;owned\x07\x9b31m\u202eb\x7f"


@pytest.mark.parametrize("character", STEERING)
def test_what_steers_is_written_out(character: str) -> None:
    assert character not in printable(f"a{character}b")
    raw = json.dumps(f"a{character}b", ensure_ascii=False)
    assert character not in json_text(raw)
    assert json.loads(json_text(raw)) == f"a{character}b"


def test_what_people_write_is_left_alone() -> None:
    for text in ("é ü ñ", "日本語\u3000の", "a\u00a0b", "🙂", "…"):
        assert printable(text) == text
        assert json_text(text) == text


def test_no_other_module_writes_to_a_terminal() -> None:
    """sinks/stdout.py writes JSON lines through json_text; embedded and demo print their own."""
    found = []
    for path in PACKAGE.rglob("*.py"):
        place = path.relative_to(PACKAGE).as_posix()
        if place in ("terminal.py", "sinks/stdout.py") or place.startswith("demo/"):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in (
                "print", "click.echo", "click.secho", "click.progressbar", "click.clear",
                "sys.stdout.write", "sys.stderr.write", "traceback.print_exc",
            ):  # fmt: skip
                found.append(f"{place}:{node.lineno}")
    assert found == []


def test_that_rule_sees_a_module_that_breaks_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "loud.py").write_text("import click\nclick.echo('x')\n")
    monkeypatch.setattr(sys.modules[__name__], "PACKAGE", tmp_path)
    with pytest.raises(AssertionError, match=r"loud\.py:2"):
        test_no_other_module_writes_to_a_terminal()


def test_log_lines_and_tracebacks_of_others_are_written_out(tmp_path: Path) -> None:
    script = (
        "import logging, threading, warnings, pgpublish.terminal as t; t.guard()\n"
        f"text = {HOSTILE!r}\n"
        "logging.getLogger('client').warning(text)\n"
        "work = threading.Thread(target=lambda: int(text)); work.start(); work.join()\n"
        "raise ValueError(text)\n"
    )
    said = on_terminal([sys.executable, "-c", script])
    assert said.count("owned") >= 3
    assert not any(c in said for c in ("\x1b", "\x9b", "\x07", "\u202e"))


@pytest.mark.parametrize(
    "command",
    [["changes"], ["changes", "--json"], ["deliver", "--once"], ["subscriptions"], ["audit"],
     ["subscriptions", "--json"], ["verify"], ["backfill", "kind" + HOSTILE, "--no-wait"],
     ["unsubscribe", "none" + HOSTILE], ["dead", "list"], ["quarantine", "list"], ["jobs"],
     ["status"], ["status", "--json"], ["report"]],
)  # fmt: skip
def test_no_command_lets_the_database_steer(
    command: list[str], db: Connection, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = "kind" + HOSTILE
    db.execute(f'create table t (id int primary key, "c{HOSTILE}" int)'.encode())
    db.execute("create view v as select * from t")
    db.execute(
        "select publish_define(%s) as a, publish_define(%s, 'v') as b", [kind, "p" + HOSTILE]
    )
    db.execute("select publish_enqueue(%s, '1', %s::jsonb)", [kind, json.dumps(HOSTILE)])
    db.execute("select publish_drain()")
    db.execute("select publish_subscribe(%s, 'stdout')", ["s" + HOSTILE])
    db.execute("select publish_job_add(%s, %s)", ["j" + HOSTILE, kind])
    monkeypatch.setenv("DATABASE_URL", url)
    said = on_terminal([sys.executable, "-m", "pgpublish", *command])
    assert said
    assert not any(c in said for c in ("\x1b]", "\x9b", "\x07", "\u202e", "\x7f"))


def on_terminal(command: list[str], seconds: float = 30) -> str:
    """What the command writes on a terminal of its own."""
    pid, fd = pty.fork()
    if pid == 0:
        os.execv(command[0], command)
    out = b""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if select.select([fd], [], [], 0.2)[0]:
            try:
                got = os.read(fd, 65536)
            except OSError:
                break
            if not got:
                break
            out += got
    os.waitpid(pid, 0)
    os.close(fd)
    return out.decode("utf-8", "replace")
