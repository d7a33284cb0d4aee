"""Guarantee 9: one bad key stops nothing else; it is set aside, with why, and tried again."""

import psycopg
import pytest
from helpers import (
    ARTICLES,
    GATE,
    drain,
    drain_all,
    enqueue,
    feed,
    one,
    quarantine,
    row,
)

# A key fails when its divisor is 0.
FRACTIONS = """
create table fraction (id int primary key, divisor int not null default 1, note json);
create view fraction_view as select id, 100 / divisor as value, note from fraction;
select publish_define('fraction', 'fraction_view');
create trigger publish after insert or update or delete on fraction
  for each row execute function publish_enqueue('fraction', 'id');
"""


@pytest.fixture
def db(connect):
    db = connect()
    db.execute(ARTICLES)
    db.execute(FRACTIONS)
    return db


def due(conn):
    """As if the retries' time had come."""
    conn.execute("update publish.deferred set due_at = now() where reason = 'failed'")


def attempts(conn):
    return one(conn, "select sum(attempts)::int from publish.quarantine")


def test_a_trigger_of_an_undefined_kind_stops_no_write_and_waits_to_be_defined(db):
    db.execute(
        "create table draft (id int primary key);"
        "create trigger publish after insert on draft"
        " for each row execute function publish_enqueue('draft', 'id');"
        "insert into draft values (1), (2)"
    )
    db.execute("insert into article (id, title) values (1, 'x')")
    done = drain(db)
    assert (done.published, done.quarantined, done.unchanged) == (1, 2, 0)
    assert quarantine(db) == {"1": "PT404", "2": "PT404"}

    db.execute("select publish_define('draft', 'draft')")
    assert drain_all(db) == 2
    assert quarantine(db) == {}
    assert set(feed(db, "draft")) == {"1", "2"}


def test_the_longest_undefined_kind_and_key_that_a_trigger_takes_can_be_set_aside(db):
    """200 and 2,000 bytes that do not compress fit into an index."""
    text = "select left(string_agg(md5(i::text), ''), %s) from generate_series(1, 90) i"
    kind, key = one(db, text, 200), one(db, text, 2000)
    db.execute(
        "create table draft (id text);"
        "create trigger publish after insert on draft"
        f" for each row execute function publish_enqueue('{kind}', 'id')".encode()
    )
    db.execute("insert into draft values (%s)", [key])
    assert drain(db).quarantined == 1
    assert quarantine(db) == {key: "PT404"}


def test_one_key_of_500_that_fails_is_set_aside_and_499_are_published(db):
    db.execute("insert into fraction select i, case i when 137 then 0 else 1 end"
               "  from generate_series(1, 500) i")  # fmt: skip
    done = drain(db)
    assert (done.keys, done.published, done.quarantined) == (500, 499, 1)
    assert quarantine(db) == {"137": "22012"}
    assert drain(db).scanned == 0

    db.execute("alter table fraction disable trigger publish")
    db.execute("update fraction set divisor = 1 where id = 137")
    assert drain(db).scanned == 0
    due(db)
    assert drain_all(db) == 1
    assert len(feed(db, "fraction")) == 500
    assert quarantine(db) == {}


def test_many_failing_keys_are_all_found_and_no_good_one_is_held_back(db):
    db.execute("insert into fraction select i, i % 3 from generate_series(1, 100) i")
    done = drain(db)
    assert (done.published, done.quarantined) == (67, 33)
    assert set(quarantine(db)) == {str(i) for i in range(3, 101, 3)}


def test_a_failing_key_keeps_what_is_published_of_it(db):
    db.execute("insert into fraction values (1, 1)")
    drain_all(db)
    before = row(db, "fraction", "1")
    db.execute("update fraction set divisor = 0")
    assert drain(db).quarantined == 1
    assert row(db, "fraction", "1") == before


def test_a_failing_key_is_tried_again_with_backoff_and_counted(db):
    db.execute("insert into fraction values (1, 0)")
    for attempt, least in enumerate([5, 10, 20], start=1):
        assert drain(db).quarantined == 1
        assert attempts(db) == attempt
        assert drain(db).scanned == 0
        wait = one(db, "select due_at - last_failed_at from publish.quarantine").total_seconds()
        assert least <= wait <= 2 * least
        due(db)


def test_a_failing_key_is_tried_as_soon_as_it_is_enqueued_again(db):
    db.execute("insert into fraction values (1, 0)")
    drain(db)
    db.execute("update fraction set divisor = 4")
    assert drain_all(db) == 1
    assert quarantine(db) == {}


