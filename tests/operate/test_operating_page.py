"""docs/operating.md is followed line by line: on a fresh server, as an administrator who is no
superuser, with the logins that the page makes. The runbook's commands come before the end."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest
from helpers import one, running_cluster

from pgpublish.embedded import Cluster

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
*PAGE, REMOVE = BLOCK.findall((ROOT / "docs/operating.md").read_text())
BLOCKS = [*PAGE, *BLOCK.findall((ROOT / "docs/runbook.md").read_text()), REMOVE]
HOST = "db.example.com"


@pytest.fixture
def managed(server_kind: str) -> Iterator[Cluster]:
    """What a provider gives: an administrator with CREATEROLE and CREATEDB who owns database app,
    and pg_cron in database postgres where the server has it."""
    cron = {"shared_preload_libraries": "pg_cron"}
    with running_cluster(server_kind, **(cron if server_kind == "debian" else {})) as cluster:
        with psycopg.connect(cluster.url(), autocommit=True) as provider:
            provider.execute("create role dba login createrole createdb")
            provider.execute("create database app owner dba")
        if server_kind == "debian":
            with psycopg.connect(cluster.url(), autocommit=True) as provider:
                provider.execute("create extension pg_cron")
                provider.execute("grant usage on schema cron to dba with grant option")
                provider.execute(
                    "grant execute on function cron.schedule_in_database to dba with grant option"
                )
        yield cluster


def script(cluster: Cluster, *, with_cron: bool) -> str:
    """The blocks as one script for bash."""
    lines = ["set -euo pipefail"]
    for language, text in BLOCKS:
        if language == "sql":
            text = f'psql -X -v ON_ERROR_STOP=1 "postgresql://dba@{HOST}/app" <<"SQL"\n{text}SQL\n'
        for line in text.splitlines():
            if with_cron or "# pg_cron" not in line:
                lines.append(line)
    return "\n".join(lines).replace(HOST, quote(str(cluster.folder), safe=""))


def test_the_page_can_be_followed_without_a_superuser(
    managed: Cluster, server_kind: str, tmp_path: Path
) -> None:
    assert {language for language, _ in BLOCKS} == {"sh", "sql"}
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "pgpublish").write_text(f'#!/bin/sh\nexec {sys.executable} -m pgpublish "$@"\n')
    (tools / "pgpublish").chmod(0o755)
    for program in ("pg_dump", "pg_restore"):
        (tools / program).symlink_to(managed.tool(program))
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("PG", "DATABASE"))
    }
    done = subprocess.run(
        ["bash", "-x"],
        input=script(managed, with_cron=server_kind == "debian"),
        env=environment | {"PATH": f"{tools}:{managed.bin}:{os.environ['PATH']}"},
        cwd=tmp_path, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-1500:] + done.stderr[-3000:]
    assert "Bob" in done.stdout
    assert re.search(r"paused: subscription search.*exit code 6", done.stdout, re.DOTALL)
    with psycopg.connect(managed.url("app"), autocommit=True) as provider:
        assert one(provider, "select to_regnamespace('publish') is null")
        left = provider.execute("select rolname from pg_roles where rolname ~ 'publish_'")
        assert left.fetchall() == []
