"""What a caller can pass to a public function, as SQL expressions, and functions that would like to
be called in place of ours."""

from __future__ import annotations

from typing import Any, LiteralString

import psycopg
from helpers import one

TEXT_1MB = "repeat('x', 1000000)"
TEXTS = [
    "''", "' '", "'abc'", "repeat('é', 900)", "repeat('x', 2001)", TEXT_1MB, "repeat('(', 50000)",
    "e'\\x01\\x02'", "e'\\x1b]0;x\\x07'", "e'a\\r\\nb'", "U&'\\202E\\2066'", "U&'\\FFFF\\FFFE'",
    "'''; drop table publish.kind; --'", "'$$'", "'$capture$'", "'%s %I %L %'", "'\\'", "'\"'",
    "'a\"b''c'", "'[1, 2]'", "'[\"a\"]'", "'[null]'", "'{\"a\": 1}'", "'{'", "'n;'", "'*'",
    "'i.*'", "'select 1'", "'select n from item; select 1'", "'id from item'", "'(select 1)'",
    "'n/0'", "'$1'", "'random()'", "'1.0.0.0'", "'9' || '.0' || repeat('.1', 5)", "'0'",
    "'1.' || repeat('f', 32) || '.1.1'", "repeat('9', 18)", "repeat('9', 30)", "'-1'", "'1e400'",
    "'* * * * *'", "'99 99 99 99 99'", "'0 0 30 2 *'", "'*/0 * * * *'", "'1-0 * * * *'",
    "'59 23 31 12 7'", "'Nowhere/None'", "'UTC-99'", "'null'", "'NaN'", "'infinity'", "'a.b.c.d.e'",
    "'publish.kind'", "'pg_class'", "'1259'", "'x' || repeat('.y', 100)", "'public.'", "'.'",
]  # fmt: skip
VALUES: dict[str, list[str]] = {
    "text": TEXTS,
    "integer": ["0", "1", "-1", "2", "100", "1000000", "2147483647", "-2147483648"],
    "bigint": ["0", "1", "-1", "100", "4294967296", "9223372036854775807", "-9223372036854775808"],
    "boolean": ["true", "false"],
    "numeric": ["0", "-1", "1e-20", "1e300", "'1e131071'", "'NaN'", "0.5", "'1e-16383'"],
    "uuid": ["'00000000-0000-0000-0000-000000000000'", "'ffffffff-ffff-ffff-ffff-ffffffffffff'"],
    "bytea": ["''", "decode('00', 'hex')", "sha256('')"],
    "interval": [
        "'0'", "'1 us'", "'-1 us'", "'1 day'", "'178000000 years'", "'-178000000 years'",
        "'10000 years'", "'1000 years'", "'-10000 years'", "'1 month -30 days'",
        "'2147483647 days'", "'2147483647 months'", "'2147483647 hours'",
        "'178956970 years 2147483647 days'",
    ],
    "timestamp with time zone": [
        "'infinity'", "'-infinity'", "'2000-01-01'", "'4713-01-01 BC'", "'294276-12-31'",
        "now() + interval '1 s'",
    ],
    "jsonb": [
        "'null'", "'{}'", "'[]'", "'1'", "'\"x\"'", "(repeat('[', 3000) || repeat(']', 3000))",
        "(repeat('{\"a\":', 990) || '1' || repeat('}', 990))", "'{\"a\": {\"b\": [1e100000]}}'",
        "to_jsonb(repeat('x', 1000000))", "jsonb_build_object(repeat('k', 1000000), 1)",
        "to_jsonb(repeat(chr(1), 1000000))", "to_jsonb(array_fill(1, '{100000}'))",
        "to_jsonb(array_fill('{}'::jsonb, '{10000}'))", "jsonb_build_array(1e131071)",
        "jsonb_build_object('traceparent', repeat('0', 100000))",
        "'{\"traceparent\": \"00-1-2-3\", \"tracestate\": 1, \"baggage\": \"a\\r\\nb\"}'",
        "'[null]'", "'[[]]'", "'[\"x\"]'", "'[{}]'", "'[{\"pub_id\": 1}]'", "'{\"\": null}'",
        "'{\"url\": 1}'", "'{\"url\": \"env:HOME\", \"headers\": {\"x\": [1]}}'",
        "'[{\"pub_id\": null, \"rev\": \"x\", \"class\": \"rejected\"}]'",
        "'[{\"pub_id\": \"x\", \"rev\": 1e30, \"class\": 1, \"retry_after\": \"inf\"}]'",
        "jsonb_build_array(jsonb_build_object('pub_id', PUB_ID, 'rev', 1, 'class', 'rejected',"
        " 'message', repeat('m', 100000), 'retry_after', 1e300))",
        "jsonb_build_array(jsonb_build_object('pub_id', PUB_ID, 'rev', -1.5, 'class', 'busy',"
        " 'retry_after', '-infinity'))",
    ],
    "regclass": [
        "'item_feed'", "'pg_class'", "'publish.kind'", "'pg_stat_activity'", "'item_pkey'",
        "'item_id_seq'", "0::oid", "4294967295::oid", "'pg_toast.pg_toast_1255'", "'parted'",
        "'part'", "'away'", "'odd'", "'aggregated'", "'broken'",
    ],
    "name": ["'publish_reader'", "'none'", "'public'", "'postgres'", "''", "repeat('x', 63)"],
    "regprocedure": [
        "'now()'", "'publish_head()'", "'pg_sleep(double precision)'", "'count(\"any\")'", "0::oid",
        "4294967295::oid", "'publish_drain(int)'", "'raises(jsonb)'", "'int4in(cstring)'",
    ],
    "text[]": [
        "'{}'", "'{NULL}'", "'{item}'", "'{id,id}'", "'{n,NULL}'", "'{{a,b},{c,d}}'", "'{*}'",
        "'[5:6]={id,n}'", "'{\"\"}'", "'{\"a\\\"b\"}'", "array_fill('x'::text, '{10000}')",
        "array[repeat('x', 1000000)]", "'{ctid}'", "'{id,n,id}'", "'{item,note,none}'",
    ],
}  # fmt: skip

