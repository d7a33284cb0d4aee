"""A key has one row in the feed, however it is spelled and whatever its type."""

import pytest
from helpers import check_feed, drain, drain_all, enqueue, feed, one, quarantine, row

UUID = "0189c2a8-53c9-7fff-8abc-0123456789ab"
OTHER_UUID = "1189c2a8-53c9-7fff-8abc-0123456789ab"


# type, spellings of one key of it, how the view spells it, another key
SPELLINGS = [
    ("int", ["7", "007", " 7 ", "+7"], "7", "99"),
    ("bigint", ["7", "0007"], "7", "99"),
    ("uuid", [UUID, UUID.upper(), "{" + UUID + "}", UUID.replace("-", "")], UUID, OTHER_UUID),
    ("numeric", ["7", "7.0", "07", "7e0"], "7", "99"),
    ("date", ["2024-03-04", "20240304", "4 March 2024"], "2024-03-04", "2000-01-01"),
    (
        "timestamptz",
        ["2024-03-04T05:06:07Z", "2024-03-04 05:06:07+00", "2024-03-04 07:06:07+02"],
        "2024-03-04 05:06:07+00",
        "2000-01-01 00:00:00+00",
    ),
    ("boolean", ["true", "t", "YES", "1"], "true", "false"),
    ("float8", ["0.1", "1e-1", ".10"], "0.1", "99"),
    ("inet", ["10.0.0.1", "10.0.0.1/32"], "10.0.0.1/32", "10.9.9.9/32"),
    ("bytea", ["\\x6162", "ab", "\\141b"], "\\x6162", "\\x99"),
    ("char(5)", ["ab", "ab   "], "ab", "other"),
]


def define(db, kind, type, *keys):
    """A kind whose key fails when its n is 99."""
    db.execute(
        f"create table {kind} (id {type} primary key, n int not null default 0);"
        f"create view {kind}_view as select id, n, 1 / (n - 99) as fails from {kind};"
        f"select publish_define('{kind}', '{kind}_view')".encode()
    )
    for key in keys:
        db.execute(f"insert into {kind} values (%s)".encode(), [key])


def test_spellings_of_one_key_make_one_row(db):
    for n, (type, spellings, source_id, _) in enumerate(SPELLINGS):
        define(db, f"k{n}", type, spellings[-1])
        for spelling in spellings:
            enqueue(db, f"k{n}", spelling)
        assert drain_all(db) == 1, type
        for spelling in spellings:
            enqueue(db, f"k{n}", spelling)
            assert drain_all(db) == 0, spelling
        assert list(feed(db, f"k{n}")) == [source_id]
        db.execute(f"delete from k{n}".encode())
        enqueue(db, f"k{n}", spellings[0])
        assert drain_all(db) == 1, type
        assert row(db, f"k{n}", source_id).deleted
    assert quarantine(db) == {}


def test_spellings_of_one_key_make_one_row_also_where_another_key_of_the_batch_fails(db):
    for n, (type, spellings, source_id, other) in enumerate(SPELLINGS):
        define(db, f"k{n}", type, spellings[-1], other)
        db.execute(f"update k{n} set n = 99 where id = %s::{type}".encode(), [other])
        for position in range(len(spellings) + 1):
            for spelling in [*spellings[:position], other, *spellings[position:]]:
                enqueue(db, f"k{n}", spelling)
            drain_all(db)
            assert list(feed(db, f"k{n}")) == [source_id]
        assert quarantine(db).pop(other) == "22012"
        assert row(db, f"k{n}", source_id).rev == n + 1
    assert len(quarantine(db)) == len({other for _, _, _, other in SPELLINGS})


def test_a_key_longer_than_its_column_is_no_other_key(db):
    for n, (type, value, key) in enumerate([
        ("varchar(3)", "abc", "abcdef"),
        ("char(3)", "abc", "abcdef"),
        ("numeric(3, 1)", "1.2", "1.24"),
        ("timestamptz(0)", "2024-01-01 00:00:00+00", "2024-01-01 00:00:00.4+00"),
        ("bit(3)", "101", "1011"),
    ]):  # fmt: skip
        define(db, f"k{n}", type, value)
        enqueue(db, f"k{n}", key)
        assert drain_all(db) == 0, type
        enqueue(db, f"k{n}", value)
        assert drain_all(db) == 1, type
        assert list(feed(db, f"k{n}")) == [value]


