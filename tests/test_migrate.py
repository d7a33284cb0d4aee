"""The migrator: from nothing, from half way, from the last release, by psql, by two at once."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tarfile
import threading
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pooler
import psycopg
import pytest
import servers

from pgpublish import fit, locking, migrate, resources, script
from pgpublish.embedded import Cluster
from pgpublish.errors import Locked, SchemaMismatch

ROOT = Path(__file__).parents[1]

Connection = psycopg.Connection[Any]
NewDatabase = Callable[..., str]
Catalog = dict[str, list[tuple[object, ...]]]

CATALOG = {
    "schemas": """
        select n.nspname, n.nspowner::regrole, acl(n.nspacl), obj_description(n.oid, 'pg_namespace')
          from ours_and_public n""",
    "relations": """
        select c.oid::regclass, c.relkind, c.relpersistence, c.relowner::regrole, acl(c.relacl),
               c.reloptions, t.reloptions, pg_get_expr(c.relpartbound, c.oid),
               pg_get_partkeydef(c.oid), pg_get_viewdef(c.oid), obj_description(c.oid, 'pg_class')
          from pg_class c
          join ours n on n.oid = c.relnamespace
          left join pg_class t on t.oid = c.reltoastrelid""",
    "columns": """
        select a.attrelid::regclass, rank() over (partition by a.attrelid order by a.attnum),
               a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attstorage,
               pg_get_expr(d.adbin, d.adrelid), acl(a.attacl),
               col_description(a.attrelid, a.attnum)
          from pg_attribute a
          join pg_class c on c.oid = a.attrelid
          join ours n on n.oid = c.relnamespace
          left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
         where a.attnum > 0 and not a.attisdropped""",
    "constraints": """
        select o.conrelid::regclass, o.conname, pg_get_constraintdef(o.oid), o.convalidated,
               obj_description(o.oid, 'pg_constraint')
          from pg_constraint o
          join ours n on n.oid = o.connamespace""",
    "indexes": """
        select i.indexrelid::regclass, pg_get_indexdef(i.indexrelid), i.indisvalid
          from pg_index i
          join pg_class c on c.oid = i.indexrelid
          join ours n on n.oid = c.relnamespace""",
    "triggers": """
        select t.tgrelid::regclass, pg_get_triggerdef(t.oid), t.tgenabled
          from pg_trigger t
          join pg_class c on c.oid = t.tgrelid
          join ours n on n.oid = c.relnamespace
         where not t.tgisinternal""",
    "sequences": """
        select c.oid::regclass, s.seqtypid::regtype, s.seqstart, s.seqincrement, s.seqmax,
               s.seqmin, s.seqcache, s.seqcycle
          from pg_sequence s
          join pg_class c on c.oid = s.seqrelid
          join ours n on n.oid = c.relnamespace""",
    "types": """
        select t.oid::regtype, t.typtype, t.typowner::regrole, acl(t.typacl),
               (select array_agg(e.enumlabel order by e.enumsortorder)
                  from pg_enum e where e.enumtypid = t.oid)
          from pg_type t
          join ours n on n.oid = t.typnamespace""",
    "functions": """
        select p.oid::regprocedure, pg_get_functiondef(p.oid), p.proowner::regrole, acl(p.proacl),
               obj_description(p.oid, 'pg_proc')
          from pg_proc p
          join ours_and_public n on n.oid = p.pronamespace
         where n.nspname <> 'public' or p.proname like 'publish\\_%'""",
    "default privileges": """
        select d.defaclrole::regrole, d.defaclnamespace::regnamespace, d.defaclobjtype,
               acl(d.defaclacl)
          from pg_default_acl d""",
    "roles": """
        select r.rolname, r.rolsuper, r.rolcanlogin, r.rolcreaterole, r.rolcreatedb,
               r.rolreplication, r.rolbypassrls, shobj_description(r.oid, 'pg_authid')
          from pg_roles r
         where r.rolname like 'publish\\_%'""",
    "yoyo": "select m.migration_id from publish._yoyo_migration m",
    "files": "select f.path, f.checksum from publish.file f",
}


def catalog(url: str) -> Catalog:
    """Everything that an installation is, as comparable rows."""
    with psycopg.connect(url) as conn:
        conn.execute(
            """
            create temp view ours_and_public as
              select n.* from pg_namespace n
               where n.nspname in ('publish', 'publish_gate', 'public');
            create temp view ours as
              select n.* from pg_namespace n where n.nspname in ('publish', 'publish_gate');
            create function pg_temp.acl(acl aclitem[]) returns text[] language sql as $$
              select array_agg(a.item::text order by a.item::text) from unnest(acl) as a (item)
            $$;
            """
        )
        found = {}
        for part, query in CATALOG.items():
            rows = conn.execute(query.replace("acl(", "pg_temp.acl(")).fetchall()
            found[part] = sorted(rows, key=repr)
        conn.rollback()
    return found


def assert_equal(left: Catalog, right: Catalog) -> None:
    assert left.keys() == right.keys()
    for part in left:
        assert left[part] == right[part], f"{part} differ"


def paths(files: list[resources.SqlFile]) -> list[str]:
    return [file.path for file in files]


def all_files() -> list[str]:
    return paths([*resources.migrations(), *script.replaced()])


@pytest.fixture
def empty(cluster: Cluster, new_database: NewDatabase) -> str:
    """URL of a database that knows nothing of pgpublish."""
    return cluster.url(new_database())


@pytest.fixture
def installed(template: str, cluster: Cluster) -> Catalog:
    return catalog(cluster.url(template))


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of sql/ and migrations/ that the migrator reads instead, to be edited."""
    for name in ("sql", "migrations"):
        shutil.copytree(resources.folder(name), tmp_path / name)
    monkeypatch.setattr(resources, "folder", tmp_path.joinpath)
    return tmp_path


