"""publish_capture on plain tables: what each statement marks, and that no write fails of it."""

import pytest
from helpers import drain, drain_all, feed, one
from marks import converges, knows, marked, marks_of, refused, walks
from psycopg.sql import SQL, Identifier

# A question with its answers; answers of one question are shown in the order of their ids.
QUESTIONS = """
create table question (id int primary key, title text, extra jsonb, n numeric, note text);
create table answer (
  id int primary key,
  question_id int references question on delete cascade on update cascade,
  body text,
  note text
);
create view question_view as
  select q.id, q.title, q.extra, q.n,
         (select jsonb_agg(a.body order by a.id)
            from answer a where a.question_id = q.id) as answers
    from question q;
select publish_define('question', 'question_view');
select publish_capture('question', 'question');
select publish_capture('question', 'answer', key => 'question_id');
insert into question (id, title) select i, 'question ' || i from generate_series(1, 4) i;
insert into answer (id, question_id, body) values (10, 1, 'a'), (11, 1, 'b'), (20, 2, 'c');
"""


@pytest.fixture
def db(connect):
    return connect()


@pytest.fixture
def questions(db):
    db.execute(QUESTIONS)
    drain_all(db)
    db.execute("truncate publish.outbox")
    return db


@pytest.fixture
def warnings(db):
    notices = []
    db.add_notice_handler(lambda diag: notices.append(diag.severity_nonlocalized))
    return notices


@pytest.fixture
def app(db):
    """A role that may do nothing but what PUBLIC may."""
    db.execute("create role app nologin")
    yield "app"
    db.execute("reset role; drop owned by app; drop role app")


def test_every_statement_marks_the_keys_that_it_touched_and_no_other(questions):
    for statement, keys in {
        "insert into question values (5)": "5",
        "insert into question values (5), (6), (7)": "5 6 7",
        "insert into question select i from generate_series(5, 8) i": "5 6 7 8",
        "insert into question values (1) on conflict do nothing": "",
        "insert into question values (1), (5) on conflict do nothing": "5",
        "insert into question values (1) on conflict (id) do update set title = 'x'": "1",
        "insert into question values (1), (5) on conflict (id) do update set title = 'x'": "1 5",
        "insert into question values (1) on conflict (id) do update set title = 'x' where false":
            "",
        "insert into question values (1) on conflict (id) do update set id = 6": "1 6",
        "update question set title = 'x' where id = 3": "3",
        "update question set title = 'x'": "1 2 3 4",
        "update question set title = title where id in (2, 3)": "2 3",
        "update question set title = 'x' where false": "",
        "update question set id = 9 where id = 4": "4 9",
        "update question set id = id + 10 where id > 2": "13 14 3 4",
        "update question q set title = a.body from answer a where a.question_id = q.id": "1 2",
        "delete from question where id = 4": "4",
        "delete from question where id > 2": "3 4",
        "delete from question where false": "",
        "delete from question using answer where question_id = 2 and question.id = 4": "4",
        "with a as (insert into question values (5) returning id)"
        " insert into question select id + 1 from a": "5 6",
        "with a as (update question set title = 'x' where id = 1)"
        " update question set title = 'y' where id = 2": "1 2",
        "with a as (delete from question where id = 4), b as (insert into question values (5))"
        " update question set title = 'y' where id = 1": "1 4 5",
        "merge into question q using (values (1), (3), (4), (5)) as v (id) on v.id = q.id"
        " when matched and q.id = 4 then delete when matched and q.id = 3 then do nothing"
        " when matched then update set title = 'x' when not matched then insert values (v.id)":
            "1 4 5",
        "prepare p (int) as update question set title = 'x' where id = $1; execute p (2)": "2",
        "do $$ begin for i in 5..7 loop insert into question values (i); end loop; end $$": "5 6 7",
        "do $$ begin insert into question values (5); begin insert into question values (6);"
        " raise division_by_zero; exception when division_by_zero then null; end; end $$": "5",
    }.items():  # fmt: skip
        if knows(questions, statement):
            assert marks_of(questions, statement) == keys.split(), statement


