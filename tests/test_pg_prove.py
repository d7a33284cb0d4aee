"""The pgTAP files pass under pg_prove too, as people without Python run them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import psycopg
import pytest

from pgpublish.embedded import Cluster

TESTS = Path(__file__).parent / "pgtap"


@pytest.fixture
def pg_prove() -> str:
    found = shutil.which("pg_prove")
    if found is None:
        raise RuntimeError(
            "pg_prove is not installed; as root: "
            "apt-get install libtap-parser-sourcehandler-pgtap-perl"
        )
    return found


def test_every_pgtap_file_passes_under_pg_prove(
    pg_prove: str, cluster: Cluster, pgtap_connection: psycopg.Connection[Any]
) -> None:
    files = sorted(TESTS.rglob("*.sql"))
    result = subprocess.run(
        [pg_prove, "--ext", ".sql", "-r", str(TESTS)],
        env={
            **os.environ,
            "PGHOST": str(cluster.folder),
            "PGPORT": str(cluster.port),
            "PGUSER": "postgres",
            "PGDATABASE": pgtap_connection.info.dbname,
        },
        capture_output=True, text=True, timeout=100,
    )  # fmt: skip
    said = result.stdout + result.stderr
    assert result.returncode == 0, said
    assert "Result: PASS" in said
    counted = re.search(r"^Files=(\d+), Tests=(\d+)", said, re.MULTILINE)
    assert counted is not None, said
    planned = sum(
        int(number)
        for file in files
        for number in re.findall(r"^select plan\((\d+)\);$", file.read_text(), re.MULTILINE)
    )
    assert (int(counted[1]), int(counted[2])) == (len(files), planned)


def test_every_pgtap_file_leaves_nothing_behind() -> None:
    for file in TESTS.rglob("*.sql"):
        assert file.name.startswith("test_"), f"pytest does not collect {file}"
        lines = [line for line in file.read_text().splitlines() if not line.startswith("--")]
        assert lines[0] == "begin;", file
        assert lines[-2:] == ["select * from finish();", "rollback;"], file
