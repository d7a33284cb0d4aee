"""Guarantee 7: a reader that cannot go on is told so, and every other reader goes on."""

import psycopg
import pytest
from helpers import ARTICLES, drain_all, enqueue, head, one

CHANGES = "select * from publish_changes(%s, %s, %s, %s, %s)"


@pytest.fixture
def db(connect):
    """A feed of ten live notes at revs 1 to 10."""
    db = connect()
    db.execute(ARTICLES)
    db.execute("select publish_define('note')")
    for n in range(1, 11):
        enqueue(db, "note", str(n), str(n))
    drain_all(db)
    return db


def changes(db, since=0, batch=500, kinds=None, base=None, epoch=None):
    return db.execute(CHANGES, [since, batch, kinds, base, epoch]).fetchall()


def revs(db, *args, **kwargs):
    return [change.rev for change in changes(db, *args, **kwargs)]


def refused(db, *args, **kwargs):
    """The SQLSTATE that publish_changes gives."""
    with pytest.raises(psycopg.Error) as error:
        changes(db, *args, **kwargs)
    return error.value.sqlstate


def delete(db, *keys):
    for key in keys:
        enqueue(db, "note", str(key), deleted=True)
    drain_all(db)


def prune(db):
    """Prunes every tombstone there is, as if it were old."""
    db.execute("update publish.published set updated_at = now() - interval '60 days' where deleted")
    return one(db, "select rows_pruned from publish_maintain()")


def test_changes_come_in_rev_order_after_since_and_at_most_batch(db):
    assert revs(db) == list(range(1, 11))
    assert revs(db, 4, 3) == [5, 6, 7]
    assert revs(db, 10) == []
    enqueue(db, "note", "3", '"again"')
    drain_all(db)
    assert revs(db, 0) == [1, 2, *range(4, 12)]
    assert changes(db, 10)[0].payload == "again"


def test_changes_do_not_tell_the_source_id(db):
    assert not {"source_id", "seq"} & set(changes(db)[0]._fields)
    assert not {"source_id", "seq"} & set(one(db, "select publish_page()")["changes"][0])


def test_bad_arguments_are_refused(db):
    assert refused(db, -1) == "PT400"
    assert refused(db, None) == "PT400"
    assert refused(db, 0, 0) == "PT400"
    assert refused(db, 0, None) == "PT400"
    assert refused(db, 0, base=-1) == "PT400"
    assert refused(db, 0, kinds=["undefined"]) == "PT404"
    assert refused(db, 0, kinds=["note", None]) == "PT404"


def test_since_above_the_head_is_refused_and_at_the_head_is_not(db):
    assert refused(db, 11) == "PT410"
    assert revs(db, 10) == []


def test_an_empty_feed_is_read_from_0_only(connect):
    db = connect()
    assert revs(db) == []
    assert refused(db, 1) == "PT410"


def test_kinds_are_read_together_in_rev_order(db):
    db.execute("insert into article (id, title) values (1, 'x')")
    enqueue(db, "note", "1", '"again"')
    drain_all(db)
    assert revs(db, kinds=["article"]) == [11]
    assert revs(db, 5, kinds=["note", "article", "note"]) == [6, 7, 8, 9, 10, 11, 12]
    assert revs(db, 5, 2, kinds=["note", "article"]) == [6, 7]
    assert revs(db, kinds=[]) == []


def test_a_first_sync_leaves_out_tombstones_up_to_its_base_and_no_later_ones(db):
    delete(db, 1, 2)
    base = head(db)
    delete(db, 3)
    assert revs(db, base=base) == [*range(4, 11), 13]
    assert revs(db) == list(range(4, 14))


def test_a_reader_below_a_pruned_tombstone_is_refused_and_one_above_goes_on(db):
    delete(db, 1)
    delete(db, 2)
    assert revs(db, 10) == [11, 12]
    assert prune(db) == 2
    assert one(db, "select floor from publish_status()") == 12
    assert refused(db, 10) == "PT410"
    assert refused(db, 11) == "PT410"
    assert revs(db, 12) == []
    enqueue(db, "note", "4", '"again"')
    drain_all(db)
    assert revs(db, 12) == [13]


def test_a_first_sync_over_old_rows_never_trips_over_the_floor(db):
    delete(db, 1)
    prune(db)
    base, since, read = head(db), 0, []
    while page := revs(db, since, 2, base=base):
        read += page
        since = page[-1]
    assert read == list(range(2, 11))


def test_a_reader_that_has_passed_its_base_reads_on_after_what_it_has_seen_is_pruned(db):
    base = head(db)
    delete(db, 1)
    cursor = one(db, "select publish_page(%s)", one(db, "select publish_page(null, 1)")["cursor"])
    assert revs(db, 10, base=base) == [11]
    prune(db)
    assert revs(db, 11, base=base) == []
    assert not one(db, "select publish_page(%s)", cursor["cursor"])["reset"]


def test_a_first_sync_that_misses_a_deletion_after_its_base_is_refused(db):
    base = head(db)
    assert revs(db, 0, 3, base=base) == [1, 2, 3]
    delete(db, 1)
    prune(db)
    assert refused(db, 3, base=base) == "PT410"
    assert refused(db, 0, base=base) == "PT410"


def test_a_first_sync_of_pages_never_trips_over_the_floor_and_a_late_one_is_reset(db):
    delete(db, 1)
    prune(db)
    cursor, read = None, []
    while True:
        page = one(db, "select publish_page(%s, 2)", cursor)
        assert not page["reset"]
        read += [change["rev"] for change in page["changes"]]
        cursor = page["cursor"]
        if not page["more"]:
            break
    assert read == list(range(2, 11))
    delete(db, 2)
    prune(db)
    page = one(db, "select publish_page(%s)", cursor)
    assert (page["reset"], page["changes"], page["cursor"]) == (True, [], None)
    assert not one(db, "select publish_page(null)")["reset"]


