"""The command, as a person or a program meets it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
import servers
from click.testing import CliRunner, Result
from conftest import Background, Connect, Connection
from helpers import until

from pgpublish import cli
from pgpublish.embedded import Cluster

COMMANDS = {
    "audit": ["audit"], "backfill": ["backfill", "thing"], "changes": ["changes"],
    "drain": ["drain", "--once"], "quarantine list": ["quarantine", "list"],
    "quarantine retry": ["quarantine", "retry"], "status": ["status"], "verify": ["verify"],
}  # fmt: skip


@pytest.fixture
def run(url: str) -> Callable[..., Result]:
    def invoke(*arguments: str, database_url: str = url) -> Result:
        return CliRunner().invoke(cli.main, ["--database-url", database_url, *arguments])

    return invoke


@pytest.fixture
def things(db: Connection) -> Connection:
    db.execute("create table thing (id int primary key, v text)")
    db.execute("create view thing_feed as select id, v from thing")
    db.execute("select publish_define('thing', 'thing_feed')")
    db.execute(
        "create trigger thing_feed after insert or update or delete on thing"
        " for each row execute function publish_enqueue('thing', 'id')"
    )
    return db


def assert_one_line_and_a_hint(result: Result, exit_code: int) -> None:
    assert result.exit_code == exit_code, result.output
    lines = result.stderr.splitlines()
    assert lines[0].startswith("pgpublish: ")
    assert lines[-1].startswith("  hint: ")
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("arguments", COMMANDS.values(), ids=COMMANDS)
def test_no_server_exits_3(run: Callable[..., Result], arguments: list[str]) -> None:
    assert_one_line_and_a_hint(run(*arguments, database_url="host=/nowhere dbname=x"), 3)


def test_no_such_database_and_no_url_exit_3(run: Callable[..., Result], cluster: Cluster) -> None:
    assert_one_line_and_a_hint(run("status", database_url=cluster.url("not_there")), 3)
    assert_one_line_and_a_hint(run("status", database_url="this is no url"), 3)


def test_wrong_password_exits_3(
    run: Callable[..., Result], cluster: Cluster, admin: Connection, database: str
) -> None:
    hba = cluster.data / "pg_hba.conf"
    before = hba.read_text()
    admin.execute("create role careful login password 'right'")
    try:
        hba.write_text("local all careful scram-sha-256\n" + before)
        admin.execute("select pg_reload_conf()")
        url = cluster.url(database, "careful")
        deadline = psycopg.connect(cluster.url(), autocommit=True)
        with deadline:
            result = run("status", database_url=f"{url} password=wrong")
            while result.exit_code == 1:  # until the server has read its new rules
                result = run("status", database_url=f"{url} password=wrong")
        assert_one_line_and_a_hint(result, 3)
        assert "password" in result.stderr
        assert_one_line_and_a_hint(run("status", database_url=url), 3)
    finally:
        hba.write_text(before)
        admin.execute("select pg_reload_conf()")
        admin.execute("drop role careful")


@pytest.mark.parametrize("arguments", COMMANDS.values(), ids=COMMANDS)
def test_an_empty_database_exits_4(
    run: Callable[..., Result],
    arguments: list[str],
    cluster: Cluster,
    new_database: Callable[..., str],
) -> None:
    assert_one_line_and_a_hint(run(*arguments, database_url=cluster.url(new_database())), 4)


def test_a_half_migrated_and_a_newer_schema_exit_4(
    run: Callable[..., Result], db: Connection
) -> None:
    db.execute("delete from publish.file where path like 'sql/feed/%'")
    assert_one_line_and_a_hint(run("status"), 4)
    assert run("migrate").exit_code == 0
    assert run("status").exit_code == 0
    db.execute("insert into publish.file values ('migrations/9999_later.sql', 'x')")
    for arguments in (["status"], ["migrate"], ["migrate", "--check"]):
        assert_one_line_and_a_hint(run(*arguments), 4)


def test_migrate_check_says_what_would_change_and_changes_nothing(
    run: Callable[..., Result], cluster: Cluster, new_database: Callable[..., str]
) -> None:
    url = cluster.url(new_database())
    check = run("migrate", "--check", "--json", database_url=url)
    assert check.exit_code == 4
    assert "sql/drain/publish_drain.sql" in json.loads(check.stdout)
    with psycopg.connect(url) as conn:
        found = conn.execute("select to_regnamespace('publish')").fetchone()
    assert found == (None,)
    assert run("migrate", database_url=url).stdout.startswith("applied ")
    assert run("migrate", database_url=url).stdout == "nothing to do\n"
    assert run("migrate", "--check", database_url=url).exit_code == 0


def test_sql_piped_into_psql_installs_everything(
    run: Callable[..., Result], cluster: Cluster, new_database: Callable[..., str]
) -> None:
    url = cluster.url(new_database())
    script = run("sql").stdout
    result = servers.run_psql(url, text=script)
    assert result.returncode == 0, result.stderr
    assert run("migrate", "--check", database_url=url).exit_code == 0
    assert run("status", database_url=url).exit_code == 0


def test_backfill_drain_and_changes_publish_what_existed(
    run: Callable[..., Result], things: Connection
) -> None:
    things.execute("alter table thing disable trigger thing_feed")
    things.execute("insert into thing select i, 'v' || i from generate_series(1, 2500) i")
    assert run("backfill", "thing", "--no-wait").exit_code == 0
    drains = [json.loads(line) for line in run("drain", "--once", "--json").stdout.splitlines()]
    assert sum(drain["published"] for drain in drains) == 2500
    assert drains[-1]["head"] == 2500
    walk = things.execute("select marked, walks from publish_walks('thing'), publish_status()")
    assert walk.fetchone() == (2500, 0)
    rows = [json.loads(line) for line in run("changes", "--json").stdout.splitlines()]
    assert [row["rev"] for row in rows] == list(range(1, 2501))
    assert rows[-1]["payload"] == {"id": 2500, "v": "v2500"}
    table = run("changes", "--since", "2498").stdout.splitlines()
    assert [line.split()[0] for line in table] == ["rev", "2499", "2500"]


def test_status_in_json_has_what_the_function_returns(
    run: Callable[..., Result], things: Connection
) -> None:
    things.execute("insert into thing values (1, 'a')")
    row = json.loads(run("status", "--json").stdout)
    assert (row["head"], row["depth"]) == (0, 1)
    assert row["lag"] > 0
    names = things.execute("select * from publish_status()").description
    assert names is not None
    assert list(row)[: len(names)] == [column.name for column in names]


@pytest.mark.parametrize(
    ("arguments", "exit_code"),
    [
        (["backfill", "nope"], 1), (["changes", "--kind", "nope"], 1),
        (["changes", "--since", "-1"], 1), (["changes", "--since", "x"], 1),
        (["changes", "--since", "999"], 1), (["quarantine", "retry", "thing", "x"], 1),
        (["quarantine", "list", "nope"], 1), (["quarantine", "retry", "nope"], 1),
        (["audit", "nope"], 1), (["verify", "nope"], 1), (["verify", "note"], 1),
        (["backfill", "note"], 1),
    ],
)  # fmt: skip
def test_a_refused_argument_exits_1_with_a_hint(
    run: Callable[..., Result], things: Connection, arguments: list[str], exit_code: int
) -> None:
    things.execute("select publish_define('note')")
    result = run(*arguments)
    assert_one_line_and_a_hint(result, exit_code)
    assert result.stdout == ""


def test_a_server_without_a_free_connection_is_not_asked_for_by_name(
    run: Callable[..., Result], cluster: Cluster, database: str, admin: Connection
) -> None:
    admin.execute("create role crowded login connection limit 0")
    try:
        result = run("status", database_url=cluster.url(database, "crowded"))
    finally:
        admin.execute("drop role crowded")
    assert result.exit_code == 3
    assert "hint: End sessions" in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["define", "x", "nosuch"], ["capture", "thing", "nosuch"],
        ["define", "x", "--validator", "nosuch(jsonb)"], ["define", "x", "--retention", "soon"],
        ["enqueue", "thing", "1", "--available-at", "soon"],
    ],
)  # fmt: skip
def test_what_the_server_itself_refuses_has_a_hint_too(
    run: Callable[..., Result], things: Connection, arguments: list[str]
) -> None:
    assert_one_line_and_a_hint(run(*arguments), 1)


def test_a_file_that_cannot_be_made_is_no_traceback(run: Callable[..., Result]) -> None:
    result = CliRunner().invoke(cli.main, ["demo", "--keep", "/proc/x"])
    assert (result.exit_code, result.stderr) == (
        1, "pgpublish: No such file or directory\n  /proc/x\n",
    )  # fmt: skip


def test_wrong_usage_exits_2(run: Callable[..., Result]) -> None:
    assert run("drain", "--batch", "0").exit_code == 2
    assert run("backfill").exit_code == 2
    assert run("verify", "--batch", "0").exit_code == 2
    assert run("audit", "one", "two").exit_code == 2
    assert run("quarantine").exit_code == 2
    assert run("quarantine", "list", "--batch", "0").exit_code == 2
    assert run("--embedded", "status").exit_code == 2


@pytest.mark.parametrize(
    "arguments",
    [
        ["define", "x", "--retention", "7"], ["subscribe", "s", "stdout", "--lease", " 90 "],
        ["subscribe", "s", "stdout", "--give-up-after", "-1.5"], ["doctor", "--old", "15"],
        ["cron", "install", "--every", ".5"],
    ],
)  # fmt: skip
def test_a_time_without_its_unit_is_not_taken_for_seconds(
    run: Callable[..., Result], arguments: list[str]
) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert "has no unit; pass one, as in '7 days'" in result.stderr


def test_nothing_and_hours_with_minutes_need_no_unit(
    run: Callable[..., Result], things: Connection
) -> None:
    assert run("subscribe", "s", "stdout", "--backoff-max", "1:30").exit_code == 0
    assert run("doctor", "--old", "0").exit_code != 2


def test_drain_once_exits_5_while_another_session_drains(
    run: Callable[..., Result], things: Connection, connect: Connect
) -> None:
    other = connect(autocommit=False)
    other.execute("select publish_drain()")
    assert_one_line_and_a_hint(run("drain", "--once"), 5)
    other.rollback()
    assert run("drain", "--once").exit_code == 0


def test_a_reader_role_may_look_and_a_stranger_may_not(
    run: Callable[..., Result], things: Connection, cluster: Cluster, database: str
) -> None:
    things.execute("create role looker login in role publish_reader")
    things.execute("create role stranger login")
    try:
        assert run("changes", database_url=cluster.url(database, "looker")).exit_code == 0
        assert_one_line_and_a_hint(
            run("drain", "--once", database_url=cluster.url(database, "looker")), 1
        )
        assert_one_line_and_a_hint(run("status", database_url=cluster.url(database, "stranger")), 1)
    finally:
        things.execute("drop role looker")
        things.execute("drop role stranger")


def test_the_loop_publishes_a_follower_prints_and_sigterm_ends_both(
    background: Background, things: Connection
) -> None:
    drain = background("drain", "--json")
    follow = background("changes", "--follow", "--json")
    for number in (1, 2, 3):
        things.execute("insert into thing values (%s, 'x')", [number])
        assert follow.stdout is not None
        change = json.loads(follow.stdout.readline())
        assert (change["rev"], change["payload"]["id"]) == (number, number)
    for process in (follow, drain):
        process.send_signal(signal.SIGTERM)
        output, errors = process.communicate(timeout=10)
        assert process.returncode == 0, errors
        assert "Traceback" not in errors
    assert json.loads(output.splitlines()[0])["head"] >= 1


def test_the_loop_goes_on_after_its_connection_was_killed(
    background: Background, things: Connection
) -> None:
    drain = background("drain", "--json")
    assert drain.stdout is not None
    things.execute("insert into thing values (1, 'x')")
    assert json.loads(drain.stdout.readline())["head"] == 1
    things.execute(
        "select pg_terminate_backend(a.pid) from pg_stat_activity a"
        " where a.application_name = 'pgpublish' and a.datname = current_database()"
    )
    things.execute("insert into thing values (2, 'x')")
    assert json.loads(drain.stdout.readline())["head"] == 2
    drain.send_signal(signal.SIGTERM)
    _, errors = drain.communicate(timeout=10)
    assert drain.returncode == 0
    assert "connection lost" in errors
    assert "Traceback" not in errors


def test_the_demo_ends_by_itself_and_runs_again_to_be_watched() -> None:
    # Not tmp_path: as root, the server's user could not enter it.
    with tempfile.TemporaryDirectory(prefix="pgpublish-demo-") as folder:
        Path(folder).chmod(0o755)
        run_demo(Path(folder) / "kept")
        watch_demo(Path(folder) / "kept")


def watch_demo(keep: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "pgpublish", "demo", "--keep", str(keep), "--serve"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as demo:  # fmt: skip
        try:
            assert demo.stdout is not None
            said = ""
            while not (found := re.search(r"(http://\S+).*this token: (\S+)\n", said, re.S)):
                line = demo.stdout.readline()
                assert line, said
                said += line
            address, token = found.groups()
            headers = {"Authorization": f"Bearer {token}"}
            until(lambda: answers(address))
            now = httpx.get(f"{address}now", headers=headers).json()
            assert "kinds" in {table["name"] for table in now["tables"]}
            with httpx.stream("GET", f"{address}stream?cursor={now['recent']}", timeout=30) as got:
                seen = iter(got.iter_lines())
                assert next(line for line in seen if line == "event: live")
                changed = json.loads(
                    next(s for s in seen if '"payload"' in s).removeprefix("data: ")
                )
            assert (changed["kind"], changed["payload"]["icao"]) == ("airport", changed["key"])
            asked = {"action": "pause", "name": "demo"}
            assert httpx.post(f"{address}operate", headers=headers, json=asked).status_code == 200
            demo.send_signal(signal.SIGINT)
            assert demo.wait(30) == 0
            assert demo.stderr is not None
            assert "Traceback" not in demo.stderr.read()
        finally:
            demo.kill()


def answers(address: str) -> bool:
    try:
        return httpx.get(f"{address}readyz").status_code == 200
    except httpx.TransportError:
        return False


def run_demo(keep: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "pgpublish", "demo", "--keep", str(keep)],
        capture_output=True, text=True, timeout=100,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    figures = facts(result.stdout)
    assert figures["loaded"] > 28_000
    assert figures["read"] == figures["loaded"] == figures["holds"]
    assert figures["suppressed"] > 400
    assert result.stdout.count("deleted=true  gone") == 1
    assert 60 <= figures["done"] < figures["countries"] == figures["different"]
    assert re.search(r"it has (\d+) of \1\.", result.stdout)
    assert "pgpublish migrate" in result.stdout
    assert "pgpublish demo --serve" in result.stdout.splitlines()[-1]


def facts(output: str) -> dict[str, int]:
    patterns = {
        "loaded": r"Loaded ([\d,]+) airports", "read": r"viewer read ([\d,]+) changes",
        "holds": r"viewer holds ([\d,]+) airports", "suppressed": r"([\d,]+) no-op writes",
        "done": r"SIGKILL when (\d+) of", "countries": r"(\d+) countries were counted",
        "different": r"(\d+) different ones",
    }  # fmt: skip
    found: dict[str, Any] = {name: re.search(p, output) for name, p in patterns.items()}
    return {name: int(match[1].replace(",", "")) for name, match in found.items()}


def test_migrate_puts_back_functions_that_a_dump_left_out(
    run: Callable[..., Result], db: Connection
) -> None:
    db.execute(
        "drop function publish_status(); drop function publish.backoff(int, interval, interval)"
    )
    assert_one_line_and_a_hint(run("status"), 4)
    assert run("migrate").stdout == "applied 0 migrations and 2 function files\n"
    assert run("status").exit_code == 0


def test_two_commands_share_one_embedded_server() -> None:
    with tempfile.TemporaryDirectory(prefix="pgpublish-home-") as folder:
        Path(folder).chmod(0o755)
        environment = os.environ | {"PGPUBLISH_HOME": folder, "PYTHONUNBUFFERED": "1"}
        command = [sys.executable, "-m", "pgpublish", "--embedded"]
        subprocess.run([*command, "migrate"], env=environment, check=True, capture_output=True)
        first = subprocess.Popen([*command, "changes", "--follow"], env=environment,
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE)  # fmt: skip
        try:
            pid = Path(folder) / "cluster/data/postmaster.pid"
            while not pid.exists() or "ready" not in pid.read_text():
                assert first.poll() is None
            second = subprocess.run(
                [*command, "status", "--json"], env=environment, capture_output=True, text=True
            )
            assert second.returncode == 0, second.stderr
            assert json.loads(second.stdout)["depth"] == 0
        finally:
            first.terminate()
            first.communicate(timeout=60)


def test_drain_once_says_what_it_did_at_once_and_ends_on_sigint(
    background: Background, things: Connection
) -> None:
    things.execute("insert into thing select i, 'x' from generate_series(1, 20000) i")
    process = background("drain", "--once", "--batch", "1")
    assert process.stdout is not None
    assert process.stdout.readline().startswith("head 1:")
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    depth = things.execute("select depth from publish_status()").fetchone()
    assert depth is not None
    assert 0 < depth[0] < 20000


def test_verify_compares_every_projected_kind_and_shows_the_first_differences(
    run: Callable[..., Result], things: Connection
) -> None:
    things.execute("create table other (id int); select publish_define('other', 'other')")
    things.execute("select publish_define('note')")
    things.execute("alter table thing disable trigger thing_feed")
    things.execute("insert into thing select n, 'x' from generate_series(1, 2000) as n")
    found = run("verify", "--batch", "300")
    assert found.exit_code == 6
    lines = found.stdout.splitlines()
    assert lines[0] == "other: 0 keys checked, all as the view says"
    assert lines[1] == "thing: 2,000 keys checked, 2,000 missing"
    shown = [line.split() for line in lines[2:-1]]
    assert {problem for problem, _ in shown} == {"missing"}
    assert lines[-1] == f"  … and {2000 - len(shown):,} more"
    things.execute("select publish_enqueue('thing', n::text) from generate_series(1, 1999) as n")
    (report,) = map(json.loads, run("verify", "thing", "--json").stdout.splitlines())
    assert (report["missing"], report["pending"]) == (1, 1999)
    assert report["differences"] == [{"source_id": "2000", "problem": "missing"}]


def test_verify_of_every_kind_goes_on_where_a_view_is_gone(
    run: Callable[..., Result], db: Connection
) -> None:
    db.execute(
        "create table a (id int primary key); create view a_view as select id from a;"
        "create table b (id int primary key); create view b_view as select id from b;"
        "select publish_define('a', 'a_view'), publish_define('b', 'b_view');"
        "drop view a_view"
    )
    found = run("verify")
    assert found.exit_code == 6
    assert "a: the view or its key column is gone" in found.stderr
    assert found.stdout == "b: 0 keys checked, all as the view says\n"


def test_verify_repair_is_done_by_the_next_drain_and_the_next_verify_exits_0(
    run: Callable[..., Result], things: Connection
) -> None:
    things.execute("alter table thing disable trigger thing_feed")
    things.execute("insert into thing select n, 'x' from generate_series(1, 2500) as n")
    repaired = run("verify", "--repair")
    assert repaired.exit_code == 6
    assert "2,500 marked for the next drain" in repaired.stdout
    pending = run("verify")
    assert pending.exit_code == 0
    assert pending.stdout == "thing: 2,500 keys checked, all as the view says, 2,500 pending\n"
    assert run("drain", "--once").exit_code == 0
    assert run("verify").stdout == "thing: 2,500 keys checked, all as the view says\n"


def test_verify_repair_of_duplicates_exits_5_while_another_session_drains(
    run: Callable[..., Result], things: Connection, connect: Connect
) -> None:
    things.execute("insert into thing values (1, 'x'), (2, 'x')")
    assert run("drain", "--once").exit_code == 0
    things.execute("update publish.published set source_id = '2' where source_id = '1'")
    other = connect(autocommit=False)
    other.execute("select publish_drain()")
    assert_one_line_and_a_hint(run("verify", "--repair"), 5)
    other.rollback()
    assert run("verify", "--repair").exit_code == 6
    assert run("drain", "--once").exit_code == 0
    assert run("verify").exit_code == 0


def test_audit_shows_each_problem_with_what_to_do(
    run: Callable[..., Result], things: Connection
) -> None:
    right = run("audit")
    assert (right.exit_code, right.stdout, right.stderr) == (0, "", "no problem found\n")
    things.execute(
        "create table other (id int primary key); select publish_define('other', 'other')"
    )
    found = run("audit")
    assert found.exit_code == 6
    object, hint = found.stdout.splitlines()
    assert object.startswith("other: public.other: ")
    assert hint.startswith("  hint: select publish_capture('other', 'public.other'")
    (row,) = map(json.loads, run("audit", "other", "--json").stdout.splitlines())
    assert list(row) == ["of_kind", "object", "problem", "hint"]
    assert run("audit", "thing").exit_code == 0


def test_quarantine_lists_at_most_batch_oldest_first_and_retries_a_kind_or_all(
    run: Callable[..., Result], things: Connection
) -> None:
    things.execute("create view bad_feed as select id, 1 / (id - id) as v from thing")
    things.execute("select publish_define('bad', 'bad_feed')")
    things.execute("insert into thing values (1, 'x'), (2, 'x'), (3, 'x')")
    things.execute("select publish_enqueue('bad', n::text) from generate_series(1, 3) as n")
    assert run("drain", "--once").exit_code == 0
    listed = run("quarantine", "list", "bad", "--batch", "2", "--json").stdout.splitlines()
    assert [json.loads(line)["source_id"] for line in listed] == ["1", "2"]
    table = run("quarantine", "list").stdout
    assert (table.count("22012"), table.count("division by zero")) == (3, 3)
    assert run("quarantine", "retry", "bad", "2").stdout == "1 will be tried by the next drain\n"
    assert run("quarantine", "retry", "thing").stdout == "0 will be tried by the next drain\n"
    assert json.loads(run("quarantine", "retry", "--json").stdout) == {"due": 3}
    assert run("drain", "--once").exit_code == 0
    rows = map(json.loads, run("quarantine", "list", "--json").stdout.splitlines())
    assert [row["attempts"] for row in rows] == [2, 2, 2]


@pytest.mark.parametrize(
    "arguments",
    [["backfill", "a\udcff"], ["enqueue", "note", "1", '"\udcff"'], ["jobs", "cancel", "\udcff"],
     ["changes", "--since", "\udcff"], ["--database-url", "postgresql://u:\udcff@h/d", "status"]],
    ids=str,
)  # fmt: skip
def test_an_argument_that_is_not_utf_8_is_refused_in_words(
    run: Callable[..., Result], db: Connection, arguments: list[str]
) -> None:
    result = run(*arguments)
    assert_one_line_and_a_hint(result, 3 if "--database-url" in arguments else 1)


# The signal comes when the main thread holds the lock of the event that it looks at: a loop that
# waits for short times is there often, and a handler that took the lock itself never came back.
STOPS_INSIDE_WAIT = """
import os, signal
from pgpublish.cli.console import stop_on_signals
with stop_on_signals() as stop:
    with stop._cond:
        os.kill(os.getpid(), signal.SIGTERM)
    assert stop.wait(20)
"""


def test_a_signal_that_interrupts_a_wait_stops_the_command() -> None:
    subprocess.run([sys.executable, "-c", STOPS_INSIDE_WAIT], check=True, timeout=30)
