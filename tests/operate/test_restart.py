"""A restart of the server: an older copy of its files may be what comes up."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import psycopg
import pytest
import servers

from pgpublish.drain import drain_all
from pgpublish.embedded import Cluster
from pgpublish.migrate import migrate


@pytest.fixture
def own_cluster(server_kind: str) -> Iterator[Cluster]:
    with servers.running(server_kind) as cluster:
        yield cluster


def publish(cluster: Cluster, *ids: str) -> None:
    with psycopg.connect(cluster.url(), autocommit=True) as conn:
        for source_id in ids:
            conn.execute("select publish_enqueue('note', %s, '{}')", [source_id])
        list(drain_all(conn))


def page(cluster: Cluster, cursor: str | None) -> dict[str, object]:
    with psycopg.connect(cluster.url(), autocommit=True) as conn:
        row = conn.execute("select publish_page(%s)", [cursor]).fetchone()
        assert row is not None
        answer: dict[str, object] = row[0]
        return answer


def test_a_cold_copy_put_back_resets_who_read_further_and_no_one_else(own_cluster: Cluster) -> None:
    with psycopg.connect(own_cluster.url(), autocommit=True) as conn:
        migrate(conn)
        conn.execute("select publish_define('note')")
    publish(own_cluster, "a", "b", "c")
    before = page(own_cluster, None)["cursor"]
    own_cluster.stop()
    copy = own_cluster.folder / "copy"
    shutil.copytree(own_cluster.data, copy, copy_function=shutil.copy2)
    own_cluster.start()
    publish(own_cluster, "d", "e", "f")
    further = page(own_cluster, None)["cursor"]
    own_cluster.stop()
    shutil.rmtree(own_cluster.data)
    copy.rename(own_cluster.data)
    if own_cluster.user:
        for path in [own_cluster.data, *own_cluster.data.rglob("*")]:
            shutil.chown(path, own_cluster.user)
    own_cluster.start()
    publish(own_cluster, "1", "2", "3", "4", "5")
    assert page(own_cluster, str(further))["reset"] is True
    answer = page(own_cluster, str(before))
    assert answer["reset"] is False
    assert [change["rev"] for change in answer["changes"]] == [4, 5, 6, 7, 8]  # type: ignore[attr-defined]
