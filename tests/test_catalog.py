"""The house rules, read from the catalogs of a migrated database and from the files of sql/.

Each query names the offenders, so each rule holds when its query finds nothing.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, LiteralString

import psycopg
import pytest
import servers

from pgpublish import resources
from pgpublish.embedded import Cluster
from pgpublish.errors import BY_SQLSTATE
from pgpublish.migrate import migrate
from pgpublish.resources import SqlFile

Connection = psycopg.Connection[Any]

ROLES = [
    "publish_admin",
    "publish_owner",
    "publish_projector",
    "publish_reader",
    "publish_server",
    "publish_worker",
    "publish_writer",
]

# yoyo's own tables are made by yoyo: no comments there. All other rules hold for them too.
OURS: LiteralString = """
  create temp view our_table as
    select c.* from pg_class c
     where c.relnamespace = 'publish'::regnamespace and c.relkind in ('r', 'p', 'v', 'm', 'f');
  create temp view our_function as
    select p.* from pg_proc p
      join pg_namespace n on n.oid = p.pronamespace
     where n.nspname in ('publish', 'publish_gate')
        or n.nspname = 'public' and p.proname like 'publish\\_%';
"""


@pytest.fixture(scope="module")
def conn(cluster: Cluster, template: str) -> Iterator[Connection]:
    with psycopg.connect(cluster.url("postgres"), autocommit=True) as admin:
        admin.execute(f"create database catalog template {template}")
        with psycopg.connect(cluster.url("catalog"), autocommit=True) as conn:
            conn.execute(OURS)
            yield conn
        admin.execute("drop database catalog with (force)")


def offenders(conn: Connection, query: LiteralString, *arguments: object) -> list[object]:
    return [row[0] for row in conn.execute(query, arguments or None).fetchall()]


def tables(conn: Connection) -> list[object]:
    return offenders(conn, "select t.relname from our_table t")


def functions(conn: Connection) -> list[object]:
    return offenders(conn, "select p.oid::regprocedure::text from our_function p")


# --- comments


def test_every_function_table_view_and_sequence_has_a_comment(conn: Connection) -> None:
    assert functions(conn)
    assert not offenders(
        conn,
        """
        select p.oid::regprocedure::text from our_function p
         where coalesce(obj_description(p.oid, 'pg_proc'), '') = ''
        union all
        select c.oid::regclass::text from pg_class c
         where c.relnamespace = 'publish'::regnamespace and c.relkind in ('r', 'p', 'v', 'm', 'S')
           and not c.relispartition and c.relname not like '\\_yoyo\\_%'
           and coalesce(obj_description(c.oid, 'pg_class'), '') = ''
        union all
        select n.nspname from pg_namespace n
         where n.nspname in ('publish', 'publish_gate')
           and obj_description(n.oid, 'pg_namespace') is null
        union all
        select r.rolname::text from pg_roles r
         where r.rolname like 'publish\\_%' and shobj_description(r.oid, 'pg_authid') is null
        """,
    )


def test_every_column_name_is_explained_where_its_name_does_not_say_it(conn: Connection) -> None:
    """A name means one thing in all tables, so one comment on it will do, in any of them.
    Only a time, named by its event (…_at), needs none. Views explain themselves in the same way.
    """
    assert not offenders(
        conn,
        """
        select min(format('%s.%s', t.relname, a.attname))
          from our_table t
          join pg_attribute a on a.attrelid = t.oid and a.attnum > 0 and not a.attisdropped
         where not t.relispartition and t.relname not like '\\_yoyo\\_%'
           and a.attname <> 'at' and a.attname not like '%\\_at'
         group by a.attname
        having count(col_description(t.oid, a.attnum)) = 0
         order by 1
        """,
    )


def test_every_index_names_the_query_it_serves(conn: Connection) -> None:
    """The index of a primary key or unique constraint is there for the constraint; on a partition
    it is not, as uniqueness within one partition promises nothing."""
    assert not offenders(
        conn,
        """
        select i.indexrelid::regclass::text
          from pg_index i
          join our_table t on t.oid = i.indrelid and t.relkind = 'r'
         where (t.relispartition
                or not exists (select from pg_constraint o where o.conindid = i.indexrelid))
           and coalesce(obj_description(i.indexrelid, 'pg_class'), '')
               !~ 'publish_[a-z_]+|[Dd]rain|[Pp]run'
        """,
    )


# --- security


def test_every_definer_function_pins_its_search_path(conn: Connection) -> None:
    assert not offenders(
        conn,
        """
        select p.oid::regprocedure::text from our_function p
         where p.prosecdef
           and 'search_path=pg_catalog, pg_temp' <> all (coalesce(p.proconfig, '{}'))
        """,
    )


def test_a_function_that_pins_its_plans_is_not_compiled(conn: Connection) -> None:
    """Before PostgreSQL 18 a scan that is switched off costs so much that each call is compiled,
    for 150 ms."""
    assert not offenders(
        conn,
        """
        select p.oid::regprocedure::text from our_function p
         where 'enable_seqscan=off' = any (p.proconfig) and 'jit=off' <> all (p.proconfig)
        """,
    )


def test_nothing_is_granted_to_public(conn: Connection) -> None:
    assert not offenders(
        conn,
        """
        select o.name || ': ' || a.privilege_type
          from (
            select p.oid::regprocedure::text, coalesce(p.proacl, acldefault('f', p.proowner))
              from our_function p
            union all
            select c.oid::regclass::text,
                   coalesce(c.relacl, acldefault(
                     case c.relkind when 'S' then 's' else 'r' end::"char", c.relowner))
              from pg_class c where c.relnamespace = 'publish'::regnamespace
            union all
            select format('%s.%s', a.attrelid::regclass, a.attname), a.attacl
              from pg_attribute a join our_table t on t.oid = a.attrelid
            union all
            select format('schema %s', n.nspname), coalesce(n.nspacl, acldefault('n', n.nspowner))
              from pg_namespace n where n.nspname in ('publish', 'publish_gate')
          ) as o (name, acl)
         cross join aclexplode(o.acl) a
         where a.grantee = 0
        """,
    )


def test_a_function_made_later_is_not_executable_by_public_either(conn: Connection) -> None:
    with conn.transaction(force_rollback=True):
        conn.execute("set local role publish_owner")
        for schema in ("publish", "publish_gate"):
            conn.execute(f"create function {schema}.later() returns int language sql return 1")
        assert offenders(
            conn,
            "select has_function_privilege('public', s.schema || '.later()', 'execute')"
            " from unnest(array['publish', 'publish_gate']) as s (schema)",
        ) == [False, False]


def test_privileges_are_granted_to_our_roles_only(conn: Connection) -> None:
    assert not offenders(
        conn,
        """
        select o.name || ': ' || a.grantee::regrole
          from (
            select p.oid::regprocedure::text, p.proacl from our_function p
            union all
            select c.oid::regclass::text, c.relacl from pg_class c
             where c.relnamespace = 'publish'::regnamespace
          ) as o (name, acl)
         cross join aclexplode(o.acl) a
         where a.grantee::regrole::text <> all (%s)
        """,
        ROLES,
    )


def test_no_role_but_the_owner_may_write_a_table(conn: Connection) -> None:
    assert not offenders(
        conn,
        """
        select format('%s: %s %s', t.relname, a.grantee::regrole, a.privilege_type)
          from our_table t
         cross join aclexplode(t.relacl) a
         where a.privilege_type <> 'SELECT' and a.grantee <> t.relowner
        """,
    )


def test_publish_owner_owns_everything_but_what_runs_as_publish_projector(
    conn: Connection,
) -> None:
    assert not offenders(
        conn,
        """
        select p.oid::regprocedure::text from our_function p
         where p.proowner <> 'publish_owner'::regrole
           and not (p.proowner = 'publish_projector'::regrole
                    and p.pronamespace = 'publish_gate'::regnamespace)
        union all
        select pg_describe_object(d.classid, d.objid, d.objsubid)
          from pg_shdepend d
         where d.refobjid = 'publish_projector'::regrole and d.deptype = 'o'
           and d.dbid = (select b.oid from pg_database b where b.datname = current_database())
           and not exists (select from our_function p
                            where d.classid = 'pg_proc'::regclass and p.oid = d.objid
                              and p.pronamespace = 'publish_gate'::regnamespace)
        union all
        select c.oid::regclass::text from pg_class c
         where c.relnamespace = 'publish'::regnamespace and c.relowner <> 'publish_owner'::regrole
        union all
        select t.oid::regtype::text from pg_type t
         where t.typnamespace = 'publish'::regnamespace and t.typowner <> 'publish_owner'::regrole
        union all
        select n.nspname::text from pg_namespace n
         where n.nspname in ('publish', 'publish_gate') and n.nspowner <> 'publish_owner'::regrole
        """,
    )


def test_no_role_may_log_in_or_do_more_than_its_grants(conn: Connection) -> None:
    assert (
        offenders(
            conn,
            """
        select r.rolname from pg_roles r
         where r.rolname like 'publish\\_%'
           and not (r.rolsuper or r.rolcanlogin or r.rolcreaterole or r.rolcreatedb
                    or r.rolreplication or r.rolbypassrls)
           and not exists (select from pg_auth_members m
                            where m.member = r.oid
                              and (m.member, m.roleid)
                                  <> ('publish_owner'::regrole, 'publish_projector'::regrole))
         order by r.rolname
        """,
        )
        == ROLES
    )


# --- shape


def test_schema_publish_gate_holds_functions_only(conn: Connection) -> None:
    assert not offenders(
        conn,
        """
        select pg_describe_object(d.classid, d.objid, 0)
          from pg_depend d
         where d.refclassid = 'pg_namespace'::regclass
           and d.refobjid = 'publish_gate'::regnamespace and d.classid <> 'pg_proc'::regclass
        """,
    )


def test_nothing_of_ours_in_public_but_functions_named_publish(conn: Connection) -> None:
    assert not offenders(
        conn,
        """
        select pg_describe_object(d.classid, d.objid, 0)
          from pg_depend d
         cross join lateral pg_identify_object(d.classid, d.objid, 0) o
         where d.refclassid = 'pg_namespace'::regclass and d.refobjid = 'public'::regnamespace
           and not (o.type in ('function', 'procedure')
                    and o.identity like 'public.publish\\_%')
        """,
    )


def test_no_overloads_but_the_trigger_form_of_publish_enqueue(conn: Connection) -> None:
    names = Counter(str(name).split("(")[0] for name in functions(conn))
    assert [name for name, count in names.items() if count > 1] == ["publish_enqueue"]
    assert names["publish_enqueue"] == 2


def test_every_table_has_a_primary_key(conn: Connection) -> None:
    """The outbox itself has none, its partitions have: nothing looks into all of them by key."""
    assert tables(conn)
    assert not offenders(
        conn,
        """
        select t.relname from our_table t
         where t.relkind = 'r'
           and not exists (select from pg_constraint o where o.conrelid = t.oid and o.contype = 'p')
        """,
    )


def test_constraints_are_named_as_facts(conn: Connection) -> None:
    """No name that PostgreSQL made up. A primary key's is table_pkey; not null needs no name."""
    assert not offenders(
        conn,
        """
        select o.conname from pg_constraint o
          join our_table t on t.oid = o.conrelid and t.relname not like '\\_yoyo\\_%'
         where o.contype <> 'n'
           and (o.conname ~ (t.relname || '_(.*_)?(check|key|fkey|excl|not_null)[0-9]*$')
                or o.contype = 'p' and o.conname <> t.relname || '_pkey')
        """,
    )