def test_a_statement_marks_a_key_once_whatever_number_of_rows_has_it(questions):
    def rows(statement):
        with questions.transaction(force_rollback=True):
            questions.execute(statement)
            return questions.execute("select source_ids from publish.outbox").fetchall()

    assert rows("update question set title = 'x' where id = 1") == [(["1"],)]
    assert rows("update answer set body = 'x' where question_id = 1") == [(["1"],)]
    many = "insert into answer select i, 3, 'x' from generate_series(100, 400) i"
    assert rows(many) == [(["3"],)]
    assert rows("update question set id = 9 where id = 4") in ([(["4", "9"],)], [(["9", "4"],)])
    assert rows("delete from answer where false") == []


def test_copy_marks_every_row(questions):
    with questions.cursor().copy("copy question (id, title) from stdin") as copy:
        for id in range(100, 200):
            copy.write_row((id, f"copied {id}"))
    assert marked(questions) == [str(id) for id in range(100, 200)]


def test_bulk_statements_put_32_keys_in_a_row_of_the_outbox_and_are_published(questions):
    questions.execute("insert into question select i, 'bulk' from generate_series(1001, 6000) i")
    shapes = questions.execute(
        "select cardinality(o.source_ids) as keys, count(*) as rows, count(payload) as p"
        "  from publish.outbox o group by 1 order by 1"
    ).fetchall()
    assert shapes == [(8, 1, 0), (32, 156, 0)]
    assert len(converges(questions, "question")) == 5004
    questions.execute("update question set title = 'again' where id > 1000")
    questions.execute("delete from question where id > 3000")
    assert len(converges(questions, "question")) == 2004


def test_two_statements_of_one_transaction_and_a_row_written_twice_are_published_as_they_end(
    questions,
):
    with questions.transaction():
        questions.execute("insert into question values (5, 'first')")
        questions.execute("update question set title = 'second' where id = 5")
        questions.execute("update question set id = 6 where id = 5")
        questions.execute("delete from question where id = 1")
        questions.execute("insert into question values (1, 'back')")
    published = converges(questions, "question")
    assert set(published) == {"1", "2", "3", "4", "6"}
    assert (published["6"]["title"], published["1"]["title"]) == ("second", "back")


def test_only_what_is_not_rolled_back_is_marked(questions, connect):
    with questions.transaction(force_rollback=True):
        questions.execute("update question set title = 'x'")
    with questions.transaction():
        with questions.transaction(force_rollback=True):
            questions.execute("update question set title = 'x' where id = 1")
        with questions.transaction():
            questions.execute("update question set title = 'x' where id = 2")
    assert refused(questions, "insert into question values (9), (9)") == "23505"
    assert marked(questions) == ["2"]
    other = connect(autocommit=False)
    other.execute("truncate question cascade")
    other.rollback()
    assert walks(questions) == []


def test_truncate_unpublishes_everything_and_truncate_cascade_what_hangs_on_it(questions):
    questions.execute("truncate answer")
    assert converges(questions, "question")["1"]["answers"] is None
    questions.execute("insert into answer values (1, 1, 'x')")
    questions.execute("truncate question cascade")
    questions.execute("insert into question values (9, 'after')")
    assert set(converges(questions, "question")) == {"9"}


def test_truncate_cascade_of_a_table_nobody_captures_reaches_the_captured_child(db):
    db.execute(
        "create table parent (id int primary key);"
        "create table child (id int primary key, parent_id int references parent);"
        "select publish_define('child', 'child'); select publish_capture('child', 'child');"
        "insert into parent values (1); insert into child values (7, 1)"
    )
    assert set(converges(db, "child")) == {"7"}
    db.execute("truncate parent cascade")
    assert converges(db, "child") == {}


def test_foreign_keys_that_cascade_mark_what_they_change(questions):
    assert marks_of(questions, "delete from question where id in (1, 2)") == ["1", "2"]
    assert marks_of(questions, "update question set id = 7 where id = 1") == ["1", "7"]
    questions.execute("update question set id = 7 where id = 1")
    assert converges(questions, "question")["7"]["answers"] == ["a", "b"]


