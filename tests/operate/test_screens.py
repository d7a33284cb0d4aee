"""status, top and report show what is there, to people who may not have read the code."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import sys
import termios
import time
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import click
import pyte
import pytest
from click.testing import CliRunner
from helpers import PATIENCE, drain_all, enqueue, one

from pgpublish import charts, cli, figures, operate, report
from pgpublish.cli import status
from pgpublish.presence import Presence

HOSTILE = "</td><script src=//evil/x>&'\"[red]\x1b]0;owned\x07\u202e"


@pytest.fixture
def db(connect):
    """A feed with one of everything that can be shown."""
    db = connect()
    db.execute(
        "create table thing (id int primary key); insert into thing select generate_series(1, 40);"
        "analyze thing;"
        "select publish_define('note'), publish_define('thing', 'thing'), publish_walk('thing'),"
        "       publish_subscribe('copy', 'stdout'),"
        "       publish_job_add('export', 'export', data => '{\"done\": 7, \"total\": 20}'),"
        "       publish_job_start('export', worker => 'host:1')"
    )
    for n in range(5):
        enqueue(db, "note", str(n), str(n))
    db.execute("select publish_drain(20)")
    db.execute("select publish_drain(20)")
    return db


@pytest.fixture
def run(url):
    return lambda *command: CliRunner().invoke(cli.main, ["--database-url", url, *command])


def warned(db):
    return {about for about, _, _ in db.execute("select * from publish.warnings()").fetchall()}


# --- what needs somebody


def test_nobody_drains_is_a_warning_while_marks_wait_and_a_drain_ends_it(db):
    db.execute("update publish.drain set application = 'psql', at = at - '1 hour'::interval")
    assert "drain" in warned(db)
    Presence("drain").beat(db, "draining")
    assert "drain" not in warned(db)
    db.execute("update publish.worker_beat set at = at - '1 min'::interval")
    assert "drain" in warned(db)
    drain_all(db)
    db.execute("update publish.drain set at = at - '1 hour'::interval")
    assert "drain" not in warned(db)  # nothing waits


def test_publishing_that_is_off_is_the_warning_and_not_that_nobody_drains(db):
    db.execute("update publish.drain set application = 'psql', at = at - '1 hour'::interval")
    db.execute("select publish_set('publishing', 'off')")
    hints = "select w.about, w.hint from publish.warnings() w where w.message ~ 'drain|off'"
    assert db.execute(hints).fetchall() == [
        ("drain", "Ask who did it, then: pgpublish set publishing on")
    ]
    db.execute("select publish_set('publishing', 'on')")
    kind = one(db, "select k.kind from publish.kind k order by k.kind limit 1")
    db.execute("select publish_set('publishing', 'off', %s)", [kind])
    assert {f"kind {kind}", "drain"} <= warned(db)


def test_nobody_delivers_is_a_warning_while_something_could_be_sent(db):
    assert "deliver" in warned(db)
    Presence("deliver").beat(db, "waiting for changes")
    assert "deliver" not in warned(db)


def test_keys_that_fail_dead_letters_faults_and_pauses_by_the_database_are_warnings(db):
    drain_all(db)
    db.execute("create view broken as select id, 1 / (id - id) as x from thing")
    db.execute("select publish_define('broken', 'broken'), publish_enqueue('broken', '1')")
    db.execute("select publish_drain()")
    assert "kind broken" in warned(db)
    assert "subscription copy" not in warned(db)
    db.execute("select publish_pause('copy')")
    assert "subscription copy" not in warned(db)  # a person did that
    db.execute("update publish.subscription set paused_reason = 'promoted'")
    assert "subscription copy" in warned(db)
    db.execute("select publish_resume('copy'), publish.report_fault('copy', 'no host')")
    assert "subscription copy" in warned(db)


def test_check_exits_6_for_a_warning_and_0_without(db, run):
    db.execute("update publish.drain set application = 'pgpublish'")
    refused = run("status", "--check")
    assert refused.exit_code == 6
    assert "deliver" in refused.stderr
    drain_all(db)
    db.execute("select publish_unsubscribe('copy'), publish_job_cancel('export')")
    done = run("status", "--check")
    assert (done.exit_code, done.stderr) == (0, "")


# --- status


def test_status_is_one_screen_of_plain_text_in_a_pipe(db, run):
    said = run("status").stdout
    assert "\x1b" not in said
    for fact in ("head 25", "waiting 20", "note", "thing", "99 % of about 40", "copy", "stdout",
                 "7/20", "host:1", "Needs somebody"):  # fmt: skip
        assert fact in said, said
    assert max(map(len, said.splitlines())) < 200
    assert [line for line in said.splitlines() if line.endswith(" ")] == []


def test_an_empty_installation_has_a_status_too(url, run):
    said = run("status")
    assert said.exit_code == 0
    assert "head 0" in said.stdout
    assert "none is known" in said.stdout


def test_status_in_json_has_all_that_the_screen_shows(db, run):
    row = json.loads(run("status", "--json").stdout)
    assert row["head"] == one(db, "select publish_head()")
    assert [kind["kind"] for kind in row["kinds"]] == ["note", "thing"]
    assert row["warnings"]
    assert {line["step"] for line in row["latency"]} == {"published"}
    assert sum(step["published"] for step in row["hour"]) == row["head"]
    assert sum(step["marks"] for step in row["day"]) == 25


def test_status_of_a_reader_shows_no_job_of_others(db):
    db.execute("set role publish_reader")
    assert operate.overview(db)["feed"]["head"] == 25
    assert operate.running_jobs(db) == []
    db.execute("reset role")
    assert len(operate.running_jobs(db)) == 1


# --- on a terminal


def terminal(url: str, *command: str, until: str, width: int = 130, height: int = 45):
    """The screen once it shows this, all bytes so far, and the exit code after SIGTERM."""
    pid, fd = pty.fork()
    if pid == 0:
        # readline, which pytest loads, has set LINES and COLUMNS; rich would heed them.
        environment = {n: v for n, v in os.environ.items() if n not in ("LINES", "COLUMNS")}
        environment["TERM"] = "xterm-256color"
        program = [sys.executable, "-m", "pgpublish", "--database-url", url, *command]
        os.execve(program[0], program, environment)
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))
    screen, raw, shown = pyte.Screen(width, height), b"", []
    stream, deadline = pyte.ByteStream(screen), time.monotonic() + PATIENCE / 2
    told = False
    while time.monotonic() < deadline:
        if not select.select([fd], [], [], 0.2)[0]:
            continue
        try:
            got = os.read(fd, 65536)
        except OSError:
            break
        if not got:
            break
        stream.feed(got)
        raw += got
        if not told and until in "\n".join(screen.display):
            shown, told = list(screen.display), True
            os.kill(pid, signal.SIGTERM)
    if not told:
        os.kill(pid, signal.SIGKILL)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    os.close(fd)
    assert told, "\n".join(screen.display)
    return shown, raw, code


@pytest.mark.parametrize("width", [80, 130])
def test_top_shows_curves_kinds_subscriptions_workers_and_jobs(db, url, width):
    Presence("deliver").beat(db, "waiting for changes")
    shown, _, code = terminal(url, "top", until="running 1", width=width)
    said = "\n".join(shown)
    for fact in ("changes/s", "p95", "waiting", "note", "thing", "copy", "deliver", "export"):
        assert fact in said, said
    assert "█" in said
    assert code == 0
    assert shown[1].startswith("╭")
    assert shown[1].endswith("╮")


def test_top_lets_nobody_steer_the_terminal_and_reads_no_markup(db, url):
    db.execute("select publish_define(%s)", ["kind" + HOSTILE])
    _, raw, code = terminal(url, "top", until="[red]", width=160)
    assert code == 0
    assert b"\x1b]0;" not in raw
    assert "\u202e".encode() not in raw


def test_top_needs_a_terminal(db, run):
    refused = run("top")
    assert refused.exit_code == 1
    assert "pgpublish report" in refused.stderr


def test_status_has_colours_on_a_terminal_and_watch_goes_on_until_a_signal(db, url):
    shown, raw, code = terminal(url, "status", "--watch", "--interval", "0.2", until="Running")
    assert b"\x1b[31m" in raw or b"\x1b[1m\x1b[31m" in raw or b"\x1b[31m\x1b[1m" in raw
    assert code == 0
    assert shown[0].startswith("pgpublish ")


# --- report


class Page(HTMLParser):
    VOID = ("meta", "br")

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, Any]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def parsed(html: str) -> Page:
    page = Page()
    page.feed(html)
    page.close()
    return page


def test_the_report_shows_what_is_there_and_refers_to_nothing_outside(db, run, tmp_path: Path):
    Presence("drain").beat(db, "draining")
    file = tmp_path / "report.html"
    assert run("report", "-o", str(file)).exit_code == 0
    html = file.read_text()
    assert re.sub(r"\d", "", run("report").stdout)[:500] == re.sub(r"\d", "", html)[:500]
    page = parsed(html)
    for fact in ("note", "thing", "copy", "40 of 40", "draining",
                 "export", "Needs somebody", "Commit to published, last day"):  # fmt: skip
        assert fact in page.text, fact
    assert [tag for tag, _ in page.tags if tag in ("script", "link", "img", "iframe")] == []
    named = [a for _, attrs in page.tags for a in attrs if a in ("src", "href", "onload")]
    assert named == []
    assert not re.search(r"url\(|@import|https?://", html)
    assert "prefers-color-scheme: dark" in html
    assert sum(tag == "svg" for tag, _ in page.tags) == 4
    assert sum(tag == "polyline" for tag, _ in page.tags) >= 6


def test_the_report_escapes_every_text_that_it_shows(db, run):
    found = operate.overview(db)

    def hostile(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: hostile(of) for name, of in value.items()}
        if isinstance(value, list):
            return [hostile(of) for of in value]
        if not isinstance(value, str) or re.match(r"\d{4}-\d\d-\d\dT", value):
            return value
        return HOSTILE

    jobs = [
        row | {"id": HOSTILE, "kind": HOSTILE, "worker": HOSTILE}
        for row in operate.running_jobs(db)
    ]
    steps = {name: found[name] for name in ("hour", "day", "latency")}
    html = report.page(hostile(found) | steps, jobs)
    assert "<script" not in html
    assert "\x1b" not in html
    assert "\u202e" not in html
    plain = parsed(report.page(found, operate.running_jobs(db)))
    assert {tag for tag, _ in parsed(html).tags} <= {tag for tag, _ in plain.tags} | {"br"}
    assert html.count("&lt;script src=//evil/x&gt;") >= 20


def test_a_file_that_cannot_be_written_is_refused(db, run):
    refused = run("report", "-o", "/nowhere/report.html")
    assert refused.exit_code == 1
    assert "cannot be written" in refused.stderr


# --- figures


@pytest.mark.parametrize(
    ("n", "said"),
    [(None, "-"), (0, "0 ms"), (0.0421, "42 ms"), (1, "1.0 s"), (59.94, "59.9 s"),
     (61, "1 min 1 s"), (3599, "59 min 59 s"), (3661, "1 h 1 min"), (90000, "1 d 1 h")],
)  # fmt: skip
def test_spans_are_told_in_two_units(n, said):
    assert figures.seconds(n) == said


@pytest.mark.parametrize(
    ("n", "said"),
    [(0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (123_456_789, "123 MB"), (5e12, "5.0 TB")],
)
def test_sizes_are_told_in_their_unit(n, said):
    assert figures.size(n) == said


def test_a_sparkline_goes_from_zero_to_the_highest_and_leaves_gaps():
    assert figures.sparkline([0, None, 5, 10], 6) == "  ▁ ▅█"
    assert figures.sparkline([], 3) == "   "
    assert figures.sparkline([0, 0], 2) == "▁▁"


def test_a_step_without_a_drain_is_a_gap():
    now = datetime(2026, 1, 1, 12, 0, 5, tzinfo=UTC)
    history = [{"at": (now - timedelta(seconds=5 + ago)).isoformat()} for ago in (30, 10)]
    assert figures.series(history, 10, now.isoformat(), 5) == [-1, 0, -1, 1, -1]


@pytest.mark.parametrize(
    ("most", "top"),
    [(0, 1), (0.0004, 0.0005), (0.1, 0.1), (0.236, 0.5), (1, 1), (7, 10), (1814, 2000), (10, 10)],
)
def test_an_axis_ends_at_a_round_figure(most, top):
    assert charts.nice(most) == pytest.approx(top)


def test_columns_are_as_wide_as_their_content_and_titles_are_cut():
    rows = [[status.Cell("x" * 300), status.Cell("1", None, True)]]
    assert len(list(status.table(("Kind", "n"), rows))) == 3
    assert status.cut("abcdef", 4) == "abc…"


def test_columns_stay_below_their_heads_where_the_table_is_wider_than_the_terminal():
    rows = [[status.Cell("a"), status.Cell("x" * 100)]]
    _, heads, row = map(click.unstyle, status.table(("Subscriptions", "sink"), rows))
    assert heads.index("sink") == row.index("x")
