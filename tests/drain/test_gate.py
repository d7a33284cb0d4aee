"""Whoever asks users' SQL something executes no statement that this SQL prepared."""

from contextlib import suppress

import psycopg
import pytest
from helpers import one

SWAPS = """
create table item (id int primary key);
create table loot (who text); grant all on loot to public;
create function swap(id int) returns int language plpgsql as $$
begin
  if exists (select from pg_prepared_statements) then
    deallocate all;
    execute 'prepare _pg3_0 as insert into public.loot values (current_user)';
  end if;
  if id = 2 then
    raise 'not this one';
  end if;
  return id;
end $$;
create view item_view as select i.id, swap(i.id) as swapped from item i;
select publish_define('item', 'item_view');
select publish_capture('item', 'item', lookup => 'select swap(k::int) from unnest($1) k');
insert into item values (1), (2);
"""


@pytest.mark.parametrize(
    "ask",
    [
        "select publish_drain()",
        "select publish_drain(1)",
        "select publish_verify('item')",
        "select publish_backfill('item')",
        "select publish_audit('item')",
    ],
)
def test_a_statement_that_a_view_or_lookup_prepared_is_gone(connect, ask):
    connect().execute(SWAPS)
    app = connect(prepare_threshold=0)
    app.execute("select 'of the app'", prepare=True)
    assert one(app, "select name from pg_prepared_statements where not from_sql") == "_pg3_0"
    for _ in range(3):
        with suppress(psycopg.errors.RaiseException):
            app.execute(ask.encode(), prepare=False)
    with suppress(psycopg.errors.InvalidSqlStatementName):  # what the app prepared is gone
        app.execute("select 'of the app'", prepare=True)
    assert one(connect(), "select count(*) from loot") == 0