def test_a_child_marks_the_parent_that_it_leaves_and_the_one_that_it_joins(questions):
    for statement, keys in {
        "insert into answer values (30, 3), (31, 3), (40, 4)": "3 4",
        "insert into answer values (30, null)": "",
        "update answer set question_id = 3 where id = 10": "1 3",
        "update answer set question_id = 3 - question_id": "1 2",
        "update answer set question_id = null where id = 20": "2",
        "update answer set id = id + 100 where id = 20": "2",
        "delete from answer": "1 2",
    }.items():
        assert marks_of(questions, statement) == keys.split(), statement
    questions.execute("update answer set question_id = 3 - question_id")
    published = converges(questions, "question")
    assert (published["1"]["answers"], published["2"]["answers"]) == (["c"], ["a", "b"])


def test_with_columns_an_update_of_others_marks_nothing_and_every_change_of_theirs_marks(questions):
    questions.execute(
        "select publish_capture('question', 'question', columns => '{title,extra,n}')"
    )
    questions.execute(
        "update question set extra = '1', n = 1, title = null where id = 1;truncate publish.outbox"
    )
    for change, keys in {
        "note = 'other'": "",
        "title = title, note = 'other'": "",
        "title = 'same for all' where id = 2": "2",
        "title = null where id = 1": "",
        "title = '' where id = 1": "1",
        "extra = '1.0' where id = 1": "1",
        "extra = '1' where id = 1": "",
        "extra = 'null' where id = 2": "2",
        "extra = null where id = 2": "",
        "n = 1.0 where id = 1": "1",
        "id = 9 where id = 3": "3 9",
    }.items():
        assert marks_of(questions, f"update question set {change}") == keys.split(), change
    for statement, keys in {
        "insert into question values (5)": "5",
        "delete from question where id = 4": "4",
        "insert into question values (1) on conflict (id) do update set note = 'x'": "",
        "insert into question values (1, 'x') on conflict (id) do update set title = 'x'": "1",
    }.items():
        assert marks_of(questions, statement) == keys.split(), statement
    questions.execute("update question set extra = '1.0' where id = 1")
    converges(questions, "question")


def test_a_plan_that_was_made_for_two_rows_pairs_many_without_a_nested_loop(questions):
    questions.execute("select publish_capture('question', 'question', columns => '{title}')")
    plans = []
    questions.add_notice_handler(lambda diag: plans.append(diag.message_primary))
    questions.execute(
        "load 'auto_explain'; set auto_explain.log_min_duration = 0;"
        "set auto_explain.log_nested_statements = on; set client_min_messages = log;"
        "update question set title = 'x' where id < 3"
    )
    paired = [plan for plan in plans if "old_rows" in plan and "Insert on outbox" in plan]
    assert len(paired) == 1
    assert paired[0].count("Anti Join") == 2
    assert "Nested Loop" not in paired[0]
    assert [plan for plan in plans if "JIT:" in plan] == []  # which takes 300 ms


def test_rows_that_swap_what_they_show_in_one_statement_are_seen(questions):
    for columns in ("null", "'{body}'"):
        questions.execute(
            f"select publish_capture('question', 'answer', 'question_id', {columns})".encode()
        )
        questions.execute("update answer set body = case id when 10 then 'b' else 'a' end")
        assert converges(questions, "question")["1"]["answers"] == ["b", "a"]
        questions.execute("update answer set body = case id when 10 then 'a' else 'b' end")
        assert converges(questions, "question")["1"]["answers"] == ["a", "b"]


def test_rows_that_swap_what_they_show_are_seen_in_a_table_without_a_primary_key(db):
    db.execute(
        "create table line (doc text, at int, body text, other int);"
        "create view doc as select l.doc as id, jsonb_agg(l.body order by l.at) as lines"
        "  from line l group by l.doc;"
        "select publish_define('doc', 'doc');"
        "select publish_capture('doc', 'line', key => 'doc', columns => '{body}');"
        "insert into line values ('d', 1, 'a', 0), ('d', 2, 'b', 0)"
    )
    assert converges(db, "doc")["d"]["lines"] == ["a", "b"]
    db.execute("update line set body = case at when 1 then 'b' else 'a' end")
    assert converges(db, "doc")["d"]["lines"] == ["b", "a"]
    assert marks_of(db, "update line set other = other + 1") == []


