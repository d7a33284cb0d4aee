"""Guarantees 1, 2 and 3 at once: four writers, two drains and four readers, all at full speed."""

import random
import threading

import psycopg
import pytest
from helpers import (
    ARTICLES,
    PATIENCE,
    begin,
    check_feed,
    drain,
    drain_all,
    enqueue,
    feed,
    one,
    record_revs,
    revs_given,
)

TRANSACTIONS = 90  # of each writer
KEYS = 40


def write(conn, dice: random.Random) -> None:
    """Random commits, rollbacks and savepoints; a deadlock victim rolls back and goes on."""
    for _ in range(TRANSACTIONS):
        try:
            for _ in range(dice.choice([1, 1, 2, 4, 15])):
                change_something(conn, dice)
            if dice.random() < 0.3:
                conn.execute("savepoint s")
                change_something(conn, dice)
                if dice.random() < 0.5:
                    conn.execute("rollback to s")
            if dice.random() < 0.8:
                conn.commit()
            else:
                conn.rollback()
        except psycopg.errors.DeadlockDetected:
            conn.rollback()


def change_something(conn, dice: random.Random) -> None:
    id, number, choice = dice.randrange(KEYS), dice.randrange(3), dice.random()
    if choice < 0.2:
        enqueue(conn, "note", str(id), str(number))
    elif choice < 0.25:
        enqueue(conn, "note", str(id), deleted=True)
    elif choice < 0.4:
        conn.execute("delete from article where id = %s", [id])
    elif choice < 0.55:
        conn.execute("update author set name = %s where id = %s", [f"name {number}", id % 3])
    elif choice < 0.65:
        conn.execute("update article set live = not live where id = %s", [id])
    else:
        conn.execute(
            "insert into article (id, author_id, title) values (%s, %s, %s)"
            " on conflict (id) do update"
            " set author_id = excluded.author_id, title = excluded.title",
            [id, dice.randrange(3), f"title {number}"],
        )


def compete(conn, dice: random.Random, stop: threading.Event) -> int:
    """Drains as fast as it can, rolls one in five back; returns how often it was busy."""
    busy = 0
    while not stop.is_set():
        with conn.transaction(force_rollback=dice.random() < 0.2):
            busy += drain(conn, dice.choice([1, 5, 50, 500])).busy
    return busy


def watch_all(conn, stop: threading.Event) -> set[tuple[int, str]]:
    """Reads the whole feed again and again: nothing new may appear at or below a rev once seen."""
    seen: set[tuple[int, str]] = set()
    last = 0
    while not stop.is_set():
        rows = conn.execute("select rev, pub_id::text from publish_changes(0, 100000)").fetchall()
        now = {(rev, pub_id) for rev, pub_id in rows}
        assert len({pub_id for _, pub_id in now}) == len(rows)
        assert all(rev > last for rev, _ in now - seen)
        last = max([last, *(rev for rev, _ in now)])
        seen |= now
    return seen


def follow_changes(conn, dice: random.Random, stop: threading.Event) -> dict[str, object]:
    """A viewer that only ever asks for what is after the last rev it has; returns its state."""
    since, state = 0, {}
    while True:
        ended = stop.is_set()
        rows = conn.execute(
            "select rev, pub_id::text, deleted, payload from publish_changes(%s, %s)",
            [since, dice.choice([1, 7, 100])],
        ).fetchall()
        for rev, pub_id, deleted, payload in rows:
            assert rev > since
            since = rev
            apply(state, pub_id, deleted, payload)
        if ended and not rows:
            return state


def follow_pages(conn, dice: random.Random, stop: threading.Event) -> dict[str, object]:
    """The same viewer over publish_page."""
    cursor, since, state = None, 0, {}
    while True:
        ended = stop.is_set()
        page = one(conn, "select publish_page(%s, %s)", cursor, dice.choice([1, 7, 100]))
        assert not page["reset"]
        cursor = page["cursor"]
        for change in page["changes"]:
            assert since < change["rev"] <= page["head"]
            since = change["rev"]
            apply(state, change["pub_id"], change["deleted"], change["payload"])
        if ended and not page["more"]:
            return state


def apply(state: dict[str, object], pub_id: str, deleted: bool, payload: object) -> None:
    if deleted:
        state.pop(pub_id, None)
    else:
        state[pub_id] = payload


@pytest.mark.parametrize("seed", [1, 2])
def test_under_full_load_revs_are_gapless_nothing_is_missed_and_all_readers_converge(connect, seed):
    db = connect()
    db.execute("set deadlock_timeout = '20ms'")
    db.execute(ARTICLES)
    db.execute("select publish_define('note')")
    db.execute("insert into author (id, name) values (0, 'a'), (1, 'b'), (2, 'c')")
    record_revs(db)
    quiet, done = threading.Event(), threading.Event()
    writers = [
        begin(
            write,
            connect(autocommit=False, options="-c deadlock_timeout=20ms"),
            random.Random(seed * 100 + n),
        )
        for n in range(4)
    ]
    drains = [begin(compete, connect(), random.Random(seed * 100 + n), quiet) for n in range(2)]
    watchers = [begin(watch_all, connect(), done) for _ in range(2)]
    viewers = [
        begin(follow_changes, connect(), random.Random(seed), done),
        begin(follow_pages, connect(), random.Random(seed), done),
    ]
    try:
        for future in writers:
            future.result(PATIENCE)
    finally:
        quiet.set()
    competed = [future.result(PATIENCE) for future in drains]
    drain_all(db)
    done.set()
    observed = set().union(*(future.result(PATIENCE) for future in watchers))
    states = [future.result(PATIENCE) for future in viewers]

    assert sum(competed) > 0
    check_feed(db)
    last = one(db, "select publish_head()")
    assert revs_given(db) == list(range(1, last + 1))
    pub_ids = db.execute(
        "select g.rev, p.pub_id::text from rev_given g join publish.published p"
        " on p.kind = g.kind and p.source_id = g.source_id"
    ).fetchall()
    assert observed <= {(rev, pub_id) for rev, pub_id in pub_ids}

    assert feed(db, "article") == dict(
        db.execute("select id::text, to_jsonb(v) from article_view v").fetchall()
    )
    assert feed(db, "note") == dict(
        db.execute(
            "select o.source_ids[1], o.payload"
            "  from (select distinct on (source_ids) source_ids, payload"
            "          from publish.outbox where kind = 'note'"
            "         order by source_ids, payload_no desc) o"
            " where o.payload is not null"
        ).fetchall()
    )
    live = dict(
        db.execute(
            "select pub_id::text, payload from publish.published where not deleted"
        ).fetchall()
    )
    for state in states:
        assert {key: state.get(key) for key in live.keys() | state.keys()} == live