@contextmanager
def session(url: str) -> Iterator[Connection]:
    with psycopg.connect(url, autocommit=True) as conn:
        yield conn


def run(url: str) -> list[str]:
    with session(url) as conn:
        return paths(migrate.migrate(conn))


@contextmanager
def in_background(url: str) -> Iterator[tuple[Future[list[str]], int]]:
    """migrate() in a thread: its result to come, and its backend's pid."""
    with session(url) as conn, ThreadPoolExecutor(1) as pool:
        pid = conn.info.backend_pid
        yield pool.submit(lambda: paths(migrate.migrate(conn))), pid


def wait_until_blocked(watcher: Connection, pid: int, future: Future[Any]) -> None:
    pause = threading.Event()
    for _ in range(1000):
        row = watcher.execute("select cardinality(pg_blocking_pids(%s)) > 0", [pid]).fetchone()
        if row and row[0]:
            return
        if future.done():
            break
        pause.wait(0.01)
    pytest.fail(f"it never waited: {future}")


def kill(watcher: Connection, pid: int, future: Future[Any]) -> None:
    watcher.execute("select pg_terminate_backend(%s, 10000)", [pid])
    with pytest.raises(psycopg.OperationalError):
        future.result(timeout=30)


def one(conn: Connection, query: str, *arguments: object) -> Any:
    row = conn.execute(query, arguments).fetchone()
    assert row is not None
    return row[0]


# --- installing


def test_an_empty_database_has_every_file_pending_and_none_after(empty: str) -> None:
    with session(empty) as conn:
        assert paths(migrate.pending(conn)) == all_files()
        assert paths(migrate.migrate(conn)) == all_files()
        assert migrate.pending(conn) == []


def test_asking_what_is_pending_writes_nothing(empty: str) -> None:
    with session(empty) as conn:
        conn.execute("set default_transaction_read_only = on")
        migrate.pending(conn)
        assert one(conn, "select to_regnamespace('publish') is null")


def test_a_second_run_does_nothing(url: str) -> None:
    with session(url) as conn:
        conn.execute("set default_transaction_read_only = on")
        assert migrate.migrate(conn) == []


def test_the_session_is_left_as_it_was(empty: str) -> None:
    def settings(conn: Connection) -> list[Any]:
        return conn.execute(
            "select s.name, s.setting from pg_settings s"
            " where s.name in ('search_path', 'role', 'check_function_bodies', 'lock_timeout')"
        ).fetchall()

    with session(empty) as conn:
        before = settings(conn)
        migrate.migrate(conn)
        assert settings(conn) == before
        assert one(conn, "select count(*) from pg_locks l where l.locktype = 'advisory'") == 0