def test_keys_that_are_swapped_in_one_statement_are_both_marked(db):
    db.execute(
        "create table seat (id int primary key deferrable, guest text, note text);"
        "select publish_define('seat', 'seat');"
        "select publish_capture('seat', 'seat', columns => '{guest}');"
        "insert into seat values (1, 'a'), (2, 'b'), (3, 'same'), (4, 'same')"
    )
    converges(db, "seat")
    assert marks_of(db, "update seat set id = 3 - id where id < 3") == ["1", "2"]
    # Neither of these two keys shows anything else than before.
    assert marks_of(db, "update seat set id = 7 - id, note = 'x' where id > 2") == []
    db.execute("update seat set id = 3 - id where id < 3")
    assert converges(db, "seat")["1"]["guest"] == "b"


def test_a_change_that_the_sessions_settings_do_not_show_is_seen(db):
    db.execute(
        "create table t (id int primary key, x float8, xs float8[], at timestamptz);"
        "select publish_define('t', 't');"
        "insert into t values (1, 1, '{1}', '2014-10-25 21:30+00')"
    )
    db.execute("set extra_float_digits = -10; set timezone = 'Europe/Moscow'; set datestyle = SQL")
    for column, change in {
        "x": "x + 1e-12",
        "xs": "array[1 + 1e-12]",
        "at": "at + interval '1 hour'",  # both are 01:30 MSK
    }.items():
        db.execute(f"select publish_capture('t', 't', columns => '{{{column}}}')".encode())
        assert marks_of(db, f"update t set {column} = {change}") == ["1"], column
        assert marks_of(db, f"update t set {column} = {column}") == [], column


def test_composite_keys_are_marked_as_the_view_spells_them(db):
    db.execute(
        "create table word (lang text, n int, body text, primary key (lang, n));"
        "create view word_view as select n, lang, body from word;"
        "select publish_define('word', 'word_view', '{n,lang}');"
        "select publish_capture('word', 'word');"
        "create table sound (id int primary key, word_lang text, word_n int);"
        "select publish_capture('word', 'sound', key => 'word_n, word_lang')"
    )
    db.execute("""insert into word values ('en', 1, 'x'), ('"q", é', 2, 'y')""")
    assert marked(db) == ['["1", "en"]', r'["2", "\"q\", é"]']
    db.execute("update word set lang = 'de' where n = 1")
    db.execute("insert into sound values (1, 'de', 1), (2, null, 1), (3, 'de', null)")
    assert marked(db) == ['["1", "de"]', '["1", "en"]']
    db.execute("update word set body = 'z'")
    assert set(converges(db, "word")) == {'["1", "de"]', r'["2", "\"q\", é"]'}


def test_a_key_may_be_a_set(db):
    db.execute(
        "create table place (id int primary key);"
        "create table road (id int primary key, from_id int, to_id int, length int);"
        "create view place_view as select p.id, (select sum(r.length) from road r"
        "  where p.id in (r.from_id, r.to_id)) as roads from place p;"
        "select publish_define('place', 'place_view'); select publish_capture('place', 'place');"
        "select publish_capture('place', 'road', key => 'unnest(array[from_id, to_id])');"
        "insert into place select generate_series(1, 9)"
    )
    db.execute("insert into road values (1, 1, 2, 5), (2, 3, null, 7)")
    converges(db, "place")
    for statement, keys in {
        "insert into road values (3, 4, 4, 1)": "4",
        "update road set length = 6": "1 2 3",
        "update road set to_id = 8 where id = 1": "1 2 8",
        "delete from road where id = 2": "3",
    }.items():
        assert marks_of(db, statement) == keys.split(), statement
    db.execute("update road set to_id = 9")
    assert converges(db, "place")["9"]["roads"] == 12


def test_a_key_may_be_an_expression_or_a_constant(db):
    db.execute(
        "create table sale (id int primary key, sold_on date, amount int);"
        "create view total as select 'all' as id, sum(amount) as amount from sale;"
        "create view of_month as select date_trunc('month', sold_on)::date as id,"
        "  sum(amount) as amount from sale group by 1;"
        "select publish_define('total', 'total'), publish_define('of_month', 'of_month');"
        "select publish_capture('total', 'sale', key => '''all''');"
        "select publish_capture('of_month', 'sale',"
        "                       key => 'date_trunc(''month'', sale.sold_on)::date')"
    )
    db.execute("insert into sale values (1, '2024-01-05', 1), (2, '2024-01-06', 2)")
    db.execute("insert into sale values (3, '2024-02-05', 4)")
    db.execute("update sale set sold_on = '2024-03-01' where id = 2")
    assert set(converges(db, "of_month")) == {"2024-01-01", "2024-02-01", "2024-03-01"}
    assert feed(db, "total") == {"all": {"id": "all", "amount": 7}}


