"""A NOTIFY queue that a listener holds full costs a wake-up and no drain."""

from contextlib import suppress

import psycopg
import pytest
from helpers import drain, enqueue, one, running_cluster

from pgpublish.migrate import migrate


def test_a_drain_goes_through_while_the_queue_is_full(server_kind):
    if server_kind != "embedded":
        pytest.skip("before PostgreSQL 17 the queue holds 8 GB")
    with (
        running_cluster(server_kind, max_notify_queue_pages="64") as cluster,
        psycopg.connect(cluster.url(), autocommit=True) as db,
        psycopg.connect(cluster.url()) as listener,
    ):
        migrate(db)
        db.execute("select publish_define('note')")
        listener.execute("listen noise")
        listener.commit()
        listener.execute("select 1")  # an open transaction reads no notifications
        noise = "select pg_notify('noise', n || repeat('x', 7900)) from generate_series(1, %s) n"
        for notifications in (20, 20, 4, 4, 4, *[1] * 30):
            with suppress(psycopg.errors.DatabaseError):
                db.execute(noise, [notifications])
        assert one(db, "select pg_notification_queue_usage()") > 0.9
        enqueue(db, "note", "1", "1")
        drain(db)
        assert one(db, "select publish_head()") == 1
        found = db.execute("select name, fix from publish_doctor()").fetchall()
        assert [fix for name, fix in found if name == "notify_queue"] == [
            "End the session that listens and has a transaction open"
        ]
