"""Captures with a lookup: one mark in the trigger, and the drain finds the keys when all that it
must see has committed."""

import itertools
import uuid
from threading import Event

import psycopg
import pytest
from helpers import burn_transaction_ids, drain, drain_all, enqueue, feed, one, running_cluster
from marks import converges, marked, walks
from psycopg.rows import namedtuple_row

from pgpublish.drain import run

AIRPORTS = """
create table country (code text primary key, name text, motto text);
create table airport (id int primary key, country text references country, name text);
create index on airport (country);
create view airport_view as
  select a.id, a.name, c.name as country from airport a left join country c on c.code = a.country;
select publish_define('airport', 'airport_view');
select publish_capture('airport', 'airport');
select publish_capture('airport', 'country',
                       lookup => 'select id from airport where country = any ($1)');
insert into country values ('sm', 'small'), ('me', 'medium'), ('hu', 'huge'), ('no', 'none');
insert into airport select i, case when i < 21 then 'sm' when i < 61 then 'me' else 'hu' end, 'x'
  from generate_series(1, 400) i;
"""
SMALL, MEDIUM, HUGE = 20, 40, 340


@pytest.fixture
def db(connect):
    db = connect()
    db.execute(AIRPORTS)
    drain_all(db, 1000)
    db.execute("truncate publish.outbox")
    return db


@pytest.fixture
def airports(db):
    return db


def rename(conn, code, name="renamed"):
    conn.execute("update country set name = %s where code = %s", [name, code])


def shown(conn, name="renamed"):
    """How many airports are published with a country of this name."""
    return sum(payload["country"] == name for payload in feed(conn, "airport").values())


def marks(conn):
    return conn.execute("select source_ids, lookup_id from publish.outbox order by seq").fetchall()


def test_a_change_that_10000_keys_show_is_one_mark_and_all_of_them_are_published(airports):
    airports.execute("insert into country values ('vast', 'vast')")
    airports.execute("insert into airport select i, 'vast' from generate_series(1001, 11000) i")
    drain_all(airports, 20_000)
    airports.execute("truncate publish.outbox")
    via = one(airports, "select capture_id from publish.capture where lookup is not null")
    rename(airports, "vast", "vaster")
    assert marks(airports) == [(["vast"], via)]
    done = drain(airports, 20_000)
    assert (done.scanned, done.keys, done.published) == (1, 10_000, 10_000)
    rename(airports, "vast", "again")
    assert drain_all(airports, 1000) == 10_000
    assert shown(airports, "again") == 10_000
    assert drain(airports).scanned == 0


def test_marks_of_one_country_are_looked_up_once_and_published_once(airports):
    with airports.transaction():
        for n in range(3):
            rename(airports, "sm", f"name {n}")
    airports.execute("update country set name = 'last' where code in ('sm', 'no')")
    assert len(marks(airports)) == 4
    done = drain(airports)
    assert (done.scanned, done.keys, done.published) == (5, SMALL, SMALL)
    assert shown(airports, "last") == SMALL


def test_a_lookup_that_finds_nothing_publishes_nothing(airports):
    rename(airports, "no")
    done = drain(airports)
    assert (done.scanned, done.keys, done.published) == (1, 0, 0)
    assert drain(airports).scanned == 0


def test_inserts_deletes_and_truncate_of_the_looked_up_table_are_published(airports):
    airports.execute("alter table airport drop constraint airport_country_fkey")
    airports.execute("delete from country where code = 'sm'")
    assert converges(airports, "airport")["1"]["country"] is None
    airports.execute("insert into country values ('sm', 'back')")
    assert converges(airports, "airport")["1"]["country"] == "back"
    airports.execute("update country set code = 'xx' where code = 'sm'")
    assert converges(airports, "airport")["1"]["country"] is None
    airports.execute("truncate country")
    assert converges(airports, "airport")["100"]["country"] is None


