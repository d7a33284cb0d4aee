"""Schemas that applications made by their own migrations, with views as their users write them:
each view is published by one command or refused for its reason; then random writes miss nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Connection
from desks import converges, load

pytest.importorskip("pglast")


QUIETLY = ("--verbosity=0", "--skip-checks")


def by_django(db: Connection) -> None:
    pytest.importorskip("django")
    here = str(Path(__file__).parent)
    environment = os.environ | {"DATABASE_URL": db.info.dsn, "PYTHONPATH": here}
    subprocess.run(
        [sys.executable, "-m", "django", "migrate", "--settings=django_settings", *QUIETLY],
        env=environment,
        check=True,
        timeout=120,
    )


def by_procrastinate(db: Connection) -> None:
    procrastinate = pytest.importorskip("procrastinate")
    assert procrastinate.__file__ is not None
    migrations = Path(procrastinate.__file__).parent / "sql" / "migrations"
    for file in sorted(migrations.glob("*.sql")):
        db.execute(file.read_bytes())


EXPECTED: dict[str, tuple[Callable[[Connection], None], dict[str, str]]] = {
    "django": (
        by_django,
        {
            "account": "id",
            "permission": "id",
            "account_permissions": "id",
            "group_members": "id",
            "members": "user_id, group_id",
            "action_log": "id",
            "newest_action": "user_id",
            "page": "id",
            "redirect": "site_id, old_path",
            "unused_permission": "id",
            "actions_by_day": "day, action_flag",
            "by_name": "name",
            "live_session": "no: now()",
            "access": "no: unique",
        },
    ),
    "procrastinate": (
        by_procrastinate,
        {
            "job_state": "id",
            "queue_load": "queue_name",
            "by_status": "status, task_name",
            "worker_load": "id",
            "next_in_queue": "queue_name",
            "held": "id",
            "periodic": "task_name, periodic_id, defer_timestamp",
            "never_started": "id",
            "history": "what, id",
            "stalled": "no: now()",
            "most_retried": "no: LIMIT",
        },
    ),
}


@pytest.mark.timeout(300)
@pytest.mark.parametrize("application", EXPECTED)
def test_each_view_is_published_or_refused_and_no_write_is_missed(
    db: Connection, application: str, pytestconfig: pytest.Config
) -> None:
    migrate, expected = EXPECTED[application]
    migrate(db)
    load(db, application)
    writes = pytestconfig.getoption("--writes") // 2
    assert converges(db, expected, writes, seed=writes) >= writes / 2
