"""What pgpublish serve may show and do for whom: decided by SQL, from the role of a token."""

from __future__ import annotations

from typing import Any

import pytest
from helpers import Connection, drain_all, enqueue, one, sqlstate

ALL = ["pause", "redrive", "resume", "retry job", "retry keys"]
ROLES = ("boss", "hand", "viewer", "web", "only_orders")


@pytest.fixture
def db(connect) -> Connection:
    """boss: administrator, hand: worker, viewer: publish_reader, web: some kind, by grant only;
    only_orders: an administrator that was granted one kind by name."""
    db = connect()
    db.execute(
        "select publish_define('order', scope => 'tenant'); select publish_define('secret');"
        "select publish_subscribe('copy', 'stdout', kinds => '{order}');"
        "select publish_job_add('j', 'k', data => '{\"done\": 1, \"password\": \"p\"}'),"
        "       publish_job_start('j', worker => 'host:1')"
    )
    enqueue(db, "order", "1", '{"tenant": "acme"}')
    enqueue(db, "secret", "1", "1")
    drain_all(db)
    for role in ROLES:
        db.execute(f"create role {role}".encode())
    db.execute(
        "grant publish_admin to boss, only_orders; grant publish_worker to hand;"
        "grant publish_reader to viewer;"
        "select publish_grant(r, '{*}') from unnest('{boss,hand,viewer}'::name[]) as t (r);"
        "select publish_grant(r, '{order}') from unnest('{web,only_orders}'::name[]) as t (r)"
    )
    yield db
    db.execute("reset role")
    for role in ROLES:
        db.execute(f"drop owned by {role}; drop role {role}".encode())


def shown(db: Connection, role: str, scope: str | None = None, operations: bool = True) -> Any:
    return one(
        db,
        "select publish_serve_overview(%s::name, %s::text, %s::boolean)",
        role,
        scope,
        operations,
    )


def test_who_reads_some_kinds_or_a_scope_sees_these_and_no_operations(db):
    for role, scope, kinds in (
        ("web", None, ["order"]),
        ("web", "acme", ["order"]),
        ("only_orders", None, ["order"]),
        ("boss", "acme", ["order", "secret"]),
        ("publish_reader", "acme", ["order", "secret"]),
    ):
        found = shown(db, role, scope)
        assert [k["kind"] for k in found["kinds"]] == kinds
        assert (found["operations"], found["may"]) == (False, [])
        assert not {"subscriptions", "workers", "jobs", "warnings", "database"} & found.keys()
        assert {row["step"] for row in found["latency"]} == {"published"}
        text = str(found)
        assert "copy" not in text
        assert "host:1" not in text
        assert ("secret" in text) == ("secret" in kinds)


def test_operations_are_for_who_may_call_overview_and_asks_for_them(db):
    for role in ("boss", "hand", "viewer", "publish_reader"):
        found = shown(db, role)
        assert found["operations"]
        assert [s["name"] for s in found["subscriptions"]] == ["copy"]
        assert not shown(db, role, operations=False)["operations"]
    assert shown(db, "viewer")["running"] == []  # publish_jobs is not for readers
    (job,) = shown(db, "hand")["running"]
    assert (job["id"], job["data"]) == ("j", {"done": 1, "total": None})


def test_a_role_may_do_what_it_may_call(db):
    may = {role: shown(db, role)["may"] for role in ROLES}
    assert may == {
        "boss": ALL, "hand": ["retry keys"], "viewer": [], "web": [], "only_orders": [],
    }  # fmt: skip


def test_the_cursor_of_what_was_recent_can_be_read_on_from_also_after_pruning(db):
    for n in range(300):
        enqueue(db, "order", str(n), str(n))
    drain_all(db)
    page = one(db, "select publish_serve_page('boss', null, %s, 500)", shown(db, "boss")["recent"])
    assert (page["reset"], len(page["changes"])) == (False, 200)
    db.execute("insert into publish.floor values ('order', %s, 1)", [page["head"] - 3])
    page = one(db, "select publish_serve_page('boss', null, %s, 500)", shown(db, "boss")["recent"])
    assert (page["reset"], len(page["changes"])) == (False, 3)


def test_a_server_operates_with_a_token_of_who_may_and_with_no_other(db):
    tokens = {
        role: one(db, "select publish_token_add(%s, %s)", role, role)
        for role in (*ROLES, "publish_reader")
    }
    tokens["scoped"] = one(db, "select publish_token_add('scoped', 'boss', 'acme')")
    query = "select publish_serve_operate(sha256(convert_to(%s, 'UTF8')), %s, %s)"
    db.execute("set role publish_server")
    assert sqlstate(db, "select publish_pause('copy')") == "42501"
    for role, token in tokens.items():
        want = None if role == "boss" else "PT403"
        assert sqlstate(db, query, token, "pause", "copy") == want, role
    for token in ("boss", "", None):
        assert sqlstate(db, query, token, "resume", "copy") == "PT401"
    assert sqlstate(db, query, tokens["boss"], "unsubscribe", "copy") == "PT403"
    assert sqlstate(db, query, tokens["boss"], None, None) == "PT403"
    assert sqlstate(db, query, tokens["boss"], "pause", "none") == "PT404"
    assert sqlstate(db, query, tokens["boss"], "retry keys", None) == "PT404"
    assert one(db, query, tokens["hand"], "retry keys", "order") == 0
    db.execute("reset role")
    state = "select s.state from publish_subscriptions() s"
    assert one(db, state) == "paused"
    assert one(db, query, tokens["boss"], "resume", "copy") == 1
    assert one(db, state) == "active"
    assert one(db, query, tokens["boss"], "redrive", "copy") == 0
    assert sqlstate(db, query, tokens["boss"], "retry job", "j") == "PT423"  # it is running
    db.execute("revoke publish_admin from boss")
    assert sqlstate(db, query, tokens["boss"], "pause", "copy") == "PT403"


def test_metrics_are_for_roles_that_may_call_them_and_read_everything(db):
    names = "select array(select m.name || m.labels::text from publish_metrics() m)"
    query = "select array(select m.name || m.labels::text from publish_serve_metrics(%s, %s) m)"
    want = one(db, names)
    db.execute("set role publish_server")
    for role in ("boss", "hand", "viewer", "publish_reader"):
        assert set(one(db, query, role, None)) >= {n for n in want if "snapshot" not in n}
    for role, scope in (("web", None), ("only_orders", None), ("boss", "acme"), ("none", None)):
        assert sqlstate(db, query, role, scope) == "PT403"


def test_a_role_that_was_dropped_may_nothing(db):
    token = one(db, "select publish_token_add('t', 'boss')")
    db.execute("drop owned by boss; drop role boss")
    assert (
        sqlstate(
            db,
            "select publish_serve_operate(sha256(convert_to(%s, 'UTF8')), 'pause', 'copy')",
            token,
        )
        == "PT403"
    )
    assert not shown(db, "boss")["operations"]
    db.execute("create role boss")
