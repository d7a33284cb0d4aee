"""A restart of the server: an older copy of its files may be what comes up."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

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


def causes(cluster: Cluster) -> list[str]:
    with psycopg.connect(cluster.url(), autocommit=True) as conn:
        rows = conn.execute("select e.cause from publish.epoch e order by e.epoch_no").fetchall()
        return [cause for (cause,) in rows]


def test_a_restart_and_a_crash_begin_an_epoch_that_resets_nobody(own_cluster: Cluster) -> None:
    with psycopg.connect(own_cluster.url(), autocommit=True) as conn:
        migrate(conn)
        conn.execute("select publish_define('note')")
    publish(own_cluster, "a")
    cursor = str(page(own_cluster, None)["cursor"])
    own_cluster.stop()
    own_cluster.start()
    publish(own_cluster, "b")
    publish(own_cluster, "c")
    assert causes(own_cluster) == ["start", "start"]
    with psycopg.connect(own_cluster.url(), autocommit=True) as conn:
        conn.execute("checkpoint")
    own_cluster.stop(signal.SIGQUIT)
    own_cluster.start()
    assert causes(own_cluster) == ["start", "start"]
    publish(own_cluster, "d")
    publish(own_cluster, "e")
    assert causes(own_cluster) == ["start", "start", "crash"]
    answer = page(own_cluster, cursor)
    assert answer["reset"] is False
    assert [change["rev"] for change in answer["changes"]] == [2, 3, 4, 5]  # type: ignore[attr-defined]


def cold_copy(cluster: Cluster, folder: Path) -> None:
    cluster.stop()
    shutil.copytree(cluster.data, folder, copy_function=shutil.copy2)
    cluster.start()


def base_backup(cluster: Cluster, folder: Path) -> None:
    cluster.run("pg_basebackup", "--pgdata", str(folder), "--dbname", cluster.url(),
                "--checkpoint", "fast", "--no-sync")  # fmt: skip


# Nothing in the files of a cold copy tells it from a restart.
@pytest.mark.parametrize(("save", "cause"), [(cold_copy, "start"), (base_backup, "crash")])
def test_a_copy_put_back_resets_who_read_further_and_no_one_else(
    own_cluster: Cluster, save: Callable[[Cluster, Path], None], cause: str
) -> None:
    with psycopg.connect(own_cluster.url(), autocommit=True) as conn:
        migrate(conn)
        conn.execute("select publish_define('note')")
    publish(own_cluster, "a", "b", "c")
    before = page(own_cluster, None)["cursor"]
    copy = own_cluster.folder / "copy"
    save(own_cluster, copy)
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
    assert causes(own_cluster) == ["start", cause]
    assert page(own_cluster, str(further))["reset"] is True
    answer = page(own_cluster, str(before))
    assert answer["reset"] is False
    assert [change["rev"] for change in answer["changes"]] == [4, 5, 6, 7, 8]  # type: ignore[attr-defined]
