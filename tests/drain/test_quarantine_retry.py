"""A key that fails waits alone: good ones pass it, and it is set free as soon as it can be."""

from __future__ import annotations

from typing import Any

import pytest
from helpers import PATIENCE, begin, drain, drain_all, feed, one, pid, quarantine, until, waits

KEYS = 5000
SCHEMA = """
create table ratio (id int primary key, divisor int not null default 1);
create view ratio_feed as select id, 100 / divisor as value from ratio;
select publish_define('ratio', 'ratio_feed');
select publish_capture('ratio', 'ratio');
"""


@pytest.fixture
def db(connect: Any) -> Any:
    db = connect()
    db.execute(SCHEMA)
    return db


def insert(db: Any, keys: int, *bad: int) -> None:
    db.execute(
        "insert into ratio select n, (n <> all (%s::int[]))::int from generate_series(1, %s) as n",
        [list(bad), keys],
    )


@pytest.mark.parametrize("batch", [500, KEYS])
@pytest.mark.parametrize("bad", [1, 2713, KEYS])
def test_a_bad_key_among_5000_delays_no_other_by_a_drain(db: Any, batch: int, bad: int) -> None:
    """The drain that meets it publishes the rest of its batch, and no key is looked at twice."""
    insert(db, KEYS, bad)
    keys = 0
    while (done := drain(db, batch)).scanned:
        assert done.published + done.quarantined == done.keys
        keys += done.keys
    assert keys == KEYS
    assert len(feed(db, "ratio")) == KEYS - 1
    assert quarantine(db) == {str(bad): "22012"}


@pytest.mark.parametrize(
    ("refuses", "sqlstate"),
    [
        ("begin return (payload ->> 'id')::int not in (1, 77, 400); end", "PT422"),
        ("begin if (payload ->> 'id')::int in (1, 77, 400) then"
         " raise exception 'no' using errcode = 'P0001'; end if; return true; end", "P0001"),
        ("begin return 1 / ((payload ->> 'id')::int not in (1, 77, 400))::int = 1; end", "22012"),
    ],
)  # fmt: skip
def test_keys_that_a_validator_refuses_or_fails_on_delay_no_other(
    db: Any, refuses: str, sqlstate: str
) -> None:
    db.execute(
        "create function valid(payload jsonb) returns boolean language plpgsql"
        f" as $$ {refuses} $$;"
        "select publish_define('ratio', 'ratio_feed', validator => 'valid(jsonb)')".encode()
    )
    insert(db, 400)
    done = drain(db)
    assert (done.published, done.quarantined) == (397, 3)
    assert quarantine(db) == dict.fromkeys(["1", "77", "400"], sqlstate)


def test_a_validator_that_says_nothing_accepts(db: Any) -> None:
    db.execute(
        "create function valid(payload jsonb) returns boolean return null::boolean;"
        "select publish_define('ratio', 'ratio_feed', validator => 'valid(jsonb)')"
    )
    insert(db, 3)
    assert drain(db).published == 3


def test_the_next_write_to_a_key_sets_it_free_and_only_it(db: Any) -> None:
    insert(db, 5, 2, 4)
    drain_all(db)
    db.execute("update ratio set divisor = 5 where id = 2")
    assert drain(db).published == 1
    assert quarantine(db) == {"4": "22012"}
    db.execute("delete from ratio where id = 4")
    drain_all(db)
    assert quarantine(db) == {}
    assert feed(db, "ratio")["2"] == {"id": 2, "value": 20}


def test_a_new_validator_tries_every_key_that_the_old_one_refused(db: Any) -> None:
    db.execute(
        "create function valid(payload jsonb) returns boolean return false;"
        "select publish_define('ratio', 'ratio_feed', validator => 'valid(jsonb)')"
    )
    insert(db, 5)
    assert drain(db).quarantined == 5
    db.execute("select publish_define('ratio', 'ratio_feed')")
    assert drain_all(db) == 5
    assert quarantine(db) == {}


def test_what_was_published_before_stays_until_the_retry_goes_through(db: Any) -> None:
    insert(db, 2)
    drain_all(db)
    before = feed(db, "ratio")
    db.execute("update ratio set divisor = 0 where id = 1")
    drain_all(db)
    assert feed(db, "ratio") == before
    db.execute("alter table ratio disable trigger user; update ratio set divisor = 4 where id = 1")
    assert one(db, "select publish_retry('ratio', '1')") == 1
    drain_all(db)
    assert feed(db, "ratio")["1"]["value"] == 25


def test_a_retry_by_hand_beside_an_open_drain_is_not_lost(db: Any, connect: Any) -> None:
    draining, person = connect(), connect()
    insert(db, 2, 1)
    drain_all(db)
    db.execute("select publish_retry()")
    with draining.transaction():
        assert drain(draining).quarantined == 1
        db.execute("alter table ratio disable trigger user; update ratio set divisor = 1")
        asked = begin(one, person, "select publish_retry('ratio', '1')")
        until(lambda: waits(db, pid(person)))
    assert asked.result(PATIENCE) == 1
    assert drain_all(db) == 1
    assert quarantine(db) == {}


def test_a_retry_by_hand_that_is_not_committed_holds_up_no_drain(db: Any, connect: Any) -> None:
    insert(db, 3, 1, 2)
    drain_all(db)
    person = connect(autocommit=False)
    person.execute("select publish_retry()")
    db.execute("set statement_timeout = '20s'")
    db.execute("update ratio set divisor = 5 where id = 1")
    assert drain_all(db) == 1
    assert feed(db, "ratio")["1"]["value"] == 20
    person.commit()
    drain_all(db)
    assert quarantine(db) == {"2": "22012"}


def test_many_retries_that_are_due_hold_up_no_new_key(db: Any) -> None:
    insert(db, 2000, *range(1, 2001))
    drain_all(db)
    assert one(db, "select publish_retry()") == 2000
    db.execute("insert into ratio values (9000, 1)")
    assert drain(db, 100).published == 1
    assert set(feed(db, "ratio")) == {"9000"}
    assert one(db, "select depth from publish_status()") <= 100
