"""Functions of others in schema public that fit a call better than what was meant: migrate and the
script for psql, mostly run by superusers, call none of them."""

import psycopg
import pytest
import servers
from helpers import one

from pgpublish import migrate, script

# Each would be taken for a call in migrate, in its migrations or in its script, were they not
# pinned: an exact type wins over a conversion, and anything over VARIADIC.
STRANGERS = """
grant create on schema public to public;
create role mallory;
create table taken (who text);
grant insert on taken to public;
set role mallory;
create function public.format(text, text) returns text language plpgsql as $$ begin
  insert into public.taken values (current_user); return pg_catalog.format($1, variadic array[$2]);
end $$;
create function public.format(text, name) returns text language plpgsql as $$ begin
  insert into public.taken values (current_user); return pg_catalog.format($1, variadic array[$2]);
end $$;
create function public.pg_advisory_lock(int, smallint) returns void language plpgsql as $$ begin
  insert into public.taken values (current_user); end $$;
create function public.starts_with(name, text) returns boolean language plpgsql as $$ begin
  insert into public.taken values (current_user);
  return pg_catalog.starts_with($1::text, $2); end $$;
create function public.differ(oid, regrole) returns boolean language plpgsql as $$ begin
  insert into public.taken values (current_user); return $1 operator(pg_catalog.<>) $2::oid; end $$;
create operator public.<> (leftarg = oid, rightarg = regrole, function = public.differ);
create function public.publish_register_sink(text, text) returns void language plpgsql as $$ begin
  insert into public.taken values (current_user); end $$;
reset role;
"""


@pytest.fixture
def strange(cluster, new_database, admin):
    url = cluster.url(new_database())
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute(STRANGERS)
        yield conn
        conn.execute("drop owned by mallory cascade")
    admin.execute("drop role mallory")


def test_migrate_calls_no_function_of_another(strange):
    migrate.migrate(strange)
    assert one(strange, "select count(*) from taken") == 0
    strange.execute("alter schema publish owner to postgres")  # has it run its first file again
    assert migrate.migrate(strange) == [migrate.RIGHTS]
    assert one(strange, "select count(*) from taken") == 0


def test_the_script_for_psql_calls_no_function_of_another(strange, cluster):
    url = cluster.url(strange.info.dbname)
    servers.run_psql(url, text=script.ddl()).check_returncode()
    assert one(strange, "select count(*) from taken") == 0
