"""publish, unpublish, check, define, capture and enqueue, as a person or a script meets them."""

from __future__ import annotations

import json
from collections.abc import Callable

import psycopg
import pytest
from click.testing import CliRunner, Result
from conftest import Connection
from desks import differences, load
from helpers import drain_all, enqueue, feed, one
from psycopg.conninfo import make_conninfo

from pgpublish import cli

WRONG = "it is captured by {}, but by the joins of the view {}"
Run = Callable[..., Result]


@pytest.fixture
def run(url: str) -> Run:
    def invoke(*arguments: str, **options: str) -> Result:
        return CliRunner().invoke(cli.main, ["--database-url", url, *arguments], **options)

    return invoke


@pytest.fixture
def film(db: Connection) -> Connection:
    load(db, "film")
    return db


def done(result: Result, exit_code: int = 0) -> str:
    assert result.exit_code == exit_code, result.output
    return result.output


def test_one_command_publishes_all_rows_and_what_changes_later(film: Connection, run: Run) -> None:
    said = done(run("publish", "customer_list", "--yes"))
    assert "customer_list is published" in said
    assert len(feed(film, "customer_list")) == 12
    film.execute("update country set name = 'elsewhere' where country_id = 1")
    drain_all(film)
    countries = [row["country"] for row in feed(film, "customer_list").values()]
    assert "elsewhere" in countries
    assert differences(film, ["customer_list"]) == []


def test_the_plan_says_how_each_table_finds_its_keys_in_80_columns(
    film: Connection, run: Run
) -> None:
    said = done(run("publish", "customer_list", "--kind", "customer", "--dry-run"))
    plan, _, statements = said.partition("select ")
    assert all(len(line) <= 80 for line in plan.splitlines()), plan
    assert "country_id → city → address → customer" in " ".join(plan.split())
    assert "index" in plan
    assert statements.count("publish_capture(") == 4
    assert one(film, "select count(*) from publish.kind") == 0


def test_the_printed_sql_does_what_the_command_does(film: Connection, run: Run) -> None:
    said = done(run("publish", "store_sales", "--dry-run"))
    film.execute(("select " + said.partition("select ")[2]).encode())
    again = done(run("publish", "store_sales", "--dry-run"))
    assert "captured like this already" in again


def test_without_yes_nothing_happens_unless_a_person_agrees(film: Connection, run: Run) -> None:
    done(run("publish", "never_rented", input="n\n"), 1)
    assert one(film, "select count(*) from publish.kind") == 0
    done(run("publish", "never_rented", input="y\n"))
    assert one(film, "select count(*) from publish.capture") == 3


def test_a_changed_view_is_shown_as_a_difference_and_applied(film: Connection, run: Run) -> None:
    done(run("publish", "never_stocked", "--yes"))
    film.execute(
        "create or replace view never_stocked as"
        " select f.film_id, f.title, l.name as language from film f"
        " join language l on l.language_id = f.language_id"
    )
    said = done(run("publish", "never_stocked", "--yes"))
    assert "publish_capture('never_stocked', 'public.language'" in said
    assert "publish_uncapture('never_stocked', 'public.inventory')" in said
    assert "publish_define" not in said
    film.execute("update language set name = 'changed'")
    drain_all(film)
    assert {row["language"] for row in feed(film, "never_stocked").values()} == {"changed"}
    assert "captured like this already" in done(run("publish", "never_stocked", "--yes"))


def test_an_owner_who_is_no_superuser_publishes(db: Connection, url: str) -> None:
    db.execute("create role seller login in role publish_admin")
    try:
        db.execute("create schema seller authorization seller; set role seller")
        db.execute("create table seller.item (id int primary key, name text)")
        db.execute("insert into seller.item values (1, 'one'), (2, 'two')")
        db.execute("create view seller.items as select i.id, i.name from seller.item i; reset role")
        theirs = make_conninfo(url, user="seller")
        result = CliRunner().invoke(
            cli.main, ["--database-url", theirs, "publish", "seller.items", "--yes"]
        )
        assert "items is published" in done(result)
        assert len(feed(db, "items")) == 2
    finally:
        db.execute("drop owned by seller cascade; drop role seller")