def test_two_at_once_both_succeed_and_one_does_the_work(empty: str) -> None:
    with session(empty) as holder:
        holder.execute("select pg_advisory_lock(%s, %s)", locking.LOCK)
        with in_background(empty) as (a, pid_a), in_background(empty) as (b, pid_b):
            wait_until_blocked(holder, pid_a, a)
            wait_until_blocked(holder, pid_b, b)
            holder.execute("select pg_advisory_unlock(%s, %s)", locking.LOCK)
            results = [a.result(timeout=60), b.result(timeout=60)]
    assert sorted(results) == [[], all_files()]


def test_a_lock_that_somebody_keeps_ends_the_wait_and_names_who(
    empty: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locking, "WAIT", "set local lock_timeout = '100ms'")
    with session(empty) as holder, session(empty) as conn:
        holder.execute("select pg_advisory_lock(%s, %s)", locking.LOCK)
        with pytest.raises(Locked) as refused:
            migrate.migrate(conn)
        assert f"process {holder.info.backend_pid} of postgres" in str(refused.value.detail)
        assert one(conn, "show lock_timeout") == "0"
        holder.execute("select pg_advisory_unlock_all()")
        assert migrate.migrate(conn)


def test_two_databases_of_a_new_cluster_at_once_both_succeed(new_cluster: Cluster) -> None:
    with session(new_cluster.url()) as conn:
        conn.execute("create database one")
        conn.execute("create database two")
    with session(new_cluster.url("one")) as first, session(new_cluster.url()) as watcher:
        # It has created the roles and not committed when the other comes to them.
        first.execute("begin")
        first.execute(resources.migrations()[0].text.encode())
        with in_background(new_cluster.url("two")) as (second, pid):
            wait_until_blocked(watcher, pid, second)
            first.execute("commit")
            assert second.result(timeout=60) == all_files()


# --- installing again


def test_a_function_edited_in_the_package_is_installed_again(
    url: str, source: Path, installed: Catalog
) -> None:
    file = source / "sql/feed/publish_head.sql"
    file.write_text(file.read_text().replace(", 0)", ", 7)"))
    with session(url) as conn:
        assert paths(migrate.pending(conn)) == ["sql/feed/publish_head.sql"]
        assert run(url) == ["sql/feed/publish_head.sql"]
        assert one(conn, "select publish_head()") == 7
        assert run(url) == []


def test_a_function_the_database_recorded_otherwise_is_installed_again(
    url: str, installed: Catalog
) -> None:
    with session(url) as conn:
        conn.execute("create or replace function publish_head() returns bigint return 7")
        conn.execute(
            "update publish.file set checksum = 'another' where path like '%/publish_head.sql'"
        )
    assert run(url) == ["rights", "sql/feed/publish_head.sql"]
    assert_equal(catalog(url), installed)


def test_a_function_of_the_gate_that_is_missing_is_installed_again(
    url: str, installed: Catalog
) -> None:
    gate = [
        file
        for file in resources.functions()
        if re.search(r"^create or replace function publish_gate\.", file.text, re.MULTILINE)
    ]
    assert gate
    with session(url) as conn:
        for file in gate:
            function = one(
                conn,
                "select p.oid::regprocedure::text from pg_proc p"
                " where p.pronamespace = 'publish_gate'::regnamespace and p.proname = %s",
                Path(file.path).stem,
            )
            conn.execute(f"drop function {function} cascade")
            with pytest.raises(SchemaMismatch):
                migrate.require_current(conn)
    assert run(url) == paths(gate)
    assert_equal(catalog(url), installed)


def test_a_new_migration_is_applied_alone(url: str, source: Path) -> None:
    new = source / "migrations/9999_more.sql"
    new.write_text(
        "set local role publish_owner;\ncreate table publish.more (n int primary key);\n"
    )
    assert run(url) == ["migrations/9999_more.sql"]
    with session(url) as conn:
        assert one(conn, "select relowner::regrole::text from pg_class where relname = 'more'") == (
            "publish_owner"
        )
        assert one(conn, "select count(*) from publish._yoyo_migration") == len(
            resources.migrations()
        )


def test_a_migration_gives_way_to_who_holds_a_table_and_comes_again(url: str, source: Path) -> None:
    """It would make writers wait, or a deadlock of which one of them could be the victim."""
    (source / "migrations/9999_more.sql").write_text(
        "alter table publish.published add column more int;\n"
    )
    pause = threading.Event()
    blocked = "select cardinality(pg_blocking_pids(%s)) > 0"
    with session(url) as holder, session(url) as watcher:
        holder.execute("begin; select from publish.published")
        with in_background(url) as (future, pid):
            wait_until_blocked(watcher, pid, future)
            tries = 1000
            while one(watcher, blocked, pid) and tries:  # until it has given way
                pause.wait(0.01)
                tries -= 1
            early = future.done()
            holder.execute("commit")
            assert tries, "it never gave way"
            assert not early
            assert future.result(timeout=60) == ["migrations/9999_more.sql"]