def test_with_columns_only_a_change_of_what_is_shown_is_looked_up(airports):
    airports.execute(
        "select publish_capture('airport', 'country', columns => '{name}',"
        "  lookup => 'select id from airport where country = any ($1)')"
    )
    airports.execute("update country set motto = 'x'")
    assert marked(airports) == []
    airports.execute("update country set name = 'x', motto = 'y' where code < 'i'")
    assert marked(airports) == ["hu"]


@pytest.mark.parametrize("drained_between", [False, True])
@pytest.mark.parametrize("first", ["insert", "rename"])
def test_a_child_and_a_rename_of_its_parent_that_cannot_see_each_other_converge(
    airports, connect, first, drained_between
):
    """A trigger that looked up the parent's children would miss the one, or see it too early."""
    inserting, renaming = connect(autocommit=False), connect(autocommit=False)
    inserting.execute("insert into airport values (999, 'sm')")
    rename(renaming, "sm")
    for conn in (inserting, renaming) if first == "insert" else (renaming, inserting):
        conn.commit()
        if drained_between:
            drain_all(airports)
    assert converges(airports, "airport")["999"]["country"] == "renamed"


@pytest.mark.parametrize("first", ["move", "rename"])
def test_a_child_that_moves_to_a_parent_that_is_renamed_meanwhile_converges(
    airports, connect, first
):
    moving, renaming = connect(autocommit=False), connect(autocommit=False)
    rename(renaming, "sm")
    moving.execute("update airport set country = 'sm' where id = 400")
    for conn in (moving, renaming) if first == "move" else (renaming, moving):
        conn.commit()
        drain_all(airports)
    assert converges(airports, "airport")["400"]["country"] == "renamed"


@pytest.mark.parametrize(
    "order", [["sm", "hu"], ["hu", "sm"], ["sm", "me", "hu"], ["hu", "me", "sm"], ["me", "sm"]]
)
def test_a_transaction_whose_keys_fit_into_a_batch_is_published_in_one_drain(airports, order):
    for code in order:
        with airports.transaction():
            rename(airports, code)
            airports.execute(
                "update airport set name = 'direct' where country = %s and id %% 4 = 0", [code]
            )
    seen = {code: {(0, 0)} for code in order}
    for _ in range(100):
        if drain(airports, 50).scanned == 0:
            break
        for code, states in seen.items():
            states.add(
                airports.execute(
                    "select count(*) filter (where p.payload ->> 'country' = 'renamed') as renamed,"
                    "       count(*) filter (where p.payload ->> 'name' = 'direct') as direct"
                    "  from publish.published p join airport a on a.id::text = p.source_id"
                    " where a.country = %s",
                    [code],
                ).fetchone()
            )
    for code, size in (("sm", SMALL), ("me", MEDIUM)):
        if code in order:
            assert seen[code] == {(0, 0), (size, size / 4)}, code
    assert shown(airports) == sum({"sm": SMALL, "me": MEDIUM, "hu": HUGE}[code] for code in order)


def test_what_a_lookup_finds_beyond_the_batch_is_left_to_the_drains_after_it(airports):
    rename(airports, "hu")
    done = [drain(airports, 50)]
    assert (done[0].scanned, done[0].keys) == (1, 0)
    while done[-1].scanned:
        airports.execute("update airport set name = 'live' where id = 1")
        done.append(drain(airports, 50))
        assert done[-1].keys <= 50 + 31  # a row of the outbox is never cut
        if len(done) > 50:
            break
        if shown(airports) == HUGE and feed(airports, "airport")["1"]["name"] == "live":
            break
    assert len(done) < 20
    converges(airports, "airport")
    assert shown(airports) == HUGE


def test_lookups_of_many_transactions_are_not_repeated_in_each_drain(airports):
    airports.execute(
        "create function counted(id int) returns boolean stable language plpgsql as"
        " $$ begin raise notice 'looked up'; return true; end $$;"
        "select publish_capture('airport', 'country', lookup =>"
        "                       'select id from airport where country = any ($1) and counted(id)');"
        "insert into country select 'c' || n, 'country' from generate_series(1, 100) n;"
        "insert into airport select 1000 * n + i, 'c' || n, 'x'"
        "  from generate_series(1, 100) n, generate_series(1, 20) i"
    )
    drain_all(airports, 5000)
    for n in range(100):
        rename(airports, f"c{n + 1}")
    looked_up: list[str] = []
    airports.add_notice_handler(lambda notice: looked_up.append(notice.message_primary))
    drains = 0
    while drain(airports, 100).scanned:
        drains += 1
    assert shown(airports) == 2000
    assert drains <= 50
    assert 2000 <= looked_up.count("looked up") < 12 * 2000


