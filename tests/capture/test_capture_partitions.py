"""publish_capture on partitions and inheritance: whichever table a statement names, the rows that
it touched are marked."""

import pytest
from helpers import drain_all, feed, one
from marks import converges, knows, marked, marks_of, refused, walks

# Two levels; leaf eu has its columns in another order, and one that was dropped.
VISITS = """
create table visit (id int, day date, region text, note text, extra jsonb, n int,
                    primary key (id, day, region)) partition by range (day);
create table visit_2024 partition of visit
  for values from ('2024-01-01') to ('2025-01-01') partition by list (region);
create table us partition of visit_2024 for values in ('us');
create table eu (n int, junk text, extra jsonb, region text not null, day date not null, note text,
                 id int not null);
alter table eu drop column junk;
alter table visit_2024 attach partition eu for values in ('eu');
create table visit_2025 partition of visit for values from ('2025-01-01') to ('2026-01-01');
create table visit_rest partition of visit default;
create view visits as
  select v.id, jsonb_agg(v.note order by v.day, v.region) as notes,
    jsonb_agg(v.extra order by v.day, v.region) as extras
    from visit v group by v.id;
select publish_define('visit', 'visits');
select publish_capture('visit', 'visit', key => 'id');
insert into visit (id, day, region, note, extra) values
  (1, '2024-02-01', 'us', 'a', '1'), (2, '2024-02-01', 'eu', 'b', '1'),
  (3, '2025-02-01', 'eu', 'c', '1'), (4, '1999-02-01', 'xx', 'd', '1');
"""


@pytest.fixture
def db(connect):
    return connect()


@pytest.fixture
def visits(db):
    db.execute(VISITS)
    drain_all(db)
    db.execute("truncate publish.outbox")
    return db


def problems(db):
    """table → problem, of what publish_audit says of triggers."""
    return {
        r.object.removeprefix("public."): r.problem
        for r in db.execute("select * from publish_audit()").fetchall()
        if "costs as much" not in r.problem
    }


def test_a_write_marks_its_rows_through_the_parent_and_through_any_part(visits):
    for statement, keys in {
        "insert into visit values (5, '2024-03-01', 'us'), (6, '2024-03-01', 'eu')": "5 6",
        "insert into visit values (7, '2025-03-01', 'us'), (8, '2000-01-01', 'us')": "7 8",
        "insert into visit_2024 values (5, '2024-03-01', 'us'), (6, '2024-03-01', 'eu')": "5 6",
        "insert into eu (id, day, region) values (6, '2024-03-01', 'eu')": "6",
        "insert into visit_rest values (8, '2000-01-01', 'us')": "8",
        "insert into visit values (1, '2024-02-01', 'us') on conflict do nothing": "",
        "insert into visit values (1, '2024-02-01', 'us'), (2, '2024-02-01', 'eu')"
        " on conflict (id, day, region) do update set note = 'x'": "1 2",
        "update visit set note = 'x'": "1 2 3 4",
        "update visit_2024 set note = 'x'": "1 2",
        "update eu set note = 'x'": "2",
        "update eu set id = 9": "2 9",
        "update visit set id = id + 4 where id > 2": "3 4 7 8",
        "update visit set note = 'x' where false": "",
        "update visit set region = 'us' where id = 2": "2",
        "update visit set day = '2025-06-01', id = 8 where id = 1": "1 8",
        "update visit_2024 set region = 'eu' where id = 1": "1",
        "delete from visit where id in (1, 2, 4)": "1 2 4",
        "delete from us": "1",
        "with a as (insert into us values (5, '2024-03-01', 'us'))"
        " update visit set note = 'x' where id = 4": "4 5",
        "merge into visit v using (values (1), (3), (5)) as s (id) on v.id = s.id"
        " when matched and s.id = 1 then delete when matched then update set note = 'x'"
        " when not matched then insert values (s.id, '2024-05-05', 'eu')": "1 3 5",
    }.items():  # fmt: skip
        if knows(visits, statement):
            assert marks_of(visits, statement) == keys.split(), statement