def test_a_failing_key_that_disappears_is_released_and_unpublished(db):
    db.execute("insert into fraction values (1, 1), (2, 0)")
    drain(db)
    db.execute("update fraction set divisor = 0")
    drain(db)
    assert set(quarantine(db)) == {"1", "2"}
    db.execute("delete from fraction")
    assert drain_all(db) == 1
    assert quarantine(db) == {}
    assert feed(db, "fraction") == {}


def test_a_drain_that_rolls_back_sets_nothing_aside_and_tries_nothing(db):
    db.execute("insert into fraction values (1, 0), (2, 1)")
    with db.transaction(force_rollback=True):
        assert drain(db).quarantined == 1
    assert quarantine(db) == {}
    assert drain(db).quarantined == 1
    due(db)
    with db.transaction(force_rollback=True):
        drain(db)
    assert attempts(db) == 1
    assert one(db, "select due_at <= now() from publish.quarantine")


def test_more_retries_than_the_batch_hold_back_no_new_key(db):
    db.execute("insert into fraction select i, 0 from generate_series(1, 30) i")
    drain(db)
    due(db)
    db.execute("insert into fraction values (100, 1)")
    drain(db, batch=10)
    assert set(feed(db, "fraction")) == {"100"}
    drain_all(db, batch=10)
    assert attempts(db) == 60


def test_a_key_the_view_shows_twice_is_refused_and_not_published(db):
    db.execute(
        "create table line (id int, part int);"
        "select publish_define('line', 'line');"
        "insert into line values (1, 1), (2, 1), (2, 2), (3, 1);"
        "select publish_backfill('line')"
    )
    done = drain(db)
    assert (done.published, done.quarantined) == (2, 1)
    assert quarantine(db) == {"2": "PT422"}
    assert set(feed(db, "line")) == {"1", "3"}

    db.execute("delete from line where part = 2")
    due(db)
    assert drain_all(db) == 1
    assert quarantine(db) == {}


def test_a_composite_key_the_view_shows_twice_is_refused_and_not_published(db):
    db.execute(
        "create table line (a int, b text, part int);"
        "select publish_define('line', 'line', '{a,b}');"
        "insert into line values (1, 'x', 1), (1, 'x', 2), (1, 'y', 1);"
    )
    for key in ('["1", "x"]', '["1", "y"]'):
        enqueue(db, "line", key)
    done = drain(db)
    assert (done.published, done.quarantined) == (1, 1)
    assert quarantine(db) == {'["1", "x"]': "PT422"}


def test_a_dropped_view_sets_its_kind_aside_and_others_go_on(db):
    db.execute("insert into fraction select i from generate_series(1, 20) i")
    db.execute("insert into article (id, title) values (1, 'x')")
    drain_all(db)
    db.execute("drop view fraction_view")
    db.execute("update fraction set divisor = 2")
    db.execute("update article set title = 'y'")
    done = drain(db)
    assert (done.published, done.quarantined) == (1, 20)
    assert set(quarantine(db).values()) == {"PT404"}

    db.execute("create view fraction_view as select id, 100 / divisor as value from fraction")
    db.execute("select publish_define('fraction', 'fraction_view')")
    assert drain_all(db) == 20
    assert quarantine(db) == {}
    assert feed(db, "fraction") == {str(i): {"id": i, "value": 50} for i in range(1, 21)}


# What breaks the view for every key, and what undoes it.
BREAKS = {
    "alter table fraction rename id to other": "alter table fraction rename other to id",
    "alter view fraction_view rename id to other": "alter view fraction_view rename other to id",
    "alter view fraction_view rename to other": "alter view other rename to fraction_view",
    "revoke select on fraction_view from publish_owner": (
        "grant select on fraction_view to publish_owner"
    ),
}


def test_whatever_is_done_to_a_view_the_feed_converges_after_it_is_undone(db):
    for number, (breaks, repairs) in enumerate(BREAKS.items()):
        db.execute("insert into fraction select %s + i from generate_series(1, 5) i", [10 * number])
        db.execute("insert into article (id, title) values (%s, 'x')", [number])
        db.execute(breaks.encode())
        db.execute("select publish_enqueue('fraction', i::text) from generate_series(1, 50) i")
        drain(db)
        assert len(feed(db, "article")) == number + 1, breaks
        db.execute(repairs.encode())
        due(db)
        drain_all(db)
        assert quarantine(db) == {}, breaks
        assert feed(db, "fraction") == dict(
            db.execute("select id::text, to_jsonb(v) from fraction_view v").fetchall()
        )


def test_a_materialized_view_that_is_not_populated_stops_only_its_kind(db):
    db.execute(
        "create materialized view summary as select 1 as id with no data;"
        "select publish_define('summary', 'summary')"
    )
    enqueue(db, "summary", "1")
    db.execute("insert into article (id, title) values (1, 'x')")
    done = drain(db)
    assert (done.published, done.quarantined) == (1, 1)
    db.execute("refresh materialized view summary")
    due(db)
    assert drain_all(db) == 1


