"""Views that do not give equal rows for equal data, or whose rows depend on rows of other keys:
publish_define warns, publish_audit says what of the view it is."""

import pytest
from helpers import one

TABLES = """
create table item (id int primary key, owner int, price numeric, weight float8, name text);
create function dice() returns int volatile language sql return 4;
"""
VARYING = {
    "select id, rank() over (order by price) as rank from item": "window functions",
    "select id from item order by price limit 10": "LIMIT",
    "select id from item offset 2": "LIMIT",
    "select distinct on (owner) owner as id, name from item order by owner, price": "DISTINCT ON",
    "select id from (select * from item order by price limit 3) t": "LIMIT",
    "with top as (select * from item order by price limit 3) select id from top": "LIMIT",
    "select owner as id, jsonb_agg(name) as names from item group by owner": "jsonb_agg",
    "select owner as id, string_agg(name, ',') as names from item group by owner": "string_agg",
    "select id, (select array_agg(o.id) from item o where o.owner = i.id) o from item i": "array_",
    "select owner as id, sum(weight) as weight from item group by owner": "floating-point",
    "select owner as id, avg(weight) as weight from item group by owner": "floating-point",
    "select id, now() as at from item": "now()",
    "select id, current_date as at from item": "current date",
    "select id from item where localtimestamp > '2020-01-01'": "current date",
    "select id, random() as r from item": "random()",
    "select id, dice() as r from item": "dice()",
    "select id, gen_random_uuid() as r from item": "gen_random_uuid()",
    "select id from item tablesample system (50)": "TABLESAMPLE",
    "select id from item where name = current_setting('a.b', true)": "current_setting()",
    "select id from item where name = current_user": "current user",
    "select id, session_user::text as who from item": "current user",
}
STEADY = [
    "select * from item",
    "select owner as id, jsonb_agg(name order by id) as names from item group by owner",
    "select owner as id, array_agg(distinct name) as names from item group by owner",
    "select owner as id, sum(price), count(*), max(weight) from item group by owner",
    "select owner as id, jsonb_object_agg(id, name) from item group by owner",
    "select i.id, (select o.id from item o where o.owner = i.id order by o.price limit 1) as best"
    " from item i",
    "select i.id, o.best from item i left join lateral (select o.id as best from item o"
    " where o.owner = i.id order by o.price limit 1) o on true",
    "select id, 'now() random() :hasWindowFuncs true {AGGREF :aggorder <>' as text from item",
    "select id, lower(name) as name, coalesce(price, 0) from item where price > 1",
    "select distinct owner as id from item",
]


@pytest.fixture
def db(connect):
    db = connect()
    db.execute(TABLES)
    return db


@pytest.fixture
def warnings(db):
    found = []
    db.add_notice_handler(lambda d: found.append(d.message_primary))
    return found


def problems(db):
    return [row[0] for row in db.execute("select v.problem from publish.varying('v') v").fetchall()]


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("query", VARYING)
def test_define_warns_of_it_and_the_audit_names_it(db, warnings, query, nested):
    db.execute(f"create view {'inside' if nested else 'v'} as {query}".encode())
    if nested:
        db.execute("create view v as select t.* from (select * from inside) t")
    db.execute("select publish_define('kind', 'v')")
    assert any(VARYING[query] in text for text in warnings)
    assert one(
        db, "select count(*) from publish_audit() where position(%s in problem) > 0", VARYING[query]
    )


@pytest.mark.parametrize("query", STEADY)
def test_nothing_is_said_of_a_view_that_is_steady(db, warnings, query):
    db.execute(f"create view v as {query}".encode())
    db.execute("select publish_define('kind', 'v')")
    assert (problems(db), warnings) == ([], [])


def test_a_table_and_a_materialized_view_are_steady(db, warnings):
    db.execute("create materialized view m as select id, now() as at from item")
    db.execute("create view v as select * from m")
    db.execute("select publish_define('a', 'item'); select publish_define('b', 'm')")
    assert (problems(db), warnings) == ([], [])
