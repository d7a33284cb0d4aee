"""Who may read what: kinds by grant, rows by scope, enforced wherever the feed is read."""

from __future__ import annotations

import random
from typing import Any

import psycopg
import pytest
from helpers import Connection, drain_all, enqueue, head, one

LIVE = "select c.payload ->> 'id' as id, c.deleted, c.rev from publish_changes(%s) c"


@pytest.fixture
def db(connect) -> Connection:
    """Orders of tenants, countries of everybody, and roles that are dropped with the database."""
    db = connect()
    db.execute("""
        create table orders (id int primary key, tenant text, note text);
        create view order_feed as select o.id, o.tenant, o.note from orders o;
        select publish_define('order', 'order_feed', scope => 'tenant');
        select publish_capture('order', 'orders');
        select publish_define('country'), publish_define('secret');
    """)
    for role in ("acme", "globex", "looker", "member", "clerk"):
        db.execute(f"create role {role}".encode())
    db.execute("grant publish_reader to looker; grant acme to member")
    yield db
    db.execute("reset role")
    roles = "acme, globex, looker, member, clerk"
    db.execute(f"drop owned by {roles}; drop role {roles}".encode())


def fill(db: Connection) -> None:
    db.execute("insert into orders values (1, 'acme', 'x'), (2, 'globex', 'y'), (3, null, 'z')")
    enqueue(db, "country", "ch", '{"id": "ch"}')
    enqueue(db, "secret", "s", '{"id": "s"}')
    drain_all(db)


def as_role(db: Connection, role: str, query: str, *arguments: object) -> list[Any]:
    db.execute(f"set role {role}".encode())
    try:
        return db.execute(query.encode(), arguments).fetchall()
    finally:
        db.execute("reset role")


def ids(db: Connection, role: str, kinds: list[str] | None = None) -> list[str]:
    rows = as_role(
        db,
        role,
        "select c.payload ->> 'id' from publish_changes(0, 500, %s) c where not c.deleted"
        " order by 1",
        kinds,
    )
    return [row[0] for row in rows]


def refused(db: Connection, sqlstate: str, role: str, query: str, *arguments: object) -> None:
    with pytest.raises(psycopg.Error) as raised:
        as_role(db, role, query, *arguments)
    assert raised.value.sqlstate == sqlstate


def test_a_member_of_publish_reader_reads_everything_until_that_is_revoked(db):
    fill(db)
    everything = ["1", "2", "3", "ch", "s"]
    assert ids(db, "looker") == everything
    assert one(db, "select publish_revoke('publish_reader')")
    for query in (
        "select publish_changes()",
        "select publish_page()",
        "select publish_get('country', gen_random_uuid())",
        "select publish_pub_id('country', 'ch')",
    ):
        refused(db, "PT403", "looker", query)
    assert ids(db, "publish_worker") == ids(db, "publish_admin") == everything
    db.execute("select publish_grant('publish_reader', '{*}')")
    assert ids(db, "looker") == everything


def test_who_was_granted_nothing_may_not_even_ask(db):
    refused(db, "42501", "acme", "select publish_changes()")
    refused(db, "42501", "acme", "select publish_grant('acme', '{*}')")


def test_a_granted_role_reads_these_kinds_and_learns_of_no_other(db):
    fill(db)
    db.execute("select publish_grant('acme', '{country}')")
    assert ids(db, "acme") == ids(db, "acme", ["country"]) == ["ch"]
    assert ids(db, "member") == ["ch"]
    page = as_role(db, "acme", "select publish_page(batch => 1)")[0][0]
    assert [c["kind"] for c in page["changes"]] == ["country"]
    assert as_role(db, "acme", "select publish_head()")[0][0] == head(db)
    for kind in ("secret", "nothing"):
        refused(db, "PT403", "acme", "select publish_changes(kinds => %s)", ["country", kind])
        refused(db, "PT403", "acme", "select publish_page(kinds => %s)", [kind])
        refused(db, "PT403", "acme", "select publish_get(%s, gen_random_uuid())", kind)
    secret = one(db, "select publish_pub_id('secret', 's')")
    assert as_role(db, "acme", "select publish_get('country', %s)", secret) == []
    db.execute("select publish_grant('acme', '{secret}')")
    assert ids(db, "acme") == ["ch", "s"]
    assert one(db, "select publish_revoke('acme', '{country}')")
    assert ids(db, "acme") == ["s"]
    assert one(db, "select publish_revoke('acme')")
    assert not one(db, "select publish_revoke('acme')")
    refused(db, "42501", "acme", "select publish_changes()")