def test_copy_marks_the_rows_of_every_part(visits):
    with visits.cursor().copy("copy visit (id, day, region) from stdin") as copy:
        for id in range(100, 220):
            day = ["2024-01-01", "2025-01-01", "1900-01-01"][id % 3]
            copy.write_row((id, day, ["eu", "us"][id // 3 % 2]))
    assert marked(visits) == [str(id) for id in range(100, 220)]


def test_a_row_that_moves_between_parts_is_published_once_as_it_is_then(visits):
    visits.execute("update visit set region = 'us', note = 'moved' where id = 2")
    visits.execute("update visit set day = '2025-12-31' where id in (1, 4)")
    published = converges(visits, "visit")
    assert published["2"]["notes"] == ["moved"]
    assert len(published) == 4


def test_with_columns_only_what_changes_them_or_the_key_or_moves_marks(visits):
    visits.execute("select publish_capture('visit', 'visit', 'id', columns => '{note,extra}')")
    visits.execute("truncate publish.outbox")
    for change, keys in {
        "n = 5": "",
        "note = note, extra = extra": "",
        "extra = '1'": "",
        "extra = '1.0' where id < 3": "1 2",
        "note = null where id = 2": "2",
        "note = 'b', n = 5": "1 3 4",
        "id = 9 where id = 2": "2 9",
        "region = 'us' where id = 2": "2",
    }.items():
        assert marks_of(visits, f"update visit set {change}") == keys.split(), change
    assert marks_of(visits, "update eu set n = 6") == []
    assert marks_of(visits, "update eu set note = 'z'") == ["2"]


@pytest.mark.parametrize("table", ["visit", "visit_2024", "us", "visit_2025"])
def test_truncate_of_the_parent_or_of_a_part_unpublishes_what_it_held(visits, table):
    visits.execute(f"truncate {table}".encode())
    assert walks(visits) == ["visit"]
    visits.execute(f"truncate {table}; insert into visit values (9, '2024-01-01', 'us')".encode())
    left = {"visit": "9", "visit_2024": "3 4 9", "us": "2 3 4 9", "visit_2025": "1 2 4 9"}[table]
    assert sorted(converges(visits, "visit")) == left.split()


def test_a_part_made_later_is_captured_at_once_and_its_truncate_once_it_is_captured_again(visits):
    visits.execute(
        "create table asia partition of visit_2024 for values in ('asia');"
        "insert into visit values (5, '2024-01-01', 'asia'); update asia set note = 'x'"
    )
    assert marked(visits) == ["5"]
    assert problems(visits) == {"asia": "no trigger for truncate"}
    visits.execute("truncate asia")
    assert walks(visits) == []
    visits.execute("select publish_capture('visit', 'visit', key => 'id')")
    assert problems(visits) == {}
    assert walks(visits) == ["visit"]
    visits.execute("insert into asia values (6, '2024-01-01', 'asia')")
    assert "6" in converges(visits, "visit")
    visits.execute("truncate asia")
    assert set(converges(visits, "visit")) == {"1", "2", "3", "4"}


def test_rows_attached_with_a_part_are_published_once_the_table_is_captured_again(visits):
    visits.execute(
        "create table old (like visit); insert into old values (5, '2024-01-01', 'old');"
        "alter table visit_2024 attach partition old for values in ('old')"
    )
    assert set(problems(visits)) == {"old"}
    visits.execute("update visit set note = 'x' where id = 5")
    assert marked(visits) == ["5"]
    visits.execute("select publish_capture('visit', 'visit', key => 'id')")
    assert len(converges(visits, "visit")) == 5
    assert problems(visits) == {}


def test_a_part_with_parts_of_its_own_is_captured_when_it_is_attached(visits):
    visits.execute(
        "create table y (like visit) partition by list (region);"
        "create table y1 partition of y for values in ('us');"
        "alter table visit attach partition y for values from ('2026-01-01') to ('2027-01-01');"
        "insert into y1 values (5, '2026-01-01', 'us')"
    )
    assert marked(visits) == ["5"]
    assert set(problems(visits)) == {"y", "y1"}


def test_a_part_that_is_detached_marks_nothing_any_more_and_goes_its_own_way(visits):
    visits.execute("alter table visit_2024 detach partition eu")
    visits.execute(
        "update eu set note = 'x'; insert into eu (id, day, region) values (9, now(), 'x')"
    )
    assert marked(visits) == []
    assert problems(visits).keys() == {"eu"}
    visits.execute("truncate eu; drop table eu")  # not held by what captures the parent
    visits.execute("update visit set note = 'x'")
    assert marked(visits) == ["1", "3", "4"]


@pytest.mark.parametrize("part", ["visit_2025", "visit_2024"])
def test_a_part_that_was_detached_is_reported_until_its_triggers_are_dropped(visits, part):
    drain_all(visits)
    visits.execute(f"alter table visit detach partition {part}".encode())
    found = visits.execute("select object, hint from publish_audit('visit')").fetchall()
    tables = sorted(table.removeprefix("public.") for table, _ in found)
    assert tables == (["eu", "us", part] if part == "visit_2024" else [part])
    for _, hint in found:
        visits.execute(hint.encode())
    assert problems(visits) == {}
    drain_all(visits)
    assert feed(visits, "visit").keys() == ({"3", "4"} if part == "visit_2024" else {"1", "2", "4"})


def test_always_holds_for_every_part_and_for_those_made_later(visits):
    enabled = (
        "select string_agg(distinct t.tgenabled::text, '') from pg_trigger t"
        " where t.tgname like 'publish%'"
    )
    assert one(visits, enabled) == "O"
    visits.execute("select publish_capture('visit', 'visit', 'id', always => true)")
    visits.execute("create table asia partition of visit_2024 for values in ('asia')")
    assert one(visits, enabled) == "A"
    visits.execute("set session_replication_role = replica")
    visits.execute("insert into visit values (5, '2024-01-01', 'asia'); update us set note = 'x'")
    assert marked(visits) == ["1", "5"]
    visits.execute("truncate eu; reset session_replication_role")
    assert walks(visits) == ["visit"]
    visits.execute("select publish_capture('visit', 'visit', 'id')")
    assert one(visits, enabled) == "O"


@pytest.mark.parametrize(
    ("part", "keys", "old"),
    [("eu", "2 6", "2"), ("us", "1 5", "1"), ("visit_2024", "1 2 5 6", "1 2")],
)
def test_a_table_that_is_a_part_itself_is_captured_alone(visits, part, keys, old):
    visits.execute("select publish_uncapture('visit')")
    assert one(visits, "select count(*) from pg_trigger where tgname like 'publish%'") == 0
    visits.execute(f"select publish_capture('visit', '{part}', key => 'id')".encode())
    assert set(problems(visits)) <= {"visit"}  # which the view reads
    both = (
        "insert into visit values"
        " (5, '2024-03-01', 'us'), (6, '2024-03-01', 'eu'), (7, '2025-03-01', 'eu');"
        "update visit set note = 'x'"
    )
    assert marks_of(visits, both) == keys.split()
    assert marks_of(visits, f"update {part} set note = 'x'") == old.split()
    visits.execute(f"truncate {part}".encode())
    assert walks(visits) == ["visit"]


def test_a_captured_table_that_becomes_a_part_is_reported_until_it_is_captured_again(db):
    db.execute(
        "create table leaf (id int primary key, n int); select publish_define('leaf', 'leaf');"
        "select publish_capture('leaf', 'leaf'); insert into leaf values (1, 1);"
        "create table root (id int primary key, n int) partition by range (id);"
    )
    assert problems(db) == {}
    db.execute("alter table root attach partition leaf for values from (0) to (10)")
    assert set(problems(db)) == {"leaf"}
    drain_all(db)
    db.execute("update root set n = 2")  # is not seen
    db.execute("select publish_capture('leaf', 'leaf')")
    assert problems(db) == {}
    assert converges(db, "leaf") == {"1": {"id": 1, "n": 2}}
    db.execute("update root set n = 3; insert into root values (2, 2)")
    assert marked(db) == ["1", "2"]


def test_a_failing_key_of_one_part_lets_the_write_pass_and_has_the_kind_walked(visits):
    visits.execute(
        "select publish_capture('visit', 'visit', key => '(id / n)::int');"
        "insert into visit (id, day, region, n) values (6, '2024-01-01', 'eu', 2),"
        " (7, '2024-01-01', 'us', 0), (8, '2025-01-01', 'us', 4)"
    )
    assert marked(visits) == ["2", "3"]
    assert walks(visits) == ["visit"]


INHERITANCE = """
create table thing (id int primary key, name text, other text);
create table big_thing (size int) inherits (thing);
create table huge_thing (more int, primary key (id)) inherits (big_thing);
create view thing_view as select id, name from thing;
select publish_define('thing', 'thing_view');
select publish_capture('thing', 'thing');
insert into thing values (1, 'a'); insert into big_thing values (2, 'b', 'x', 2);
insert into huge_thing values (3, 'c', 'x', 3, 3);
"""


@pytest.fixture
def things(db):
    db.execute(INHERITANCE)
    drain_all(db)
    db.execute("truncate publish.outbox")
    return db


def test_inheriting_tables_of_every_level_are_captured(things):
    assert set(feed(things, "thing")) == {"1", "2", "3"}
    for statement, keys in {
        "insert into huge_thing values (9, 'x')": "9",
        "update thing set name = 'x'": "1 2 3",
        "update only thing set name = 'x'": "1",
        "update big_thing set name = 'x'": "2 3",
        "update huge_thing set id = 7": "3 7",
        "delete from thing where id > 1": "2 3",
        "delete from only big_thing": "2",
        "update big_thing set size = size": "2 3",
    }.items():
        assert marks_of(things, statement) == keys.split(), statement
    things.execute("select publish_capture('thing', 'thing', columns => '{name}')")
    assert marks_of(things, "update big_thing set size = 9, other = 'y'") == []
    assert marks_of(things, "update thing set name = 'y'") == ["1", "2", "3"]
    things.execute("truncate only big_thing")
    assert set(converges(things, "thing")) == {"1", "3"}
    things.execute("truncate thing")
    assert converges(things, "thing") == {}


def test_a_child_made_later_is_reported_until_the_table_is_captured_again(things):
    things.execute("create table late_thing (n int, primary key (id)) inherits (big_thing)")
    things.execute("insert into late_thing values (4, 'late')")
    assert marked(things) == []
    assert problems(things) == {"late_thing": "a new partition or child is not captured"}
    things.execute("select publish_capture('thing', 'thing')")
    assert problems(things) == {}
    assert set(converges(things, "thing")) == {"1", "2", "3", "4"}
    things.execute("update late_thing set name = 'x'")
    assert marked(things) == ["4"]


def test_a_captured_table_that_gets_a_child_sees_what_is_written_through_itself(db):
    db.execute(
        "create table thing (id int primary key, name text);"
        "select publish_define('thing', 'thing'); select publish_capture('thing', 'thing');"
        "create table child () inherits (thing);"
        "insert into child values (2, 'x')"
    )
    assert marked(db) == []
    assert set(problems(db)) == {"child"}
    db.execute("update thing set name = 'y'")
    assert marked(db) == ["2"]
    db.execute("select publish_capture('thing', 'thing')")
    assert problems(db) == {}
    db.execute("update child set name = 'z'; insert into thing values (1, 'a')")
    assert set(converges(db, "thing")) == {"1", "2"}


def test_uncapture_takes_the_triggers_off_every_part(visits, db):
    db.execute(INHERITANCE)
    assert one(db, "select publish_uncapture('visit') + publish_uncapture('thing', 'thing')") == 2
    assert one(db, "select count(*) from pg_trigger where tgname like 'publish%'") == 0
    db.execute("truncate publish.outbox; update visit set note = 'x'; update thing set name = 'y'")
    assert (marked(db), walks(db)) == ([], [])


def test_whoever_owns_the_table_later_makes_and_attaches_partitions_and_their_rows_are_seen(visits):
    visits.execute("create role later; grant create on schema public to later")
    try:
        visits.execute("alter table visit owner to later; alter table visit_2024 owner to later")
        visits.execute("set role later")
        visits.execute(
            "create table visit_2026 partition of visit"
            " for values from ('2026-01-01') to ('2027-01-01');"
            "create table visit_2027 (like visit including all);"
            "alter table visit attach partition visit_2027"
            " for values from ('2027-01-01') to ('2028-01-01');"
            "create table asia partition of visit_2024 for values in ('asia');"
            "insert into visit (id, day, region) values (7, '2024-01-01', 'asia'),"
            " (8, '2026-01-01', 'x'), (9, '2027-01-01', 'x'); update asia set note = 'y'"
        )
        assert refused(visits, "select publish_gate.capture_1()") == "42501"
        assert (
            refused(
                visits,
                "create trigger mine after insert on visit_2026 for each row"
                " execute function publish_gate.capture_1()",
            )
            == "42501"
        )
        visits.execute("reset role")
        assert marked(visits) == ["7", "8", "9"]
    finally:
        visits.execute("reset role; drop owned by later cascade; drop role later")


def test_a_cast_from_a_partitions_rows_gains_its_owner_nothing(db):
    """PostgreSQL takes a user's implicit cast before inheritance."""
    db.execute(
        "create role bob; grant create on schema public to bob; set role bob;"
        "create table item (id int primary key, region text) partition by range (id); reset role;"
        "create table seen (who text, refused text); grant all on seen to public;"
        "select publish_define('item', 'item');"
        "select publish_capture('item', 'item', columns => '{region}'); set role bob;"
        "create table part partition of item for values from (1) to (9);"
        "create function evil(part) returns item language plpgsql as $$ begin"
        "  begin"
        "    insert into public.seen values (current_user, null);"
        "  exception when read_only_sql_transaction then null; end;"
        "  return row(($1).id, ($1).region)::public.item; end $$;"
        "create cast (part as item) with function evil(part) as implicit"
    )
    try:
        db.execute("insert into item values (1, 'a'), (2, 'b'); update item set region = 'c'")
        db.execute("reset role")
        assert db.execute("select who from seen").fetchall() == []
        assert marked(db, "item") == ["1", "2"]
    finally:
        db.execute("reset role; drop owned by bob cascade; drop role bob")
