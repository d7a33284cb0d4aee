"""Limits of the depth of a kind: what is estimated, what is refused, what is walked later."""

import psycopg
import pytest
from helpers import ARTICLES, drain, drain_all, enqueue, feed, one


@pytest.fixture
def db(connect):
    db = connect()
    db.execute("select publish_define('note')")
    db.execute("select publish_define('other')")
    return db


def limit(db, kind, marks, at_limit=None):
    one(db, "select publish_set('depth_limit', %s, %s)", str(marks), kind)
    if at_limit:
        one(db, "select publish_set('at_depth_limit', %s, %s)", at_limit, kind)


def many(db, kind, count):
    db.execute(
        "insert into publish.outbox (kind, source_ids, payload_no, payload, seq)"
        " select %s, array[n::text], nextval('publish.payload_no'), '1', n"
        "   from generate_series(1, %s) n",
        [kind, count],
    )


def depth(db, kind):
    return one(db, "select depth from publish_backlog() where kind = %s", kind)


def refused(db, kind):
    with pytest.raises(psycopg.errors.DatabaseError) as error:
        enqueue(db, kind, "x", "1")
    return error.value.sqlstate


def test_a_kind_over_its_limit_refuses_and_the_others_go_on(db):
    limit(db, "note", 1000)
    many(db, "other", 2000)
    enqueue(db, "note", "1", "1")
    many(db, "note", 3000)
    assert refused(db, "note") == "PT429"
    enqueue(db, "other", "1", "1")
    drain_all(db, 5000)
    enqueue(db, "note", "1", "2")


def test_a_small_outbox_is_counted(db, connect):
    many(db, "note", 100)
    assert depth(db, "note") == 100
    assert depth(db, "other") == 0
    other = connect(autocommit=False)
    many(other, "note", 50)
    assert depth(db, "note") == 100, "what has not committed does not count"
    other.rollback()
    assert depth(db, "note") == 100, "nor what never will"
    drain_all(db)
    assert depth(db, "note") == 0, "nor what is drained"


def test_a_large_one_is_estimated_from_64_pages(db):
    many(db, "note", 30_000)
    drain(db, 20_000)
    many(db, "other", 10_000)
    many(db, "note", 10_000)
    for kind in ("note", "other"):
        expected = depth_now(db, kind)
        estimates = [depth(db, kind) for _ in range(5)]
        assert all(abs(n - expected) < 50_000 / 64 * 3 for n in estimates), estimates
    pages = one(db, "select pg_relation_size('publish.outbox_0') / 8192"
                    " + pg_relation_size('publish.outbox_1') / 8192"
                    " + pg_relation_size('publish.outbox_2') / 8192")  # fmt: skip
    assert pages > 300
    with db.transaction():
        before = reads(db)
        db.execute("select * from publish.sample_outbox(16)")
        assert reads(db) - before < 16 * 200


def depth_now(db, kind):
    return one(
        db,
        "select coalesce(sum(cardinality(o.source_ids)), 0) from publish.outbox o,"
        " (select d.* from publish.drain d order by d.drain_id desc limit 1) d"
        " where o.kind = %s and not pg_visible_in_snapshot(o.xid, d.drained)"
        "   and (o.xid = d.partial_xid and o.seq <= d.partial_seq) is not true",
        kind,
    )


def reads(db):
    return one(db, "select coalesce(sum(seq_tup_read + idx_tup_fetch), 0)"
                   " from pg_stat_xact_user_tables where relname like 'outbox%'")  # fmt: skip


@pytest.fixture
def articles(db):
    db.execute("create table item (id int primary key, v text)")
    db.execute("create view item_view as select id, v from item")
    db.execute("select publish_define('item', 'item_view')")
    db.execute("select publish_capture('item', 'item')")
    db.execute("insert into item select n, 'a' from generate_series(1, 20) n")
    drain_all(db)
    return db


def fill(db, kind):
    db.execute(
        "insert into publish.outbox (kind, source_ids)"
        " select %s, array[n::text] from generate_series(1, 1500) n",
        [kind],
    )