# --- files


def blocks(text: str, opening: str) -> list[str]:
    """Statements of a body that begin with `opening`, up to the semicolon at a line's end."""
    return re.findall(rf"^\s*{opening}\b.*?;[ ]*(?:--.*)?$", text, re.MULTILINE | re.DOTALL)


def params() -> list[Any]:
    return [pytest.param(file, id=file.path) for file in resources.functions()]


@pytest.mark.parametrize("file", params())
def test_a_file_holds_the_object_of_its_name_and_its_grants(file: SqlFile) -> None:
    name = Path(file.path).stem
    schema = "public" if name.startswith("publish_") else "publish(?:_gate)?"
    outside = re.sub(
        r"\$\$.*?\$\$|'(?:[^']|'')*'|--[^\n]*", "", file.text, flags=re.DOTALL
    )  # bodies, literals and remarks
    statements = [" ".join(part.split()) for part in outside.split(";") if part.strip()]
    verbs = (
        rf"create or replace (function|procedure|view) {schema}\.{name}\b"
        rf"|comment on (function|procedure|view) {schema}\.{name}\b"
        rf"|comment on column {schema}\.{name}\.\w+"
        rf"|revoke all on (function|procedure|table )?\s*{schema}\.{name}\b"
        rf"|grant (execute|select) on (function|procedure)?\s*{schema}\.{name}\b"
        rf"|alter function publish_gate\.{name}\b.* owner to publish_projector"
    )
    assert [s for s in statements if not re.match(verbs, s)] == []
    creates = [s for s in statements if s.startswith("create")]
    assert len(creates) == (2 if name == "publish_enqueue" else 1)
    for verb in (r"comment on (?!column)", "revoke all on"):
        assert sum(bool(re.match(verb, s)) for s in statements) == len(creates), verb