def test_a_name_cannot_write_a_line_of_its_own(db: Connection, run: Run) -> None:
    db.execute('create table "a\nkey: forged" (id int primary key)')
    db.execute("select publish_define('note')")
    db.execute("select publish_subscribe('s\nforged', 'stdout')")
    for said in (
        done(run("publish", 'public."a\nkey: forged"', "--kind", "a", "--dry-run")).split(
            "select "
        )[0],
        done(run("unpublish", "note"), 1),
    ):
        assert "forged" in said
        assert not [
            line for line in said.splitlines() if line.startswith(("key: forged", "forged"))
        ]


def test_what_cannot_be_followed_is_refused_with_its_reason(film: Connection, run: Run) -> None:
    said = done(run("publish", "overdue", "--yes"), 1)
    assert "now()" in said
    assert "hint: " in said
    assert one(film, "select count(*) from publish.kind") == 0


def test_an_order_that_rows_may_share_is_noted(film: Connection, run: Run) -> None:
    film.execute(
        "create view cast_list as select f.film_id, (select string_agg(a.last_name, ',' order by"
        " a.last_name) from film_actor fa join actor a using (actor_id)"
        " where fa.film_id = f.film_id) as cast from film f"
    )
    assert "several rows may share" in " ".join(
        done(run("publish", "cast_list", "--dry-run")).split()
    )
    assert "may share" not in done(run("publish", "film_cast", "--dry-run"))


def test_what_depends_on_the_order_of_rows_is_noted_and_no_reason_for_check_to_fail(
    film: Connection, run: Run
) -> None:
    film.execute(
        "create function joined(text, text) returns text language sql immutable as"
        " $$select concat_ws(', ', $1, $2)$$;"
        "create aggregate group_concat(text) (sfunc = joined, stype = text);"
        "create view casts as select f.film_id, group_concat(a.last_name) as names,"
        " sum(a.actor_id::float8) as total, count(*), sum(a.actor_id::numeric) as exact"
        " from film f join film_actor fa using (film_id) join actor a using (actor_id)"
        " group by f.film_id"
    )
    said = " ".join(done(run("publish", "casts", "--dry-run")).split())
    assert "group_concat without ORDER BY" in said
    assert said.count("floating-point") == 1
    assert "is published" in done(run("publish", "casts", "--yes"))
    assert '"missed": []' in done(run("check", "casts", "--rounds", "80", "--json"))


def test_unpublish_publishes_a_deletion_for_each_key_and_publish_brings_them_back(
    film: Connection, run: Run
) -> None:
    done(run("publish", "two_languages", "--yes"))
    before = one(film, "select min(pub_id::text) from publish.published")
    done(run("unpublish", "two_languages", "--yes"))
    drain_all(film)
    assert feed(film, "two_languages") == {}
    assert one(film, "select count(*) from pg_trigger where tgname like 'publish%'") == 0
    film.execute("update film set title = title || '!'")
    assert drain_all(film) == 0
    done(run("publish", "two_languages", "--yes"))
    assert len(feed(film, "two_languages")) == 15
    assert one(film, "select min(pub_id::text) from publish.published") == before


def test_unpublish_ends_a_payload_kind_and_define_brings_it_back(
    db: Connection, run: Run, connect: Callable[..., Connection]
) -> None:
    late = connect(autocommit=False)
    db.execute("select publish_define('note')")
    db.execute("select publish_subscribe('s', 'stdout')")
    for key in ("1", "a key"):
        enqueue(db, "note", key, "1")
    drain_all(db)
    before = dict(db.execute("select source_id, pub_id from publish.published").fetchall())
    enqueue(late, "note", "1", "2")
    enqueue(late, "note", "late", "1")
    enqueue(db, "note", "later", "1", available_at="2999-01-01")
    said = done(run("unpublish", "note", "--yes"))
    assert said.splitlines() == [
        "these subscriptions get the deletions: s",
        "note takes no more payloads; the drain publishes the deletions of note",
    ]
    drain_all(db)
    late.commit()
    db.execute("update publish.deferred set due_at = now()")
    drain_all(db)
    assert feed(db, "note") == {}
    claimed = db.execute("select deleted from publish_claim('s', 'w')").fetchall()
    assert claimed == [(True,), (True,)]
    with pytest.raises(psycopg.Error) as refused:
        enqueue(db, "note", "1", "3")
    assert refused.value.sqlstate == "PT400"
    db.execute("select publish_define('note')")
    enqueue(db, "note", "1", "3")
    drain_all(db)
    assert feed(db, "note") == {"1": 3}
    after = dict(db.execute("select source_id, pub_id from publish.published").fetchall())
    assert after == before