def test_a_key_that_fails_lets_the_write_pass_warns_and_has_the_kind_walked(db, warnings):
    db.execute(
        "create table part (id int primary key, whole text, n int);"
        "create view whole as select p.whole as id, count(*) as parts from part p"
        "  where p.whole ~ '^\\d+$' group by p.whole;"
        "select publish_define('whole', 'whole');"
        "select publish_capture('whole', 'part', key => 'whole::int');"
    )
    db.execute("insert into part values (1, '1'), (2, '2')")
    assert (warnings, marked(db), walks(db)) == ([], ["1", "2"], [])
    for statement in (
        "insert into part values (3, 'x'), (4, '4')",
        "update part set n = 1",
        "update part set whole = '5' where id = 1; update part set whole = 'y' where id = 2",
        "delete from part where id in (2, 3)",
    ):
        warnings.clear()
        db.execute(statement.encode())
        assert warnings == ["WARNING"], statement
        assert walks(db) == ["whole"], statement
    db.execute("insert into part values (6, 'x'), (7, '7')")
    assert set(converges(db, "whole")) == {"4", "5", "7"}


def test_a_failing_key_costs_neither_the_transaction_nor_another_kinds_marks(db, warnings):
    db.execute(
        "create table t (id int primary key, n int); select publish_define('t', 't');"
        "create view inverse as select 100 / t.n as id from t where t.n <> 0;"
        "select publish_define('inverse', 'inverse');"
        "select publish_capture('t', 't'), publish_capture('inverse', 't', key => '100 / n')"
    )
    with db.transaction():
        db.execute("insert into t values (1, 0)")
        db.execute("insert into t values (2, 4)")
    assert marked(db, "t") == ["1", "2"]
    assert walks(db) == ["inverse"]
    assert one(db, "select count(*) from t") == 2


def test_keys_that_cannot_be_published_are_left_out(db, warnings):
    db.execute(
        "create table t (n int primary key, id text); create view v as select id from t;"
        "select publish_define('t', 'v'); select publish_capture('t', 't')"
    )
    db.execute(
        "insert into t values (1, null), (2, ''), (3, repeat('x', 2001)), (4, repeat('x', 2000)),"
        " (5, 'a')"
    )
    assert marked(db) == ["a", "x" * 2000]
    db.execute("update t set id = id || 'y' where n < 5")
    assert marked(db) == ["x" * 2000, "y"]
    db.execute("update t set id = null")
    db.execute("delete from t")
    assert marked(db) == ["a", "y"]
    for statement in ("insert into t values (1, '')", "update t set id = null", "delete from t"):
        db.execute(statement.encode())
        assert marked(db) == [], statement
    assert (warnings, walks(db)) == ([], [])


def test_a_role_without_any_right_on_pgpublish_writes_to_captured_tables(questions, app):
    questions.execute("grant all on question, answer to app")
    assert not one(questions, "select has_schema_privilege('app', 'publish', 'usage')")
    questions.execute("select publish_capture('question', 'question', columns => '{title}')")
    questions.execute("select publish_capture('question', 'answer', 'question_id + 0')")
    questions.execute("set role app")
    questions.execute("insert into question values (5); update question set title = 'x'")
    questions.execute("insert into answer values (1, 5); update answer set body = 'y'")
    questions.execute("delete from question where id = 4")
    questions.execute("reset role")
    assert marked(questions) == ["1", "2", "3", "4", "5"]
    questions.execute("set role app; truncate question cascade; reset role")
    assert converges(questions, "question") == {}