def test_every_installed_function_and_view_has_its_file(conn: Connection) -> None:
    installed = offenders(
        conn,
        """
        select distinct p.proname::text from our_function p
        union
        select t.relname::text from our_table t where t.relkind in ('v', 'm')
        """,
    )
    assert sorted(str(name) for name in installed) == sorted(
        Path(file.path).stem for file in resources.functions()
    )


@pytest.mark.parametrize("file", params())
def test_every_error_has_sqlstate_detail_and_hint(file: SqlFile) -> None:
    assert len(blocks(file.text, "raise exception")) == file.text.count("raise exception")
    for statement in blocks(file.text, "raise exception"):
        (state,) = re.findall(r"errcode = '(\w+)'", statement)
        assert state in BY_SQLSTATE, statement
        assert "detail = " in statement, statement
        assert "hint = " in statement, statement
    for statement in blocks(file.text, "raise warning"):
        assert "hint = " in statement, statement


@pytest.mark.parametrize("file", params())
def test_messages_are_in_postgresqls_style(file: SqlFile) -> None:
    """Lower case, no full stop, the values in the detail; a hint is a sentence."""
    for message in re.findall(r"raise exception\s+'((?:[^']|'')*)'", file.text):
        first = message.split()[0]
        assert first[0].islower() or first.startswith("publish_"), message
        assert not message.endswith("."), message
        assert "%" not in message, message
    for hint in re.findall(r"hint = (?:format\()?'((?:[^']|'')*)'", file.text):
        assert hint[0].isupper(), hint