def test_a_migration_edited_after_it_was_applied_is_refused(url: str, source: Path) -> None:
    edited = source / "migrations/0002_kinds.sql"
    edited.write_text(edited.read_text() + "\n-- more\n")
    with session(url) as conn:
        for ask in (migrate.pending, migrate.migrate, migrate.require_current):
            with pytest.raises(SchemaMismatch) as refused:
                ask(conn)
            assert "0002_kinds.sql" in str(refused.value.detail)
            assert refused.value.hint


def test_a_schema_newer_than_the_code_is_refused(url: str) -> None:
    with session(url) as conn:
        conn.execute("insert into publish.file values ('migrations/9999_later.sql', 'x')")
        for ask in (migrate.pending, migrate.migrate, migrate.require_current):
            with pytest.raises(SchemaMismatch) as refused:
                ask(conn)
            assert "9999_later.sql" in str(refused.value.detail)
            assert "Upgrade" in str(refused.value.hint)


def test_require_current_accepts_this_version_only(empty: str, url: str, source: Path) -> None:
    with session(url) as conn:
        migrate.require_current(conn)
    with session(empty) as conn, pytest.raises(SchemaMismatch) as refused:
        migrate.require_current(conn)
    assert "not installed" in refused.value.message
    (source / "sql/feed/publish_new.sql").write_text("select 1;\n")
    with session(url) as conn, pytest.raises(SchemaMismatch) as refused:
        migrate.require_current(conn)
    assert "sql/feed/publish_new.sql" in str(refused.value.detail)
    assert "migrate" in str(refused.value.hint)


def test_a_half_migrated_database_is_not_current(empty: str, source: Path) -> None:
    shutil.move(source / "sql/feed", source / "feed")
    run(empty)
    shutil.move(source / "feed", source / "sql/feed")
    with session(empty) as conn, pytest.raises(SchemaMismatch) as refused:
        migrate.require_current(conn)
    assert "half migrated" in refused.value.message


# --- interrupted


def test_killed_while_functions_are_installed_leaves_none_and_the_next_run_completes(
    empty: str, source: Path, installed: Catalog
) -> None:
    wait = source / "sql/operate/zzz.sql"
    wait.write_text("select pg_advisory_xact_lock(7);\n")
    with session(empty) as holder, in_background(empty) as (future, pid):
        holder.execute("select pg_advisory_lock(7)")
        wait_until_blocked(holder, pid, future)
        kill(holder, pid, future)
        assert (
            one(holder, "select count(*) from pg_proc where proowner = 'publish_owner'::regrole")
            == 0
        )
        wait.unlink()
        assert paths(migrate.pending(holder)) == paths(script.replaced())
    assert run(empty) == paths(script.replaced())
    assert_equal(catalog(empty), installed)


def test_killed_inside_a_migration_leaves_the_ones_before_and_the_next_run_completes(
    empty: str, source: Path, installed: Catalog
) -> None:
    third = source / "migrations/0003_outbox.sql"
    text = third.read_text()
    third.write_text(text + "\nset local lock_timeout = 0;\nselect pg_advisory_xact_lock(7);\n")
    with session(empty) as holder, in_background(empty) as (future, pid):
        holder.execute("select pg_advisory_lock(7)")
        wait_until_blocked(holder, pid, future)
        kill(holder, pid, future)
        assert one(holder, "select to_regclass('publish.kind') is not null")
        assert one(holder, "select to_regclass('publish.outbox') is null")
        assert one(holder, "select count(*) from publish._yoyo_migration") == 2
        third.write_text(text)
        assert paths(migrate.pending(holder)) == all_files()[2:]
    assert run(empty) == all_files()[2:]
    assert_equal(catalog(empty), installed)