def test_nothing_of_the_writers_own_is_called_or_written(questions, app):
    questions.execute(
        "select publish_capture('question', 'question', columns => '{title}');"
        "select publish_capture('question', 'answer', 'coalesce(question_id, 0)');"
        "create schema trap; grant all on schema trap to app; grant all on question, answer to app"
    )
    questions.execute("set role app; set search_path = trap, pg_temp, public, pg_catalog")
    for function in (
        "octet_length(text) returns int", "cardinality(text[]) returns int",
        "current_setting(text, bool) returns text", "array_agg_trap(text) returns text",
        "format(text, text) returns text", "capture_1_key(public.question) returns setof text",
        "equal(text, text) returns bool",
    ):  # fmt: skip
        body = "begin raise division_by_zero; end"
        questions.execute(f"create function trap.{function} language plpgsql as '{body}'".encode())
    questions.execute("create operator trap.= (leftarg = text, rightarg = text, function = equal)")
    questions.execute("create operator trap.<> (leftarg = text, rightarg = text, function = equal)")
    for name in ("outbox", "walk", "old_rows", "captured_rows", "question", "kind"):
        questions.execute(f"create temp table {name} (kind text, source_id text)".encode())
    questions.execute("set standard_conforming_strings = off; set escape_string_warning = off")
    questions.execute("insert into public.question values (5)")
    questions.execute("update public.question set title = 'x' where id < 3")
    questions.execute("insert into public.answer values (1, 5), (2, 4)")
    questions.execute("select from pg_temp.outbox, pg_temp.walk")
    questions.execute("reset all; reset role")
    assert marked(questions) == ["1", "2", "4", "5"]
    assert walks(questions) == []


def test_columns_may_be_named_like_what_the_trigger_uses(db):
    names = [
        "r",
        "k",
        "key",
        "c",
        "d",
        "g",
        "u",
        "x",
        "c1",
        "watched",
        "sign",
        "keys",
        "part",
        "old_rows",
        "captured_rows",
        "old",
        "new",
        "v_keys",
        "v_problem",
        "kind",
        "n",
        "o",
        "y",
    ]
    columns = ", ".join(f"{name} int" for name in names)
    for number, name in enumerate(names):
        table = f"t{number}" if number % 2 else f'"{name}"'
        db.execute(
            f"create table {table} (id int primary key, {columns});"
            f"create view v{number} as select {name} as id, id as row, r from {table};"
            f"select publish_define('k{number}', 'v{number}');"
            f"select publish_capture('k{number}', '{table}', columns => '{{{name}}}');"
            f"insert into {table} (id, {name}) values (1, 7);"
            f"update {table} set {name} = 8; update {table} set id = 2;"
            f"select publish_capture('k{number}', '{table}', key => '{name}');"
            f"update {table} set {name} = 9".encode()
        )
        assert marked(db) == ["7", "8", "9"], name


NAMES = [
    'with "quotes" and \'quotes\'', "CamelCase", "with space", "日本語 é", "a.b.c", "select", "new",
    "$capture$ %s %1$L \\n $$", "x" * 63, "ü" * 31, "{a,b}",
]  # fmt: skip


def test_any_name_of_schema_table_column_and_kind_is_captured_published_and_uncaptured(db):
    for name in NAMES:
        ident = Identifier(name).as_string(db)
        arguments = {
            "i": Identifier(name),
            "t": Identifier(name, name),
            "kind": name,
            "view": f"{ident}.v",
            "table": f"{ident}.{ident}",
            "child": f"{ident}.child",
            "ident": ident,
            "columns": [name],
        }

        def execute(statements, arguments=arguments):
            return db.execute(SQL(statements).format(**arguments))

        execute(
            "create schema {i}; create table {t} ({i} text primary key, other text, note text);"
            "create table {i}.child (id int primary key, {i} text);"
            "create view {i}.v as select t.{i}, t.other,"
            "  (select count(*) from {i}.child c where c.{i} = t.{i}) as children from {t} t;"
            "select publish_define({kind}, {view}, {columns});"
            "select publish_capture({kind}, {table}, columns => '{{other}}');"
            "select publish_capture({kind}, {child}, {ident}, {columns})"
        )
        execute("insert into {t} values ({kind}, 'x'), ('b', 'y')")
        execute("insert into {i}.child values (1, 'b'), (2, {kind})")
        assert marked(db, name) == sorted([name, "b"])
        execute("update {t} set note = 'n'")
        assert marked(db, name) == []
        execute("update {t} set other = 'z' where {i} = 'b'")
        assert marked(db, name) == ["b"]
        execute("update {i}.child set {i} = {kind} where id = 1; truncate {i}.child")
        assert (marked(db, name), walks(db)) == (sorted([name, "b"]), [name])
        execute("update {t} set other = 'q'")
        assert set(converges(db, name)) == {name, "b"}
        assert execute("select problem from publish_audit({kind})").fetchall() == []
        assert execute("select publish_uncapture({kind}, {table})").fetchone() == (1,)
        assert execute("select publish_uncapture({kind}, {child})").fetchone() == (1,)
        execute("update {t} set other = 'none'")
        assert marked(db) == []


