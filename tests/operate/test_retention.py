"""A retention that cannot be meant is refused where it is given: it stops nobody's pruning."""

import psycopg
import pytest
from helpers import one

BAD = ["0", "-1 day", "10000 years", "1001 years", "-10000 years", "-1 month 1 day"]


def refused(db, statement, *arguments):
    with pytest.raises(psycopg.errors.DatabaseError) as error:
        db.execute(statement, arguments)
    return error.value.sqlstate


@pytest.mark.parametrize("retention", BAD)
def test_a_bad_retention_is_refused(connect, retention):
    db = connect()
    state = refused(db, "select publish_define('note', retention => %s::interval)", retention)
    assert state == "PT400"
    if retention != "0":
        state = refused(db, "select publish_set('tombstone_retention', %s)", retention)
        assert state == "PT400"


@pytest.mark.parametrize("retention", ["1 s", "30 days", "1000 years"])
def test_a_sane_one_prunes_without_an_error(connect, retention):
    db = connect()
    db.execute("select publish_define('note', retention => %s::interval)", [retention])
    assert one(db, "select publish_set('tombstone_retention', %s)::interval", retention)
    assert one(db, "select rows_pruned from publish_maintain(10)") == 0