@pytest.mark.parametrize("record", ["publish.file", "publish._yoyo_migration"])
def test_a_migration_and_the_record_of_it_are_one_transaction(
    empty: str, source: Path, installed: Catalog, record: str
) -> None:
    later = sorted(source.glob("migrations/*.sql"))[1:]
    for file in later:
        file.rename(file.with_suffix(".later"))
    shutil.move(source / "sql", source / "functions")
    (source / "sql").mkdir()
    assert run(empty) == all_files() == ["migrations/0001_roles_and_schema.sql"]
    for file in later:
        file.with_suffix(".later").rename(file)
    with session(empty) as holder, in_background(empty) as (future, pid):
        with holder.transaction():
            holder.execute(f"lock table {record} in exclusive mode")
            with session(empty) as watcher:
                wait_until_blocked(watcher, pid, future)
                kill(watcher, pid, future)
        assert one(holder, "select to_regclass('publish.kind') is null")
        assert one(holder, "select count(*) from publish._yoyo_migration") == 1
        assert one(holder, "select count(*) from publish.file f where f.path <> 'version'") == 1
    (source / "sql").rmdir()
    shutil.move(source / "functions", source / "sql")
    run(empty)
    assert_equal(catalog(empty), installed)


def test_a_function_file_that_fails_installs_no_function_and_names_the_error(
    empty: str, source: Path
) -> None:
    (source / "sql/operate/zzz.sql").write_text("create function nonsense;\n")
    with pytest.raises(psycopg.errors.SyntaxError):
        run(empty)
    with session(empty) as conn:
        assert one(conn, "select to_regprocedure('publish_head()') is null")
        assert one(conn, "select current_user = session_user")


# --- by psql


def test_the_psql_script_installs_what_migrate_does(
    empty: str, cluster: Cluster, installed: Catalog
) -> None:
    servers.run_psql(empty, text=script.ddl()).check_returncode()
    with session(empty) as conn:
        assert migrate.pending(conn) == []
        migrate.require_current(conn)
        assert migrate.migrate(conn) == []
    assert_equal(catalog(empty), installed)  # yoyo's ledger among it


def test_the_psql_script_run_again_repairs_functions_and_changes_nothing_else(
    url: str, installed: Catalog
) -> None:
    with session(url) as conn:
        conn.execute("drop function publish_head()")
    servers.run_psql(url, text=script.ddl()).check_returncode()
    assert_equal(catalog(url), installed)


def test_the_psql_script_upgrades_and_refuses_to_downgrade(url: str, source: Path) -> None:
    (source / "migrations/9999_more.sql").write_text("create table publish.more (id int);\n")
    servers.run_psql(url, text=script.ddl()).check_returncode()
    with session(url) as conn:
        assert migrate.pending(conn) == []
        assert one(conn, "select to_regclass('publish.more') is not null")
        conn.execute("update publish.file set checksum = '9.0.0' where path = 'version'")
        conn.execute("drop function publish_head()")
    refused = servers.run_psql(url, text=script.ddl())
    assert (refused.returncode, "newer than this script" in refused.stderr) == (3, True)
    with session(url) as conn:
        assert one(conn, "select to_regprocedure('publish_head()') is null")


@pytest.mark.parametrize("by", ["migrate", "psql"])
def test_a_psql_script_that_failed_half_way_is_completed(
    empty: str, installed: Catalog, by: str
) -> None:
    broken = script.ddl().replace("-- sql/drain/project.sql\n", "select 1/0;\n")
    assert servers.run_psql(empty, text=broken).returncode != 0
    if by == "psql":
        servers.run_psql(empty, text=script.ddl()).check_returncode()
        assert run(empty) == []
    else:
        assert run(empty) == paths(script.replaced())
    assert_equal(catalog(empty), installed)


def test_a_database_installed_by_psql_can_be_migrated_later(empty: str, source: Path) -> None:
    servers.run_psql(empty, text=script.ddl()).check_returncode()
    (source / "migrations/9999_more.sql").write_text("select 1;\n")
    assert run(empty) == ["migrations/9999_more.sql"]
    with session(empty) as conn:
        assert one(conn, "select count(*) from publish._yoyo_migration") == len(
            resources.migrations()
        )


# --- by whom


@pytest.fixture
def new_cluster(server_kind: str) -> Iterator[Cluster]:
    """A cluster where the roles of pgpublish do not exist yet."""
    with servers.running(server_kind) as cluster:
        yield cluster


def add_owner(admin: Connection, name: str, *, createrole: bool) -> None:
    admin.execute(f"create role {name} login {'createrole' if createrole else ''}")
    admin.execute(f"create database {name} owner {name}")


