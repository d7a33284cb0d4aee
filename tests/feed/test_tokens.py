"""Bearer tokens of readers that come through a server, and what that server may ask for them."""

from __future__ import annotations

import hashlib
from typing import Any

import psycopg
import pytest
from helpers import Connection, drain_all, enqueue, head, one


@pytest.fixture
def db(connect) -> Connection:
    db = connect()
    db.execute(
        "select publish_define('order', scope => 'tenant'); select publish_define('country')"
    )
    for n, tenant in enumerate(["acme", "globex", "acme"]):
        enqueue(db, "order", str(n), f'{{"n": {n}, "tenant": "{tenant}"}}')
    enqueue(db, "country", "ch", '{"n": 1.50}')
    drain_all(db)
    db.execute("create role web")
    db.execute("select publish_grant('web', '{order}')")
    yield db
    db.execute("reset role; drop owned by web; drop role web")


def add(db: Connection, *arguments: object) -> str:
    marks = ", ".join(["%s"] * len(arguments))
    token: str = one(db, f"select publish_token_add({marks})", *arguments)
    return token


def refused(db: Connection, sqlstate: str, query: str, *arguments: object) -> None:
    with pytest.raises(psycopg.Error) as raised:
        db.execute(query.encode(), arguments)
    assert raised.value.sqlstate == sqlstate


def test_a_token_is_kept_as_a_hash_and_says_whose_it_is(db):
    token, other = add(db, "shop", "web", "acme"), add(db, "lab", "publish_reader")
    assert token != other
    assert len(bytes.fromhex(token.removeprefix("pgp_"))) == 32
    stored = db.execute("select t.hash, t::text as shown from publish.token t").fetchall()
    assert hashlib.sha256(token.encode()).digest() in [row.hash for row in stored]
    assert not any(token[4:] in row.shown for row in stored)
    check = "select * from publish_token_check(sha256(convert_to(%s, 'UTF8')))"
    assert db.execute(check, [token]).fetchall() == [("shop", "web", "acme", None)]
    listed = db.execute("select t.name, t.role, t.scope, t.expired from publish_tokens() t")
    assert listed.fetchall() == [
        ("lab", "publish_reader", None, False),
        ("shop", "web", "acme", False),
    ]
    assert one(db, "select publish_token_remove('shop')")
    assert not one(db, "select publish_token_remove('shop')")
    refused(db, "PT401", check, token)


@pytest.mark.parametrize("token", ["", None, "pgp_", "pgp_" + "0" * 64, "' or true --", "é" * 900])
def test_what_is_no_token_is_refused_without_being_told_again(db, token):
    with pytest.raises(psycopg.Error) as raised:
        db.execute("select publish_token_check(sha256(convert_to(%s, 'UTF8')))", [token])
    assert raised.value.sqlstate == "PT401"
    assert not token or token not in str(raised.value)


def test_a_token_expires(db):
    token = add(db, "brief", "web", None, "2126-01-01")
    db.execute("update publish.token set expires_at = now() - interval '1 second'")
    refused(db, "PT401", "select publish_token_check(sha256(convert_to(%s, 'UTF8')))", token)
    assert one(db, "select t.expired from publish_tokens() t")


@pytest.mark.parametrize(
    ("sqlstate", "arguments"),
    [
        ("PT403", ("t", "nobody")),
        ("PT403", ("t", "publish_admin")),
        ("PT403", ("t", None)),
        ("PT403", ("t", "web", "")),
        ("PT400", ("", "web")),
        ("PT400", (None, "web")),
        ("PT400", ("taken", "web")),
        ("PT400", ("t", "web", None, "2001-01-01")),
        ("PT400", ("x" * 201, "web")),
    ],
)
def test_a_token_that_cannot_be_is_refused(db, sqlstate, arguments):
    add(db, "taken", "web")
    marks = ", ".join(["%s"] * len(arguments))
    refused(db, sqlstate, f"select publish_token_add({marks})", *arguments)