def test_a_cursor_moves_over_changes_that_are_not_for_its_reader(db):
    fill(db)
    db.execute("select publish_grant('acme', '{country}')")
    page = as_role(db, "acme", "select publish_page()")[0][0]
    assert not page["more"]
    for n in range(3):
        enqueue(db, "secret", str(n), "1")
    drain_all(db)
    page = as_role(db, "acme", "select publish_page(%s)", page["cursor"])[0][0]
    assert (page["changes"], page["more"], page["head"]) == ([], False, head(db))
    assert page["cursor"].split(".")[3] == str(head(db))


PAGE = "select p.page from publish_page(%s, 500, %s) as p (page)"


@pytest.mark.parametrize(
    "change",
    [
        "select publish_grant('acme', '{order,country,secret}', 'acme')",
        "select publish_revoke('acme', '{parcel}')",
        "select publish_grant('acme', '{order,country}', 'globex')",
        "select publish_grant('acme', '{*}')",
        "select publish_define('parcel', scope => 'tenant')",
    ],
    ids=["more", "less", "another scope", "everything", "a kind gets a scope"],
)
def test_a_cursor_of_other_rights_is_reset_and_no_other_is(db, change):
    fill(db)
    db.execute("select publish_define('parcel')")
    db.execute("select publish_grant('acme', '{order,country,parcel}', 'acme')")
    ((before,),) = as_role(db, "acme", PAGE, None, None)
    db.execute("select publish_grant('globex', '{secret}')")
    db.execute("select publish_grant('acme', '{country,order}', 'acme')")  # the same
    enqueue(db, "country", "at", '{"id": "at"}')
    drain_all(db)
    ((after,),) = as_role(db, "acme", PAGE, before["cursor"], None)
    assert (after["reset"], len(after["changes"])) == (False, 1)
    ((fewer,),) = as_role(db, "acme", PAGE, after["cursor"], ["order"])
    assert not fewer["reset"]  # what a reader asks for is its own affair
    db.execute(change.encode())
    ((page,),) = as_role(db, "acme", PAGE, after["cursor"], None)
    assert (page["reset"], page["cursor"], page["changes"]) == (True, None, [])
    ((begun,),) = as_role(db, "acme", PAGE, None, None)
    ((again,),) = as_role(db, "acme", PAGE, begun["cursor"], None)
    assert not again["reset"]


def test_a_cursor_of_who_read_everything_is_reset_by_a_grant(db):
    fill(db)
    ((page,),) = as_role(db, "looker", PAGE, None, None)
    db.execute("select publish_grant('looker', '{country}')")
    ((page,),) = as_role(db, "looker", PAGE, page["cursor"], None)
    assert page["reset"]


def test_a_grant_of_its_own_narrows_a_member_of_publish_reader(db):
    fill(db)
    db.execute("select publish_grant('looker', '{country}')")
    assert ids(db, "looker") == ["ch"]
    refused(db, "PT403", "looker", "select publish_pub_id('secret', 's')")
    told: list[str] = []
    db.add_notice_handler(lambda notice: told.append(notice.message_primary or ""))
    assert one(db, "select publish_revoke('looker')")
    assert told == ["this role reads what publish_reader was granted now"]
    assert len(ids(db, "looker")) == 5
    db.execute("select publish_revoke('publish_reader'); select publish_grant('looker', '{order}')")
    assert one(db, "select publish_revoke('looker')")
    assert len(told) == 1


