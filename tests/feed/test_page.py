"""publish_page: the feed as JSON documents of bounded size."""

import json

import psycopg
import pytest
from helpers import ARTICLES, drain_all, enqueue, one

MB = 1024 * 1024


@pytest.fixture
def db(connect):
    db = connect()
    db.execute(ARTICLES)
    db.execute("select publish_define('note')")
    return db


def read(db, batch=500, kinds=None, cursor=None):
    """Pages from a cursor to the head."""
    pages = []
    while not pages or pages[-1]["more"]:
        pages.append(one(db, "select publish_page(%s, %s, %s)", cursor, batch, kinds))
        cursor = pages[-1]["cursor"]
        assert not pages[-1]["reset"]
    return pages


def revs(pages):
    return [change["rev"] for page in pages for change in page["changes"]]


def test_a_page_has_these_members_and_a_change_has_those(db):
    db.execute("insert into article (id, title) values (1, 'x')")
    drain_all(db)
    page = one(db, "select publish_page()")
    assert set(page) == {"epoch", "cursor", "head", "changes", "more", "reset"}
    assert (page["head"], page["more"], page["reset"]) == (1, False, False)
    (change,) = page["changes"]
    assert set(change) == {
        "rev", "kind", "pub_id", "schema_version", "deleted", "payload", "headers",
        "created_at", "updated_at",
    }  # fmt: skip
    assert change["payload"] == {"id": 1, "title": "x", "author": None}


def test_more_is_true_exactly_while_there_is_a_page_left(db):
    for n in range(10):
        enqueue(db, "note", str(n), "1")
    drain_all(db)
    for batch, count in [(1, 10), (3, 4), (5, 2), (10, 1), (11, 1)]:
        pages = read(db, batch)
        assert revs(pages) == list(range(1, 11))
        assert len(pages) == count
    last = one(db, "select publish_page(%s)", pages[-1]["cursor"])
    assert (last["changes"], last["more"], last["cursor"]) == ([], False, pages[-1]["cursor"])


def test_a_page_that_begins_with_tombstones_has_all_of_them(db):
    for n in range(10):
        enqueue(db, "note", str(n), "1")
    drain_all(db)
    cursor = one(db, "select publish_page()")["cursor"]
    for n in range(6):
        enqueue(db, "note", str(n), deleted=True)
    enqueue(db, "note", "new", "1")
    drain_all(db)
    for batch in (1, 2, 5, 100):
        assert revs(read(db, batch, cursor=cursor)) == list(range(11, 18))


def test_a_page_of_kinds_that_do_not_change_advances_to_the_head(db):
    db.execute("insert into article (id, title) values (1, 'x')")
    drain_all(db)
    cursor = one(db, "select publish_page(kinds => '{article}')")["cursor"]
    for n in range(30):
        enqueue(db, "note", str(n), "1")
        drain_all(db)
    page = one(db, "select publish_page(%s, 5, '{article}')", cursor)
    assert (page["changes"], page["more"], page["head"]) == ([], False, 31)
    db.execute("update article set title = 'y'")
    drain_all(db)
    pages = read(db, 5, ["article"], page["cursor"])
    assert (revs(pages), len(pages)) == ([32], 1)


def test_pages_of_some_kinds_miss_nothing_of_them(db):
    for n in range(20):
        enqueue(db, "note", str(n), "1")
        db.execute("insert into article (id, title) values (%s, 'x')", [n])
    drain_all(db)
    for batch in (1, 3, 20, 500):
        assert revs(read(db, batch, ["article"])) == list(range(2, 41, 2))
        assert revs(read(db, batch, ["article", "note"])) == list(range(1, 41))


def test_bad_arguments_are_refused(db):
    for arguments, sqlstate in [
        ((None, 0, None), "PT400"),
        ((None, -5, None), "PT400"),
        ((None, None, None), "PT400"),
        ((None, 1, ["undefined"]), "PT404"),
    ]:
        with pytest.raises(psycopg.Error) as refused:
            db.execute("select publish_page(%s, %s, %s)", arguments)
        assert refused.value.sqlstate == sqlstate


def test_compressible_payloads_of_a_megabyte_come_in_pages_of_bounded_size(db):
    db.execute(
        "select publish_enqueue('note', i::text, to_jsonb(repeat('x', 1024 * 1024)))"
        "  from generate_series(1, 500) i where i % 10 = 0"
    )
    drain_all(db)
    # 500 of them, without the time it takes to drain half a gigabyte.
    db.execute(
        "insert into publish.published (rev, kind, source_id, schema_version, payload,"
        " payload_hash, deleted, payload_no, created_at, updated_at)"
        " select p.rev + 50 * i, p.kind, p.source_id || '.' || i, 1, p.payload, p.payload_hash,"
        " false, p.payload_no, p.created_at, p.updated_at"
        " from publish.published p, generate_series(1, 9) i"
    )
    db.execute(
        "insert into publish.drain select drain_id + 1, head, head + 450, drained, null, null,"
        " 450, 450, 450, 0, 0, lag, duration, now()"
        " from publish.drain order by drain_id desc limit 1"
    )
    page = one(db, "select publish_page()")
    assert 30 * MB < len(json.dumps(page)) < 34 * MB
    assert page["more"]
    assert revs([page]) == list(range(1, 1 + len(page["changes"])))
    assert page["cursor"].endswith(f".{len(page['changes'])}")


def test_small_stored_but_large_payloads_come_in_pages_of_bounded_size_too(db):
    """150 kB that TOAST compresses to less than 2 kB."""
    db.execute(
        "select publish_enqueue('note', i::text, to_jsonb(repeat('x', 150000)))"
        "  from generate_series(1, 250) i"
    )
    drain_all(db)
    pages = read(db)
    assert 30 * MB < len(json.dumps(pages[0])) < 34 * MB
    assert revs(pages) == list(range(1, 251))


def test_one_payload_larger_than_a_page_is_a_page_of_its_own(db):
    db.execute("select publish_enqueue('note', 'a', to_jsonb(repeat('x', 1000)))")
    drain_all(db)
    db.execute("update publish.published set payload = to_jsonb(repeat('x', 33 * 1024 * 1024))")
    enqueue(db, "note", "b", "1")
    drain_all(db)
    pages = read(db)
    assert [len(page["changes"]) for page in pages] == [1, 1]
