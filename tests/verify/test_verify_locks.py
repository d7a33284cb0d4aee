"""A reload that locks one table after another never finds publish_verify in its way: that waits
without holding a table, and compares when all of them are there."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from helpers import PATIENCE, begin, drain_all, one, pid, until, waits
from marks import unseen, verify

SCHEMA = """
create table orders (id int primary key, v int);
create table rate (id int primary key, r int);
create function rate_of(i int) returns int language plpgsql stable security definer as
  'begin return (select r from public.rate where rate.id = i); end';
create view joined as select o.id, o.v, r.r from orders o left join rate r on r.id = o.id;
create view nested as select j.id, j.v, j.r from joined j;
create view calls as select o.id, o.v, rate_of(o.id) as r from orders o;
select publish_define('order', 'joined');
select publish_capture('order', 'orders');
select publish_capture('order', 'rate', key => 'id');
insert into orders select n, n from generate_series(1, 5) as n;
insert into rate select n, n from generate_series(1, 5) as n;
"""
RELOAD = "truncate {0}; insert into {0} select n, n * 2 from generate_series(1, 5) as n"


@pytest.fixture
def db(connect: Any) -> Any:
    db = connect()
    db.execute(SCHEMA)
    drain_all(db)
    return db


def tries_again(db: Any, waiting: int) -> bool:
    """Whether that session sleeps between two tries."""
    query = "select wait_event = 'PgSleep' from pg_stat_activity where pid = %s"
    return bool(one(db, query, waiting))


@pytest.mark.parametrize("view", ["joined", "nested", "calls"])
@pytest.mark.parametrize("order", [("rate", "orders"), ("orders", "rate")])
def test_a_reload_table_by_table_goes_through_and_is_no_difference(
    db: Any, connect: Any, view: str, order: tuple[str, str]
) -> None:
    db.execute("select publish_define('order', %s)", [view])
    drain_all(db)
    looking, loading = connect(), connect(autocommit=False)
    loading.execute(RELOAD.format(order[0]).encode())
    looked = begin(verify, looking, "order")
    until(lambda: tries_again(db, pid(looking)))
    loading.execute(RELOAD.format(order[1]).encode())
    loading.commit()
    sums, found = looked.result(PATIENCE)
    assert (sums["checked"], sums["pending"], found) == (5, 5, {})
    drain_all(db)
    assert verify(db, "order")[1] == {}


def test_a_table_that_only_a_lookup_reads_is_waited_for_too(db: Any, connect: Any) -> None:
    db.execute(
        "create table paid (order_id int primary key, rate_id int);"
        "insert into paid select n, n from generate_series(1, 5) as n;"
        "select publish_capture('order', 'rate', lookup =>"
        "                       'select order_id from paid where rate_id = any ($1)')"
    )
    drain_all(db)
    unseen(db, "update orders set v = 0 where id in (1, 2)")
    db.execute("update rate set r = 0 where id = 1")
    looking, loading = connect(), connect(autocommit=False)
    loading.execute("truncate paid")
    looked = begin(verify, looking, "order")
    until(lambda: tries_again(db, pid(looking)))
    loading.execute(RELOAD.format("orders").encode())
    loading.execute("insert into paid select n, n from generate_series(1, 5) as n")
    loading.rollback()
    sums, found = looked.result(PATIENCE)
    assert (sums["pending"], found) == (1, {"2": "stale"})


def test_it_gives_way_to_who_waits_for_a_table_that_its_transaction_holds(
    db: Any, connect: Any
) -> None:
    """PostgreSQL would find no deadlock: verify waits for no lock, and the reload for ever."""
    db.execute("create table other (id int primary key); select publish_define('other', 'other')")
    looking, loading = connect(autocommit=False), connect(autocommit=False)
    verify(looking, "order")
    loading.execute("lock table other")
    loaded = begin(loading.execute, "lock table orders")
    until(lambda: waits(db, pid(loading)))
    with pytest.raises(psycopg.Error) as refused:
        verify(looking, "other")
    assert refused.value.sqlstate == "PT423"
    looking.rollback()
    loaded.result(PATIENCE)


def test_statement_timeout_ends_the_waiting(db: Any, connect: Any) -> None:
    loading = connect(autocommit=False)
    loading.execute("lock table rate")
    db.execute("set statement_timeout = '300ms'")
    with pytest.raises(psycopg.errors.QueryCanceled):
        verify(db, "order")


def test_audit_waits_without_holding_a_table(db: Any, connect: Any) -> None:
    looking, loading = connect(), connect(autocommit=False)
    loading.execute(RELOAD.format("rate").encode())
    looked = begin(looking.execute, "select publish_audit()")
    until(lambda: tries_again(db, pid(looking)))
    loading.execute(RELOAD.format("orders").encode())
    loading.commit()
    assert looked.result(PATIENCE).fetchall() == []


def test_an_estimate_of_a_table_that_is_being_replaced_is_zero(db: Any, connect: Any) -> None:
    loading = connect(autocommit=False)
    loading.execute("lock table rate")
    assert one(db, "select publish.estimated_keys('order')") == 0
    loading.rollback()
    assert one(db, "select publish.estimated_keys('order')") > 0


def test_audit_reports_a_table_that_stays_locked_and_looks_at_the_other_kinds(
    db: Any, connect: Any
) -> None:
    db.execute("create table other (id int primary key); select publish_define('other', 'other')")
    loading = connect(autocommit=False)
    loading.execute("lock table rate")
    rows = db.execute("select of_kind, problem, hint from publish_audit()").fetchall()
    found = [row[:2] for row in rows]
    ends = f"End it: select pg_terminate_backend({loading.info.backend_pid})"
    assert [row[2] for row in rows if row[0] == "order"] == [ends]
    assert len(found) == 2
    assert dict(found)["other"] == "the view reads this table, but it is not captured"
    assert "locked" in dict(found)["order"]


@pytest.mark.parametrize("call", ["publish_verify", "publish_backfill"])
def test_lock_timeout_ends_the_waiting(db: Any, connect: Any, call: str) -> None:
    loading = connect(autocommit=False)
    loading.execute("lock table rate")
    db.execute("set lock_timeout = '300ms'")
    with pytest.raises(psycopg.Error) as refused:
        db.execute(f"select {call}('order')".encode())
    assert refused.value.sqlstate == "PT423"


def test_without_lock_timeout_it_is_a_minute(db: Any) -> None:
    db.execute("select publish.await_tables(clock_timestamp() - interval '59 s')")
    with pytest.raises(psycopg.Error) as refused:
        db.execute("select publish.await_tables(clock_timestamp() - interval '60 s')")
    assert refused.value.sqlstate == "PT423"


@pytest.mark.parametrize("order", [("rate", "orders"), ("orders", "rate")])
def test_a_reload_table_by_table_goes_through_beside_a_backfill(
    db: Any, connect: Any, order: tuple[str, str]
) -> None:
    looking, loading = connect(), connect(autocommit=False)
    loading.execute(RELOAD.format(order[0]).encode())
    marked = begin(looking.execute, "select marked from publish_backfill('order')")
    until(lambda: tries_again(db, pid(looking)))
    loading.execute(RELOAD.format(order[1]).encode())
    loading.commit()
    assert marked.result(PATIENCE).fetchone() == (5,)