def test_what_is_pruned_of_a_kind_resets_only_those_who_read_that_kind(db):
    db.execute("select publish_define('event')")
    enqueue(db, "event", "a", "1")
    drain_all(db)
    cursors = {
        kinds: one(db, "select publish_page(null, 3, %s)", kinds)["cursor"]
        for kinds in ("{note}", "{event}", "{note,event}", None)
    }
    delete(db, 1)
    prune(db)
    reset = {
        kinds: one(db, "select publish_page(%s, 500, %s)", cursor, kinds)["reset"]
        for kinds, cursor in cursors.items()
    }
    assert reset == {"{note}": True, "{event}": False, "{note,event}": True, None: True}
    assert revs(db, 5, kinds=["event"]) == [11]
    assert revs(db, 5, kinds=[]) == []
    assert refused(db, 5, kinds=["note"]) == "PT410"
    assert refused(db, 5, kinds=["event", "note"]) == "PT410"
    assert refused(db, 5) == "PT410"
    assert revs(db, 12, kinds=["note"]) == []


def new_epoch(db):
    """What a promotion does: the next drain meets another timeline, and no publish.alive."""
    db.execute("truncate publish.alive")
    db.execute("update publish.epoch set timeline = timeline - 1 where epoch_no ="
               " (select max(epoch_no) from publish.epoch)")  # fmt: skip
    db.execute("select publish_drain()")
    return one(db, "select epoch from publish_status()")


def test_a_cursor_of_an_older_epoch_goes_on_up_to_where_any_later_epoch_began(db):
    first = one(db, "select epoch from publish_status()")
    at_6 = one(db, "select publish_page(null, 6)")["cursor"]
    at_10 = one(db, "select publish_page()")["cursor"]
    second = new_epoch(db)
    assert len({first, second}) == 2
    for n in range(5):
        enqueue(db, "note", f"second {n}", "1")
    drain_all(db)
    at_15 = one(db, "select publish_page()")["cursor"]
    third = new_epoch(db)
    for n in range(5):
        enqueue(db, "note", f"third {n}", "1")
    drain_all(db)

    assert revs(db, 10, epoch=first) == list(range(11, 21))
    assert refused(db, 11, epoch=first) == "PT410"
    assert revs(db, 15, epoch=second) == list(range(16, 21))
    assert refused(db, 16, epoch=second) == "PT410"
    assert revs(db, 18, epoch=third) == [19, 20]
    assert refused(db, 0, base=11, epoch=first) == "PT410"
    assert revs(db, 0, base=10, epoch=first) == list(range(1, 21))
    for cursor, since in [(at_6, 6), (at_10, 10), (at_15, 15)]:
        page = one(db, "select publish_page(%s)", cursor)
        assert not page["reset"]
        assert [c["rev"] for c in page["changes"]] == list(range(since + 1, 21))
        assert page["epoch"] == str(third)


def test_an_epoch_that_is_not_known_here_is_refused(db):
    assert refused(db, 5, epoch="00000000-0000-4000-8000-000000000000") == "PT410"
    assert one(db, "select publish_page(%s)", f"1.{'0' * 32}.5.5")["reset"]


def test_a_reader_of_the_database_before_its_first_drain_goes_on_after_it(connect):
    db = connect()
    cursor = one(db, "select publish_page()")["cursor"]
    db.execute("select publish_define('note')")
    enqueue(db, "note", "a", "1")
    drain_all(db)
    page = one(db, "select publish_page(%s)", cursor)
    assert (page["reset"], len(page["changes"])) == (False, 1)


BROKEN = [
    "", " ", "x", "1.", "1.0", "1.0.0", "1.0.0.", "1.0.0.0.0", "2.0.0.0", "1.0.0.-1", "1.0.-1.0",
    "1.0.0.0 ", " 1.0.0.0", "1.0.0.0\n", "1.0.0x.0", "1.0.0.1e3", "1.x.0.0", "1.00.0.0", "1,0,0,0",
    f"1.{'0' * 31}.0.0", f"1.{'0' * 33}.0.0", f"1.{'g' * 32}.0.0", f"1.{'A' * 32}.0.0",
    "1.00000000-0000-4000-8000-000000000000.0.0", f"1.0.{'9' * 19}.0", f"1.0.0.{'9' * 30}",
    "1.0.0.\u0661", "\u0661", "null", "{}", "1.0.0.0'; drop table x; --", "9" * 19, "9" * 5000,
    "-1", "+1", "1.5", "1 ", "1\n",
]  # fmt: skip


def test_strings_that_are_no_cursor_are_refused(db):
    for cursor in BROKEN:
        with pytest.raises(psycopg.Error) as error:
            db.execute("select publish_page(%s)", [cursor])
        assert error.value.sqlstate == "PT400", cursor


def test_a_cursor_above_the_head_is_reset(db):
    for cursor in ["1.0.0.11", f"1.0.0.{'9' * 18}", f"1.0.{'9' * 18}.{'9' * 18}"]:
        assert one(db, "select publish_page(%s)", cursor)["reset"]


def test_a_plain_rev_goes_on_after_it_and_misses_no_tombstone(db):
    delete(db, 1)
    page = one(db, "select publish_page('10')")
    assert [(c["rev"], c["deleted"]) for c in page["changes"]] == [(11, True)]
    prune(db)
    assert one(db, "select publish_page('10')")["reset"]
    assert one(db, "select publish_page('12')")["reset"]
    assert not one(db, "select publish_page('11')")["reset"]