def test_transactions_that_are_too_many_together_are_each_published_whole(airports):
    for n in range(1, 13):
        airports.execute("update airport set name = 't' where id = %s", [n])
    with airports.transaction():
        airports.execute("update airport set name = 't' where id = 61")
        airports.execute("update airport set name = 't' where id = 62")
        rename(airports, "hu", "medium and huge")
    rename(airports, "me")
    seen = set()
    while drain(airports, 345).scanned:
        seen.add(shown(airports))
    assert seen == {0, MEDIUM}


def test_a_lookup_of_a_locked_table_waits_once_a_drain_and_asks_for_no_walk(airports, connect):
    airports.execute("select publish_define('note')")
    with connect(autocommit=False) as altering:
        altering.execute("lock table airport in access exclusive mode")
        for n in range(5):
            with airports.transaction():
                airports.execute(
                    "select set_config('publish.headers', %s, true)",
                    [f'{{"traceparent": "00-{n}"}}'],
                )
                rename(airports, "sm", str(n))
                enqueue(airports, "note", str(n), str(n))
        airports.execute("set statement_timeout = '20s'")
        drain_all(airports)
        assert len(feed(airports, "note")) == 5
        waiting = airports.execute(
            "select lookup_id is not null, headers from publish.deferred"
        ).fetchall()
        assert [headers for _, headers in waiting] == [{"traceparent": "00-4"}]
        assert all(looks_up for looks_up, _ in waiting)
        assert walks(airports) == []
    airports.execute("update publish.deferred set due_at = now()")
    drain_all(airports)
    assert shown(airports, "4") == SMALL


def test_what_was_marked_itself_is_not_put_off_for_what_a_lookup_finds(airports):
    airports.execute("select publish_define('note')")
    with airports.transaction():
        rename(airports, "hu")
        for n in range(10):
            enqueue(airports, "note", str(n), str(n))
    assert drain(airports, 50).published == 10
    assert feed(airports, "note") == {str(n): n for n in range(10)}
    drain_all(airports, 50)
    assert shown(airports) == HUGE


def test_a_batch_of_one_gets_through(airports):
    rename(airports, "sm")
    rename(airports, "me")
    assert drain_all(airports, 1) == SMALL + MEDIUM
    assert shown(airports) == SMALL + MEDIUM


def test_a_drain_that_is_rolled_back_leaves_its_lookups_to_the_next(airports, connect):
    rename(airports, "hu")
    draining = connect(autocommit=False)
    for _ in range(3):
        drain(draining, 50)
    draining.rollback()
    converges(airports, "airport", 50)
    assert shown(airports) == HUGE


@pytest.mark.parametrize("batch", [1, 50, 1000])
def test_a_change_and_its_drain_in_one_transaction_see_each_other(airports, connect, batch):
    with airports.transaction(force_rollback=True):
        rename(airports, "sm", "never")
        while drain(airports, batch).scanned:
            pass
        assert shown(airports, "never") == SMALL
    with airports.transaction():
        rename(airports, "sm")
        while drain(airports, batch).scanned:
            pass
        assert shown(airports) == SMALL
        rename(airports, "me")
    assert shown(connect()) == SMALL
    converges(airports, "airport", batch)
    assert shown(airports) == SMALL + MEDIUM


