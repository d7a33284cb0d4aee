"""Publishing off and on, as a whole and by kind: captures go on, and nothing is lost."""

import json

import psycopg
import pytest
from click.testing import CliRunner
from helpers import ARTICLES, check_feed, drain, drain_all, enqueue, feed, one
from marks import verify

from pgpublish import cli


@pytest.fixture
def db(connect):
    db = connect()
    db.execute(ARTICLES)
    db.execute("select publish_define('note')")
    db.execute("insert into article (id, title) values (1, 'a'), (2, 'a')")
    enqueue(db, "note", "1", "1")
    drain_all(db)
    return db


def switch(db, value, kind=None):
    db.execute("select publish_set('publishing', %s, %s)", [value, kind])


def write(db):
    db.execute("update article set title = 'b' where id = 1")
    db.execute("delete from article where id = 2")
    enqueue(db, "note", "1", "2")
    enqueue(db, "note", "2", "2")


def test_off_as_a_whole_the_drain_says_so_and_takes_nothing(db):
    said = []
    db.add_notice_handler(lambda notice: said.append(notice.sqlstate))
    switch(db, "off")
    write(db)
    done = drain(db)
    assert (done.busy, done.scanned, said) == (True, 0, ["PT423"])
    assert feed(db, "note") == {"1": 1}
    assert one(db, "select depth from publish_status()") >= 4
    switch(db, "on")
    drain_all(db)
    assert feed(db, "note") == {"1": 2, "2": 2}
    assert [row["title"] for row in feed(db, "article").values()] == ["b"]


def test_what_was_written_while_its_kind_is_off_is_pending_and_not_wrong(db):
    switch(db, "off", "article")
    write(db)
    drain_all(db)
    sums, found = verify(db)
    assert (sums["pending"], found) == (2, {})


def test_what_a_lookup_may_find_once_its_kind_is_on_is_pending_and_not_wrong(db):
    db.execute(
        "create table place (author_id int);"
        "select publish_capture('article', 'place', key => 'author_id',"
        "                       lookup => 'select id from article where author_id = any ($1)')"
    )
    drain_all(db)
    switch(db, "off", "article")
    db.execute(
        "insert into place values (5);"
        "set session_replication_role = replica; update article set title = 'b' where id = 1;"
        "reset session_replication_role"
    )
    drain_all(db)
    sums, found = verify(db)
    assert (sums["pending"] > 0, found) == (True, {})
    switch(db, "on", "article")
    drain_all(db)
    assert verify(db)[1] == {"1": "stale"}


@pytest.mark.parametrize("kind", ["note", "article"])
def test_off_for_a_kind_the_others_go_on_and_nothing_is_lost(db, kind):
    switch(db, "off", kind)
    before = feed(db, kind)
    other = {"note": "article", "article": "note"}[kind]
    at_start = feed(db, other)
    write(db)
    drain_all(db)
    write(db)
    enqueue(db, "note", "1", "3")
    drain_all(db)
    assert feed(db, kind) == before
    assert feed(db, other) != at_start
    assert one(db, "select count(*) from publish.deferred where reason = 'off'") == 2
    switch(db, "on", kind)
    drain_all(db)
    assert feed(db, "note") == {"1": 3, "2": 2}
    assert [row["title"] for row in feed(db, "article").values()] == ["b"]
    assert one(db, "select count(*) from publish.deferred") == 0


def test_of_two_payloads_while_a_kind_is_off_the_later_one_is_kept_whichever_commits_first(
    db, connect
):
    switch(db, "off", "note")
    late = connect(autocommit=False)
    enqueue(late, "note", "1", '"older"')
    enqueue(db, "note", "1", '"newer"')
    drain_all(db)
    late.commit()
    drain_all(db)
    switch(db, "on", "note")
    drain_all(db)
    assert feed(db, "note") == {"1": "newer"}


def test_a_walk_of_a_kind_that_is_off_waits_until_it_is_on(db):
    switch(db, "off", "article")
    db.execute("select publish_walk('article')")
    assert drain(db).scanned == 0
    assert not one(db, "select publish.await_work(1, 1)"), "and keeps no loop busy"
    switch(db, "on", "article")
    assert drain_all(db) == 0
    assert one(db, "select marked from publish_walks()") == 2


def test_marks_put_off_by_a_drain_that_did_not_see_the_switch_are_found_by_maintenance(db, connect):
    switch(db, "off", "note")
    write(db)
    drainer = connect(autocommit=False)
    drain(drainer)
    switch(db, "on", "note")
    drainer.commit()
    assert drain_all(db) == 0
    db.execute("select publish_maintain()")
    drain_all(db)
    assert feed(db, "note") == {"1": 2, "2": 2}