def test_sqlstates_of_ours_are_those_of_the_list() -> None:
    used = {state for file in resources.functions() for state in re.findall(r"PT\d+", file.text)}
    assert used
    assert used <= set(BY_SQLSTATE)


@pytest.mark.parametrize(
    "file",
    [pytest.param(f, id=f.path) for f in [*resources.migrations(), *resources.functions()]],
)
def test_lines_are_at_most_100_columns(file: SqlFile) -> None:
    long = [n for n, line in enumerate(file.text.splitlines(), 1) if len(line) > 100]
    assert long == []
    assert file.text.endswith("\n")
    assert "\t" not in file.text


BACKSLASH = re.compile(r"(?<!\w)(e?)'((?:[^']|'')*)'", re.IGNORECASE)


@pytest.mark.parametrize(
    "file",
    [pytest.param(f, id=f.path) for f in [*resources.migrations(), *resources.functions()]],
)
def test_a_backslash_stands_in_an_escape_string_only(file: SqlFile) -> None:
    """Elsewhere it means something else in a session with standard_conforming_strings = off."""
    texts = BACKSLASH.findall(re.sub(r"--[^\n]*", "", file.text))
    assert [text for escapes, text in texts if "\\" in text and not escapes] == []


def test_migrations_hold_no_function() -> None:
    for file in resources.migrations():
        assert not re.search(r"create (or replace )?(function|procedure|view)\b", file.text)
        assert "set local lock_timeout" in file.text, file.path


def test_migrations_are_numbered_without_gaps() -> None:
    names = [Path(file.path).name for file in resources.migrations()]
    assert [int(name[:4]) for name in names] == list(range(1, len(names) + 1))
    assert all(re.fullmatch(r"\d{4}_[a-z0-9_]+\.sql", name) for name in names)


# --- rooms

ROOMS = ["common", "kind", "capture", "walk", "drain", "feed", "deliver"]  # as data goes through
ALL_ROOMS = {*ROOMS, "jobs", "verify", "operate"}
MAY_CALL = {room: set(ROOMS[: n + 1]) for n, room in enumerate(ROOMS)} | {
    "jobs": {"common", "jobs"},
    "verify": ALL_ROOMS,
    "operate": ALL_ROOMS,
}
ROOM_OF = {Path(file.path).stem: Path(file.path).parts[1] for file in resources.functions()}

MENTION = re.compile(
    r"((?P<ddl>create or replace|comment on|revoke all on|grant execute on|alter|execute)"
    r"\s+function\s+)?\b(?:publish|publish_gate|public)\.(?P<name>\w+)(?P<call>\s*\()?"
)


def code(file: SqlFile) -> str:
    """The file's text without remarks and comments on objects."""
    text = re.sub(r"--[^\n]*", "", file.text)
    return re.sub(r"^comment on .*?';$", "", text, flags=re.MULTILINE | re.DOTALL)


