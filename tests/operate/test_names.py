"""Functions of others that have our names, where a call may find them."""

from helpers import one


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
