"""What a bulk write of a captured table needs in temporary files: its rows, once before and once
after the statement, and nothing more. docs/capture.md says what to do where that is too much."""

import psycopg
import pytest
from helpers import one

ROWS, WIDTH = 10_000, 406
SOURCE = f"""
create table item (id int primary key, n int not null default 0, body text);
insert into item select i, 0, repeat(md5(i::text), 12) from generate_series(1, {ROWS}) i;
create view item_feed as select id, n from item;
select publish_define('item', 'item_feed', key => '{{id}}');
"""
COPY_KB = ROWS * WIDTH // 1024


@pytest.fixture
def db(connect):
    db = connect()
    db.execute(SOURCE)
    db.execute("set work_mem = '64kB'")
    return db


def limit(db, copies):
    db.execute(f"set temp_file_limit = '{int(copies * COPY_KB)}kB'".encode())


def test_a_bulk_write_needs_a_copy_of_its_rows_before_and_after(db):
    db.execute("select publish_capture('item', 'item', columns => '{n}')")
    limit(db, 2.2)  # one tenth for the keys, which PostgreSQL 14 and 15 sort
    db.execute("update item set n = n + 1")
    limit(db, 1.8)
    with pytest.raises(psycopg.errors.ConfigurationLimitExceeded):
        db.execute("update item set n = n + 1")
    limit(db, 1.2)
    db.execute("delete from item")
    assert one(db, "select sum(cardinality(o.source_ids)) from publish.outbox o") == 2 * ROWS


@pytest.mark.parametrize("way", ["work_mem", "row triggers"])
def test_it_needs_none_with_work_mem_or_with_row_triggers(db, way):
    if way == "work_mem":
        db.execute("select publish_capture('item', 'item')")
        db.execute("set work_mem = '64MB'")
    else:
        db.execute("select publish_capture('item', 'item', always => true)")
    limit(db, 0)
    db.execute("update item set n = n + 1")
    db.execute("delete from item")
    assert one(db, "select count(*) from publish.outbox o") > 0