def arguments(text: str, start: int) -> list[str]:
    """The arguments of a call whose opening parenthesis is at start."""
    found, depth, begun, quoted = [], 0, start + 1, False
    for at in range(start, len(text)):
        char = text[at]
        if char == "'":
            quoted = not quoted
        elif quoted:
            continue
        elif char in "([":
            depth += 1
        elif char in ")]":
            depth -= 1
        if depth == 0 or (depth == 1 and char == ","):
            found.append(text[begun:at])
            begun = at + 1
        if depth == 0:
            break
    return [argument for argument in found if argument.strip()]


def calls(file: SqlFile) -> Iterator[tuple[str, list[str]]]:
    """Functions of ours that the file calls, also in SQL that it makes, and with what."""
    text = code(file)
    for mention in MENTION.finditer(text):
        if mention["name"] in ROOM_OF and mention["call"] and not mention["ddl"]:
            yield mention["name"], arguments(text, mention.end() - 1)


@pytest.mark.parametrize("file", params())
def test_a_room_calls_itself_and_rooms_before_it(file: SqlFile) -> None:
    room = Path(file.path).parts[1]
    views = set(re.findall(r"\b(?:from|join)\s+publish\.(\w+)\b(?!\s*\()", code(file)))
    called = {name for name, _ in calls(file)} | (views & ROOM_OF.keys())
    assert {f"{ROOM_OF[n]}/{n}" for n in called if ROOM_OF[n] not in MAY_CALL[room]} == set()


@pytest.mark.parametrize("file", params())
def test_calls_with_more_than_two_arguments_name_them(file: SqlFile) -> None:
    assert [
        f"{name}({', '.join(' '.join(argument.split()) for argument in given)})"
        for name, given in calls(file)
        if len(given) > 2 and not all("=>" in argument for argument in given)
    ] == []


def test_the_scanner_of_calls_sees_what_it_should() -> None:
    text = """
create or replace function publish.backoff(a int, b int, c int) returns int as $$
  -- publish.backoff(1, 2, 3)
  select publish.backoff(1, publish.backoff(f(a, b), '(,', array[1, 2]),
                         c => (select 1)), public.publish_head()
$$;
comment on function publish.backoff(int, int, int) is
  'publish.backoff(1, 2, 3)';
create trigger t after insert on x execute function publish.backoff(1, 2, 3);
"""
    found = [(name, len(given)) for name, given in calls(SqlFile("sql/drain/x.sql", text))]
    assert found == [("backoff", 3), ("backoff", 3), ("publish_head", 0)]


# --- size and shape of functions


def body_lines(file: SqlFile) -> int:
    """Lines of the longest body, without empty ones and remarks."""
    bodies = re.findall(r"^as \$\$\n(.*?)^\$\$", file.text, re.MULTILINE | re.DOTALL)
    return max(
        (sum(not re.match(r"\s*(--|$)", line) for line in body.splitlines()) for body in bodies),
        default=0,
    )


@pytest.mark.parametrize(
    "file",
    [p for p in params() if p.values[0].path.split("/")[1] in ("drain", "walk", "deliver")],
)
def test_a_body_of_the_drain_of_walks_or_of_delivery_is_at_most_60_lines(file: SqlFile) -> None:
    assert body_lines(file) <= 60


def test_internal_functions_of_these_rooms_take_at_most_four_arguments(
    conn: Connection,
) -> None:
    internal = [
        name
        for name, room in ROOM_OF.items()
        if room in ("drain", "walk", "deliver") and not name.startswith("publish_")
    ]
    assert internal
    assert not offenders(
        conn,
        "select p.oid::regprocedure::text from our_function p"
        " where p.pronargs > 4 and p.proname = any (%s)",
        internal,
    )


def test_no_internal_function_takes_parallel_arrays(conn: Connection) -> None:
    """Arrays whose elements belong together are one array of a composite type."""
    assert not offenders(
        conn,
        """
        select p.oid::regprocedure::text
          from our_function p
         cross join lateral unnest(p.proargtypes::oid[]) as a (type)
          join pg_type t on t.oid = a.type and t.typcategory = 'A'
          join pg_type e on e.oid = t.typelem and e.typtype <> 'c'
         where p.proname not like 'publish\\_%%'
         group by p.oid
        having count(*) > %s
        """,
        1,
    )


# --- generated functions