def test_rows_of_roles_count_together_unless_their_scopes_differ(db):
    fill(db)
    db.execute("select publish_grant('acme', '{order}', 'acme')")
    db.execute("select publish_grant('globex', '{country}', 'acme'); grant globex to member")
    assert ids(db, "member") == ["1", "ch"]
    db.execute("select publish_grant('globex', '{country}', 'globex')")
    refused(db, "PT403", "member", "select publish_changes()")
    db.execute("select publish_grant('member', '{order}', 'globex')")
    assert ids(db, "member") == ["2"]
    db.execute("grant publish_reader to acme")
    assert ids(db, "acme") == ["1"]  # the default of publish_reader adds nothing


@pytest.mark.parametrize("way", ["own grant", "grant of a role"])
@pytest.mark.parametrize("taken", ["publish_reader", "looker"])
def test_no_role_that_a_session_takes_widens_its_grant(db, url, way, taken):
    """A member of publish_reader may set it, or another member, as its role."""
    fill(db)
    granted = "clerk" if way == "own grant" else "acme"
    db.execute("grant looker, publish_reader to clerk; alter role clerk login")
    if way != "own grant":
        db.execute("grant acme to clerk")
    db.execute(f"select publish_grant('{granted}', '{{country}}')".encode())
    login = url.replace("user=postgres", "user=clerk")
    with psycopg.connect(login, autocommit=True) as clerk:
        assert clerk.execute("select session_user").fetchone() == ("clerk",)
        read = "select array_agg(c.kind) from publish_changes() c"
        assert clerk.execute(read).fetchone() == (["country"],)
        for take in (f"set role {taken}", f"select set_config('role', '{taken}', false)"):
            clerk.execute(take.encode())
            assert clerk.execute(read).fetchone() == (["country"],), take
            for query in (
                "select publish_page(kinds => '{secret}')",
                "select publish_get('secret', gen_random_uuid())",
                "select publish_pub_id('secret', 's')",
            ):
                with pytest.raises(psycopg.Error) as raised:
                    clerk.execute(query.encode())
                assert raised.value.sqlstate == "PT403", query
            clerk.execute("reset role")
        db.execute(f"alter role clerk set role = {taken}".encode())
    with psycopg.connect(login, autocommit=True) as clerk:
        assert clerk.execute("select current_user").fetchone() == (taken,)
        assert clerk.execute(read).fetchone() == (["country"],)
    db.execute("alter role clerk reset role")
    # A role with a grant of its own is another reader; so is every role for an administrator.
    db.execute("grant globex to clerk; select publish_grant('globex', '{secret}')")
    with psycopg.connect(login, autocommit=True) as clerk:
        clerk.execute("set role globex")
        assert clerk.execute(read).fetchone() == (["secret"],)
    db.execute("grant publish_admin to clerk")
    with psycopg.connect(login, autocommit=True) as clerk:
        clerk.execute("set role looker")
        assert len(one(clerk, read)) == 5


def test_a_role_that_was_renamed_reads_nothing(db):
    fill(db)
    db.execute("select publish_grant('acme', '{*}')")
    db.execute("alter role acme rename to emca")
    try:
        refused(db, "PT403", "emca", "select publish_changes()")
    finally:
        db.execute("alter role emca rename to acme")


def test_no_setting_of_a_session_widens_what_it_reads(db):
    fill(db)
    db.execute("select publish_grant('acme', '{order}', 'acme')")
    db.execute("alter role acme set publish.scope = 'globex'; set publish.scope = 'globex'")
    assert ids(db, "acme") == ["1"]
    db.execute("create function pg_temp.current_setting(text) returns text return 'postgres'")
    assert ids(db, "acme") == ["1"]


