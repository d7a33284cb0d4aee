"""Keys compare as their own type and collation say, never as text: pages skip none, and every
difference is found under the key as it is spelled."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from helpers import drain_all, feed, one
from marks import unseen, verify

EMAILS = ["a", "B", "c", "D", "e", "F", "g", "H"]

NO_CASE = (
    "create collation no_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false);"
)
DOMAIN = "create domain email as citext check (value <> 'nobody');"


@pytest.fixture
def db(connect: Any) -> Any:
    db = connect()
    try:
        db.execute("create extension citext")
    except psycopg.errors.UndefinedFile:
        pytest.skip("this server has no citext")
    return db


def make(db: Any, before: str, column: str, key: str) -> None:
    try:
        db.execute(before.encode())
    except psycopg.errors.FeatureNotSupported:
        pytest.skip("this server is built without ICU, which alone has such collations")
    db.execute(
        f"create table usr (email {column} not null, n int not null, primary key ({key}));"
        "create view usr_feed as select email, n, upper(email::text) as shown from usr;"
        f"select publish_define('usr', 'usr_feed', '{{{key}}}');"
        f"select publish_capture('usr', 'usr')".encode()
    )
    db.execute(
        "insert into usr select e, n from unnest(%s::text[]) with ordinality as u (e, n)", [EMAILS]
    )


TYPES = [
    pytest.param("", 'citext collate "C"', "email", id="citext"),
    pytest.param("", "citext", "email", id="citext of the default collation"),
    pytest.param(DOMAIN, "email", "email", id="domain over citext"),
    pytest.param(NO_CASE, "text collate no_case", "email", id="nondeterministic"),
    pytest.param("", 'citext collate "C"', "email,n", id="citext and int"),
    pytest.param("", 'citext collate "C"', "n,email", id="int and citext"),
    pytest.param(DOMAIN, "email", "email,n", id="domain and int"),
    pytest.param(NO_CASE, "text collate no_case", "n,email", id="int and nondeterministic"),
]


def names(keys: Any) -> set[str]:
    """The e-mail in each key, composite or not."""
    return {next(name for name in key.strip('[]" ').replace('"', "").split(", ")
                 if not name.isdecimal()) for key in keys}  # fmt: skip


@pytest.mark.parametrize(("before", "column", "key"), TYPES)
@pytest.mark.parametrize("batch", [1, 2, 3, 1000])
def test_pages_of_any_size_skip_no_key(
    db: Any, before: str, column: str, key: str, batch: int
) -> None:
    make(db, before, column, key)
    db.execute("truncate publish.outbox")
    sums, found = verify(db, "usr", repair=True, batch=batch)
    assert (sums["checked"], names(found)) == (8, set(EMAILS))
    drain_all(db)
    assert names(feed(db, "usr")) == set(EMAILS)
    sums, found = verify(db, "usr", batch=batch)
    assert (sums["checked"], sums["pending"], found) == (8, 0, {})


@pytest.mark.parametrize(("before", "column", "key"), TYPES)
def test_a_key_that_is_respelled_unseen_is_missing_and_surplus_until_it_is_repaired(
    db: Any, before: str, column: str, key: str
) -> None:
    make(db, before, column, key)
    drain_all(db)
    unseen(db, "update usr set email = 'b' where email = 'B'; update usr set email = 'x'"
               " where email = 'c'; delete from usr where email = 'D'")  # fmt: skip
    for batch in (1, 1000):
        found = verify(db, "usr", batch=batch)[1]
        assert names(k for k, p in found.items() if p == "missing") == {"b", "x"}
        assert names(k for k, p in found.items() if p == "surplus") == {"B", "c", "D"}
        assert len(found) == 5
    verify(db, "usr", repair=True)
    drain_all(db)
    assert verify(db, "usr")[1] == {}
    assert names(feed(db, "usr")) == {"a", "b", "x", "e", "F", "g", "H"}


@pytest.mark.parametrize(("before", "column", "key"), TYPES)
def test_an_index_serves_the_key(db: Any, before: str, column: str, key: str) -> None:
    make(db, before, column, key)
    drain_all(db)
    db.execute("insert into usr select 'u' || n, n from generate_series(100, 5000) as n")
    db.execute("truncate publish.outbox; analyze usr")
    assert db.execute("select problem from publish_audit()").fetchall() == []
    read = (
        "select seq_tup_read + coalesce(idx_tup_fetch, 0) from pg_stat_xact_user_tables"
        " where relname = 'usr'"
    )
    with db.transaction():
        after = one(db, "select next from publish_verify('usr', batch => 2)")
        before_it = one(db, read)
        db.execute("select publish_verify('usr', false, %s, 10)", [after])
        assert one(db, read) - before_it <= 60


def test_types_operators_and_collations_of_other_schemas_may_be_named(db: Any) -> None:
    db.execute(
        'create schema "Types"; create schema domains; create schema sorts;'
        'alter extension citext set schema "Types";'
        'create domain domains.email as "Types".citext;'
        'create collation sorts.plain from "C";'
        "create table usr (email domains.email collate sorts.plain, n int, primary key (email, n));"
        "insert into usr values ('a', 1), ('B', 2);"
        "select publish_define('usr', 'usr', '{email,n}')"
    )
    assert set(verify(db, "usr", repair=True, batch=1)[1].values()) == {"missing"}
    drain_all(db)
    assert set(feed(db, "usr")) == {'["a", "1"]', '["B", "2"]'}
    assert verify(db, "usr")[1] == {}


@pytest.mark.parametrize("batch", [1, 2, 3, 1000])
def test_spellings_of_one_key_are_found_on_one_page_and_repaired_when_one_is_left(
    db: Any, batch: int
) -> None:
    """1, 1.0 and 1.00 are one numeric: a page that ended between them would lose the others."""
    db.execute(
        "create table amount (n numeric, v int); create index on amount (n);"
        "insert into amount values (1, 1), (1.0, 2), (1.00, 3), (2, 4);"
        "select publish_define('amount', 'amount', '{n}')"
    )
    sums, found = verify(db, "amount", batch=batch)
    assert found == dict.fromkeys(["1", "1.0", "1.00"], "unpublishable") | {"2": "missing"}
    assert sums["checked"] == 4
    db.execute("delete from amount where v in (1, 3)")
    assert verify(db, "amount", repair=True, batch=batch)[1] == {"1.0": "missing", "2": "missing"}
    drain_all(db)
    assert set(feed(db, "amount")) == {"1.0", "2"}
    unseen(db, "update amount set n = 1 where v = 2")
    assert verify(db, "amount", batch=batch)[1] == {"1": "missing", "1.0": "surplus"}