def test_text_keys_are_taken_as_they_are(db):
    keys = [" a", "a ", "A", "a", "0", "00", "'", '"', "\\", "\u00e9", "e\u0301", "日本", "{a}"]
    define(db, "k", "varchar(20)", *keys)
    for key in keys:
        enqueue(db, "k", key)
    drain_all(db)
    assert set(feed(db, "k")) == set(keys)


def test_keys_that_are_not_of_the_columns_type_are_set_aside_alone(db):
    bad = ["abc", "1.5", "99999999999", "-", "1;2", "NaN"]
    define(db, "k", "int", "1")
    for key in [*bad, "1"]:
        enqueue(db, "k", key)
    assert drain(db).published == 1
    assert set(quarantine(db)) == set(bad)
    assert {sqlstate[:2] for sqlstate in quarantine(db).values()} == {"22"}


def composite(db):
    db.execute(
        "create table t (a int, b text, n numeric not null default 0, primary key (a, b, n));"
        "select publish_define('t', 't', '{a,b}');"
        "create trigger publish after insert or update or delete on t"
        " for each row execute function publish_enqueue('t', 'a', 'b')"
    )


def test_a_composite_key_is_published_changed_deleted_and_created_again(db):
    composite(db)
    db.execute("""insert into t values (1, 'x'), (1, 'with "quotes", [commas] and é'), (2, '')""")
    assert drain_all(db) == 3
    pub_id = row(db, "t", '["1", "x"]').pub_id
    db.execute("update t set n = 1 where b = 'x'")
    assert drain_all(db) == 1
    db.execute("update t set a = 3 where b = 'x'")
    assert drain_all(db) == 2
    assert row(db, "t", '["1", "x"]').deleted
    db.execute("update t set a = 1 where b = 'x'")
    assert drain_all(db) == 2
    assert row(db, "t", '["1", "x"]').pub_id == pub_id
    db.execute("delete from t")
    drain_all(db)
    assert feed(db, "t") == {}
    assert quarantine(db) == {}


def test_spellings_of_one_composite_key_make_one_row(db):
    composite(db)
    db.execute("alter table t disable trigger publish")
    db.execute("insert into t values (7, 'x'), (8, 'y')")
    for key in ('["7", "x"]', '["007","x"]', ' [ 7 , "x" ] ', r'["7", "\u0078"]'):
        enqueue(db, "t", key)
    assert drain_all(db) == 1
    assert set(feed(db, "t")) == {'["7", "x"]'}
    check_feed(db)


def test_equal_parts_of_a_composite_key_with_different_text_are_no_duplicate(db):
    db.execute(
        "create table t (a numeric, b text, primary key (a, b));"
        "select publish_define('t', 't', '{a,b}');"
        "insert into t values (1, 'x')"
    )
    enqueue(db, "t", '["1", "x"]')
    enqueue(db, "t", '["1.0", "x"]')
    drain_all(db)
    assert quarantine(db) == {}
    assert set(feed(db, "t")) == {'["1", "x"]'}


def test_malformed_composite_keys_are_set_aside_alone(db):
    bad = ["1", "x", '["1"]', '["1", "x", "y"]', '["1", null]', '{"a": 1}', "[", '["one", "x"]']
    composite(db)
    db.execute("insert into t values (1, 'x')")
    for key in bad:
        enqueue(db, "t", key)
    assert drain(db).published == 1
    assert set(quarantine(db)) == set(bad)


