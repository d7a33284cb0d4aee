"""Functions of others that have our names, where a call may find them."""

import psycopg
import pytest
from helpers import one

from pgpublish import migrate
from pgpublish.errors import SchemaMismatch


def found(db):
    rows = db.execute("select object, problem from publish_audit() where of_kind is null")
    return " ".join(f"{row[0]}: {row[1]}" for row in rows.fetchall())


def test_the_audit_names_functions_with_our_names(connect):
    db = connect()
    assert one(db, "select count(*) from publish_audit()") == 0
    db.execute(
        "create function publish_drain(smallint) returns int language sql return 1;"
        "create procedure publish_mine() language sql as '';"
        "create schema other; create function other.publish_head() returns int"
        " language sql return 1; create function other.mine() returns int language sql return 1"
    )
    said = found(db)
    for name in ("publish_drain(smallint)", "publish_mine()", "other.publish_head()"):
        assert name in said
    assert "other.mine" not in said


def test_the_audit_says_that_everybody_may_create_in_public(connect):
    db = connect()
    db.execute("grant create on schema public to public")
    assert "schema public" in found(db)
    db.execute("revoke create on schema public from public")
    assert found(db) == ""


@pytest.mark.parametrize("version", ["0.1.0", "9.0.0"])  # a worker may be older than the schema
def test_no_command_begins_where_a_function_of_another_would_take_its_calls(connect, version):
    db = connect()
    db.execute(
        "create function publish_mine() returns int language sql return 1;"
        "create schema other; create function other.publish_head() returns int"
        " language sql return 1"
    )
    db.execute("update publish.file set checksum = %s where path = 'version'", [version])
    db.execute("set role publish_reader")
    migrate.require_usable(db)
    db.execute("reset role")
    db.execute("create function publish_page(smallint) returns int language sql return 1")
    db.execute("set role publish_reader")
    with pytest.raises(SchemaMismatch) as refused:
        migrate.require_usable(db)
    assert refused.value.sqlstate == "PT503"
    assert "publish_page(smallint) of postgres" in str(refused.value.detail)
    with pytest.raises(psycopg.errors.DatabaseError) as told:
        db.execute("select publish.check_names()")
    assert told.value.sqlstate == "PT503"
