"""pgpublish uninstall leaves the database as it was before pgpublish."""

import re
import subprocess

import psycopg
import pytest
from click.testing import CliRunner
from helpers import drain_all, one, running_cluster

from pgpublish import cli
from pgpublish.migrate import migrate

MINE = """
create role shop_owner;
create schema shop;
create type shop.mood as enum ('good', 'bad');
create table shop.author (id int primary key, name text not null, at timestamptz default now());
create table shop.book (
  id int primary key, author_id int references shop.author, mood shop.mood, title text);
create table shop.sale (id int, n int, primary key (id, n)) partition by list (n);
create table shop.sale_1 partition of shop.sale for values in (1);
create view shop.book_view as
  select b.id, b.title, a.name from shop.book b left join shop.author a on a.id = b.author_id;
create view shop.sale_view as select id, n from shop.sale;
create function shop.touch() returns trigger language plpgsql as 'begin return new; end';
create trigger touch before update on shop.book for each row execute function shop.touch();
grant select on shop.book to shop_owner;
insert into shop.author (id, name) values (1, 'a'), (2, 'b');
insert into shop.book select n, 1, 'good', 't' from generate_series(1, 10) n;
insert into shop.sale values (1, 1);
"""

USE = """
select publish_define('book', 'shop.book_view');
select publish_define('sale', 'shop.sale_view', key => '{id,n}');
select publish_define('note');
select publish_capture('book', 'shop.book');
select publish_capture('book', 'shop.author',
                       lookup => 'select id from shop.book where author_id = any ($1)');
select publish_capture('sale', 'shop.sale', always => true);
create trigger by_hand after insert on shop.book
  for each row execute function publish_enqueue('book', 'id');
select publish_subscribe('s', 'stdout');
select publish_job_add('j', 'k');
select publish_walk('book');
"""


def dump(cluster, url):
    """The whole database as SQL, without what changes from dump to dump."""
    program = str(cluster.tool("pg_dump", newest=True))  # nothing is restored from it
    done = subprocess.run(
        [program, "--dbname", url], capture_output=True, text=True, timeout=60, user=cluster.user,
        cwd="/",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return re.sub(r"^\\(un)?restrict .*$", "", done.stdout, flags=re.M)


@pytest.fixture
def mine(new_database, cluster, admin):
    url = cluster.url(new_database(None))
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute(MINE)
        before = dump(cluster, url)
        migrate(conn)
        conn.execute(USE)
        drain_all(conn)
        yield conn, url, before
        conn.execute("drop owned by shop_owner; drop role shop_owner")


def uninstall(url, *options):
    return CliRunner().invoke(
        cli.main, ["--database-url", url, "uninstall", *options], catch_exceptions=False
    )


def test_a_dump_after_it_is_that_from_before_the_installation(mine, cluster):
    conn, url, before = mine
    assert dump(cluster, url) != before
    done = uninstall(url, "--yes")
    assert done.exit_code == 0, done.output
    for said in ("table shop.book: its triggers go: by_hand", "subscription s:", "kind note:",
                 "jobs: 1 are not finished", "pgpublish is gone"):  # fmt: skip
        assert said in done.output
    assert dump(cluster, url) == before
    conn.execute("insert into shop.book values (11, 2, 'bad', 'x')")
    migrate(conn)
    conn.execute(USE)
    drain_all(conn)
    assert one(conn, "select count(*) from publish_changes(kinds => '{book}')") == 11


def test_what_of_yours_needs_it_is_named_and_goes_only_if_you_say_so(mine):
    conn, url, _ = mine
    conn.execute("create view shop.heads as select max(rev) as head from publish.published")
    refused = uninstall(url, "--yes")
    assert refused.exit_code == 1
    assert "shop.heads" in refused.stderr
    assert one(conn, "select publish_head()") > 0
    assert uninstall(url, "--yes", "--cascade").exit_code == 0
    assert one(conn, "select to_regclass('shop.heads') is null")
    assert one(conn, "select count(*) from shop.book") == 10


def test_what_of_yours_belongs_to_a_role_of_it_is_never_dropped(mine):
    conn, url, _ = mine
    conn.execute("create table shop.kept (id int); alter table shop.kept owner to publish_admin")
    refused = uninstall(url, "--yes", "--cascade")
    assert refused.exit_code == 1
    assert "table shop.kept" in refused.stderr
    conn.execute("alter table shop.kept owner to postgres")
    assert uninstall(url, "--yes").exit_code == 0
    assert one(conn, "select to_regclass('shop.kept') is not null")


def test_what_of_yours_is_named_like_ours_is_told_and_never_taken_for_ours(mine):
    conn, url, _ = mine
    conn.execute("create function publish_mine() returns int language sql return 1")
    said = uninstall(url).output.replace("public.", "")
    assert "function publish_mine(): it is named like ours, belongs to postgres and stays" in said
    assert "function publish_drain(integer)" not in said
    conn.execute("create function publish_near() returns setof publish.kind language sql"
                 " begin atomic select k.* from publish.kind k; end")  # fmt: skip
    refused = uninstall(url, "--yes")
    assert refused.exit_code == 1
    assert "publish_near()" in refused.stderr
    assert uninstall(url, "--yes", "--cascade").exit_code == 0
    left = (
        "select array_agg(proname::text) from pg_proc where pronamespace = 'public'::regnamespace"
    )
    assert one(conn, left) == ["publish_mine"]


@pytest.mark.parametrize("prefix", ["", "gone_"])
def test_no_role_is_left_and_none_of_another_prefix_goes(server_kind, prefix):
    with (
        running_cluster(server_kind) as cluster,
        psycopg.connect(cluster.url(), autocommit=True) as conn,
    ):
        conn.execute("create role other_publish_owner; create role publish_reading")
        before = conn.execute("select rolname from pg_roles order by 1").fetchall()
        migrate(conn, prefix)
        assert uninstall(cluster.url(), "--yes", "--roles").exit_code == 0
        assert conn.execute("select rolname from pg_roles order by 1").fetchall() == before


def test_without_a_yes_and_while_a_table_is_in_use_nothing_happens(mine):
    conn, url, _ = mine
    assert uninstall(url).exit_code == 1
    with psycopg.connect(url) as other:
        other.execute("insert into shop.book values (12, 1, 'good', 'x')")
        busy = uninstall(url, "--yes")
        assert busy.exit_code == 5
    assert one(conn, "select count(*) from publish_kinds()") == 3
