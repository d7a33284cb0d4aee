"""Errors about a name that is not there say which names are like it."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest


def hint_of(db: Any, statement: str, sqlstate: str = "PT404") -> str:
    with pytest.raises(psycopg.Error) as caught:
        db.execute(statement.encode())
    assert caught.value.sqlstate == sqlstate
    hint: str = caught.value.diag.message_hint or ""
    return hint


@pytest.fixture
def named(db: Any) -> Any:
    db.execute(
        "create table item (id int primary key, sku text unique, a int, b int, unique (a, b));"
        "create view items as select i.id as item_id, i.sku, i.a, i.b, i.a + 1 as c from item i;"
        "create view sums as select i.a + 1 as x, count(*) as n from item i group by 1;"
        "select publish_define('customer'), publish_define('film'), publish_define('film_list');"
        "select publish_define('item', 'items', '{item_id}');"
        "select publish_capture('item', 'item', key => 'id');"
        "select publish_subscribe('search', 'stdout');"
        "select publish_job_schedule('nightly', 'clean', '0 3 * * *')"
    )
    return db


@pytest.mark.parametrize(
    ("statement", "near"),
    [
        ("select publish_audit('custmer')", "'customer'"),
        ("select publish_audit('Customer')", "'customer'"),
        ("select publish_enqueue('flim', '1')", "'film'"),
        ("select publish_verify('list')", "'film_list'"),
        ("select * from publish_changes(0, 10, kinds => '{films}')", "'film' or 'film_list'"),
        ("select publish_unsubscribe('serach')", "'search'"),
        ("select publish_subscribe('x', 'std_out')", "'stdout'"),
        ("select publish_job_unschedule('nigthly')", "'nightly'"),
        ("select publish_uncapture('item', 'itme')", "'item'"),
    ],
)
def test_what_is_not_there_names_what_is_like_it(named: Any, statement: str, near: str) -> None:
    assert hint_of(named, statement).startswith(f"Did you mean {near}? ")


@pytest.mark.parametrize("name", ["zzz", "", "o", "x" * 5000, "'; drop table x", "order"])
def test_nothing_is_named_where_nothing_is_like_it(named: Any, name: str) -> None:
    assert "Did you mean" not in hint_of(named, f"select publish_audit($q${name}$q$)")


def test_a_wrong_key_names_the_columns_that_unique_indexes_have(named: Any) -> None:
    hint = hint_of(named, "select publish_define('x', 'items', '{itemid}')", "PT400")
    assert hint == (
        "Did you mean 'item_id'? Of what the view shows, unique in its table is:"
        " key => '{item_id}' or key => '{a,b}' or key => '{sku}'."
    )


def test_where_no_index_says_it_the_hint_says_how_to_find_out(named: Any) -> None:
    hint = hint_of(named, "select publish_define('x', 'sums')", "PT400")
    assert hint.endswith(
        "Find out: select count(*) as rows, count(distinct (x, n)) as keys from public.sums"
    )
    named.execute(hint.split("Find out: ")[1].encode())
