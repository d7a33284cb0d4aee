"""Renaming a kind while writes, drains and readers go on."""

import psycopg
import pytest
from click.testing import CliRunner
from helpers import begin, check_feed, drain, drain_all, enqueue, feed, head, one

from pgpublish import cli


@pytest.fixture
def db(connect):
    db = connect()
    db.execute("create table item (id int primary key, v text)")
    db.execute("create view item_view as select id, v from item")
    db.execute("select publish_define('item', 'item_view')")
    db.execute("select publish_capture('item', 'item')")
    db.execute("select publish_define('note')")
    db.execute("insert into item values (1, 'a'), (2, 'a'), (3, 'a')")
    enqueue(db, "note", "1", "1")
    drain_all(db)
    db.execute("delete from item where id = 3")
    drain_all(db)
    return db


def values(db, kind):
    return {row["id"]: row["v"] for row in feed(db, kind).values()}


def rename(db, old, new):
    return one(db, "select publish_rename(%s, %s)", old, new)


def test_every_key_is_published_again_under_the_new_name_with_its_pub_id(db):
    pub_ids = "select source_id, pub_id from publish.published where kind = %s order by 1"
    before = db.execute(pub_ids, ["item"]).fetchall()
    since = head(db)
    db.execute("select publish_set('tombstone_retention', '1 day', 'item')")
    assert rename(db, "item", "product") == 3
    assert db.execute(pub_ids, ["product"]).fetchall() == before
    assert db.execute(pub_ids, ["item"]).fetchall() == []
    assert [row.kind for row in db.execute("select * from publish_changes(%s)", [since])] == [
        "product"
    ] * 3
    check_feed(db)
    db.execute("update item set v = 'b' where id = 1")
    drain_all(db)
    assert values(db, "product") == {1: "b", 2: "a"}
    assert one(db, "select count(*) from publish_audit()") == 0
    assert one(db, "select publish.setting_of('tombstone_retention', 'product')") == "1 day"


def test_marks_of_the_old_name_are_not_lost(db, connect):
    late = connect(autocommit=False)
    late.execute("update item set v = 'late' where id = 1")
    enqueue(db, "note", "2", "2", available_at="2999-01-01")
    db.execute("update item set v = 'before' where id = 2")
    rename(db, "item", "product")
    rename(db, "note", "memo")
    db.execute("insert into publish.walk (kind, reason) values ('item', 'by a late transaction')")
    enqueue(db, "note", "3", "3")
    enqueue(db, "memo", "4", "4")
    drain_all(db)
    assert values(db, "product") == {1: "a", 2: "before"}
    late.commit()
    drain_all(db)
    assert values(db, "product") == {1: "late", 2: "before"}
    assert feed(db, "memo") == {"1": 1, "3": 3, "4": 4}
    db.execute("update publish.deferred set due_at = now()")
    drain_all(db)
    assert feed(db, "memo") == {"1": 1, "2": 2, "3": 3, "4": 4}
    assert one(db, "select count(*) from publish.deferred") == 0
    assert one(db, "select of_kind from publish_walks()") == "product"


def test_subscriptions_follow_and_their_consumers_get_each_key_once_more(db):
    db.execute("select publish_subscribe('s', 'stdout', kinds => '{item}', from_rev => %s)",
               [head(db)])  # fmt: skip
    rename(db, "item", "product")
    claimed = db.execute("select kind, deleted from publish_claim('s', 'w')").fetchall()
    assert claimed == [("product", False), ("product", False), ("product", True)]


def test_the_command_asks_first(db, url):
    arguments = ["--database-url", url, "rename", "item", "product"]
    assert CliRunner().invoke(cli.main, arguments).exit_code == 1
    assert values(db, "item") == {1: "a", 2: "a"}
    assert CliRunner().invoke(cli.main, [*arguments, "--yes"]).output == (
        "item is product now: 3 keys\n"
    )


def test_a_name_may_go_back_and_a_new_kind_may_take_it(db):
    rename(db, "item", "product")
    rename(db, "product", "item")
    assert values(db, "item") == {1: "a", 2: "a"}
    rename(db, "note", "memo")
    db.execute("select publish_define('note')")
    enqueue(db, "note", "9", "9")
    drain_all(db)
    assert feed(db, "note") == {"9": 9}
    assert feed(db, "memo") == {"1": 1}


def test_a_limit_counts_what_was_marked_under_the_former_name(db):
    many = "insert into publish.outbox (kind, source_ids, payload_no, payload)" \
           " select %s, array[n::text], nextval('publish.payload_no'), '1'" \
           "   from generate_series(1, 2000) n"  # fmt: skip
    for kind, new_name in (("note", "memo"), ("item", "product")):
        db.execute("select publish_set('depth_limit', '1000', %s)", [kind])
        db.execute(many, [kind])
        rename(db, kind, new_name)
    for name in ("memo", "note"):
        with pytest.raises(psycopg.Error) as error:
            enqueue(db, name, "x", "1")
        assert error.value.sqlstate == "PT429", name
    db.execute("create trigger by_hand after insert on item for each row"
               " execute function publish_enqueue('item', 'id')")  # fmt: skip
    marks = one(db, "select count(*) from publish.outbox")
    db.execute("insert into item values (4, 'd')")
    assert one(db, "select count(*) from publish.outbox") == marks
    assert db.execute("select kind, reason from publish.walk").fetchall() == [
        ("product", "over its depth_limit")
    ]
    states = dict(db.execute("select kind, state from publish_backlog()").fetchall())
    assert states == {"memo": "limit", "product": "limit"}
    assert dict(db.execute("select kind, marks from publish.kind_depth()").fetchall()) == {
        "memo": 2000,
        "product": 2000,
    }


def test_what_was_marked_before_a_new_kind_took_the_name_is_the_renamed_one_s(db, connect):
    late = connect(autocommit=False)
    late.execute("update item set v = 'late' where id = 1")
    late.execute("insert into publish.walk (kind, reason) values ('item', 'truncated')")
    enqueue(late, "note", "8", "8")
    rename(db, "item", "product")
    rename(db, "note", "memo")
    enqueue(db, "note", "9", "9")
    db.execute("create table other (id int primary key)")
    db.execute("create view other_view as select id from other")
    db.execute("select publish_define('item', 'other_view')")
    db.execute("select publish_define('note')")
    enqueue(db, "note", "7", "7")
    late.commit()
    drain_all(db)
    assert feed(db, "note") == {"7": 7}
    assert feed(db, "memo") == {"1": 1, "8": 8, "9": 9}
    assert values(db, "product") == {1: "late", 2: "a"}
    assert one(db, "select of_kind from publish_walks()") == "product"
    assert feed(db, "item") == {}
    rename(db, "note", "third")
    db.execute("select publish_define('note')")
    enqueue(db, "note", "6", "6")
    drain_all(db)
    assert (feed(db, "note"), feed(db, "third")) == ({"6": 6}, {"7": 7})


def test_what_cannot_be_is_refused(db, connect):
    for old, new, state in (
        ("none", "x", "PT404"), ("item", "note", "PT400"), ("item", "item", "PT400"),
        ("item", "", "PT400"), ("item", "x" * 201, "PT400"), ("item", None, "PT400"),
    ):  # fmt: skip
        with pytest.raises(psycopg.Error) as error:
            rename(db, old, new)
        assert error.value.sqlstate == state
    other = connect(autocommit=False)
    db.execute("update item set v = 'b'")
    drain(other)
    with pytest.raises(psycopg.Error) as error:
        begin(rename, db, "item", "product").result(30)
    assert error.value.sqlstate == "PT423"