def publish_something(url: str) -> None:
    with session(url) as conn:
        conn.execute("create table article (id int primary key, title text)")
        conn.execute("create view shown as select a.* from article a")
        conn.execute("select publish_define('article', 'shown')")
        conn.execute("insert into article values (1, 'one')")
        conn.execute("select publish_enqueue('article', '1')")
        conn.execute("select publish_drain()")
        assert one(conn, "select payload from publish_changes()") == {"id": 1, "title": "one"}


def test_a_migrator_needs_createrole_once_in_a_cluster_and_membership_after(
    new_cluster: Cluster,
) -> None:
    with session(new_cluster.url()) as admin:
        add_owner(admin, "plain", createrole=False)
        add_owner(admin, "first", createrole=True)
        add_owner(admin, "second", createrole=False)

        with pytest.raises(psycopg.errors.InsufficientPrivilege) as refused:
            run(new_cluster.url("plain", "plain"))
        assert "CREATEROLE" in str(refused.value.diag.message_hint)

        run(new_cluster.url("first", "first"))
        publish_something(new_cluster.url("first", "first"))
        superuser = one(
            admin, "select bool_or(r.rolsuper) from pg_roles r where r.rolname like 'publish%%'"
        )
        assert superuser is False

        with pytest.raises(psycopg.errors.InsufficientPrivilege) as refused:
            run(new_cluster.url("second", "second"))
        assert refused.value.diag.message_hint == (
            "As a superuser, or as who created it: grant publish_owner to second"
        )
        with session(new_cluster.url("first", "first")) as first:
            first.execute("grant publish_owner to second")
        assert run(new_cluster.url("second", "second")) == all_files()
        publish_something(new_cluster.url("second", "second"))

        # What the refused attempt left behind is in nobody's way.
        admin.execute("grant publish_owner to plain")
        assert run(new_cluster.url("plain", "plain")) == all_files()
        owners = {
            owner
            for database in ("plain", "first", "second")
            for owner in session_owners(new_cluster.url(database))
        }
        assert owners == {"publish_owner"}


def session_owners(url: str) -> set[str]:
    with session(url) as conn:
        rows = conn.execute(
            "select c.relowner::regrole::text from pg_class c"
            " where c.relnamespace = 'publish'::regnamespace"
        )
        return {row[0] for row in rows}


def test_an_upgrade_may_be_run_by_another_member_of_publish_owner(
    new_cluster: Cluster, source: Path
) -> None:
    with session(new_cluster.url()) as admin:
        run(new_cluster.url())
        admin.execute("create role upgrader login in role publish_owner")
        (source / "migrations/9999_more.sql").write_text("select 1;\n")
        (source / "sql/feed/publish_head.sql").write_text(
            (source / "sql/feed/publish_head.sql").read_text() + "\n"
        )
        assert run(new_cluster.url(user="upgrader")) == [
            "migrations/9999_more.sql",
            "sql/feed/publish_head.sql",
        ]


# --- upgraded == fresh


RELEASES = sorted((ROOT / "tests/fixtures").glob("*.sql"))


def test_the_complete_sql_of_every_release_is_kept() -> None:
    """Made by `pgpublish sql > tests/fixtures/VERSION.sql` when a version is released."""
    assert [file.stem for file in RELEASES][:1] == ["0.1.0"]


@pytest.mark.parametrize("release", RELEASES, ids=lambda file: file.stem)
def test_an_upgraded_database_equals_a_fresh_one(
    empty: str, release: Path, installed: Catalog
) -> None:
    servers.run_psql(empty, "-f", str(release)).check_returncode()
    run(empty)
    assert_equal(catalog(empty), installed)
    with session(empty) as conn:
        migrate.require_current(conn)


@pytest.mark.parametrize("release", RELEASES, ids=lambda file: file.stem)
def test_what_an_earlier_version_captured_is_published_after_the_upgrade(
    empty: str, release: Path
) -> None:
    servers.run_psql(empty, "-f", str(release)).check_returncode()
    with session(empty) as conn:
        conn.execute("create table article (id int primary key, title text)")
        conn.execute("select publish_define('article', 'article')")
        conn.execute("select publish_capture('article', 'article')")
        conn.execute("insert into article values (1, 'one')")
        conn.execute("select publish_drain()")
        conn.execute("update article set title = 'two'")
        run(empty)
        conn.execute("insert into article values (2, 'two')")
        conn.execute("select publish_drain()")
        assert conn.execute(
            "select rev, payload ->> 'title' from publish_changes() order by rev"
        ).fetchall() == [(2, "two"), (3, "two")]
        assert one(conn, "select count(*) from publish_audit()") == 0