def test_a_scope_shows_its_rows_and_those_of_kinds_without_one(db):
    fill(db)
    db.execute("select publish_grant('acme', '{order,country}', 'acme')")
    db.execute("select publish_grant('globex', '{*}', 'globex')")
    assert ids(db, "acme") == ["1", "ch"]
    assert ids(db, "globex") == ["2", "ch", "s"]
    assert ids(db, "globex", ["order"]) == ["2"]
    theirs = one(db, "select publish_pub_id('order', '2')")
    nobodys = one(db, "select publish_pub_id('order', '3')")
    for pub_id in (theirs, nobodys):
        assert as_role(db, "acme", "select publish_get('order', %s)", pub_id) == []
    assert len(as_role(db, "globex", "select publish_get('order', %s)", theirs)) == 1


def test_a_key_that_leaves_a_scope_is_deleted_there_until_it_comes_back(db):
    fill(db)
    db.execute("select publish_grant('acme', '{order}', 'acme')")
    pub_id = one(db, "select publish_pub_id('order', '1')")
    page = as_role(db, "acme", "select publish_page()")[0][0]
    db.execute("update orders set tenant = 'globex', note = 'not for acme' where id = 1")
    drain_all(db)
    after = as_role(db, "acme", "select publish_page(%s)", page["cursor"])[0][0]
    (change,) = after["changes"]
    assert (change["deleted"], change["payload"], change["headers"]) == (True, None, None)
    assert (change["pub_id"], change["rev"]) == (str(pub_id), head(db))
    (got,) = as_role(db, "acme", "select * from publish_get('order', %s)", pub_id)
    assert (got.deleted, got.payload, got.rev) == (True, None, head(db))
    assert as_role(db, "acme", "select publish_page()")[0][0]["changes"] == []

    db.execute("update orders set tenant = 'acme' where id = 1")
    drain_all(db)
    (change,) = as_role(db, "acme", "select publish_page(%s)", after["cursor"])[0][0]["changes"]
    assert (change["deleted"], change["payload"]["note"]) == (False, "not for acme")
    assert one(db, "select count(*) from publish.departed where scope = 'acme'") == 0


class Replica:
    """A reader that goes on from its cursor and holds what it was told, by pub_id."""

    def __init__(self, db: Connection, role: str, kinds: list[str] | None = None) -> None:
        self.db, self.role, self.kinds = db, role, kinds
        self.cursor: str | None = None
        self.held: dict[str, Any] = {}

    def read(self, batch: int) -> bool:
        page = as_role(
            self.db, self.role, "select publish_page(%s, %s, %s)", self.cursor, batch, self.kinds
        )[0][0]
        assert not page["reset"]
        for change in page["changes"]:
            if change["deleted"]:
                self.held.pop(change["pub_id"], None)
            else:
                self.held[change["pub_id"]] = change["payload"]
        self.cursor = page["cursor"]
        return bool(page["more"])

    def shows(self) -> list[Any]:
        return sorted((row["id"], row["tenant"], row["note"]) for row in self.held.values())


@pytest.mark.parametrize("seed", range(3))
def test_whatever_moves_between_scopes_every_reader_holds_its_own_rows(db, seed):
    random.seed(seed)
    db.execute("select publish_grant('acme', '{order}', 'acme')")
    db.execute("select publish_grant('globex', '{order}', 'globex')")
    readers = {
        None: Replica(db, "publish_worker", ["order"]),
        "acme": Replica(db, "acme"),
        "globex": Replica(db, "globex"),
    }
    late = {scope: Replica(db, reader.role, ["order"]) for scope, reader in readers.items()}
    for step in range(120):
        id, tenant = random.randrange(8), random.choice(["acme", "globex", "other", None])
        if random.random() < 0.2:
            db.execute("delete from orders where id = %s", [id])
        else:
            db.execute(
                "insert into orders values (%s, %s, %s) on conflict (id) do update"
                " set tenant = excluded.tenant, note = excluded.note",
                [id, tenant, str(random.randrange(3))],
            )
        if random.random() < 0.5:
            drain_all(db)
        if random.random() < 0.4:
            random.choice(list(readers.values())).read(random.randrange(1, 4))
        if step == 60:
            for reader in late.values():
                reader.read(1)
    drain_all(db)
    for scope, reader in [*readers.items(), *late.items()]:
        while reader.read(3):
            pass
        rows = db.execute(
            "select o.id, o.tenant, o.note from orders o"
            " where o.tenant = %s or %s::text is null order by o.id",
            [scope, scope],
        )
        assert reader.shows() == [tuple(row) for row in rows.fetchall()]