@pytest.mark.parametrize(
    "damage",
    [
        "alter table airport drop column country cascade",
        "select publish_uncapture('airport', 'country')",
        "drop function publish_gate.capture_2_lookup(text[])",
        "revoke select on airport from publish_projector",
    ],
)
def test_marks_whose_lookup_is_gone_or_fails_have_the_kind_walked(airports, damage):
    airports.execute(
        "alter table airport drop constraint airport_country_fkey;"
        "alter table airport add home text; update airport set home = country;"
        "create or replace view airport_view as"
        "  select a.id, a.name, c.name as country from airport a cross join country c where false;"
        "create view newer as select a.id, a.name, 'seen' as country from airport a;"
        "select publish_define('airport', 'newer'); grant select on newer to publish_projector"
    )
    drain_all(airports, 1000)
    airports.execute("drop view airport_view; truncate publish.outbox, publish.published")
    rename(airports, "sm")
    airports.execute(damage.encode())
    airports.execute("update airport set name = 'direct' where id = 1")
    done = drain(airports, 1000)
    assert (done.published, done.quarantined) == (1, 0)
    assert len(converges(airports, "airport", 1000)) == 400


def test_a_lookup_that_fails_holds_nothing_up_and_what_it_would_have_found_is_walked(airports):
    airports.execute(
        "select publish_capture('airport', 'country',"
        "  lookup => 'select id / (select count(*) from country c where c.motto = ''fine'')'"
        "         || ' from airport where country = any ($1)')"
    )
    drain_all(airports, 1000)
    rename(airports, "sm")
    airports.execute("update airport set name = 'direct' where id = 300")
    done = drain(airports, 1000)
    assert (done.published, done.quarantined) == (1, 0)
    converges(airports, "airport", 1000)
    assert shown(airports) == SMALL
    airports.execute("update country set motto = 'fine' where code = 'no'")
    drain_all(airports, 1000)
    rename(airports, "me")
    drain(airports, 1000)
    assert walks(airports) == []


def test_a_mark_made_for_another_lookup_than_the_capture_has_now_is_not_lost(airports):
    rename(airports, "sm")
    airports.execute(
        "select publish_capture('airport', 'country', key => 'name', lookup => 'select a.id"
        "  from airport a join country c on c.code = a.country where c.name = any ($1)')"
    )
    converges(airports, "airport", 1000)
    assert shown(airports) == SMALL
    rename(airports, "me", "also")
    converges(airports, "airport", 1000)
    assert shown(airports, "also") == MEDIUM


def test_a_capture_that_stops_looking_up_goes_on(airports):
    rename(airports, "sm")
    airports.execute("select publish_capture('airport', 'country', key => 'length(code)')")
    rename(airports, "me")
    assert walks(airports) == ["airport"]
    airports.execute("insert into publish.walk (kind, reason) values ('airport', 'as asked for')")
    converges(airports, "airport", 1000)
    rename(airports, "hu")
    assert [via for *_, via in marks(airports)] == [None]


def test_a_lookup_reads_the_tables_that_last_and_not_temporary_ones_of_their_name(airports):
    airports.execute(
        "create temp table airport (id int, country text);"
        "select publish_capture('airport', 'country',"
        "                       lookup => 'select id from airport where country = any ($1)');"
        "drop table pg_temp.airport"
    )
    rename(airports, "sm")
    drain_all(airports)
    assert shown(airports) == SMALL
    assert walks(airports) == []


def test_tables_and_columns_that_a_lookup_reads_may_be_renamed(airports):
    airports.execute(
        "alter table airport rename country to nation; alter table airport rename to field;"
        "alter table country rename code to id; alter table country rename to nation"
    )
    airports.execute("update nation set name = 'renamed' where id = 'sm'")
    assert drain_all(airports) == SMALL
    assert walks(airports) == []


def test_keys_of_a_composite_kind_are_looked_up(db):
    db.execute(
        "create table author (id int primary key, name text);"
        "create table book (isbn text, lang text, author int, primary key (isbn, lang));"
        "create view book_view as select b.lang, b.isbn, u.name from book b"
        "  left join author u on u.id = b.author;"
        "select publish_define('book', 'book_view', '{isbn,lang}');"
        "select publish_capture('book', 'book');"
        "select publish_capture('book', 'author',"
        "                       lookup => 'select isbn, lang from book where author = any ($1)');"
        "insert into author values (1, 'one'), (2, 'two');"
        "insert into book values ('i', 'en', 1), ('i\"', 'de', 1), ('j', 'en', 2)"
    )
    drain_all(db)
    db.execute("truncate publish.outbox; update author set name = 'uno' where id = 1")
    assert drain(db).keys == 2
    published = converges(db, "book")
    assert {key for key, row in published.items() if row["name"] == "uno"} == {
        '["i", "en"]', r'["i\"", "de"]',
    }  # fmt: skip