def all_due(db):
    db.execute("update publish.walk set due_at = now()")


def values(db):
    return {row["id"]: row["v"] for row in feed(db, "item").values()}


def test_at_the_limit_writes_pass_and_the_kind_is_walked_later(articles):
    db = articles
    limit(db, "item", 1000)
    db.execute("update item set v = 'b' where id = 1")
    fill(db, "item")
    marks = one(db, "select count(*) from publish.outbox")
    with db.transaction():
        for n in range(2, 6):
            db.execute("update item set v = 'b' where id = %s", [n])
        db.execute("delete from item where id = 6")
    assert one(db, "select count(*) from publish.outbox") == marks
    assert db.execute("select kind, reason from publish.walk").fetchall() == [
        ("item", "over its depth_limit")
    ], "one request a transaction"
    db.execute("truncate publish.outbox")
    drain_all(db)
    assert values(db)[5] == "a"
    all_due(db)
    drain_all(db)
    assert values(db) == dict(db.execute("select id, v from item").fetchall())


def test_a_walk_that_passed_the_key_before_the_commit_is_followed_by_another(articles, connect):
    db, writer = articles, connect(autocommit=False)
    limit(db, "item", 1000)
    fill(db, "item")
    db.execute("update item set v = 'b' where id = 1")
    writer.execute("update item set v = 'c' where id = 2")
    drain_all(db)
    all_due(db)
    drain_all(db)
    assert (values(db)[1], values(db)[2]) == ("b", "a")
    writer.commit()
    all_due(db)
    drain_all(db)
    assert values(db)[2] == "c"


def test_a_rolled_back_part_of_a_transaction_takes_its_request_and_asks_again(articles):
    db = articles
    limit(db, "item", 1000)
    fill(db, "item")
    with db.transaction():
        db.execute("savepoint a; update item set v = 'b' where id = 1; rollback to a")
        db.execute("update item set v = 'b' where id = 2")
    assert one(db, "select count(*) from publish.walk") == 1


def test_its_owner_may_have_the_write_refused(articles):
    db = articles
    limit(db, "item", 1000, "refuse")
    fill(db, "item")
    for statement in ("insert into item values (99, 'x')", "delete from item where id = 1"):
        with pytest.raises(psycopg.errors.DatabaseError) as error:
            db.execute(statement)
        assert error.value.sqlstate == "PT429"
    db.execute("truncate item")
    one(db, "select publish_set('depth_limit', null, 'item')")
    db.execute("insert into item values (99, 'x')")
    assert db.execute("select * from publish_audit('item')").fetchall() == []


def test_a_capture_whose_key_is_an_expression_and_a_trigger_by_hand_have_the_limit_too(db):
    db.execute(ARTICLES)
    db.execute("create table part (id int primary key, article text)")
    db.execute("select publish_capture('article', 'part', key => 'article::int + 0')")
    db.execute("insert into article (id, title) values (1, 'a')")
    drain_all(db)
    limit(db, "article", 1000)
    fill(db, "article")
    marks = one(db, "select count(*) from publish.outbox")
    db.execute("insert into part values (1, '1')")
    db.execute("update article set title = 'b'")
    assert one(db, "select count(*) from publish.outbox") == marks
    assert one(db, "select count(*) from publish.walk") == 2


def test_a_kind_without_a_limit_pays_nothing_in_its_trigger(articles):
    body = "select prosrc from pg_proc where proname like 'capture!__' escape '!'"
    assert "drops_marks" not in one(articles, body)
    limit(articles, "item", 1000)
    assert "drops_marks" in one(articles, body)


def test_above_the_soft_limit_is_a_warning(db):
    one(db, "select publish_set('depth_warning', '50', 'note')")
    many(db, "note", 60)
    many(db, "other", 60)
    assert dict(db.execute("select kind, state from publish_backlog()").fetchall()) == {
        "note": "warning",
        "other": "ok",
    }
