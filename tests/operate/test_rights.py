"""Owners and rights are as the files say, or migrate and audit say that they are not: after a
restore without owners or privileges, in a cluster without our roles, after somebody changed one."""

import itertools

import psycopg
import pytest
from click.testing import CliRunner
from helpers import one, running_cluster
from psycopg import sql

from pgpublish import cli, migrate
from pgpublish.errors import SchemaMismatch

_numbers = itertools.count(1)

CHANGES = [
    "grant execute on function publish_drain(int) to public",
    "grant execute on function publish_drain(int) to publish_reader",
    "revoke execute on function publish_head() from publish_reader",
    "revoke all on function publish.wrong_rights() from publish_worker",
    "alter function publish.attempt(int, int) owner to postgres",
    "alter function publish_gate.texts(text, text[], int) owner to publish_owner",
    "alter function publish_gate.texts(text, text[], int) security invoker",
    "alter function publish_page(text, int, text[]) reset search_path",
    "alter function publish_drain(int) set search_path = public",
    "revoke select on publish.kind from publish_admin",
    "grant insert on publish.outbox_1 to public",
    "alter table publish.kind owner to postgres",
    "alter view publish.quarantine owner to postgres",
    "alter sequence publish.attempt owner to postgres",
    "alter type publish.mark owner to postgres",
    "grant usage on schema publish_gate to public",
    "alter schema publish owner to postgres",
    "alter default privileges for role publish_owner grant execute on functions to public",
    "alter default privileges for role publish_owner in schema public"
    " grant execute on functions to public",
    "alter default privileges for role publish_owner grant select on tables to public",
    "grant select (payload) on publish.published to public",
    "alter function publish_gate.capture_1() owner to postgres",
    "alter function publish_gate.capture_1_key(item) owner to postgres",
    "grant execute on function publish_gate.project_1(publish.mark[]) to public",
    "alter table publish.published enable row level security",
    "alter table publish.object force row level security",
    "alter table publish.outbox_1 set unlogged",
    "alter table publish.alive set logged",
]
SOURCE = """
create table item (id int primary key, n int);
create function twice(int) returns int immutable language sql return $1 * 2;
select publish_define('item', 'item'), publish_capture('item', 'item');
select publish_define('plus', 'item'), publish_capture('plus', 'item', key => 'twice(id)');
insert into item values (1, 1);
select publish_drain();
"""


@pytest.fixture
def db(connect):
    db = connect()
    db.execute(SOURCE)
    return db


@pytest.fixture(scope="module")
def elsewhere(server_kind):
    """A cluster that never had pgpublish: it lacks our roles."""
    with running_cluster(server_kind) as cluster:
        yield cluster


@pytest.fixture
def restored(cluster, url, db):
    """A session in a restore of this test's database without owners and without privileges."""
    opened = []

    def restore(into, *options):
        name = f"unowned_{next(_numbers)}"
        file = str(cluster.folder / f"{name}.dump")
        cluster.run("pg_dump", "--format", "custom", "--file", file, "--dbname", url)
        with psycopg.connect(into.url(), autocommit=True) as conn:
            conn.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
        try:
            into.run("pg_restore", *options, "--dbname", into.url(name), file)
        except Exception:
            assert not options  # errors about missing roles
        conn = psycopg.connect(into.url(name), autocommit=True)
        opened.append(conn)
        return conn

    yield restore
    for conn in opened:
        conn.close()


def as_installed(conn):
    migrate.require_current(conn)
    assert one(conn, "select count(*) from publish.wrong_rights()") == 0
    assert conn.execute("select * from publish_audit()").fetchall() == []


@pytest.mark.parametrize("change", CHANGES)
def test_a_right_that_was_changed_is_told_and_restored(db, change):
    as_installed(db)
    db.execute(change.encode())
    assert migrate.pending(db)[0] == migrate.RIGHTS
    with pytest.raises(SchemaMismatch):
        migrate.require_current(db)
    assert one(db, "select count(*) from publish.audit_rights()") > 0
    assert migrate.migrate(db)[0] == migrate.RIGHTS
    as_installed(db)
    assert migrate.migrate(db) == []


@pytest.mark.parametrize(
    "change",
    [
        "create trigger theirs after insert on publish.outbox execute function nothing()",
        "create rule theirs as on delete to publish.published do instead nothing",
    ],
)
def test_what_others_hang_on_our_tables_is_told_and_left_to_them(db, url, change):
    db.execute("create function nothing() returns trigger language plpgsql as"
               " 'begin return null; end'")  # fmt: skip
    db.execute(change.encode())
    ((problem, hint),) = db.execute("select problem, hint from publish_audit()").fetchall()
    assert "theirs" in problem
    assert one(db, "select count(*) from publish_doctor() where problem like '%theirs'") == 1
    for arguments in (["migrate", "--check"], ["migrate"]):
        done = CliRunner().invoke(cli.main, ["--database-url", url, *arguments])
        assert (done.exit_code, "theirs" in done.stderr) == (0, True), done.output
    db.execute(hint.removeprefix("Drop it: ").encode())
    as_installed(db)