def test_whatever_error_a_view_raises_for_a_key_is_that_keys_alone(db):
    db.execute(
        "create function fail(id int, state text) returns int language plpgsql as $$ begin"
        "  if id = 3 then raise exception 'no' using errcode = state; end if;"
        "  return id; end $$"
    )
    for state in ["P0001", "XX000", "58030", "54000", "42501", "22P05"]:
        db.execute(
            f"create view v_{state} as select i as id, fail(i, '{state}')"
            "  from generate_series(1, 5) i;"
            f"select publish_define('{state}', 'v_{state}')".encode()
        )
        db.execute("select publish_enqueue(%s, i::text) from generate_series(1, 5) i", [state])
        assert drain(db).published == 4, state
        assert quarantine(db) == {"3": state}
        db.execute("truncate publish.deferred")
        assert set(feed(db, state)) == {"1", "2", "4", "5"}


def test_a_table_that_is_locked_beyond_statement_timeout_is_no_poison(db, connect):
    db.execute("insert into fraction select i from generate_series(1, 5) i")
    with connect() as other:
        other.execute("begin; lock table fraction")
        db.execute("set statement_timeout = '1s'")
        assert drain(db).published == 0
        other.execute("rollback")
    assert quarantine(db) == {}
    db.execute("update publish.deferred set due_at = now()")
    assert drain_all(db) == 5


def test_a_timeout_puts_its_kind_aside_for_two_drains_and_loses_nothing(db, connect):
    db.execute(
        f"{GATE};"
        "create view slow_view as select f.id, f.divisor, gate(f.id) as gate from fraction f;"
        "select publish_define('fraction', 'slow_view');"
        "insert into fraction select i from generate_series(1, 5) i;"
        "insert into article (id, title) values (1, 'x')"
    )
    with connect() as other:
        other.execute("select pg_advisory_lock(1, 3)")
        db.execute("set statement_timeout = '500ms'")
        stopped = drain(db)
        assert (stopped.published, stopped.quarantined, stopped.busy) == (0, 0, False)
        assert stopped.scanned > 0, "there is more to do"
        assert quarantine(db) == dict.fromkeys("12345", "57014")
        other.execute("select pg_advisory_unlock(1, 3)")
    assert drain_all(db) == 6
    assert quarantine(db) == {}
    assert set(feed(db, "fraction")) == set("12345")


def test_an_error_that_says_nothing_about_keys_loses_nothing_and_stops_no_other_kind(db):
    db.execute(
        "create table weather (state text); insert into weather values ('sunny');"
        "grant select on weather to public;"
        "create function fail(id int) returns int language plpgsql as $$ begin"
        "  if (select state from public.weather) <> 'sunny' then"
        "    raise exception 'no' using errcode = (select state from public.weather); end if;"
        "  return id; end $$;"
        "create view failing as select i as id, fail(i) from generate_series(1, 5) i;"
        "select publish_define('failing', 'failing'), publish_define('note');"
        "select publish_enqueue('failing', i::text) from generate_series(1, 5) i"
    )
    for state in ["40001", "40P01", "53200", "57014", "55P03"]:
        db.execute("update weather set state = %s", [state])
        db.execute("update publish.deferred set due_at = now()")
        enqueue(db, "note", state, "1")
        failed = set()
        for _ in range(3):
            try:
                drain(db)
            except psycopg.Error as error:
                failed.add(error.sqlstate)
        assert failed <= {state}
        assert (state in feed(db, "note"), feed(db, "failing")) == (True, {})
    db.execute("update weather set state = 'sunny'")
    db.execute("update publish.deferred set due_at = now()")
    assert drain_all(db) == 5
    assert quarantine(db) == {}


def test_json_that_jsonb_cannot_hold_is_set_aside(db):
    db.execute("""insert into fraction values (1, 1, '{"a": 1}')""")
    db.execute("alter table fraction disable trigger publish")
    db.execute(r"""insert into fraction values (2, 1, '{"a": "\u0000"}')""")
    enqueue(db, "fraction", "2")
    done = drain(db)
    assert (done.published, done.quarantined) == (1, 1)
    assert quarantine(db) == {"2": "22P05"}


def test_a_payload_kind_marked_without_payload_is_set_aside_until_one_comes(db):
    db.execute(
        "select publish_define('note');"
        "create table t (id int);"
        "create trigger publish after insert on t"
        " for each row execute function publish_enqueue('note', 'id');"
        "insert into t values (1)"
    )
    assert drain(db).quarantined == 1
    assert quarantine(db) == {"1": "PT400"}
    enqueue(db, "note", "1", '"now"')
    assert drain_all(db) == 1
    assert quarantine(db) == {}