def test_a_migration_that_is_still_to_come_finds_the_ones_before(
    empty: str, source: Path, installed: Catalog
) -> None:
    """Each migration on its own, as if each were of another version."""
    later = sorted(source.glob("migrations/*.sql"))
    shutil.move(source / "sql", source / "functions")
    (source / "sql").mkdir()
    for file in later:
        file.rename(file.with_suffix(".later"))
    for file in later:
        file.with_suffix(".later").rename(file)
        assert run(empty) == [f"migrations/{file.name}"]
    (source / "sql").rmdir()
    shutil.move(source / "functions", source / "sql")
    assert run(empty) == paths(script.replaced())
    assert_equal(catalog(empty), installed)


def test_the_comparison_sees_every_kind_of_difference(url: str, installed: Catalog) -> None:
    changes = {
        "relations": "alter table publish.kind set (fillfactor = 50)",
        "columns": "comment on column publish.kind.view is 'another'",
        "constraints": "alter table publish.kind drop constraint kind_is_named",
        "indexes": "drop index publish.published_kind_idx",
        "triggers": "create trigger t after insert on publish.kind"
        " for each statement execute function publish_enqueue()",
        "sequences": "alter sequence publish.payload_no cache 2",
        "types": "create type publish.mood as enum ('good')",
        "functions": "revoke execute on function publish_head() from publish_reader",
        "default privileges": "alter default privileges for role publish_owner"
        " grant execute on functions to public",
        "schemas": "grant usage on schema publish to public",
        "files": "delete from publish.file where path like '%/publish_head.sql'",
        "yoyo": "delete from publish._yoyo_migration",
    }
    assert set(changes) == set(CATALOG) - {"roles"}  # roles are the whole cluster's
    for part, statement in changes.items():
        with session(url) as conn:
            conn.execute(statement)
        assert catalog(url)[part] != installed[part], part


# --- packages


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-d", str(folder)],
        cwd=ROOT, check=True, capture_output=True, text=True, timeout=100,
    )  # fmt: skip
    return folder


def test_the_wheel_carries_the_sql_and_finds_it(packages: Path, tmp_path: Path) -> None:
    (wheel,) = packages.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(tmp_path)
    found = subprocess.run(
        [sys.executable, "-S", "-c",
         "from pgpublish import resources as r\n"
         "for f in [*r.migrations(), *r.functions()]: print(f.path, f.checksum)"],
        cwd=tmp_path, env={"PYTHONPATH": str(tmp_path)}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    ours = [*resources.migrations(), *resources.functions()]
    assert found.stdout.splitlines() == [f"{file.path} {file.checksum}" for file in ours]
    assert (tmp_path / "pgpublish/py.typed").exists()


def test_the_sdist_carries_the_sql_and_builds_the_same_wheel(
    packages: Path, tmp_path: Path
) -> None:
    (sdist,) = packages.glob("*.tar.gz")
    with tarfile.open(sdist) as tar:
        tar.extractall(tmp_path, filter="data")
    (tree,) = tmp_path.iterdir()
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=tree, check=True, capture_output=True, text=True, timeout=100,
    )  # fmt: skip
    (again,) = tmp_path.glob("*.whl")
    (wheel,) = packages.glob("*.whl")
    assert zipfile.ZipFile(again).namelist() == zipfile.ZipFile(wheel).namelist()
    assert {name for name in zipfile.ZipFile(again).namelist() if name.endswith(".sql")} == {
        f"pgpublish/{path}" for path in all_files() if path != "sinks"
    }


# --- where it cannot work, it says so in one sentence


def refusal(url: str) -> SchemaMismatch:
    """What migrate says; it has changed nothing."""
    there = "select count(*) from pg_class c where c.relnamespace <> 11"
    with session(url) as conn:
        before = one(conn, there)
        with pytest.raises(SchemaMismatch) as refused:
            migrate.migrate(conn)
        assert one(conn, there) == before
    assert refused.value.hint
    return refused.value