def test_names_with_quotes_spaces_and_unicode_work_everywhere(db):
    kind = """A "kind" of 'æ'; drop table x -- 日本"""
    db.execute(
        """
        create schema "a "" schema";
        create table "a "" schema"."a ' table" ("the "" key" int primary key, "ä % b" text);
        create view "a "" schema"."a % view" as select * from "a "" schema"."a ' table";
        insert into "a "" schema"."a ' table" values (1, 'x')
        """
    )
    db.execute(
        """select publish_define(%s, '"a "" schema"."a %% view"', array['the " key'])""", [kind]
    )
    enqueue(db, kind, "1")
    drain_all(db)
    assert feed(db, kind) == {"1": {'the " key': 1, "ä % b": "x"}}
    assert db.execute(
        "select p.rev, p.payload from publish_changes(kinds => array[%s]) p", [kind]
    ).fetchall() == [(1, {'the " key': 1, "ä % b": "x"})]
    assert db.execute("select * from publish_backfill(%s)", [kind]).fetchone() == (None, 1)


def test_a_view_may_use_any_column_name(db):
    for column in ["v", "k", "d", "s", "u", "q", "seq", "source_id", "copies", "headers", "part"]:
        db.execute(
            f"create table {column} ({column} int, other int default 2, third int default 3);"
            f"insert into {column} values (1);"
            f"select publish_define('{column}', '{column}', array['{column}']);"
            f"select publish_define('{column} 2', '{column}', array['{column}', 'other'])".encode()
        )
        enqueue(db, column, "1")
        enqueue(db, f"{column} 2", '["1", "2"]')
        assert drain_all(db) == 2, (column, quarantine(db))
        payload = {column: 1, "other": 2, "third": 3}
        assert feed(db, column) == {"1": payload}
        assert feed(db, f"{column} 2") == {'["1", "2"]': payload}


@pytest.mark.parametrize(
    "change",
    [
        "alter type mood rename to feeling",
        "alter type mood set schema elsewhere",
        "alter type mood rename value 'ok' to 'fine'",
        "alter schema public rename to private; alter schema private rename to public",
    ],
)
def test_a_key_whose_type_is_renamed_or_moved_goes_on(db, change):
    db.execute(
        "create schema elsewhere; grant usage on schema elsewhere to publish_projector;"
        "create type mood as enum ('sad', 'ok');"
        "create table person (id mood primary key, n int);"
        "select publish_define('person', 'person'), publish_capture('person', 'person');"
        "insert into person values ('sad', 1)"
    )
    drain_all(db)
    db.execute(change)
    db.execute("update person set n = 2")
    drain_all(db)
    assert feed(db, "person") == {"sad": {"id": "sad", "n": 2}}
    assert quarantine(db) == {}


NAMES = """v_key v_keys given marks m source_id payload v d s dirty v_ids v_payload v_fault mark seq
copies copy deleted"""


@pytest.mark.parametrize("name", NAMES.split())
@pytest.mark.parametrize("key", ["id", "name"])
def test_a_column_may_have_any_name(db, name, key):
    """Also one that the functions made of the view use themselves."""
    db.execute(
        f"create table thing (id int not null, {name} int not null);"
        f"select publish_define('thing', 'thing', '{{{name if key == 'name' else key}}}'),"
        f" publish_capture('thing', 'thing', columns => '{{{name},id}}');"
        f"insert into thing values (1, 7), (2, 8)"
    )
    drain_all(db)
    assert len(feed(db, "thing")) == 2
    db.execute(f"update thing set {name} = 70 where id = 1")
    drain_all(db)
    at = "70" if key == "name" else "1"
    assert feed(db, "thing")[at] == {"id": 1, name: 70}
    assert len(feed(db, "thing")) == 2
    assert one(db, "select stale + missing + surplus from publish_verify('thing')") == 0


def test_a_key_of_a_domain_that_is_not_null_is_published(db):
    db.execute(
        "create domain number as int not null; create table thing (id number primary key, n int);"
        "select publish_define('thing', 'thing'), publish_capture('thing', 'thing');"
        "insert into thing values (1, 1), (2, 2)"
    )
    drain_all(db)
    assert feed(db, "thing") == {"1": {"id": 1, "n": 1}, "2": {"id": 2, "n": 2}}
    db.execute("update thing set n = 3 where id = 1; delete from thing where id = 2")
    drain_all(db)
    assert feed(db, "thing") == {"1": {"id": 1, "n": 3}}
    assert db.execute("select * from publish_audit()").fetchall() == []
