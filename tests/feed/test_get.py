"""Reading one key: publish_get, publish_pub_id, publish_head, and readers in older snapshots."""

import uuid

import psycopg
import pytest
from helpers import ARTICLES, drain_all, enqueue, head, one


@pytest.fixture
def db(connect):
    db = connect()
    db.execute(ARTICLES)
    db.execute("insert into article (id, title) values (1, 'x')")
    drain_all(db)
    return db


def get(db, kind, pub_id):
    return db.execute("select * from publish_get(%s, %s)", [kind, pub_id]).fetchall()


def test_a_key_is_got_by_its_pub_id_live_or_deleted(db):
    pub_id = one(db, "select publish_pub_id('article', '1')")
    (live,) = get(db, "article", pub_id)
    assert (live.rev, live.deleted, live.payload["title"]) == (1, False, "x")
    db.execute("delete from article")
    drain_all(db)
    (dead,) = get(db, "article", pub_id)
    assert (dead.rev, dead.deleted, dead.payload, dead.pub_id) == (2, True, None, pub_id)
    assert one(db, "select publish_pub_id('article', '1')") == pub_id


def test_unknown_keys_give_nothing_and_unknown_kinds_an_error(db):
    db.execute("select publish_define('note')")
    pub_id = one(db, "select publish_pub_id('article', '1')")
    assert get(db, "article", uuid.uuid4()) == []
    assert get(db, "note", pub_id) == []
    assert one(db, "select publish_pub_id('article', '2')") is None
    for query in ("select publish_get('undefined', %s)", "select publish_pub_id('undefined', %s)"):
        with pytest.raises(psycopg.Error) as refused:
            db.execute(query, [str(pub_id)])
        assert refused.value.sqlstate == "PT404"


def test_head_rows_and_page_of_one_transaction_are_of_one_moment(db, connect):
    other = connect()
    with other.transaction():
        other.execute("set transaction isolation level repeatable read")
        assert head(other) == 1
        db.execute("insert into article (id, title) select i, 'y' from generate_series(2, 9) i")
        drain_all(db)
        assert head(db) == 9
        assert head(other) == 1
        assert len(other.execute("select * from publish_changes()").fetchall()) == 1
        page = one(other, "select publish_page()")
        assert (page["head"], len(page["changes"]), page["more"]) == (1, 1, False)
    page = one(other, "select publish_page(%s)", page["cursor"])
    assert [change["rev"] for change in page["changes"]] == list(range(2, 10))


def test_what_is_drained_but_not_committed_is_seen_by_nobody_else(db, connect):
    other = connect()
    with other.transaction(force_rollback=True):
        enqueue(other, "article", "1")
        other.execute("alter table article disable trigger publish")
        other.execute("update article set title = 'never'")
        assert drain_all(other) == 1
        assert head(other) == 2
        assert head(db) == 1
        assert one(db, "select publish_page('1')")["changes"] == []
    assert head(db) == 1


def test_a_read_only_transaction_can_read_everything(db):
    db.execute("set default_transaction_read_only = on")
    pub_id = one(db, "select publish_pub_id('article', '1')")
    assert len(get(db, "article", pub_id)) == 1
    assert len(one(db, "select publish_page()")["changes"]) == 1
    assert one(db, "select depth from publish_status()") == 0