EVERY_KIND_OF_CAPTURE: LiteralString = """
create table author (id int primary key, name text);
create table article (
  id int primary key, author_id int references author, title text, at timestamptz);
create table leaf (id int, n int, primary key (id, n)) partition by list (n);
create table leaf_1 partition of leaf for values in (1);
create view article_feed as
  select a.id, a.title, u.name from article a left join author u on u.id = a.author_id;
create view leaf_feed as select l.id, l.n from leaf l;
create function fit(payload jsonb) returns boolean immutable language sql
  return payload is not null;
select publish_define('article', 'article_feed', validator => 'fit(jsonb)');
select publish_define('leaf', 'leaf_feed', key => '{id,n}');
select publish_define('day', 'article', key => '{at}');
select publish_capture('article', 'article', columns => '{title,author_id}');
select publish_capture('article', 'author', lookup =>
  'select id from article where author_id = any ($1)');
select publish_capture('leaf', 'leaf');
select publish_capture('day', 'article', key => 'at + interval ''1 day''');
insert into author values (1, 'a');
insert into article values (1, 1, 't', now());
insert into leaf values (1, 1);
select publish_drain();
"""

GENERATED: LiteralString = """
  from our_function p
 where p.pronamespace = 'publish_gate'::regnamespace and p.proname ~ '^(capture|project)_[0-9]+'
"""


@pytest.fixture(scope="module")
def generated(cluster: Cluster, template: str) -> Iterator[Connection]:
    """A database with functions of every sort that is generated."""
    with psycopg.connect(cluster.url("postgres"), autocommit=True) as admin:
        admin.execute(f"create database generated template {template}")
        with psycopg.connect(cluster.url("generated"), autocommit=True) as conn:
            conn.execute(OURS)
            conn.execute(EVERY_KIND_OF_CAPTURE)
            yield conn
        admin.execute("drop database generated with (force)")


def test_generated_functions_live_in_publish_gate(generated: Connection) -> None:
    names = {str(name) for name in offenders(generated, "select p.proname" + GENERATED)}
    assert {"capture_N", "project_N"} <= {re.sub(r"\d+", "N", name) for name in names}
    assert not offenders(
        generated,
        "select p.oid::regprocedure::text from our_function p"
        " where p.proname ~ '_[0-9]+(_|$)' and p.pronamespace <> 'publish_gate'::regnamespace",
    )


def test_generated_functions_are_pinned_or_say_what_they_are(generated: Connection) -> None:
    assert not offenders(
        generated,
        "select p.oid::regprocedure::text"
        + GENERATED
        + "and coalesce(obj_description(p.oid, 'pg_proc'), '') = ''"
        " and ('search_path=pg_catalog, pg_temp' = any (p.proconfig)) is not true",
    )


def test_public_may_execute_generated_trigger_functions_only(generated: Connection) -> None:
    assert not offenders(
        generated,
        """
        select p.oid::regprocedure::text
          from our_function p
         cross join lateral aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
         where a.grantee = 0
           and (p.pronamespace <> 'publish_gate'::regnamespace
                or p.prorettype <> 'trigger'::regtype)
        """,
    )


# --- function bodies


@pytest.fixture(scope="module")
def debian(server_kind: str, cluster: Cluster) -> Iterator[Cluster]:
    """Only Debian's server has plpgsql_check: the session's own, or one more beside it."""
    if server_kind == "debian":
        yield cluster
        return
    root = Path(tempfile.mkdtemp(prefix="pgpublish-test-"))
    other = servers.new_cluster("debian", root)
    try:
        other.create()
        other.start()
        yield other
    finally:
        other.stop()
        shutil.rmtree(root, ignore_errors=True)


@pytest.fixture(scope="module")
def checked(debian: Cluster) -> Iterator[Connection]:
    """A migrated database with plpgsql_check and a table for the trigger functions."""
    with psycopg.connect(debian.url("postgres"), autocommit=True) as admin:
        admin.execute("create database checked template template0")
        with psycopg.connect(debian.url("checked"), autocommit=True) as conn:
            migrate(conn)
            conn.execute(OURS)
            conn.execute("create extension plpgsql_check")
            conn.execute("create table source (id int primary key)")
            yield conn
        admin.execute("drop database checked with (force)")


UNSANITIZED = "text type variable is not sanitized"

# What runs SQL that users wrote: behind the gate, as whoever captures a table, or a validator
# whose name publish.define quoted. And what names our own objects, as the catalog spells them, or
# what publish.cron_sql quoted.
KNOWN_WARNINGS = {
    ("publish.expression_type", UNSANITIZED),  # runs as its caller
    ("publish.own", UNSANITIZED),
    ("publish.restore_defaults", UNSANITIZED),
    ("publish.restore_rights", UNSANITIZED),
    ("publish_gate.gate_make", UNSANITIZED),
    ("publish_gate.gate_hold", UNSANITIZED),
    ("publish_gate.plan", UNSANITIZED),
    ("publish_gate.texts", UNSANITIZED),
    ("public.publish_schedule", UNSANITIZED),
    ("public.publish_unschedule", UNSANITIZED),
    ("public.publish_run", 'name of parameter "for" is reserved keyword'),
    ("public.publish_enqueue", UNSANITIZED),
}