@pytest.mark.parametrize(
    "change",
    [
        "alter role publish_projector bypassrls",
        "alter role publish_worker superuser login",
        "grant publish_owner to publish_worker",
        "grant pg_read_all_data to publish_projector",
    ],
)
def test_a_role_that_may_more_than_its_grants_is_told(db, change):
    """And does not keep commands from working: a role is its administrator's."""
    with db.transaction(force_rollback=True):
        db.execute(change.encode())
        found = db.execute("select object, hint from publish_audit()").fetchall()
        assert len(found) == (2 if "login" in change else 1)
        assert migrate.pending(db) == []
        for role, hint in found:
            assert role.startswith("role publish_")
            db.execute(hint.encode())
        assert db.execute("select * from publish_audit()").fetchall() == []


def test_a_membership_that_the_drain_needs_is_told_and_restored(db):
    db.execute("revoke publish_projector from publish_owner")
    try:
        assert "no member" in one(db, "select problem from publish_audit()")
    finally:
        assert migrate.migrate(db) == [migrate.RIGHTS]
    as_installed(db)


def test_a_right_of_a_role_that_is_not_ours_is_left_alone(db, admin):
    admin.execute("create role guest")
    try:
        db.execute("grant execute on function publish_head() to guest")
        as_installed(db)
        db.execute("grant execute on function publish_head() to public")
        migrate.migrate(db)
        assert one(db, "select has_function_privilege('guest', 'publish_head()', 'execute')")
        assert not one(db, "select has_function_privilege('public', 'publish_head()', 'execute')")
    finally:
        db.execute("drop owned by guest")
        admin.execute("drop role guest")


def test_after_a_restore_without_owners_no_drain_runs_as_the_restorer(cluster, restored):
    conn = restored(cluster, "--no-owner", "--no-privileges")
    with pytest.raises(psycopg.errors.DatabaseError) as refused:
        conn.execute("select publish_drain()")
    assert refused.value.sqlstate == "PT503"
    assert "publish_drain" in one(
        conn, "select string_agg(a.object, ' ') from publish.wrong_rights() a"
    )
    assert migrate.pending(conn)[0] == migrate.RIGHTS
    conn.execute("insert into item values (2, 2)")  # passes, and the walk makes up for it
    migrate.migrate(conn)
    for (hint,) in conn.execute("select distinct hint from publish_audit()").fetchall():
        assert hint == "grant select on public.item to publish_projector"  # not ours to restore
        conn.execute(hint)
    as_installed(conn)
    while one(conn, "select d.scanned from publish_drain() d"):
        pass
    assert one(conn, "select count(*) from publish_changes() where kind = 'item'") == 2
    conn.execute("insert into item values (3, 3)")
    conn.execute("select publish_drain()")
    assert one(conn, "select count(*) from publish_changes() where kind = 'item'") == 3


def test_in_a_cluster_without_our_roles_a_restore_is_refused_and_then_completed(
    elsewhere, restored
):
    conn = restored(elsewhere)
    with pytest.raises(psycopg.errors.DatabaseError) as refused:
        conn.execute("select publish_drain()")
    assert refused.value.sqlstate == "PT503"
    migrate.migrate(conn)
    for (hint,) in conn.execute("select distinct hint from publish_audit()").fetchall():
        assert hint == "grant select on public.item to publish_projector"  # not ours to restore
        conn.execute(hint)
    as_installed(conn)
    while one(conn, "select d.scanned from publish_drain() d"):
        pass
    conn.execute("insert into item values (2, 2)")
    conn.execute("select publish_drain()")
    assert one(conn, "select count(*) from publish_changes() where kind = 'item'") == 2


@pytest.mark.parametrize(
    "made",
    [
        "create schema publish",
        "create schema publish; create table publish.mine ()",
        "create schema publish; create function publish.mine() returns int language sql return 1",
        "create schema publish_gate; create type publish_gate.mine as enum ()",
        "create role squatter; create schema publish authorization squatter",
        "create schema publish; grant create on schema publish to public",
    ],
)
def test_a_schema_of_our_name_is_refused_not_taken(cluster, new_database, admin, made):
    with psycopg.connect(cluster.url(new_database()), autocommit=True) as conn:
        conn.execute(made.encode())
        empty = made == "create schema publish"  # migrate's own, interrupted, looks like this
        try:
            if empty:
                migrate.migrate(conn)
            else:
                with pytest.raises(psycopg.errors.DuplicateSchema):
                    migrate.migrate(conn)
        finally:
            if "squatter" in made:
                conn.execute("drop schema publish cascade; drop role squatter")