@pytest.fixture
def encoded(cluster: Cluster) -> Iterator[Callable[[str], str]]:
    """Makes an empty database in this encoding."""
    with psycopg.connect(cluster.url(), autocommit=True) as admin:

        def make(encoding: str) -> str:
            admin.execute(
                f"create database encoded template template0 encoding '{encoding}'"
                " lc_collate 'C' lc_ctype 'C'".encode()
            )
            return cluster.url("encoded")

        yield make
        admin.execute("drop database encoded with (force)")


@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1"])
def test_an_encoding_that_cannot_hold_our_text_is_refused_in_words(
    encoding: str, encoded: Callable[[str], str]
) -> None:
    assert encoding in str(refusal(encoded(encoding)).detail)


def test_an_encoding_that_can_hold_our_text_holds_it_right(encoded: Callable[[str], str]) -> None:
    url = encoded("WIN1252")
    run(url)
    with session(url) as conn:
        query = "select count(*) from pg_proc p where p.prosrc like %s"
        assert one(conn, query, "%…%") > 0
        assert one(conn, query, "%â€%") == 0


def test_a_database_without_schema_public_is_refused_in_words(empty: str) -> None:
    with session(empty) as conn:
        conn.execute("drop schema public")
    assert "schema public" in refusal(empty).message


def test_a_schema_that_came_without_its_record_is_refused_in_words(url: str) -> None:
    with session(url) as conn:
        conn.execute("delete from publish.file")
        conn.execute("drop table publish._yoyo_migration")
    assert "no record" in refusal(url).message


def test_one_of_our_schemas_without_the_other_is_refused_in_words(url: str) -> None:
    with session(url) as conn:
        conn.execute("drop schema publish_gate cascade")
    assert "publish_gate" in str(refusal(url).hint)


OURS_IN_PUBLIC = """
select format('drop routine %s cascade', p.oid::regprocedure) from pg_proc p
 where p.pronamespace = 'public'::regnamespace and starts_with(p.proname, 'publish_')
"""


@pytest.mark.parametrize("part", ["publish_gate alone", "no data"])
def test_each_command_says_the_same_of_a_part_and_what_it_says_helps(url: str, part: str) -> None:
    with session(url) as conn:
        if part == "no data":
            conn.execute("delete from publish.file")
        else:
            conn.execute("drop schema publish cascade")
        said = {str(refusal(url).hint)}
        for ask in (migrate.pending, migrate.require_current):
            with pytest.raises(SchemaMismatch) as refused:
                ask(conn)
            said.add(str(refused.value.hint))
        (hint,) = said
        assert "start over: drop schema" in hint.lower()
        conn.execute("drop schema if exists publish cascade; drop schema publish_gate cascade")
        for (drop,) in conn.execute(OURS_IN_PUBLIC).fetchall():
            conn.execute(drop.encode())
    run(url)
    with session(url) as conn:
        migrate.require_current(conn)


def test_a_schema_that_came_without_the_rows_of_yoyo_is_taken_as_it_is(url: str) -> None:
    with session(url) as conn:
        conn.execute("delete from publish._yoyo_migration")
    assert run(url) == []


def test_a_version_before_does_not_downgrade_and_its_workers_go_on(url: str) -> None:
    changed = "select f.checksum from publish.file f where f.path like '%/publish_head.sql'"
    with session(url) as conn:
        conn.execute("update publish.file set checksum = '9.0.0' where path = 'version'")
        conn.execute(
            "update publish.file set checksum = 'newer' where path like '%/publish_head.sql'"
        )
        for ask in (migrate.pending, migrate.migrate, migrate.require_current):
            with pytest.raises(SchemaMismatch) as refused:
                ask(conn)
            assert "newer" in refused.value.message
        migrate.require_usable(conn)
        row = conn.execute(changed).fetchone()
    assert row == ("newer",)


def test_a_worker_of_a_version_after_is_refused(url: str) -> None:
    with session(url) as conn:
        conn.execute("delete from publish.file where path like '%/publish_head.sql'")
        with pytest.raises(SchemaMismatch):
            migrate.require_usable(conn)


def test_a_pooler_is_refused_in_words(cluster: Cluster, new_database: NewDatabase) -> None:
    with pooler.pooled(cluster, new_database()) as url:
        assert "pooler" in refusal(url).message


def test_a_server_before_postgresql_14_is_refused_in_words() -> None:
    fit.require_version(140000)
    with pytest.raises(SchemaMismatch, match="PostgreSQL 14") as caught:
        fit.require_version(130022)
    assert caught.value.detail == "This server is version 13."
    assert caught.value.hint