def test_a_token_narrows_its_role_and_never_widens_it(db):
    pages = "select publish_serve_page('web', %s)"
    tenants = [c["payload"]["tenant"] for c in one(db, pages, "acme")["changes"]]
    assert tenants == ["acme", "acme"]
    assert len(one(db, pages, None)["changes"]) == 3
    db.execute("select publish_grant('web', '{order}', 'globex')")
    refused(db, "PT403", pages, "acme")
    refused(db, "PT403", "select publish_token_add('t', 'web', 'acme')")
    assert len(one(db, pages, None)["changes"]) == len(one(db, pages, "globex")["changes"]) == 1
    db.execute("select publish_revoke('web')")
    refused(db, "PT403", pages, None)


@pytest.mark.parametrize("role", ["publish_admin", "publish_worker", "postgres", "nobody", ""])
def test_a_server_reads_only_for_roles_that_were_granted_something(db, role):
    refused(db, "PT403", "select publish_serve_page(%s)", role)
    refused(db, "PT403", "select * from publish_serve_stream(%s)", role)
    refused(db, "PT403", "select * from publish_serve_reader(%s)", role)
    refused(db, "PT403", "select publish_serve_get(%s, null, 'order', gen_random_uuid())", role)


def test_what_a_server_reads_for_a_reader_is_what_that_reader_sees(db):
    db.execute("set role web")
    page = one(db, "select publish_page(batch => 2)")
    db.execute("set role publish_server")
    assert one(db, "select publish_serve_page('web', batch => 2)") == page
    stream = db.execute("select * from publish_serve_stream('web', batch => 2)").fetchall()
    assert [(row.next, row.more, row.reason, len(row.changes)) for row in stream] == [
        (page["cursor"], True, None, 2)
    ]
    pub_id = page["changes"][0]["pub_id"]
    get = "select publish_serve_get('web', %s, 'order', %s)"
    assert one(db, get, None, pub_id)["payload"] == page["changes"][0]["payload"]
    assert one(db, get, "globex", pub_id) is None
    rights = "select granted, own_scope from publish_serve_reader(%s, %s, %s)"
    assert db.execute(rights, ["web", "acme", None]).fetchall() == [(["order"], "acme")]
    assert db.execute(rights, ["publish_reader", None, None]).fetchall() == [(None, None)]
    refused(db, "PT403", rights, "web", None, ["country"])
    refused(db, "PT404", rights, "publish_reader", None, ["nothing"])
    refused(db, "42501", "select publish_changes()")
    refused(db, "42501", "select * from publish.token")


def feed(db: Connection, cursor: str | None, batch: int = 500) -> list[Any]:
    return db.execute("select * from publish_serve_feed(%s, %s)", [cursor, batch]).fetchall()


def test_the_servers_feed_begins_at_the_head_and_says_what_is_whose(db):
    (row,) = feed(db, None)
    assert (row.change, row.more, row.next.endswith(f".{head(db)}")) == (None, False, True)
    enqueue(db, "order", "0", '{"n": 7, "tenant": "globex"}')
    enqueue(db, "country", "fr", "2")
    drain_all(db)
    rows = feed(db, row.next)
    assert [(r.kind, r.of_scope, r.is_scoped, r.is_departed) for r in rows] == [
        ("order", "acme", True, True),
        ("order", "globex", True, False),
        ("country", None, False, False),
    ]
    assert '"deleted": true' in rows[0].change
    assert '"payload": null' in rows[0].change
    assert {r.next for r in rows} == {rows[0].next}
    assert [r.change for r in feed(db, rows[0].next)] == [None]


def test_pages_of_the_servers_feed_cut_no_rev_and_miss_nothing(db):
    (row,) = feed(db, None)
    for n in range(7):
        enqueue(db, "order", str(n % 3), f'{{"n": {n}, "tenant": "{n % 2}"}}')
        drain_all(db)
    whole = [(r.is_departed, r.of_scope, r.change) for r in feed(db, row.next)]
    assert len(whole) > 4
    for batch in (1, 2, 3):
        found, cursor, more = [], row.next, True
        while more:
            rows = feed(db, cursor, batch)
            found += [(r.is_departed, r.of_scope, r.change) for r in rows if r.change]
            cursor, more = rows[0].next, rows[0].more
        assert found == whole


def test_a_cursor_of_the_servers_feed_that_ended_says_why(db):
    (row,) = feed(db, str(head(db) + 1))
    assert "above the head" in row.reason
    assert row.next is None