# By the name of an argument: what mostly fits, so that calls get past the first check. PUB_ID,
# LANE_TOKEN and JOB_TOKEN stand for what the database gave.
FITTING: dict[tuple[str, str], list[str]] = {
    ("kind", ""): ["'item'", "'note'", "'log'", "'broken'", "'kind'"],
    ("id", ""): ["'job'", "'running'"],
    ("name", ""): ["'sub'", "'each'", "'max_depth'"],
    ("new_name", ""): ["'new'"],
    ("value", ""): ["'500'"],
    ("subscription", ""): ["'sub'"],
    ("role", ""): ["'publish_reader'"],
    ("scope", ""): ["null", "'n'"],
    ("filter", ""): ["null", "'true'"],
    ("old", ""): ["'1 hour'"],
    ("source_id", ""): ["'1'", "'later'"],
    ("sink", ""): ["'stdout'", "'webhook'"],
    ("source", ""): ["'item'", "'parted'", "'odd'"],
    ("view", ""): ["'item_feed'", "null"],
    ("key", "text"): ["'id'", "null"],
    ("key", "text[]"): ["'{id}'", "null"],
    ("columns", ""): ["'{n}'"],
    ("validator", ""): ["'fine(jsonb)'", "null"],
    ("token", ""): ["LANE_TOKEN", "JOB_TOKEN"],
    ("pub_id", ""): ["PUB_ID"],
    ("rev", ""): ["1"],
    ("cron", ""): ["'* * * * *'"],
    ("time_zone", ""): ["'UTC'"],
    ("missed", ""): ["'each'", "'once'"],
    ("status", ""): ["'pending'"],
    ("on_reset", ""): ["'pause'"],
    ("class", ""): ["'rejected'"],
    ("batch", ""): ["10"],
    ("payload", ""): ["'1'"],
    ("failed", ""): ["'[]'"],
    ("data", ""): ["'{}'"],
    ("options", ""): ["'{}'"],
    ("headers", ""): ["'{}'"],
    ("kinds", ""): ["'{item}'", "'{kind}'"],
    ("worker", ""): ["'me'"],
    ("cursor", ""): ["'0'"],
    ("consumer", ""): ["'me'"],
    ("message_id", ""): ["'m'"],
    ("client_pid", ""): ["1"],
    ("lease", ""): ["'1 minute'"],
    ("ttl", ""): ["'1 day'"],
    ("retention", ""): ["'1 day'"],
    ("tombstone_retention", ""): ["'1 day'"],
    ("deleted", ""): ["false"],
    ("repair", ""): ["false"],
    ("progress", ""): ["false"],
    ("always", ""): ["false"],
    ("oldest_first", ""): ["false"],
    ("schema_version", ""): ["1"],
    ("max_attempts", ""): ["3"],
    ("priority", ""): ["0"],
    ("since", ""): ["0"],
    ("backoff_min", ""): ["'1 s'"],
    ("backoff_max", ""): ["'1 h'"],
    ("lookup", ""): ["'select i.id from item i where i.n = any ($1)'"],
}