def test_check_finds_a_capture_by_the_wrong_column(film: Connection, run: Run) -> None:
    done(run("define", "film", "film_cast", "--key", "film_id"))
    done(run("capture", "film", "film"))
    done(run("capture", "film", "film_actor", "--key", "actor_id"))
    done(
        run(
            "capture",
            "film",
            "actor",
            "--lookup",
            "select film_id from film_actor where actor_id = any ($1)",
        )
    )
    result = run("check", "film", "--rounds", "60", "--seed", "1", "--json")
    assert result.exit_code == 6, result.output
    missed = json.loads(result.stdout)["missed"]
    assert any("film_actor" in write for tried in missed for write in tried["writes"])
    done(run("capture", "film", "film_actor", "--key", "film_id"))
    proved = json.loads(done(run("check", "film", "--rounds", "60", "--seed", "1", "--json")))
    assert proved["missed"] == []
    assert proved["changed"] > 10


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("film_lst",), "Did you mean 'film_list'"),
        (("nothing.here",), "there is no such view"),
        (("a.b.c.d",), "improper"),
        (("stored",), "materialized view"),
        (("publish.kind",), "pgpublish's own"),
        (("pg_stat_activity",), "PostgreSQL's own"),
        (("customer_list", "--key", "nme"), "has no column 'nme'. It has: id, name"),
        (("customer_list", "--key", "country"), "country is not unique: 12 rows have"),
        (("by_rating",), "rating is unique, but may be null"),
        (("customer_list", "--kind", "x" * 201), "a kind is named by"),
    ],
)
def test_bad_input_is_refused_with_what_is_wrong_and_changes_nothing(
    film: Connection, run: Run, arguments: tuple[str, ...], said: str
) -> None:
    film.execute("create materialized view stored as select film_id from film")
    assert said in " ".join(done(run("publish", *arguments, "--yes"), 1).split())
    assert one(film, "select count(*) from publish.kind") == 0


def test_a_view_that_one_may_not_read_and_a_name_that_is_taken_are_said(
    film: Connection, run: Run, url: str
) -> None:
    film.execute("create role outsider login in role publish_admin")
    try:
        theirs = make_conninfo(url, user="outsider")
        refused = CliRunner().invoke(cli.main, ["--database-url", theirs, "publish", "film_list"])
        assert "permission denied for view film_list" in done(refused, 1)
    finally:
        film.execute("drop role outsider")
    done(run("publish", "film_cast", "--kind", "film", "--yes"))
    said = done(run("publish", "film_list", "--kind", "film", "--dry-run"))
    assert "note: film shows public.film_cast now" in said


def test_a_view_that_row_security_hides_from_the_drain_ends_the_command_with_why(
    film: Connection, run: Run
) -> None:
    film.execute(
        "create role seller; grant create on schema public to seller; set role seller;"
        "create table secret (id int primary key); alter table secret enable row level security;"
        "alter table secret force row level security; create policy p on secret using (true);"
        "create view secrets as select id from secret; reset role"
    )
    try:
        assert "row-level security" in done(run("publish", "secrets", "--yes"), 1)
    finally:
        film.execute("drop owned by seller cascade; drop role seller")