def test_plpgsql_check_finds_no_error_and_no_warning_but_the_known(checked: Connection) -> None:
    found = checked.execute(
        """
        select format('%s.%s', n.nspname, p.proname), c.lineno, c.level, c.sqlstate,
               regexp_replace(c.message, ' "\\w+" is maybe', ' is maybe')
          from our_function p
          join pg_namespace n on n.oid = p.pronamespace
          join pg_language l on l.oid = p.prolang and l.lanname = 'plpgsql'
         cross join lateral plpgsql_check_function_tb(
           p.oid,
           case when p.prorettype = 'trigger'::regtype then 'source'::regclass else 0 end,
           fatal_errors => false, performance_warnings => false, security_warnings => true) c
        """
    ).fetchall()
    unknown = [row for row in found if (row[0], row[4]) not in KNOWN_WARNINGS]
    assert unknown == [], "\n".join(map(str, unknown))
    assert {(row[0], row[4]) for row in found} == KNOWN_WARNINGS


def test_plpgsql_check_would_find_an_error(checked: Connection) -> None:
    with checked.transaction(force_rollback=True):
        checked.execute("alter table publish.published rename column headers to header")
        found = offenders(
            checked,
            """
            select c.sqlstate
              from plpgsql_check_function_tb(
                'publish_get(text, uuid)', fatal_errors => false) c
             where c.level = 'error'
            """,
        )
    assert "42703" in found


def test_every_body_is_valid_when_it_is_checked(conn: Connection) -> None:
    """The migrator installs with check_function_bodies off, so that order is free."""
    with conn.transaction(force_rollback=True):
        conn.execute("set local role publish_owner")
        conn.execute("set local check_function_bodies = on")
        for file in resources.functions():
            conn.execute(file.text.encode())


# --- negative controls: each rule finds what breaks it

UNSAFE: dict[LiteralString, Callable[[Connection], None]] = {
    "alter function publish_drain(int) reset search_path":
        test_every_definer_function_pins_its_search_path,
    "alter function publish_gate.texts(text, text[], int) set search_path = pg_catalog, public":
        test_every_definer_function_pins_its_search_path,
    "create function publish_more() returns int language sql security definer return 1":
        test_every_definer_function_pins_its_search_path,
    "grant execute on function publish_head() to public": test_nothing_is_granted_to_public,
    "grant select (kind) on publish.kind to public": test_nothing_is_granted_to_public,
    "grant usage on schema publish_gate to public": test_nothing_is_granted_to_public,
    "grant execute on function publish_head() to pg_monitor":
        test_privileges_are_granted_to_our_roles_only,
    "grant insert on publish.outbox to publish_writer":
        test_no_role_but_the_owner_may_write_a_table,
    "alter function publish_gate.plan(text) owner to postgres":
        test_publish_owner_owns_everything_but_what_runs_as_publish_projector,
    "alter function publish.try_hold(text, int) owner to publish_projector":
        test_publish_owner_owns_everything_but_what_runs_as_publish_projector,
    "alter table publish.kind owner to publish_projector":
        test_publish_owner_owns_everything_but_what_runs_as_publish_projector,
    "alter role publish_worker login": test_no_role_may_log_in_or_do_more_than_its_grants,
    "grant publish_owner to publish_admin": test_no_role_may_log_in_or_do_more_than_its_grants,
    "alter role publish_projector bypassrls": test_no_role_may_log_in_or_do_more_than_its_grants,
    "alter default privileges for role publish_owner grant execute on functions to public":
        test_a_function_made_later_is_not_executable_by_public_either,
    "create function publish.more() returns int language sql return 1":
        test_every_function_table_view_and_sequence_has_a_comment,
    "comment on table publish.kind is null":
        test_every_function_table_view_and_sequence_has_a_comment,
    "comment on schema publish_gate is null":
        test_every_function_table_view_and_sequence_has_a_comment,
    "comment on role publish_reader is null":
        test_every_function_table_view_and_sequence_has_a_comment,
    "alter table publish.kind add mystery int":
        test_every_column_name_is_explained_where_its_name_does_not_say_it,
    "create index on publish.kind (view)": test_every_index_names_the_query_it_serves,
    "comment on index publish.outbox_1_pkey is 'rows'": test_every_index_names_the_query_it_serves,
    "alter function publish.backoff(int, interval, interval) set enable_seqscan = off":
        test_a_function_that_pins_its_plans_is_not_compiled,
    "create table publish_gate.kept (id int)": test_schema_publish_gate_holds_functions_only,
    "create table public.publish_log (id int)":
        test_nothing_of_ours_in_public_but_functions_named_publish,
    "create function publish_head(int) returns int language sql return 1":
        test_no_overloads_but_the_trigger_form_of_publish_enqueue,
    "alter table publish.deferred drop constraint deferred_pkey":
        test_every_table_has_a_primary_key,
    "alter table publish.kind add check (kind <> '')": test_constraints_are_named_as_facts,
    "alter table publish.kind rename constraint kind_pkey to kind_is_unique":
        test_constraints_are_named_as_facts,
    "create view publish.more as select 1 as n":
        test_every_installed_function_and_view_has_its_file,
    "drop function publish_pub_id(text, text)":
        test_every_installed_function_and_view_has_its_file,
    "create function publish.park(a int, b int, c int, d int, e int) returns int"
    " language sql return 1":
        test_internal_functions_of_these_rooms_take_at_most_four_arguments,
    "create function publish.more(a int[], b text[]) returns int language sql return 1":
        test_no_internal_function_takes_parallel_arrays,
}  # fmt: skip


