"""What is wrong: what the database sees, and what only a client can see."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass

from pgpublish import migrate
from pgpublish.database import Connection, call, tuples
from pgpublish.errors import PublishError, SchemaMismatch

CLOCK_S = 5.0  # that the clocks may differ


@dataclass(frozen=True)
class Finding:
    """One row of publish_doctor; severity: error or warning."""

    name: str
    severity: str
    object: str
    problem: str
    fix: str


def doctor(
    conn: Connection, old: str = "15 minutes", *, clock: Callable[[], float] = time.time
) -> list[Finding]:
    """Everything that is wrong; old: what lasts for so long is. Raises as call does."""
    found = [*_version(conn), *_clock(conn, clock), *_pooler(conn)]
    if call(conn, "select to_regproc('public.publish_doctor'::text) is not null")[0]:
        try:
            rows = tuples(
                conn,
                "select name, severity, object, problem, fix"
                " from public.publish_doctor(%s::interval)",
                old,
            )
        except PublishError:
            if all(finding.name != "version" for finding in found):
                raise
            return found  # what is half migrated, or has lost its rights, cannot look at the rest
        found += [Finding(*row) for row in rows]
    return found


def cron_findings(conn: Connection, jobs: list[dict[str, object]], elsewhere: str) -> list[Finding]:
    """What is wrong with the jobs that pg_cron lists in database elsewhere."""
    if elsewhere == conn.info.dbname:
        return []  # publish_doctor has looked
    rows = tuples(
        conn,
        "select name, severity, object, problem, fix"
        " from publish.doctor_cron_jobs(%s::jsonb, %s::text)",
        json.dumps(jobs, default=str),
        elsewhere,
    )
    return [Finding(*row) for row in rows]


def _version(conn: Connection) -> list[Finding]:
    try:
        todo = migrate.pending(conn)
    except SchemaMismatch as error:
        said = f"{error.message}: {error.detail}"
        return [Finding("version", "error", "schema publish", said, error.hint or "")]
    if not todo:
        return []
    said = f"{len(todo)} files differ from this version's, first {todo[0].path}"
    return [Finding("version", "error", "schema publish", said, "Run: pgpublish migrate")]


def _clock(conn: Connection, clock: Callable[[], float]) -> list[Finding]:
    before = clock()
    (server,) = call(conn, "select extract(epoch from clock_timestamp())::float8")
    ahead = float(server) - (before + clock()) / 2
    if abs(ahead) < CLOCK_S:
        return []
    said = f"the server's clock is {ahead:+.0f} s from that of this machine"
    return [Finding("clock", "warning", "the server", said, "Synchronise both, as by NTP")]


def _pooler(conn: Connection) -> list[Finding]:
    if call(conn, "select pg_backend_pid()")[0] == conn.info.backend_pid:
        return []
    said = "a pooler is between: workers look each second in place of listening"
    return [
        Finding("pooler", "warning", "the connection", said, "Let workers connect to the server")
    ]