def test_departures_are_pruned_as_tombstones_are_and_late_readers_are_reset(db):
    fill(db)
    db.execute("select publish_grant('acme', '{order}', 'acme')")
    page = as_role(db, "acme", "select publish_page()")[0][0]
    db.execute("update orders set tenant = 'globex' where id = 1")
    drain_all(db)
    db.execute("select publish_maintain()")
    assert one(db, "select count(*) from publish.departed") == 1
    db.execute("update publish.departed set departed_at = departed_at - interval '31 days'")
    assert one(db, "select rows_pruned from publish_maintain()") == 1
    assert as_role(db, "acme", "select publish_page(%s)", page["cursor"])[0][0]["reset"]


def test_pruned_departures_reset_nobody_who_reads_all_scopes(db):
    fill(db)
    db.execute("select publish_grant('acme', '{order}', 'acme')")
    db.execute("select publish_subscribe('behind', 'stdout', kinds => '{order}', from_rev => 1)")
    cursor = one(db, "select publish_page(batch => 1)")["cursor"]
    hub = one(db, "select f.next from publish_serve_feed(%s) f", cursor.rsplit(".", 1)[0] + ".1")
    db.execute("update orders set tenant = 'globex' where id = 1")
    drain_all(db)
    db.execute("update publish.departed set departed_at = departed_at - interval '31 days'")
    assert one(db, "select rows_pruned from publish_maintain()") == 1
    assert len(as_role(db, "looker", LIVE, 1)) > 0
    assert not as_role(db, "looker", "select publish_page(%s)", cursor)[0][0]["reset"]
    assert one(db, "select s.state from publish_subscriptions() s") != "reset needed"
    assert len(db.execute("select * from publish_claim('behind', 'w')").fetchall()) == 3
    assert one(db, "select floor from publish_status()") == 0

    refused(db, "PT410", "acme", LIVE, 1)
    begun = as_role(db, "acme", "select publish_page()")[0][0]
    assert not as_role(db, "acme", "select publish_page(%s)", begun["cursor"])[0][0]["reset"]
    reason = one(db, "select f.reason from publish_serve_feed(%s) f", hub)
    assert "pruned" in reason  # it reads for tenants too


def test_tombstones_that_were_pruned_reset_a_reader_with_a_scope(db):
    fill(db)
    db.execute("select publish_grant('acme', '{order}', 'acme')")
    page = as_role(db, "acme", "select publish_page()")[0][0]
    db.execute("delete from orders where id = 1")
    drain_all(db)
    current = as_role(db, "acme", "select publish_page(%s)", page["cursor"])[0][0]
    db.execute("update publish.published set updated_at = now() - interval '31 days' where deleted")
    assert one(db, "select rows_pruned from publish_maintain()") == 1
    assert as_role(db, "acme", "select publish_page(%s)", page["cursor"])[0][0]["reset"]
    assert not as_role(db, "acme", "select publish_page(%s)", current["cursor"])[0][0]["reset"]


# --- what a kind says


def define(db: Connection, arguments: str) -> None:
    db.execute(f"select publish_define({arguments})".encode())