def test_as_json_the_plan_is_one_object_and_nothing_is_asked(film: Connection, run: Run) -> None:
    plan = json.loads(done(run("publish", "film_cast", "--json")))
    assert (plan["view"], plan["key"], plan["rows"]) == ("public.film_cast", ["film_id"], 15)
    assert plan["sql"][0].startswith("select public.publish_define(")
    assert {step["capture"]["source"] for step in plan["steps"]} == {
        "public.film", "public.film_actor", "public.actor",
    }  # fmt: skip
    assert one(film, "select count(*) from publish.kind") == 0
    refused = run("publish", "overdue", "--json")
    assert "now()" in json.loads(refused.stdout)["reasons"][0]
    assert refused.exit_code == 1
    json.loads(run("publish", "film_cast", "--json", "--yes").stdout)
    assert len(feed(film, "film_cast")) == 15


def problems(result: Result) -> list[tuple[str, str]]:
    return [(row["object"], row["problem"]) for row in map(json.loads, result.stdout.splitlines())]


def test_audit_finds_a_capture_by_a_column_that_the_joins_contradict(
    film: Connection, run: Run
) -> None:
    done(run("publish", "film_cast", "--yes"))
    assert "no problem found" in done(run("audit", "film_cast"))
    done(run("capture", "film_cast", "film_actor", "--key", "actor_id"))
    done(run("capture", "film_cast", "actor", "--key", "actor_id"))
    found = problems(run("audit", "film_cast", "--json"))
    assert ("public.film_actor", WRONG.format("actor_id", "its key is film_id")) in found
    assert ("public.actor", WRONG.format("actor_id", "it takes a lookup")) in found
    done(run("publish", "film_cast", "--yes"))
    assert "no problem found" in done(run("audit", "film_cast"))


@pytest.mark.parametrize(
    ("view", "table", "by_hand"),
    [
        (
            "select c.customer_id, rank() over (partition by c.store_id order by c.name)"
            " from customer c where c.store_id is not null",
            "customer",
            "customer_id",
        ),
        (
            "select distinct on (r.customer_id) r.customer_id, r.rental_id from rental r"
            " order by r.customer_id, r.rented_at, r.rental_id",
            "rental",
            "rental_id",
        ),
    ],
)
def test_audit_reports_windows_only_where_a_write_marks_its_own_row_alone(
    film: Connection, run: Run, view: str, table: str, by_hand: str
) -> None:
    film.execute(f"create view v as {view}".encode())
    done(run("publish", "v", "--yes"))
    assert "no problem found" in done(run("audit", "v"))
    done(run("capture", "v", table, "--key", by_hand))
    found = problems(run("audit", "v", "--json"))
    assert [problem for _, problem in found if "rows of other keys" in problem], found


def test_check_changes_nothing(film: Connection, run: Run) -> None:
    done(run("publish", "film_cast", "--yes"))
    drain_all(film)
    before = film.execute("select * from film order by film_id").fetchall()
    done(run("check", "film_cast", "--rounds", "40"))
    assert film.execute("select * from film order by film_id").fetchall() == before
    assert drain_all(film) == 0


def test_define_and_enqueue_publish_a_payload(db: Connection, run: Run) -> None:
    done(run("define", "note"))
    done(run("enqueue", "note", "1", '{"text": "hello"}'))
    done(run("enqueue", "note", "2", "-", input='{"text": "stdin"}'))
    drain_all(db)
    assert feed(db, "note") == {"1": {"text": "hello"}, "2": {"text": "stdin"}}
    done(run("enqueue", "note", "1", "--delete"))
    drain_all(db)
    assert set(feed(db, "note")) == {"2"}
    assert "this is not JSON" in done(run("enqueue", "note", "3", "{"), 1)


def test_a_plan_is_not_applied_where_a_function_of_somebody_else_fits_better(
    film: Connection, run: Run
) -> None:
    film.execute(
        "create function publish_define(text, text, key text[]) returns void language sql"
        " as $$ create table taken () $$"
    )
    result = run("publish", "customer_list", "--yes")
    assert result.exit_code == 1
    assert "publish_define(text,text,text[])" in result.stderr
    assert one(film, "select to_regclass('taken')") is None
    film.execute("drop function publish_define(text, text, text[])")
    done(run("publish", "customer_list", "--yes"))