def test_a_switch_that_is_left_open_stops_no_drain(db, connect):
    switch(db, "off", "note")
    write(db)
    drain_all(db)
    admin = connect(autocommit=False)
    switch(admin, "on", "note")
    enqueue(db, "note", "1", "3")
    db.execute("update article set title = 'c'")
    db.execute("set lock_timeout = '1s'")
    drain_all(db)
    assert [row["title"] for row in feed(db, "article").values()] == ["c"]
    admin.commit()
    db.execute("update publish.deferred set due_at = now() where reason = 'locked'")
    drain_all(db)
    assert feed(db, "note") == {"1": 3, "2": 2}
    assert one(db, "select count(*) from publish.deferred") == 0


def test_what_was_written_while_a_switch_was_open_is_put_off_if_that_is_undone(db, connect):
    switch(db, "off", "note")
    write(db)
    drain_all(db)
    admin = connect(autocommit=False)
    switch(admin, "on", "note")
    enqueue(db, "note", "1", "3")
    db.execute("set lock_timeout = '1s'")
    drain_all(db)
    admin.rollback()
    db.execute("update publish.deferred set due_at = now() where reason = 'locked'")
    drain_all(db)
    assert feed(db, "note") == {"1": 1}
    assert one(db, "select count(*) from publish.deferred where reason = 'off'") == 2
    switch(db, "on", "note")
    drain_all(db)
    assert feed(db, "note") == {"1": 3, "2": 2}


def test_a_walk_beside_a_switch_that_is_left_open_stops_no_drain(db, connect):
    switch(db, "off", "article")
    db.execute("select publish_walk('article')")
    drain_all(db)
    admin = connect(autocommit=False)
    switch(admin, "on", "article")
    db.execute("select publish_walk('article')")
    enqueue(db, "note", "1", "2")
    db.execute("set lock_timeout = '1s'")
    drain_all(db)
    assert feed(db, "note") == {"1": 2}
    admin.rollback()
    switch(db, "on", "article")
    drain_all(db)
    assert one(db, "select count(*) from publish.walk") == 0


def test_marks_that_wait_for_a_time_or_failed_stay_while_their_kind_is_off(db):
    db.execute("select publish_define('picky', validator => null)")
    enqueue(db, "note", "later", "1", available_at="2000-01-01")
    db.execute(
        "insert into publish.deferred (due_at, reason, kind, source_id, payload, payload_no,"
        " enqueued_at, sqlstate, message) values"
        " (now(), 'failed', 'note', 'bad', '1', 1, now(), 'XX000', 'x')"
    )
    db.execute("insert into publish.deferred (due_at, reason, kind, source_id, payload)"
               " values (now(), 'scheduled', 'note', 'due', '1')")  # fmt: skip
    switch(db, "off", "note")
    drain_all(db)
    switch(db, "off", "note")
    assert feed(db, "note") == {"1": 1}
    switch(db, "on", "note")
    drain_all(db)
    db.execute("select publish_retry('note')")
    drain_all(db)
    assert feed(db, "note") == {"1": 1, "later": 1, "due": 1, "bad": 1}
    check_feed(db)


def test_off_on_off_again_loses_nothing_between(db):
    switch(db, "off", "note")
    enqueue(db, "note", "1", "5")
    drain_all(db)
    switch(db, "on", "note")
    switch(db, "off", "note")
    drain_all(db)
    enqueue(db, "note", "2", "6")
    drain_all(db)
    assert feed(db, "note") == {"1": 1}
    switch(db, "on", "note")
    drain_all(db)
    assert feed(db, "note") == {"1": 5, "2": 6}


def test_the_commands_say_that_it_is_off(db, url, background):
    switch(db, "off")
    result = CliRunner().invoke(cli.main, ["--database-url", url, "drain", "--once"])
    assert (result.exit_code, "publishing is off" in result.stderr) == (5, True)
    process = background("run", "--log-format", "json")
    line = json.loads(process.stderr.readline())
    assert line["warning"].startswith("publishing is off")
    write(db)
    switch(db, "on")
    assert json.loads(process.stderr.readline())["warning"] == "publishing is on again"
    assert json.loads(process.stderr.readline())["published"] >= 1


def test_only_on_and_off_are_values(db):
    for value in ("maybe", "", "true"):
        with pytest.raises(psycopg.errors.DatabaseError) as error:
            switch(db, value)
        assert error.value.sqlstate == "PT400"


def test_what_waits_for_a_kind_that_is_off_is_counted(db):
    switch(db, "off", "note")
    write(db)
    drain_all(db)
    db.execute("update publish.deferred set enqueued_at = now() - interval '1 hour'")
    enqueue(db, "note", "3", "3")
    assert db.execute(
        "select kind, marks, oldest_at < now() - interval '59 min' from publish.kind_depth()"
    ).fetchall() == [("note", 3, True)]
    metrics = dict(
        db.execute(
            "select name || labels, value from publish_metrics() where name like '%deferred'"
        ).fetchall()
    )
    assert metrics['pgpublish_deferred{"reason": "off"}'] == 2
    assert one(db, "select publish_depth()") == 1, "a drain would find one"