def test_no_kind_has_the_name_that_means_all_kinds(db):
    fill(db)
    db.execute("select publish_grant('acme', '{secret}')")
    for query in ("select publish_define('*')", "select publish_rename('secret', '*')"):
        with pytest.raises(psycopg.Error) as raised:
            db.execute(query.encode())
        assert raised.value.sqlstate == "PT400"
    assert ids(db, "acme") == ["s"]


def test_a_scope_is_kept_when_a_kind_is_defined_again(db):
    fill(db)
    db.execute("select publish_grant('acme', '{order}', 'acme')")
    define(db, "'order', 'order_feed', schema_version => 2")
    drain_all(db)
    assert ids(db, "acme") == ["1"]


def test_a_kind_that_gets_a_scope_shows_it_when_the_walk_is_done(db):
    db.execute("""create table part (id int primary key, owner text, maker text);
                  insert into part values (1, 'acme', 'globex'), (2, 'globex', 'acme');
                  select publish_define('part', 'part'), publish_capture('part', 'part'),
                         publish_walk('part'), publish_grant('acme', '{part}', 'acme')""")
    drain_all(db)
    assert ids(db, "acme") == ["1", "2"]
    define(db, "'part', 'part', scope => 'owner'")
    assert ids(db, "acme") == []
    drain_all(db)
    assert ids(db, "acme") == ["1"]
    for sql in ("scope => 'maker'", "'{id}', scope => 'maker'"):
        with pytest.raises(psycopg.Error) as raised:
            define(db, f"'part', 'part', {sql}")
        assert raised.value.sqlstate == "PT400"
    db.execute("insert into part values (3, 'acme', 'acme')")
    drain_all(db)
    db.execute("delete from part where id = 3")
    define(db, "'part', 'part', scope => ''")
    drain_all(db)  # the tombstone keeps its scope, and does not matter
    assert ids(db, "acme") == ["1", "2"]
    define(db, "'part', 'part', scope => 'maker'")
    drain_all(db)
    assert ids(db, "acme") == ["2"]


@pytest.mark.parametrize(
    "sql",
    [
        "'order', 'order_feed', scope => 'nothing'",
        "'order', 'country_feed', scope => 'tenant'",
        "'country', scope => 'land'",
    ],
)
def test_a_scope_that_rows_cannot_have_is_refused(db, sql):
    fill(db)
    db.execute("create view country_feed as select 1 as id")
    with pytest.raises(psycopg.Error) as raised:
        define(db, sql)
    assert raised.value.sqlstate == "PT400"


def test_a_payload_kind_has_its_scope_in_the_payload(db):
    define(db, "'event', scope => 'tenant'")
    db.execute("select publish_grant('acme', '{event}', 'acme')")
    for n, payload in enumerate(
        [
            '{"id": 1, "tenant": "acme"}',
            '{"id": 2, "tenant": "globex"}',
            '{"id": 3}',
            "4",
            '{"id": 5, "tenant": null}',
        ]
    ):
        enqueue(db, "event", str(n), payload)
    drain_all(db)
    assert ids(db, "acme") == ["1"]
    enqueue(db, "event", "0", deleted=True)
    drain_all(db)
    (row,) = as_role(db, "acme", LIVE, 1)
    assert row.deleted