@pytest.mark.parametrize("payload", ["[" * 990 + "]" * 990, "9" * 5000, '"\\u0041\\n"', "-0.10"])
def test_enqueue_takes_all_json_that_the_database_takes(
    payload: str, db: Connection, run: Run
) -> None:
    done(run("define", "note"))
    done(run("enqueue", "note", "1", "-", input=payload))
    drain_all(db)
    assert one(db, "select p.payload = %s::jsonb from publish.published p", payload)


@pytest.mark.parametrize("payload", ["NaN", "[1", "", "[" * 5000, '"\\u0000"', "1e999999"])
def test_enqueue_refuses_what_is_no_json_of_the_database_in_words(
    payload: str, db: Connection, run: Run
) -> None:
    done(run("define", "note"))
    result = run("enqueue", "note", "1", "-", input=payload)
    assert result.exit_code == 1
    assert result.stderr.startswith("pgpublish: ")
    assert "Traceback" not in result.stderr


def test_a_hint_names_a_view_as_one_has_to_type_it(film: Connection, run: Run) -> None:
    film.execute('create view "FilmNames" as select film_id, title from film')
    film.execute("create schema shop; create view shop.prices as select film_id from film")
    for typed, shown in {
        "FilmNames": """'"FilmNames"'""",
        "FilmName": """'"FilmNames"'""",
        "prices": "'shop.prices'",
        "public.price": "'shop.prices'",
        "public.film_lst": "'film_list'",
        "shop.pricse": "'shop.prices'",
    }.items():
        assert f"Did you mean {shown}" in done(run("publish", typed), 1)


def test_a_key_that_the_view_groups_by_is_what_it_could_show(film: Connection, run: Run) -> None:
    film.execute(
        "create view store_names as select c.name, sum(p.amount) as total"
        " from store s join address a on a.address_id = s.address_id"
        " join city c on c.city_id = a.city_id join inventory i on i.store_id = s.store_id"
        " join rental r on r.inventory_id = i.inventory_id"
        " join payment p on p.rental_id = r.rental_id group by s.store_id, c.name"
    )
    said = " ".join(done(run("publish", "store_names"), 1).split())
    assert "Let the view show store_id of public.store," in said


def test_an_index_of_a_table_says_nothing_of_those_that_inherit_from_it(
    film: Connection, run: Run
) -> None:
    film.execute(
        "create table base (id int primary key); create table child () inherits (base);"
        "insert into base values (1); insert into child values (1);"
        "create view all_of_it as select id from base;"
        "create view alone as select id from only base"
    )
    said = " ".join(done(run("publish", "all_of_it"), 1).split())
    assert "id is the primary key of public.base alone" in said
    done(run("publish", "alone", "--yes"))
    assert len(feed(film, "alone")) == 1


def test_a_total_is_published_by_hand_as_the_reason_says(film: Connection, run: Run) -> None:
    film.execute("create view totals as select 'all' as id, count(*) as films from film")
    said = " ".join(done(run("publish", "totals"), 1).split())
    assert "key => '''all'''" in said
    done(run("define", "totals", "totals"))
    done(run("capture", "totals", "film", "--key", "'all'"))
    film.execute("insert into film (film_id, title, language_id) values (9999, 'X', 1)")
    film.execute("select publish_drain(100)")
    assert [row["films"] for row in feed(film, "totals").values()] == [
        one(film, "select count(*) from film")
    ]
    done(run("audit", "totals"))
    done(run("verify", "totals"))


def test_a_lookup_that_row_security_stops_is_noted_and_may_read_a_view_instead(
    film: Connection, run: Run
) -> None:
    film.execute("alter table film_actor enable row level security")
    said = " ".join(done(run("publish", "film_cast", "--yes"), 6).split())
    assert "public.film_actor has row security, which the lookup from public.actor" in said
    film.execute("create view cast_key as select actor_id, film_id from film_actor")
    lookup = "select film_id from cast_key where actor_id = any ($1)"
    done(run("capture", "film_cast", "actor", "--key", "actor_id", "--lookup", lookup))
    done(run("audit", "film_cast"))
    film.execute("update actor set last_name = 'changed'")
    film.execute("select publish_drain(100)")
    assert "changed" in str(list(feed(film, "film_cast").values()))
    done(run("verify", "film_cast"))
