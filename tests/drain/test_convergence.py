"""Guarantee 3: two transactions change two source rows of one key, and the feed converges."""

import itertools

import pytest
from helpers import (
    ARTICLES,
    GATE,
    PATIENCE,
    begin,
    drain,
    drain_all,
    feed,
    one,
    pid,
    until,
    waits,
)

# Each transaction writes and then commits; both writes mark article 1.
ORDERS = sorted(set(itertools.permutations(["write 1", "commit 1", "write 2", "commit 2"])))
ORDERS = [o for o in ORDERS if all(o.index(f"write {n}") < o.index(f"commit {n}") for n in "12")]


@pytest.fixture
def sources(connect):
    db, first, second = connect(), connect(autocommit=False), connect(autocommit=False)
    db.execute(ARTICLES)
    db.execute("insert into author (id, name) values (1, 'before')")
    db.execute("insert into article (id, author_id, title) values (1, 1, 'before')")
    drain_all(db)
    return db, first, second


def shown(db):
    return {"1": one(db, "select to_jsonb(v) from article_view v where v.id = 1")}


def test_every_order_of_two_transactions_and_drains_between_them_converges(sources):
    db, first, second = sources
    steps = {
        "write 1": lambda value: first.execute("update article set title = %s", [value]),
        "commit 1": lambda value: first.commit(),
        "write 2": lambda value: second.execute("update author set name = %s", [value]),
        "commit 2": lambda value: second.commit(),
    }
    cases = itertools.product(ORDERS, itertools.product([False, True], repeat=4))
    for number, (order, drains) in enumerate(cases):
        for step, drain_after in zip(order, drains, strict=True):
            steps[step](f"value {number}")
            if drain_after:
                drain(db)
        drain_all(db)
        assert feed(db, "article") == shown(db), (order, drains)
        assert feed(db, "article")["1"]["title"] == feed(db, "article")["1"]["author"]
    assert len(ORDERS) == 6


def test_commits_while_a_drain_is_projecting_the_key_are_published_by_the_next(sources, connect):
    db, first, second = sources
    slow = connect()
    db.execute(GATE)
    db.execute(
        "create view slow_view as select v.*, gate(7) as gate from article_view v;"
        "select publish_define('article', 'slow_view')"
    )
    drain_all(db)
    steps = {
        "write 1": lambda: first.execute("update article set title = 'after'"),
        "commit 1": first.commit,
        "write 2": lambda: second.execute("update author set name = 'after'"),
        "commit 2": second.commit,
    }
    for order, middle in itertools.product(ORDERS, range(1, 5)):
        first.execute("update article set title = 'before'")
        first.commit()
        drain_all(db)
        second.execute("update author set name = 'before'")
        second.commit()
        for step in order[:middle]:
            steps[step]()
        db.execute("select pg_advisory_lock(1, 7)")
        draining = begin(drain, slow)
        until(lambda: waits(db, pid(slow)))
        for step in order[middle:]:
            steps[step]()
        db.execute("select pg_advisory_unlock(1, 7)")
        assert draining.result(PATIENCE).scanned > 0
        drain_all(db)
        after = {"id": 1, "title": "after", "author": "after", "gate": 7}
        assert feed(db, "article") == {"1": after}, (order, middle)


def test_a_key_changed_twice_before_one_drain_gets_one_rev_with_its_last_state(sources):
    db, first, second = sources
    first.execute("update article set title = 'once'")
    first.commit()
    second.execute("update author set name = 'twice'")
    second.commit()

    done = drain(db)
    assert (done.scanned, done.keys, done.published) == (2, 1, 1)
    assert feed(db, "article") == shown(db)


def test_what_the_view_stops_showing_is_unpublished_and_comes_back_when_it_shows_it(sources):
    db, first, _ = sources
    first.execute("update article set live = false")
    first.commit()
    assert drain_all(db) == 1
    assert feed(db, "article") == {}
    first.execute("update article set live = true")
    first.commit()
    assert drain_all(db) == 1
    assert feed(db, "article") == shown(db)
