"""Two databases of one cluster whose roles have names of their own: who may work in one may do
nothing in the other."""

import psycopg
import pytest
import servers
from helpers import drain, one, running_cluster

from pgpublish import migrate, resources, script
from pgpublish.errors import SchemaMismatch

SOURCE = """
create table item (id int primary key, email text);
create view item_feed as select i.id, lower(i.email) as email from item i;
select publish_define('item', 'item_feed', key => '{id}');
select publish_capture('item', 'item', key => 'coalesce(id, 0)');
"""


@pytest.fixture(scope="module")
def clean(server_kind):
    """A cluster that never had pgpublish, with two databases: one_ by migrate, two_ by psql."""
    with running_cluster(server_kind) as cluster:
        with psycopg.connect(cluster.url(), autocommit=True) as admin:
            for name in ("one", "two"):
                admin.execute(f"create database {name}".encode())
        with psycopg.connect(cluster.url("one"), autocommit=True) as conn:
            migrate.migrate(conn, "one_")
        servers.run_psql(cluster.url("two"), text=script.ddl("two_")).check_returncode()
        with psycopg.connect(cluster.url("two"), autocommit=True) as conn:
            migrate.migrate(conn)
        yield cluster


@pytest.fixture
def databases(clean):
    with (
        psycopg.connect(clean.url("one"), autocommit=True) as first,
        psycopg.connect(clean.url("two"), autocommit=True) as second,
    ):
        yield {"one": first, "two": second}


def test_both_publish_and_neither_needs_to_be_told_its_names(databases):
    for name, db in databases.items():
        db.execute(SOURCE)
        db.execute("insert into item values (1, 'A'), (2, 'B')")
        db.execute(f"set role {name}_publish_worker".encode())
        assert drain(db).published == 2
        assert one(db, "select count(*) from publish_audit()") == 0
        db.execute("reset role")
        db.execute("delete from item where id = 1")
        assert drain(db).published == 1
        migrate.require_current(db)
        assert migrate.migrate(db) == []
    roles = databases["one"].execute(
        "select r.rolname from pg_roles r where r.rolname ~ 'publish_' order by 1"
    )
    parts = ("admin", "owner", "projector", "reader", "server", "worker", "writer")
    assert [r for (r,) in roles] == [f"{n}_publish_{p}" for n in ("one", "two") for p in parts]


def test_a_member_in_one_may_do_nothing_in_the_other(databases):
    two = databases["two"]
    two.execute("set role one_publish_worker")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        two.execute("select publish_drain()")


def test_rights_are_compared_and_restored_by_these_names(databases):
    db = databases["one"]
    for change in (
        "grant execute on function publish_drain(int) to one_publish_reader",
        "alter function publish_gate.texts(text, text[], int) owner to postgres",
        "alter schema publish owner to postgres; alter schema publish_gate owner to postgres",
    ):
        db.execute(change.encode())
        assert migrate.pending(db)[0] == migrate.RIGHTS
        assert migrate.migrate(db)[0] == migrate.RIGHTS
        migrate.require_current(db)


def test_a_restore_elsewhere_keeps_its_names(clean, databases, server_kind):
    file = str(clean.folder / "one.dump")
    clean.run("pg_dump", "--format", "custom", "--file", file, "--dbname", clean.url("one"))
    with running_cluster(server_kind) as other:
        with psycopg.connect(other.url(), autocommit=True) as admin:
            admin.execute("create database one")
        other.run("pg_restore", "--no-owner", "--no-privileges", "--dbname", other.url("one"), file)
        with psycopg.connect(other.url("one"), autocommit=True) as conn:
            migrate.migrate(conn)
            migrate.require_current(conn)
            owner = one(conn, "select proowner::regrole from pg_proc where proname = 'publish_get'")
            assert owner == "one_publish_owner"
            assert one(conn, "select to_regrole('publish_owner')") is None


def test_other_names_than_those_that_are_installed_are_refused(databases):
    for wanted in ("", "two_"):
        with pytest.raises(SchemaMismatch):
            migrate.migrate(databases["one"], wanted)
    assert migrate.migrate(databases["one"], "one_") == []


def test_an_installation_that_stopped_half_way_keeps_its_names(clean, monkeypatch):
    with psycopg.connect(clean.url(), autocommit=True) as admin:
        admin.execute("create database half")
    with psycopg.connect(clean.url("half"), autocommit=True) as conn:
        fails = resources.SqlFile("sql/x.sql", "select 1 / 0")
        with monkeypatch.context() as broken:
            broken.setattr(migrate, "replaced", lambda: [fails])
            with pytest.raises(psycopg.errors.DivisionByZero):
                migrate.migrate(conn, "one_")
        with pytest.raises(SchemaMismatch):
            migrate.migrate(conn, "two_")
        migrate.migrate(conn)
        assert one(conn, "select count(*) from publish.wrong_rights()") == 0


@pytest.mark.parametrize("prefix", ["App_", "a-", "pg_", "1a", 'a"', "a" * 47, "a b"])
def test_a_prefix_that_would_need_quotes_is_refused(prefix):
    with pytest.raises(ValueError, match="lower-case"):
        script.ddl(prefix)
