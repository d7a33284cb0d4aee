"""One server per session, one migrated template database, a fresh clone for every test."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest
import servers
from psycopg import sql
from psycopg.rows import namedtuple_row

from pgpublish.embedded import Cluster
from pgpublish.migrate import migrate
from pgpublish.sinks import policy

Connection = psycopg.Connection[Any]
Connect = Callable[..., Connection]
Process = subprocess.Popen[str]
Background = Callable[..., Process]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--server", default="embedded",
        help="which PostgreSQL to run on: debian, embedded, or a folder with initdb and postgres",
    )  # fmt: skip
    parser.addoption(
        "--brief", action="store_true",
        help="leave out what does not depend on the server's version",
    )  # fmt: skip
    parser.addoption(
        "--schedules", type=int, default=100,
        help="how many random schedules of writes and drains the property test runs",
    )  # fmt: skip
    parser.addoption(
        "--writes", type=int, default=500,
        help="how many random writes follow the publishing of each schema of tests/plan",
    )  # fmt: skip
    parser.addoption(
        "--torture", type=float, default=8,
        help="for how many seconds the torture test kills servers and sessions",
    )  # fmt: skip
    parser.addoption(
        "--seed", type=int, default=0,
        help="of the torture test's dice; 0: another one each time",
    )  # fmt: skip
    parser.addoption(
        "--outages", type=int, default=4,
        help="how often a node, a database, a worker or a consumer is killed while shards deliver",
    )  # fmt: skip
    parser.addoption(
        "--failovers", type=int, default=1,
        help="how many primaries die with changes that were delivered and not replicated",
    )  # fmt: skip
    parser.addoption(
        "--crowd", type=int, default=600,
        help="how many streams a server has open at once",
    )  # fmt: skip
    parser.addoption("--recipes", action="store_true", help="also what needs minutes to install")


# What these tell depends little on the server's version: the harness's own side, other people's
# servers, schemas of theirs, delivery, random schedules. --brief leaves them to the run on the
# other server, and make test-all runs them on each.
ONCE = (
    "capture/test_property.py", "capture/test_writers.py", "deliver/", "feed/test_follow.py",
    "feed/test_sizes.py", "feed/test_sqlite_replica.py", "jobs/test_job_poison.py",
    "jobs/test_work.py", "operate/test_doctor.py", "operate/test_pg_cron.py",
    "operate/test_prometheus.py", "plan/", "serve/", "verify/test_verify_moments.py",
    "test_called_by_type.py", "test_cli.py", "test_config.py",
    "test_conninfo.py", "test_docs.py", "test_exact.py", "test_fuzz.py", "test_help.py",
    "test_mutants.py", "test_pg_prove.py", "test_terminal.py", "test_upgrade.py",
)  # fmt: skip


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    lasting = {  # seconds that these may take, by how much they were asked for
        "test_torture.py": config.getoption("--torture") + 400,
        "test_scale_out.py": config.getoption("--outages") * 10 + 300,
    }
    for item in items:
        if item.path.name in lasting:
            item.add_marker(pytest.mark.timeout(lasting[item.path.name]))
    if config.getoption("--brief"):
        here = Path(__file__).parent
        once = [i for i in items if i.path.relative_to(here).as_posix().startswith(ONCE)]
        config.hook.pytest_deselected(items=once)
        items[:] = [item for item in items if item not in set(once)]


def pytest_report_header(config: pytest.Config) -> str:
    return f"server: {config.getoption('--server')}"


@pytest.fixture(scope="session")
def server_kind(request: pytest.FixtureRequest) -> str:
    kind: str = request.config.getoption("--server")
    return kind


@pytest.fixture(scope="session")
def cluster(server_kind: str) -> Iterator[Cluster]:
    with servers.running(server_kind) as cluster:
        yield cluster


@pytest.fixture(autouse=True)
def _unrestricted(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a deliver worker that ran in this process may not call, a later test may."""
    monkeypatch.setattr(policy, "_restricted_to", policy.Networks(frozenset(policy.NATURES)))


@pytest.fixture(scope="session")
def admin(cluster: Cluster) -> Iterator[Connection]:
    with psycopg.connect(cluster.url(), autocommit=True) as conn:
        yield conn


@pytest.fixture(scope="session")
def template(cluster: Cluster, admin: Connection) -> str:
    admin.execute("create database pgpublish_template")
    with psycopg.connect(cluster.url("pgpublish_template"), autocommit=True) as conn:
        migrate(conn)
    return "pgpublish_template"


_numbers = itertools.count(1)


@pytest.fixture
def new_database(admin: Connection) -> Iterator[Callable[[str | None], str]]:
    """Makes databases that are dropped after the test: from a template, or empty."""
    made: list[str] = []

    def make(template: str | None = None) -> str:
        name = f"test_{next(_numbers)}"
        statement = sql.SQL("create database {} template {}").format(
            sql.Identifier(name), sql.Identifier(template or "template0")
        )
        if admin.info.server_version >= 150000:
            statement += sql.SQL(" strategy file_copy")  # half the time
        admin.execute(statement)
        made.append(name)
        return name

    yield make
    for name in made:
        admin.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))


@pytest.fixture
def database(new_database: Callable[[str | None], str], template: str) -> str:
    return new_database(template)


@pytest.fixture
def url(cluster: Cluster, database: str) -> str:
    return cluster.url(database)


@pytest.fixture
def connect(url: str) -> Iterator[Connect]:
    """Opens sessions on this test's database: autocommit, rows as named tuples."""
    opened: list[Connection] = []

    def open_session(**options: Any) -> Connection:
        conn = psycopg.connect(
            url, **{"autocommit": True, "row_factory": namedtuple_row, **options}
        )
        opened.append(conn)
        return conn

    yield open_session
    for conn in opened:
        conn.close()


@pytest.fixture
def db(connect: Connect) -> Connection:
    return connect()


@pytest.fixture(scope="session")
def pgtap_connection(cluster: Cluster, admin: Connection, template: str) -> Iterator[Connection]:
    admin.execute(f"create database pgpublish_tap template {template}")
    with psycopg.connect(cluster.url("pgpublish_tap"), autocommit=True) as conn:
        servers.load_pgtap(conn)
        yield conn


@pytest.fixture
def background(url: str) -> Iterator[Background]:
    """Starts commands as processes of their own, killed by id if the test leaves them."""
    started: list[Process] = []

    def start(*arguments: str, database_url: str = url, cwd: Path | None = None) -> Process:
        process = subprocess.Popen(
            [sys.executable, "-m", "pgpublish", "--database-url", database_url, *arguments],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=cwd,
            env=os.environ | {"PYTHONUNBUFFERED": "1"},
        )  # fmt: skip
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def work(background: Background) -> Background:
    """`pgpublish work` with the handlers of tests/jobs; what ended is told in JSON."""
    return partial(
        background, "work", "--import", "job_handlers", "--json", cwd=Path(__file__).parent / "jobs"
    )
