"""Fixtures of these tests."""

from __future__ import annotations

import shutil
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from helpers import Connection, drain_all, enqueue
from node import SOURCE, install, run
from serving import Serving, serving

from pgpublish.embedded import Cluster


@pytest.fixture(scope="session")
def client(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The JavaScript client, built in a folder of its own."""
    folder = tmp_path_factory.mktemp("client") / "js"
    shutil.copytree(SOURCE, folder, ignore=shutil.ignore_patterns("node_modules", "dist"))
    install(folder)
    run(folder, "npm", "run", "--silent", "build")
    return folder


@pytest.fixture(scope="session")
def packed(client: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What npm would publish of it."""
    folder = tmp_path_factory.mktemp("packed")
    run(client, "npm", "pack", "--silent", "--ignore-scripts", f"--pack-destination={folder}")
    (archive,) = folder.glob("*.tgz")
    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter="data")
    return folder / "package"


@pytest.fixture
def orders(connect: Callable[[], Connection]) -> Connection:
    """Orders of tenants, and notes of everybody."""
    orders = connect()
    orders.execute(
        "select publish_define('order', scope => 'tenant'); select publish_define('note')"
    )
    return orders


@pytest.fixture
def put(orders: Connection) -> Callable[..., None]:
    """Publishes payloads: kind, then source_id and JSON (None: a deletion) by turns."""

    def put(kind: str, *pairs: str | None) -> None:
        for source_id, payload in zip(pairs[::2], pairs[1::2], strict=True):
            assert source_id is not None
            enqueue(orders, kind, source_id, payload, deleted=payload is None)
        drain_all(orders)

    return put


@pytest.fixture(scope="module")
def shared(cluster: Cluster, admin: Connection, template: str) -> Iterator[Serving]:
    """One server and its database for tests that change neither."""
    admin.execute(f"create database served template {template}".encode())
    with psycopg.connect(cluster.url("served"), autocommit=True) as conn:
        conn.execute("select publish_define('order'), publish_define('note')")
    with serving(cluster.url("served")) as running:
        yield running
    admin.execute("drop database served with (force)")


@pytest.fixture
def server(url: str, orders: Connection) -> Iterator[Serving]:
    with serving(url) as running:
        yield running
