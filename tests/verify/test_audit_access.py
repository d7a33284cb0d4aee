"""publish_audit names what publish_projector may not read, and what it says to do works."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from helpers import drain_all, feed
from marks import verify

SCHEMA = """
create table customer (id int primary key, name text);
create table orders (id int primary key, customer_id int, total int);
create index on orders (customer_id);
create view order_feed as
  select o.id, c.name, o.total from orders o left join customer c on c.id = o.customer_id;
insert into customer values (1, 'Ada');
insert into orders values (1, 1, 10), (2, 1, 20);
"""
GUARD = "create policy own on orders using (customer_id::text = current_setting('a.b', true));"


@pytest.fixture
def role(admin: Any) -> Iterator[str]:
    """Who owns the tables: row security does not apply to a superuser."""
    name = f"seller_{uuid4().hex[:8]}"
    admin.execute(f"create role {name} in role publish_admin")
    yield name  # the test's database is dropped before this goes on
    for other in admin.execute(
        "select r.rolname from pg_roles r where r.rolname like %s order by 1", [f"%{name}"]
    ).fetchall():
        admin.execute(f"drop role {other[0]}")


@pytest.fixture
def db(role: str, connect: Any) -> Any:
    db = connect()
    db.execute(f"grant create, usage on schema public to {role} with grant option")
    db.execute(f"set role {role}")
    db.execute(SCHEMA + GUARD)
    db.execute(
        "select publish_define('order', 'order_feed');"
        "select publish_capture('order', 'orders');"
        "select publish_capture('order', 'customer', lookup =>"
        "                       'select id from orders where customer_id = any ($1)')"
    )
    return db


def audit(db: Any) -> dict[str, tuple[str, str]]:
    rows = db.execute("select * from publish_audit()").fetchall()
    return {row.object: (row.problem, row.hint) for row in rows}


@pytest.mark.parametrize(
    "guard",
    [
        "alter table orders enable row level security;"
        "alter view order_feed set (security_invoker = on);"
        "grant select on orders, customer to publish_projector",
        "reset role; alter table orders enable row level security;"
        "create role other_{role}; grant select on orders, customer to other_{role};"
        "alter view order_feed owner to other_{role}",
        "alter table orders enable row level security, force row level security",
    ],
    ids=["security_invoker", "another owner", "forced"],
)
def test_row_security_that_applies_to_the_view_is_named_and_the_hint_helps(
    db: Any, role: str, guard: str
) -> None:
    if "security_invoker" in guard and db.info.server_version < 150000:
        pytest.skip("security_invoker came with PostgreSQL 15")
    db.execute("select publish_uncapture('order', 'customer')")
    db.execute(guard.replace("{role}", role).encode())
    problem, hint = audit(db)["public.order_feed"]
    assert "row-level security" in problem
    statements = re.search(r"Run: (.*?)\. The feed", hint)
    assert statements, hint
    db.execute("reset role")
    db.execute(statements[1].encode())
    assert "public.order_feed" not in audit(db)
    db.execute("select publish_backfill('order')")
    drain_all(db)
    assert set(feed(db, "order")) == {"1", "2"}


def test_row_security_that_applies_to_a_lookup_is_named_and_the_hint_helps(db: Any) -> None:
    assert audit(db) == {}
    db.execute("alter table orders enable row level security")
    problem, hint = audit(db)["public.customer"]
    assert problem.startswith("the lookup fails: ")
    assert "Read it through a view" in hint
    db.execute(
        "create view customer_of as select id, customer_id from orders;"
        "select publish_capture('order', 'customer', lookup =>"
        "                       'select id from customer_of where customer_id = any ($1)')"
    )
    assert audit(db) == {}
    drain_all_as_owner(db)
    db.execute("update customer set name = 'Grace'")
    drain_all_as_owner(db)
    assert {payload["name"] for payload in feed(db, "order").values()} == {"Grace"}


def drain_all_as_owner(db: Any) -> None:
    role = db.execute("select current_user").fetchone()[0]
    db.execute("reset role; select publish_backfill('order')")
    drain_all(db)
    db.execute(f"set role {role}")


def test_a_view_in_a_schema_that_may_not_be_used_is_named_and_the_hint_helps(db: Any) -> None:
    db.execute(
        "reset role; create schema apart; alter view order_feed set schema apart;"
        "select publish_define('order', 'apart.order_feed');"
        "revoke usage on schema apart from publish_projector"
    )
    problem, hint = audit(db)["apart.order_feed"]
    assert problem == "permission denied for schema apart"
    assert verify(db, "order")[1] == {None: "unpublishable"}
    db.execute(hint.encode())
    assert "apart.order_feed" not in audit(db)


@pytest.mark.parametrize(
    ("damage", "hint"),
    [
        ("revoke select on order_feed from publish_projector",
         "grant select on order_feed to publish_projector"),
        ("revoke usage on schema public from publish_projector, public",
         "grant usage on schema public to publish_projector"),
    ],
)  # fmt: skip
def test_a_view_that_may_not_be_read_is_named_and_the_hint_helps(
    db: Any, damage: str, hint: str
) -> None:
    db.execute("reset role")
    db.execute(damage.encode())
    problem, said = audit(db)["public.order_feed"]
    assert problem.startswith("permission denied")
    assert said.replace("public.", "") == hint
    db.execute(said.encode())
    assert "public.order_feed" not in audit(db)


def test_a_security_invoker_view_whose_tables_may_not_be_read_is_named_and_the_hint_helps(
    db: Any,
) -> None:
    if db.info.server_version < 150000:
        pytest.skip("security_invoker came with PostgreSQL 15")
    db.execute("alter view order_feed set (security_invoker = on)")
    problem, hint = audit(db)["public.order_feed"]
    assert "permission denied" in problem
    helps = re.search(r"Run: (.*), or", hint)
    assert helps
    db.execute(helps[1].encode())
    assert "public.order_feed" not in audit(db)