TYPES = {
    "int": ["-1", "2147483647"],
    "bigint": ["9223372036854775807"],
    "uuid": ["0b0e7a52-0000-4000-8000-0123456789ab"],
    "text": ["a", "{b}", '"'],
    "varchar(3)": ["abc"],
    "char(5)": ["ab"],
    "name": ["n"],
    "boolean": ["true"],
    "numeric": ["1.50", "1.5e3", "NaN"],
    "timestamptz": ["2024-03-31 01:30:00.123456+00", "infinity", "0044-03-15 BC"],
    "timestamp": ["2024-02-01 12:00"],
    "date": ["2024-02-01", "0044-03-15 BC"],
    "time": ["12:34:56.7"],
    "timetz": ["12:34:56+05:30"],
    "interval": ["1 year 2 mons -3 days", "-00:00:01.5"],
    "float8": ["0.1", "1e-300", "-0", "123456789.123456789"],
    "float4": ["0.1"],
    "bytea": [r"\x00ff0a", r"\x5c"],
    "inet": ["10.0.0.1/8"],
    "jsonb": ['{"a": 1.0}'],
    "oid": ["4294967295"],
    "daterange": ["[2024-02-01,2024-03-02)"],
    "tstzrange": ["[2024-02-01 00:00+00,2024-03-02 00:00+00)"],
    "mood": ["sad", "'quoted'"],
    "short": ["abc"],
    "ratio": ["123456789.123456789"],
    "at": ["2024-02-01 12:00+00"],
    "caseless": ["Abc"],
    '"Other ""schema"""."Mood ü"': ["x y"],
}


def test_every_type_of_key_has_one_text_whatever_the_session_has_set(db):
    db.execute(
        "create type mood as enum ('sad', '''quoted''');"
        "create domain short as text check (length(value) < 9); create domain at as timestamptz;"
        "create domain ratio as float8;"
        ""
        'create schema "Other ""schema""";'
        'create type "Other ""schema"""."Mood ü" as enum (\'x y\')'
    )
    types = dict(TYPES)
    if one(db, "select exists (select from pg_collation where collname like '%-x-icu')"):
        db.execute(
            "create collation nocase (provider = icu, locale = 'und-u-ks-level2',"
            " deterministic = false); create domain caseless as text collate nocase"
        )
    else:
        del types["caseless"]
    settings = [
        "reset all",
        "set timezone = 'Asia/Kolkata'; set datestyle = 'German'; set intervalstyle = 'iso_8601';"
        "set extra_float_digits = -5; set bytea_output = 'escape'",
        "set timezone = '-03:30'; set datestyle = 'SQL, DMY'; set intervalstyle = 'sql_standard';"
        "set extra_float_digits = 0",
    ]
    for number, (type, values) in enumerate(types.items()):
        table, kind = f"t{number}", f"k{number}"
        db.execute(
            f"create table {table} (id {type}, n int primary key); select publish_define('{kind}',"
            f" '{table}'); select publish_capture('{kind}', '{table}');"
            f"create table child{number} (id int primary key, parent {type});"
            f"select publish_capture('{kind}', 'child{number}', key => 'parent')".encode()
        )
        for n, value in enumerate(values):
            query = f"insert into {table} select %s::{type}, %s".encode()
            db.execute(query, [value, n])
        drain_all(db)
        keys = sorted(feed(db, kind))
        assert len(keys) == len(values), type
        for setting in settings:
            db.execute(setting.encode())
            db.execute(f"update {table} set n = n + 100".encode())
            assert marked(db, kind) == keys, (type, setting)
            db.execute(f"insert into child{number} select n, id from {table}".encode())
            assert marked(db, kind) == keys, (type, setting)
        db.execute("reset all")
        db.execute(f"delete from {table}".encode())
        assert converges(db, kind) == {}, type


