"""The database is upgraded to a later version while workers of this one go on. No later version is
there yet: it is made of this one by what a release may do, as a package of its own."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Connection
from helpers import check_feed, enqueue, feed, one, until

ROOT = Path(__file__).parents[2]
NEXT = """
set local lock_timeout = '5s';
set local role publish_owner;
alter table publish.drain add column note text;
alter table publish.published add column note text;
alter table publish.batch add column note text;
comment on column publish.drain.note is 'What a later version keeps there.';
"""


@pytest.fixture
def later(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs a command of the later version, which has one more migration and one other function."""
    for name in ("harness", "sql", "migrations"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    package = tmp_path / "harness/pgpublish/__init__.py"
    package.write_text(re.sub(r"__version__ = .*", '__version__ = "99.0.0"', package.read_text()))
    (tmp_path / "migrations/9999_later.sql").write_text(NEXT)
    head = tmp_path / "sql/feed/publish_head.sql"
    head.write_text(
        head.read_text().replace("comment on function", "-- later\ncomment on function")
    )

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "pgpublish", *arguments], capture_output=True, text=True,
            timeout=120, cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(tmp_path / "harness")},
        )  # fmt: skip

    return run


def test_workers_go_on_while_the_database_gets_a_later_version(
    db: Connection,
    url: str,
    background: Callable[..., subprocess.Popen[str]],
    later: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    db.execute("select publish_define('note')")
    db.execute("select publish_subscribe('s', 'stdout')")
    worker = background("run", "--quiet")

    def published(n: int) -> None:
        enqueue(db, "note", str(n), str(n))
        until(lambda: one(db, "select publish_head()") == n)
        until(lambda: one(db, "select behind = 0 from publish_subscriptions()"))

    published(1)
    done = later("--database-url", url, "migrate")
    assert done.returncode == 0, done.stderr
    assert "applied 1 migrations" in done.stdout
    published(2)
    assert worker.poll() is None
    another = background("drain", "--quiet")  # a restart before its package is upgraded
    worker.terminate()
    assert worker.wait(30) == 0
    enqueue(db, "note", "3", "3")
    until(lambda: one(db, "select publish_head()") == 3)
    assert another.poll() is None
    old = background("migrate")
    assert (old.wait(30), "newer" in old.stderr.read()) == (4, True)
    after = later("--database-url", url, "drain", "--once")
    assert after.returncode in (0, 5), after.stderr
    assert feed(db, "note") == {"1": 1, "2": 2, "3": 3}
    check_feed(db)
