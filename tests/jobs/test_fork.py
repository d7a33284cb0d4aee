"""A body that forks: the child settles nothing and ends nothing of its parent's."""

from __future__ import annotations

import json
import os
import signal

import pytest
from conftest import Background, Connect, Connection
from helpers import PATIENCE, one, until

from pgpublish import jobs
from pgpublish.errors import BadArgument


@pytest.mark.parametrize(
    ("child", "code"), [("returns", 0), ("raises", 1), ("exits", 3), ("saves", 1)]
)
def test_a_child_that_leaves_the_body_ends_and_its_parent_goes_on(
    db: Connection, work: Background, child: str, code: int
) -> None:
    db.execute("create table done (id text, what text)")
    jobs.add(db, "j", "forks", {"child": child}, max_attempts=1)
    worker = work("forks")
    until(lambda: jobs.listing(db)[0]["status"] not in ("pending", "running"))
    worker.send_signal(signal.SIGTERM)
    output, _ = worker.communicate(timeout=PATIENCE)
    assert [json.loads(line)["status"] for line in output.splitlines()] == ["succeeded"]
    assert jobs.listing(db)[0]["data"] == {"child": child, "exit": code}
    assert one(db, "select count(*) from done") == 1
    assert jobs.job_errors(db, "j") == []


def test_a_child_of_a_script_closes_neither_its_connection_nor_the_hearts(
    db: Connection, connect: Connect
) -> None:
    with connect() as conn, jobs.start(conn, "j", lease=3600) as job:
        child = os.fork()
        if child == 0:
            raise SystemExit(0)  # leaves both blocks, in the child
        _, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) == 0
        job.save(n=1)
        assert one(db, "select lock from publish.job_activity") == "held"
    assert jobs.listing(db)[0]["status"] == "succeeded"


def test_a_child_is_refused_what_belongs_to_its_parent(db: Connection) -> None:
    ours, theirs = os.pipe()
    with jobs.start(db, "j") as job:
        child = os.fork()
        if child == 0:
            refused = []
            for call in (job.check, job.reload, lambda: job.save(n=1),
                         lambda: job.step("s", dict)):  # fmt: skip
                try:
                    call()
                except BadArgument:
                    refused.append("refused")
            os.write(theirs, " ".join(refused).encode())
            os._exit(0)
        os.waitpid(child, 0)
    assert os.read(ours, 100).decode().split() == ["refused"] * 4
    for end in (ours, theirs):
        os.close(end)