# What is there, so that calls reach further than the first check of an argument.
SETUP: LiteralString = """
grant publish_admin, publish_worker to fuzz_app;
grant create, usage on schema public to fuzz_app;
set role fuzz_app;
create table item (id serial primary key, n int);
create view item_feed as select i.id, i.n from item i;
create table parted (id int primary key, t text) partition by range (id);
create table part partition of parted for values from (0) to (100);
create table away (id int);
create unlogged table odd ("a""b" text primary key, "'; --" int, t text[]);
create view aggregated as select i.n as id, random() as r from item i group by i.n;
create view broken as select i.id, 1 / (i.id - i.id) as n from item i;
create function fine(payload jsonb) returns boolean return payload is not null;
create function raises(payload jsonb) returns boolean return 1 / 0 = 1;
select publish_define('item', 'item_feed'), publish_capture('item', 'item');
select publish_define('note', validator => 'fine(jsonb)');
select publish_define('log', retention => '1 s');
insert into item select i, i from generate_series(1, 30) i;
select publish_enqueue('note', i::text, to_jsonb(i)) from generate_series(1, 30) i;
select publish_enqueue('note', 'later', '1', available_at => now() + interval '1 hour');
select publish_define('broken', 'broken'), publish_walk('broken');
select publish_drain(), publish_drain();
select publish_subscribe('sub', 'stdout', lease => '1 hour');
select publish_job_schedule('each', 'kind', '* * * * *');
select publish_job_add('job', 'kind', '{}'), publish_job_add('running', 'kind', '{}');
reset role;
"""


# Types that a value without a cast would be taken for before those of ours.
ALSO = {"integer": "smallint", "bigint": "integer", "text": "anyelement"}


def overloads(conn: psycopg.Connection[Any]) -> int:
    """Makes functions in public with the names of ours that would be preferred to them by a call
    that leaves out an argument or does not say a type; returns how many. Each raises HIJAK."""
    made = 0
    for name, names, types, defaults in conn.execute(
        "select p.proname, coalesce(p.proargnames, '{}'), "
        "       p.proargtypes::oid[]::regtype[]::text[], p.pronargdefaults"
        "  from pg_proc p"
        " where p.pronamespace = 'public'::regnamespace and p.proname like 'publish\\_%'"
        "   and p.pronargs > 0"
    ).fetchall():
        ours = list(zip(names, types, strict=False))
        optional = range(len(ours) - defaults, len(ours))
        forms = [ours[:n] for n in optional]
        forms += [ours[:n] + ours[n + 1 :] for n in optional]
        for other in ({}, ALSO):
            changed = [(n, other.get(t, "text")) for n, t in ours]
            forms += [ours[:n] + changed[n : n + 1] + ours[n + 1 :] for n in range(len(ours))]
            forms.append(changed)
        forms.append([*ours, ("variadic more", "text[]")])
        for form in {tuple(t for _, t in form): form for form in forms}.values():
            if [t for _, t in form] != types and (form or name != "publish_enqueue"):
                arguments = ", ".join(
                    f"{n} {t}" if n.startswith("variadic ") else f'"{n}" {t}' for n, t in form
                )
                conn.execute(
                    f"create function public.{name}({arguments}) returns void language plpgsql as"
                    " $$ begin raise exception 'taken' using errcode = 'HIJAK'; end $$".encode()
                )
                made += 1
    return made


def stand_ins(db: psycopg.Connection[Any]) -> dict[str, str]:
    """What LANE_TOKEN, JOB_TOKEN and PUB_ID stand for, after SETUP."""
    lane = one(db, "select token from publish_claim('sub', 'me', 5)")
    job = one(db, "select token from publish_job_start('running', lease => '1 hour')")
    pub_id = one(db, "select publish_pub_id('note', '1')")
    return {"LANE_TOKEN": str(lane), "JOB_TOKEN": str(job), "PUB_ID": f"'{pub_id}'::uuid"}