def test_what_is_looked_up_may_be_of_any_type_and_an_expression(db):
    values = {
        "int": "1", "uuid": str(uuid.uuid4()), "timestamptz": "2024-02-01 12:00+00",
        "date": "2024-02-01", "numeric": "1.50", "mood": "so so, {fine}", "short": 'a "b"',
    }  # fmt: skip
    db.execute("create type mood as enum ('so so, {fine}'); create domain short as text")
    for type, value in values.items():
        db.execute(
            f"create table parent_{type} (n int primary key, id {type}, name text);"
            f"create table child_{type} (id int primary key, parent {type});"
            f"create view view_{type} as select c.id, p.name"
            f"  from child_{type} c left join parent_{type} p on p.id = c.parent;"
            f"select publish_define('{type}', 'view_{type}');"
            f"select publish_capture('{type}', 'child_{type}');"
            f"select publish_capture('{type}', 'parent_{type}', key => 'coalesce(id, id)',"
            f"  lookup => 'select id from child_{type} where parent = any ($1)')".encode()
        )
        db.execute(f"insert into parent_{type} values (1, %s)".encode(), [value])
        db.execute(f"insert into child_{type} select 7, id from parent_{type}".encode())
        drain_all(db)
        db.execute("set timezone = 'Asia/Tokyo'; set datestyle = 'SQL, DMY'")
        db.execute(f"update parent_{type} set name = 'x'".encode())
        db.execute("reset timezone; reset datestyle")
        drain_all(db)
        assert (feed(db, type), walks(db)) == ({"7": {"id": 7, "name": "x"}}, []), type


def test_headers_travel_to_every_key_that_a_lookup_finds(airports):
    def rename_with_headers(code, by):
        with airports.transaction():
            airports.execute(
                "select set_config('publish.headers', %s, true)", [f'{{"by": "{by}"}}']
            )
            rename(airports, code, by)

    rename_with_headers("sm", "first")
    rename_with_headers("sm", "second")
    drain_all(airports, 50)
    rename_with_headers("hu", "third")  # of more keys than a batch
    drain_all(airports, 50)
    headers = airports.execute(
        "select c.headers, count(*) from publish_changes(400, 1000) c group by 1 order by 2"
    ).fetchall()
    assert headers == [({"by": "second"}, SMALL), ({"by": "third"}, HUGE)]


def test_a_lookup_that_times_out_alone_is_replaced_by_a_walk_and_others_go_on(airports, connect):
    airports.execute(
        "create function hold(key int) returns int language plpgsql as $$ begin"
        "  if exists (select from public.slow) then perform pg_sleep(60); end if;"
        "  return key; end $$;"
        "create table slow (); grant select on slow to publish_projector;"
        "select publish_capture('airport', 'country',"
        "  lookup => 'select hold(id) from airport where country = any ($1)')"
    )
    drain_all(airports, 1000)
    loop = connect()
    airports.execute("insert into slow default values")
    rename(airports, "sm")
    airports.execute("update airport set name = 'direct' where id = 300")
    loop.execute("set statement_timeout = '300ms'")
    stop, warned, reasons = Event(), [], set()

    def report(drained):
        reasons.update(airports.execute("select reason from publish.walk").fetchall())
        if one(airports, "select depth from publish_status()") == 0 and shown(airports) == SMALL:
            stop.set()

    run(loop, stop, batch=4, report=report, warn=warned.append)
    assert warned == []
    assert reasons == {("the lookup of capture 2 alone did not get through",)}
    assert one(airports, "select count(*) from publish.quarantine") == 0
    assert converges(airports, "airport")["300"]["name"] == "direct"