def test_the_key_travels_where_the_kind_says_so_on_tombstones_too(db):
    fill(db)
    define(db, "'country', show_key => true")
    enqueue(db, "country", "ch", deleted=True)
    drain_all(db)
    rows = as_role(db, "looker", "select c.kind, c.key from publish_changes() c")
    assert {row.kind: row.key for row in rows} == {"order": None, "country": "ch", "secret": None}
    page = as_role(db, "looker", "select publish_page('1')")[0][0]
    assert [c.get("key") for c in page["changes"] if c["kind"] == "country"] == ["ch"]
    assert all(("key" in c) == (c["kind"] == "country") for c in page["changes"])
    pub_id = one(db, "select publish_pub_id('country', 'ch')")
    assert as_role(db, "looker", "select * from publish_get('country', %s)", pub_id)[0].key == "ch"
    db.execute("select publish_subscribe('s', 'stdout')")
    claimed = db.execute("select c.kind, c.key from publish_claim('s', 'w') c").fetchall()
    assert {row.kind: row.key for row in claimed} == {"order": None, "secret": None}
    define(db, "'secret', show_key => true")
    db.execute("select publish_subscribe('t', 'stdout')")
    claimed = db.execute("select c.kind, c.key from publish_claim('t', 'w') c").fetchall()
    assert {row.kind: row.key for row in claimed} == {"order": None, "secret": "s"}
    define(db, "'country'")
    assert as_role(
        db, "looker", "select c.key from publish_changes(1) c where c.kind = 'country'"
    ) == [("ch",)]
    define(db, "'country', show_key => false")
    assert as_role(db, "looker", "select publish_page('1')")[0][0]["changes"][-1].get("key") is None


# --- grants, subscriptions


@pytest.mark.parametrize(
    ("sqlstate", "call"),
    [
        ("PT404", "publish_grant('nobody', '{country}')"),
        ("PT404", "publish_grant('acme', '{nothing}')"),
        ("PT404", "publish_grant('acme', '{null}')"),
        ("PT400", "publish_grant('acme', '{}')"),
        ("PT400", "publish_grant('acme', null)"),
        ("PT400", "publish_grant('acme', '{*}', '')"),
        ("PT400", "publish_grant('publish_writer', '{*}')"),
        ("PT400", "publish_revoke('publish_reader', '{country}')"),
    ],
)
def test_what_cannot_be_granted_is_refused(db, sqlstate, call):
    with pytest.raises(psycopg.Error) as raised:
        db.execute(f"select {call}".encode())
    assert raised.value.sqlstate == sqlstate


def test_a_subscription_names_only_what_its_maker_reads_in_all_scopes(db):
    fill(db)
    db.execute("grant execute on function publish_subscribe to clerk")
    db.execute("select publish_grant('clerk', '{country}')")
    subscribe = "select publish_subscribe('s', 'stdout', kinds => %s)"
    refused(db, "PT403", "clerk", subscribe, None)
    refused(db, "PT403", "clerk", subscribe, ["country", "secret"])
    as_role(db, "clerk", subscribe, ["country"])
    db.execute("select publish_grant('clerk', '{order}')")
    as_role(db, "clerk", subscribe, ["country", "order"])
    db.execute("select publish_grant('clerk', '{order}', 'acme')")
    refused(db, "PT403", "clerk", subscribe, ["order"])
    as_role(db, "clerk", subscribe, ["country"])


def test_migrate_lets_readers_call_what_was_made_again(db):
    fill(db)
    db.execute("select publish_grant('acme', '{country}')")
    db.execute("revoke execute on function publish_page, publish_changes from acme")
    refused(db, "42501", "acme", "select publish_page()")
    db.execute("select publish.record_rights()")
    assert ids(db, "acme") == ["ch"]


def test_a_kind_that_is_renamed_keeps_its_readers_and_what_left_their_scope(db):
    fill(db)
    db.execute("select publish_grant('acme', '{order}', 'acme')")
    db.execute("select publish_grant('globex', '{order}', 'globex')")
    page = as_role(db, "acme", "select publish_page()")[0][0]
    db.execute("update orders set tenant = 'globex' where id = 1")
    drain_all(db)
    db.execute("select publish_rename('order', 'purchase')")
    assert ids(db, "globex") == ["1", "2"]
    after = as_role(db, "acme", "select publish_page(%s)", page["cursor"])[0][0]
    assert [(c["kind"], c["deleted"]) for c in after["changes"]] == [("purchase", True)]
    refused(db, "PT403", "acme", "select publish_changes(kinds => '{order}')")