def test_a_key_expression_is_computed_with_the_drains_settings_and_not_the_sessions(db):
    db.execute(
        "create table sale (id int primary key, at timestamptz);"
        "create view of_month as select to_char(at, 'YYYY-MM') as id, count(*) as sales"
        "  from sale group by 1;"
        "select publish_define('month', 'of_month');"
        "select publish_capture('month', 'sale', key => 'to_char(at, ''YYYY-MM'')')"
    )
    db.execute("set timezone = 'Asia/Tokyo'")
    db.execute("insert into sale values (1, '2024-01-31 20:00+00')")
    assert marked(db) == ["2024-01"]
    db.execute("update sale set at = '2024-02-29 20:00+00'")
    assert set(converges(db, "month")) == {"2024-02"}


def test_one_table_marks_several_kinds_each_by_its_own_key(questions):
    questions.execute(
        "create view titled as select title as id, count(*) as n from question group by title;"
        "select publish_define('titled', 'titled');"
        "select publish_capture('titled', 'question', 'title', columns => '{title}')"
    )
    questions.execute("update question set title = 'x' where id = 1")
    questions.execute("update question set note = 'x' where id = 2")
    marks = questions.execute(
        "select o.kind, m.key from publish.outbox o"
        " cross join lateral unnest(o.source_ids) as m (key)"
    ).fetchall()
    assert sorted(marks) == [
        ("question", "1"), ("question", "2"), ("titled", "question 1"), ("titled", "x"),
    ]  # fmt: skip
    questions.execute("truncate publish.outbox")
    assert one(questions, "select publish_uncapture('titled')") == 1
    questions.execute("update question set title = 'y' where id = 1")
    assert marked(questions) == ["1"]


def test_what_triggers_of_the_users_own_change_is_marked_too(questions):
    questions.execute(
        "create function touch() returns trigger language plpgsql as $$ begin"
        "  update question set note = 'x' where id = new.question_id + 1; return null; end $$;"
        "create trigger a after insert on answer for each row execute function touch();"
        "create function shift() returns trigger language plpgsql as $$ begin"
        "  new.id := new.id + 500; return new; end $$;"
        "create trigger b before insert on question for each row execute function shift()"
    )
    assert marks_of(questions, "insert into answer values (1, 2)") == ["2", "3"]
    assert marks_of(questions, "insert into question values (5)") == ["505"]


def test_a_stored_column_is_a_key_and_a_virtual_one_is_refused(db):
    db.execute(
        "create table t (id int primary key, s int generated always as (id * 2) stored, n int);"
        "create view v as select s as id, n from t; select publish_define('t', 'v');"
        "select publish_capture('t', 't', columns => '{s,n}'); insert into t (id) values (4)"
    )
    assert marked(db) == ["8"]
    db.execute("update t set id = 5")
    assert marked(db) == ["10", "8"]
    if db.info.server_version < 180000:
        return
    db.execute(
        "create table w (id int primary key, v int generated always as (id * 2) virtual, n int);"
        "create view wv as select v as id, n from w; select publish_define('w', 'wv')"
    )
    for arguments in ("'w', 'w'", "'w', 'w', 'v + 0'", "'w', 'w', 'id', '{v}'"):
        assert refused(db, f"select publish_capture({arguments})") == "PT400"
    db.execute("select publish_capture('w', 'w', 'id * 2', '{n}'); insert into w (id) values (4)")
    assert marked(db) == ["8"]
    db.execute("update w set n = 1; update w set n = 2, id = 5")
    assert converges(db, "w") == {"10": {"id": 10, "n": 2}}


def test_writes_that_are_never_drained_do_not_wait_and_hold_nobody_up(questions, connect):
    other = connect(options="-c lock_timeout=1")
    with questions.transaction():
        questions.execute("update question set title = 'x' where id = 1")
        drain(other)
        other.execute(
            "update question set title = 'y' where id = 2; insert into answer values (5, 1)"
        )
        drain_all(other)
    converges(questions, "question")