@pytest.mark.parametrize("state", ["40P01", "53200"])
def test_an_error_of_a_lookup_that_passes_stops_the_drain_and_asks_for_no_walk(airports, state):
    airports.execute(
        "create table broken (state text); grant select on broken to publish_projector;"
        "create function hold(key int) returns int language plpgsql as $$ declare v text; begin"
        "  select b.state into v from public.broken b;"
        "  if found then raise 'not now' using errcode = v; end if; return key; end $$;"
        "select publish_capture('airport', 'country',"
        "  lookup => 'select hold(id) from airport where country = any ($1)')"
    )
    drain_all(airports, 1000)
    rename(airports, "sm")
    airports.execute("insert into broken values (%s)", [state])
    with pytest.raises(psycopg.Error) as stopped:
        drain(airports)
    assert stopped.value.sqlstate == state
    assert walks(airports) == []
    airports.execute("truncate broken")
    drain_all(airports)
    assert shown(airports) == SMALL


_numbers = itertools.count(1)


def test_marks_of_many_keys_and_of_lookups_are_drained_after_a_restore_elsewhere(
    db, cluster, url, server_kind
):
    burn_transaction_ids(db)
    rename(db, "sm")
    db.execute("update airport set name = 'bulk' where id > 100")
    waiting = sorted(marks(db), key=str)
    assert any(len(ids) == 32 for ids, _ in waiting)
    file = str(cluster.folder / f"lookup_{next(_numbers)}.dump")
    cluster.run("pg_dump", "--format", "custom", "--file", file, "--dbname", url)
    with running_cluster(server_kind) as elsewhere:
        with psycopg.connect(elsewhere.url(), autocommit=True) as conn:
            for role in ("owner", "writer", "reader", "worker", "admin", "projector", "server"):
                conn.execute(f"create role publish_{role} nologin".encode())
            conn.execute("grant publish_projector to publish_owner")
            conn.execute("create database copy")
        elsewhere.run("pg_restore", "--exit-on-error", "--dbname", elsewhere.url("copy"), file)
        with psycopg.connect(
            elsewhere.url("copy"), autocommit=True, row_factory=namedtuple_row
        ) as copy:
            future = "select count(*) from publish.outbox where xid >= pg_snapshot_xmax(%s)"
            snapshot = one(copy, "select pg_current_snapshot()::text")
            assert copy.execute(future, [snapshot]).fetchone()[0] == len(waiting)
            assert drain(copy, 10).scanned > 0  # begins an epoch; the rest waits
            assert {via for *_, via in marks(copy)} == {None, 2}
            assert len(converges(copy, "airport")) == 400
            assert shown(copy) == SMALL
            assert walks(copy) == []
            rename(copy, "me")
            converges(copy, "airport")
            assert shown(copy) == SMALL + MEDIUM


@pytest.mark.parametrize(
    ("type", "key"),
    [("char(5)", "ab"), ("boolean", "true"), ("bit(3)", "101"), ("numeric(5, 2)", "1.50")],
)
def test_a_key_that_a_lookup_finds_has_the_text_that_the_view_gives_it(db, type, key):
    db.execute(
        f"create table owner (id {type} primary key, name text);"
        f"create table item (id {type} primary key, owner_id {type});"
        "create view item_view as select i.id, o.name from item i"
        " join owner o on o.id = i.owner_id where o.name is not null;"
        "select publish_define('item', 'item_view'); select publish_capture('item', 'item');"
        "select publish_capture('item', 'owner', key => 'id',"
        " lookup => 'select id from item where owner_id = any ($1)')".encode()
    )
    db.execute(
        f"insert into owner values ('{key}', 'a');"
        f"insert into item values ('{key}', '{key}')".encode()
    )
    drain_all(db)
    db.execute("update owner set name = 'b'")
    drain_all(db)
    assert {k: row["name"] for k, row in feed(db, "item").items()} == {key: "b"}
    db.execute("update owner set name = null")
    drain_all(db)
    assert feed(db, "item") == {}
