"""The server dies in the middle: what was not settled comes again, what was settled does not."""

import signal

import psycopg
from delivery import claim, failure, notes, settle, subscribe
from helpers import drain_all, enqueue, one, running_cluster
from psycopg.rows import namedtuple_row

from pgpublish.migrate import migrate


def test_a_server_crash_keeps_what_was_settled_and_gives_back_what_was_not(
    server_kind: str,
) -> None:
    with running_cluster(server_kind, fsync="on") as cluster:
        with psycopg.connect(cluster.url(), autocommit=True, row_factory=namedtuple_row) as conn:
            migrate(conn)
            notes(conn, 9)
            subscribe(conn, "s")
            ids = [row.id for row in claim(conn, "s", limit=9)]
            conn.execute("select publish_seek('s', 0)")
            batch = claim(conn, "s", limit=3)
            settle(conn, batch, [failure(batch[1], "rejected")])
            # Full jitter may make a retry due at once; this one is to wait.
            conn.execute("update publish.parked set next_attempt_at = now() + interval '1 hour'")
            open_batch = claim(conn, "s", limit=3)
            unfinished = psycopg.connect(cluster.url())
            settle(unfinished, open_batch)
        cluster.stop(signal.SIGQUIT)
        unfinished.close()
        cluster.start()
        with psycopg.connect(cluster.url(), autocommit=True, row_factory=namedtuple_row) as conn:
            assert one(conn, "select cursor from publish.lane_state") == 3
            assert claim(conn, "s") == []  # leased still
            assert settle(conn, open_batch).sent == 3  # its worker lives and may settle after all
            conn.execute("update publish.parked set next_attempt_at = clock_timestamp()")
            enqueue(conn, "note", "10", "10")
            drain_all(conn)  # begins an epoch: the server was started again
            found = []
            while batch := claim(conn, "s"):
                settle(conn, batch)
                found += batch
            *rest, new = sorted(found, key=lambda row: row.rev)
            assert [row.rev for row in rest] == [2, 7, 8, 9]
            assert {row.id for row in rest} <= set(ids)  # and yet no message has another id
            assert new.id.split("/")[0] != ids[0].split("/")[0]