def test_a_payload_that_a_validator_of_a_view_refuses_is_set_aside(db):
    db.execute(
        "create function is_small(payload jsonb) returns boolean language sql"
        " as $$ select (payload ->> 'value')::int < 60 $$;"
        "select publish_define('fraction', 'fraction_view', validator => 'is_small(jsonb)');"
        "insert into fraction values (1, 1), (2, 2)"
    )
    done = drain(db)
    assert (done.published, done.quarantined) == (1, 1)
    assert quarantine(db) == {"1": "PT422"}


def test_two_retries_that_came_from_one_batch_go_through_together(db):
    """A key that only the view spells this way has no seq of its own."""
    db.execute(
        "create table price (id numeric, part int);"
        "select publish_define('price', 'price');"
        "insert into price values (1.0, 1), (1.0, 2), (2, 1), (2, 2)"
    )
    enqueue(db, "price", "1")
    enqueue(db, "price", "2")
    for _ in range(3):
        drain(db)
        assert quarantine(db) == {"1.0": "PT422", "2": "PT422"}
        due(db)
    db.execute("delete from price where part = 2")
    drain_all(db)
    assert set(feed(db, "price")) == {"1.0", "2"}
    assert quarantine(db) == {}


def test_a_key_of_a_domain_or_enum_that_does_not_take_it_is_set_aside_alone(db):
    db.execute(
        "create schema types; grant usage on schema types to public;"
        "create domain types.short as text check (length(value) < 5);"
        "create type types.mood as enum ('good', 'bad');"
        "create table a (id types.short); create table b (id types.mood);"
        "select publish_define('a', 'a'); select publish_define('b', 'b');"
        "insert into a values ('fine'); insert into b values ('good')"
    )
    for kind, key in [("a", "fine"), ("a", "too long"), ("b", "good"), ("b", "indifferent")]:
        enqueue(db, kind, key)
    assert drain(db).published == 2
    assert quarantine(db) == {"too long": "23514", "indifferent": "22P02"}
    db.execute("alter domain types.short drop constraint short_check")
    db.execute("insert into a values ('too long')")
    due(db)
    drain_all(db)
    db.execute("delete from a; alter domain types.short add check (length(value) < 5)")
    enqueue(db, "a", "too long")
    drain_all(db)
    assert set(feed(db, "a")) == {"fine"}


def test_a_key_that_alone_exceeds_temp_file_limit_is_set_aside_and_blocks_nothing(db):
    db.execute(
        "create table heavy (id int primary key, n int);"
        "create view heavy_view as select h.id, (select count(*) from (select g from"
        " generate_series(1, h.n) g order by g desc offset 0) s) as c from heavy h;"
        "select publish_define('heavy', 'heavy_view'); select publish_capture('heavy', 'heavy');"
        "insert into heavy select n, case n when 13 then 300000 else 1 end"
        "  from generate_series(1, 40) as n;"
        "set temp_file_limit = '1MB'; set work_mem = '64kB'"
    )
    done = drain(db)
    assert (done.published, quarantine(db)) == (39, {"13": "53400"})


HEAVY = """
create table heavy (id int primary key, n int);
create table setting (id int primary key, v text);
create view heavy_view as
  select id, n from heavy
   where 0 < (select count(*)
                from (select g from generate_series(1, n) g order by g desc offset 0) s);
create view plain_view as select id from heavy;
select publish_define('heavy', 'heavy_view'), publish_define('plain', 'plain_view'),
       publish_define('note');
select publish_capture('plain', 'setting', lookup =>
  'select id from heavy where 0 < (select count(*) from (
     select g from generate_series(1, n) g order by g desc offset 0) s) or $1 is null');
insert into heavy select n, case n when 13 then 300000 else 1 end from generate_series(1, 40) as n;
set temp_file_limit = '1MB';
set work_mem = '64kB'
"""


@pytest.mark.parametrize(
    ("asks", "kind"),
    [
        ("select publish_define('heavy', 'heavy_view', schema_version => 2)", "heavy"),
        ("insert into setting values (1, 'a')", "plain"),
    ],
)
def test_a_walk_or_lookup_that_exceeds_temp_file_limit_holds_up_no_other_kind(db, asks, kind):
    db.execute(HEAVY)
    db.execute(asks)
    enqueue(db, "note", "n", "1")
    drain_all(db)
    assert feed(db, "note") == {"n": 1}
    if kind == "plain":
        assert len(feed(db, "plain")) == 40, "a walk does without the lookup"
    else:
        assert one(db, "select attempts from publish.walk") == 1
