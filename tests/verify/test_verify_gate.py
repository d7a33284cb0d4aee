"""Nothing of a user's runs with the rights of publish_owner: not the view, the key, the lookup or
the validator, not even while a query is only planned."""

from __future__ import annotations

from typing import Any

import pytest
from helpers import drain_all, feed, one
from marks import unseen, verify

# only_projector() is immutable: the planner runs it too, where it meets it with constants.
SCHEMA = """
create function only_projector(what text) returns boolean language plpgsql immutable as $$
begin
  if current_user <> 'publish_projector' then
    raise exception '% is run as %', what, current_user;
  end if;
  return true;
end $$;
create function valid(payload jsonb) returns boolean return only_projector('validator');
create domain code as text;
create table part (id code primary key, n int);
create table lot (id int primary key, code text);
insert into lot values (1, 'a'), (2, 'b');
insert into part values ('a', 1), ('b', 2);
alter domain code add constraint code_check check (only_projector('domain')) not valid;
create view part_feed as
  select p.id, p.n, current_user::text as who from part p where only_projector('view');
select publish_define('part', 'part_feed', validator => 'valid(jsonb)');
select publish_capture('part', 'part', key => 'id::text');
select publish_capture('part', 'lot', lookup =>
  'select p.id::text from part p join lot l on l.code = p.id::text
    where l.id = any ($1) and only_projector(''lookup'')');
"""


@pytest.fixture
def db(connect: Any) -> Any:
    db = connect()
    db.execute(SCHEMA)
    return db


def test_verify_audit_and_estimates_run_it_as_the_projector(db: Any) -> None:
    assert set(verify(db, "part", repair=True, batch=1)[1].values()) == {"missing"}
    drain_all(db)
    assert {payload["who"] for payload in feed(db, "part").values()} == {"publish_projector"}
    for batch in (1, 1000):
        assert verify(db, "part", batch=batch)[1] == {}
    unseen(db, "update part set n = 7")
    db.execute("update lot set code = code where id = 1")
    sums, found = verify(db, "part")
    assert (sums["pending"], found) == (1, {"b": "stale"})
    (problem,) = db.execute("select problem from publish_audit()").fetchall()
    assert problem[0] == "the current user is publish_projector where the drain reads"
    assert one(db, "select publish.estimated_keys('part')") > 0


@pytest.mark.parametrize(
    "writes",
    [
        "delete from public.part",
        "perform publish_drain()",
        "alter role publish_owner superuser",
        "set role publish_owner; perform 1",
        "perform set_config('transaction_read_only', 'off', true); delete from public.part",
        "delete from publish.published",
    ],
)
def test_a_view_that_writes_is_unpublishable_and_has_written_nothing(db: Any, writes: str) -> None:
    db.execute(
        "create function writes() returns int language plpgsql as"
        f" $$ begin {writes}; return 1; end $$;"
        "grant select, delete on part to publish_projector;"
        "create view writing as select p.id, writes() as w from part p;"
        "select publish_define('writing', 'writing')".encode()
    )
    assert set(verify(db, "writing")[1].values()) == {"unpublishable"}
    assert one(db, "select count(*) from part") == 2
    assert not one(db, "select rolsuper from pg_roles where rolname = 'publish_owner'")
    db.execute("select publish_audit()")


def test_settings_that_a_view_changes_do_not_outlive_its_page(db: Any) -> None:
    db.execute(
        "create function sets() returns text language sql as"
        " $$ select set_config('timezone', 'Asia/Tokyo', false) $$;"
        "create view setting as select p.id, sets() as s from part p;"
        "select publish_define('setting', 'setting')"
    )
    before = one(db, "show timezone")
    assert verify(db, "setting")[0]["missing"] == 2
    assert one(db, "show timezone") == before
