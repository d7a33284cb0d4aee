"""The Python of docs/jobs.md runs as it is printed."""

from __future__ import annotations

import re
import signal
from pathlib import Path
from typing import Any

import pytest
from conftest import Background, Connection
from helpers import PATIENCE, until

from pgpublish import jobs

PAGE = Path(__file__).parents[2] / "docs/jobs.md"
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)


def test_the_block_with_jobs_start_runs(
    db: Connection, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", url)
    exec(BLOCKS[0], {})
    (job,) = jobs.listing(db)
    assert (job["id"], job["status"]) == ("export:2024-05", "succeeded")
    assert job["data"] == {"done": 10, "total": 10, "file": "export-2024-05.csv"}


def test_the_module_with_a_handler_is_what_work_imports(
    db: Connection, background: Background, tmp_path: Path
) -> None:
    (tmp_path / "invoices.py").write_text(BLOCKS[2])
    (command,) = re.findall(r"`pgpublish (work invoice .*?)`", PAGE.read_text())
    jobs.add(db, "invoices:2024-05", "invoice")
    worker = background(*command.split(), cwd=tmp_path)
    until(lambda: jobs.listing(db)[0]["status"] == "succeeded" or worker.poll() is not None)
    worker.send_signal(signal.SIGTERM)
    assert worker.communicate(timeout=PATIENCE)[1] == ""
    assert jobs.listing(db)[0]["data"] == {"done": 2, "total": 2}


def test_the_module_with_steps_runs(db: Connection) -> None:
    made: dict[str, Any] = {}
    exec(BLOCKS[1], made)
    with jobs.start(db, "42", data={"amount": 7, "to": ["a@b.example", "c@d.example"]}) as job:
        made["order"](db, job)
    names = [step["name"] for step in jobs.steps(db, "42")]
    assert names == ["charge", "mail:a@b.example", "mail:c@d.example"]
    assert jobs.listing(db)[0]["data"]["receipt"] == "R-42"


def test_the_block_of_when_and_how_many_runs(
    db: Connection, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", url)
    exec(BLOCKS[3], {})
    assert [job["id"] for job in jobs.listing(db)] == ["sync:customer:7", "reminder:7"]
    assert [row["name"] for row in jobs.schedules(db)] == ["nightly"]
    assert [row["max_running"] for row in jobs.limits(db)] == [2]


def test_there_is_no_block_that_no_test_runs() -> None:
    assert len(BLOCKS) == 4