@pytest.mark.parametrize("unsafe", UNSAFE)
def test_the_rules_find_what_is_made_unsafe_on_purpose(
    conn: Connection, unsafe: LiteralString
) -> None:
    with conn.transaction(force_rollback=True):
        conn.execute(unsafe)
        with pytest.raises(AssertionError):
            UNSAFE[unsafe](conn)


WRONG_FILES: dict[str, Callable[[SqlFile], None]] = {
    "create or replace function publish.other() returns int return 1;\n":
        test_a_file_holds_the_object_of_its_name_and_its_grants,
    "create or replace function publish.lean() returns int return 1;\n"
    "comment on function publish.lean() is 'One.';\n":
        test_a_file_holds_the_object_of_its_name_and_its_grants,
    "create or replace function publish.lean() returns int return 1;\n"
    "comment on function publish.lean() is 'One.';\n"
    "revoke all on function publish.lean() from public;\n"
    "drop table publish.kind;\n":
        test_a_file_holds_the_object_of_its_name_and_its_grants,
    "  raise exception 'no' using errcode = 'PT400', detail = 'It is 1.';\n":
        test_every_error_has_sqlstate_detail_and_hint,
    "  raise exception 'no' using errcode = 'PT999', detail = 'It is 1.', hint = 'Do.';\n":
        test_every_error_has_sqlstate_detail_and_hint,
    "  raise exception 'no';\n": test_every_error_has_sqlstate_detail_and_hint,
    "  raise warning 'no';\n": test_every_error_has_sqlstate_detail_and_hint,
    "  raise exception 'Not this.' using hint = 'Do.';\n": test_messages_are_in_postgresqls_style,
    "  raise exception 'not % this' using hint = 'Do.';\n":
        test_messages_are_in_postgresqls_style,
    "  raise exception 'not this' using hint = 'do.';\n": test_messages_are_in_postgresqls_style,
    "-- " + 98 * "x" + "\n": test_lines_are_at_most_100_columns,
    "\tselect 1;\n": test_lines_are_at_most_100_columns,
    "select 1;": test_lines_are_at_most_100_columns,
    "  perform publish.judge_batch(1);\n": test_a_room_calls_itself_and_rooms_before_it,
    "  perform 1 from publish.lane_now l;\n": test_a_room_calls_itself_and_rooms_before_it,
    "  perform publish.backoff(1, '1 s', '1 h');\n":
        test_calls_with_more_than_two_arguments_name_them,
    "as $$\nbegin\n" + 60 * "  perform 1;\n" + "end\n$$;\n":
        test_a_body_of_the_drain_of_walks_or_of_delivery_is_at_most_60_lines,
}  # fmt: skip


@pytest.mark.parametrize("text", WRONG_FILES, ids=lambda text: repr(text[:60]))
def test_the_rules_find_a_file_that_is_wrong_on_purpose(text: str) -> None:
    with pytest.raises((AssertionError, ValueError)):
        WRONG_FILES[text](SqlFile("sql/drain/lean.sql", text))
