"""The page's files, what it asks for, metrics, and what a token may do over HTTP."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from html.parser import HTMLParser
from typing import Any

import httpx
import jwt
import pytest
from helpers import Connection, one
from serving import Serving, serving

from pgpublish import metrics
from pgpublish.embedded import Cluster
from pgpublish.serve import Jwt

pytest_plugins = ["served"]

SECRET = "s" * 32


@pytest.fixture
def ops(orders: Connection) -> Iterator[Connection]:
    """Roles ops, an administrator, and web, which reads one kind."""
    orders.execute(
        "create role ops; grant publish_admin to ops; create role web;"
        "select publish_grant('ops', '{*}'); select publish_grant('web', '{note}');"
        "select publish_subscribe('copy', 'stdout')"
    )
    yield orders
    orders.execute("drop owned by ops, web; drop role ops, web")


def token(db: Connection, role: str, scope: str | None = None) -> str:
    made: str = one(db, "select publish_token_add(%s, %s, %s)", f"{role} {scope}", role, scope)
    return made


def names(answer: Any) -> set[str]:
    return {table["name"] for table in answer.json()["tables"]}


# --- files


class Parsed(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def test_the_page_has_nothing_inline_and_nothing_from_elsewhere(shared):
    answer = shared.get("/")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert not re.search(r"https?:|\*", policy)
    parsed = Parsed(answer.text)
    for tag, attrs in parsed.tags:
        assert tag != "style"
        assert tag != "script" or attrs["src"] == "page.js"
        assert not [name for name in attrs if name == "style" or name.startswith("on")]
        assert not re.match(r"(https?:)?//", attrs.get("src") or attrs.get("href") or "")
    for name, kind in (("js", "text/javascript"), ("css", "text/css"), ("svg", "image/svg+xml")):
        file = shared.get(f"/{'icon' if name == 'svg' else 'page'}.{name}")
        assert file.headers["content-type"].startswith(kind)
        assert file.headers["x-content-type-options"] == "nosniff"
        assert not re.search(r"(?:src|href|url|from|import)\W{1,3}https?://", file.text)
        assert not re.search(r"innerHTML|outerHTML|insertAdjacent|ment\.write|eval\(", file.text)


@pytest.mark.parametrize("path", ["/static/page.js", "/page.py", "/..%2fnow.py", "/page.html"])
def test_there_are_no_other_files(shared, path):
    assert shared.get(path).status_code == 404


# --- what happens now


def test_on_this_machine_it_shows_operations_and_lets_nobody_act(url, ops):
    with serving(url, local_only=True) as server:
        found = server.get("/now")
        assert names(found) >= {"kinds", "subscriptions", "workers", "jobs"}
        assert not any(row["actions"] for table in found.json()["tables"] for row in table["rows"])
        assert found.headers["cache-control"] == "no-store"
        assert server.get("/now", headers={"Host": "evil.example"}).status_code == 403


def test_who_comes_without_a_token_from_anywhere_sees_the_feed_only(url, ops):
    with serving(url, public="publish_reader") as server:
        found = server.get("/now")
        assert names(found) == {"kinds"}
        assert (found.json()["database"], found.json()["warnings"]) == (None, None)
        assert "copy" not in found.text


def test_a_token_shows_what_its_role_sees(url, ops):
    with serving(url, public=None) as server:
        for path in ("/now", "/now/curves"):
            assert server.get(path).status_code == 401
        web = Serving(server.port, token=token(ops, "web")).get("/now")
        assert (names(web), web.json()["kinds"]) == ({"kinds"}, ["note"])
        tenant = Serving(server.port, token=token(ops, "ops", "acme")).get("/now")
        assert names(tenant) == {"kinds"}
        boss = Serving(server.port, token=token(ops, "ops")).get("/now")
        assert boss.json()["kinds"] == ["note", "order"]
        (sub,) = next(t for t in boss.json()["tables"] if t["name"] == "subscriptions")["rows"]
        assert [(one["action"], one["name"]) for one in sub["actions"]] == [("pause", "copy")]


def test_what_may_be_done_depends_on_the_state(url, ops):
    def actions(table: str) -> list[str]:
        (row,) = next(t for t in boss.get("/now").json()["tables"] if t["name"] == table)["rows"]
        return [one["action"] for one in row["actions"]]

    ops.execute(
        "select publish_pause('copy');"
        "select publish_job_add('j', 'k', max_attempts => 1); select publish_job_start('j')"
    )
    ops.execute("select publish_job_fail('j', j.token, 'e', 'm') from publish.job j")
    with serving(url, public=None) as server:
        boss = Serving(server.port, token=token(ops, "ops"))
        assert actions("subscriptions") == ["resume"]
        assert actions("stopped") == ["retry job"]


def test_many_readers_cost_one_read_a_second(url, ops):
    with serving(url, local_only=True) as server, ThreadPoolExecutor(20) as pool, \
            httpx.Client(base_url=server.url) as client:  # fmt: skip
        began = time.monotonic()
        answers = list(pool.map(lambda n: client.get(f"/now{'/curves' * (n % 2)}"), range(300)))
        seconds = time.monotonic() - began
        assert {answer.status_code for answer in answers} == {200}
        assert 1 <= server.feed.now.looks.asked <= seconds + 1
        assert server.feed.now.histories.asked == 1


def test_a_scope_that_a_role_does_not_have_is_not_answered_from_what_another_saw(url, ops):
    ops.execute("select publish_grant('web', '{order}', 'acme')")
    rules = Jwt(SECRET, "HS256", scope_claim="tenant")
    claims = {"role": "web", "exp": time.time() + 60}
    with serving(url, public=None, jwt=rules) as server:
        for tenant, status in (("acme", 200), ("globex", 403)):
            signed = jwt.encode(claims | {"tenant": tenant}, SECRET)
            assert Serving(server.port, token=signed).get("/now").status_code == status


# --- metrics


def test_metrics_are_those_of_the_command(url, ops):
    with serving(url, local_only=True) as server:
        text = server.get("/metrics", headers={"Accept": "application/openmetrics-text"})
        assert text.headers["content-type"].startswith("application/openmetrics-text")
        assert text.text.endswith("# EOF\n")

        def series(text: str) -> set[str]:
            return {line.rpartition(" ")[0] for line in text.splitlines()}

        want = metrics.openmetrics(metrics.read(ops))
        assert series(want) - series(text.text) <= {
            line
            for line in series(want)
            if "oldest_snapshot" in line  # of who is in pg_monitor
        }
        assert all("pgpublish_up" in line for line in series(text.text) - series(want))
        plain = server.get("/metrics")
        assert plain.headers["content-type"].startswith("text/plain")
        assert "pgpublish_up 1.0" in plain.text
        for accept in ("text/plain; version=x", "application/openmetrics-text; version=1.x"):
            assert server.get("/metrics", headers={"Accept": accept}).status_code == 200


def test_metrics_need_a_token_of_a_role_that_may_read_them(url, ops):
    with serving(url, public="publish_reader") as server:
        assert server.get("/metrics").status_code == 401
        for role, scope, status in (("ops", None, 200), ("publish_reader", None, 200),
                                    ("web", None, 403), ("ops", "acme", 403)):  # fmt: skip
            answer = Serving(server.port, token=token(ops, role, scope)).get("/metrics")
            assert answer.status_code == status, (role, scope)
        assert Serving(server.port, token="pgp_0").get("/metrics").status_code == 401


def test_a_scrape_without_a_database_says_so(url, ops, cluster: Cluster, admin):
    with serving(url, local_only=True) as server:
        name = one(ops, "select current_database()")
        admin.execute(f'alter database "{name}" with allow_connections false'.encode())
        try:
            admin.execute(
                "select pg_terminate_backend(a.pid) from pg_stat_activity a"
                " where a.datname = %s and a.application_name = 'pgpublish serve'", [name],
            )  # fmt: skip
            answer = server.get("/metrics")
        finally:
            admin.execute(f'alter database "{name}" with allow_connections true'.encode())
        assert (answer.status_code, "pgpublish_up 0.0" in answer.text) == (200, True)


# --- acting


def act(server: Serving, action: str, name: str, **more: Any) -> Any:
    return server.get("/operate", method="POST", json={"action": action, "name": name}, **more)


def test_who_may_pauses_and_resumes(url, ops):
    with serving(url, public=None) as server:
        boss = Serving(server.port, token=token(ops, "ops"))
        for action, state in (("pause", "paused"), ("resume", "active")):
            answer = act(boss, action, "copy")
            assert (answer.status_code, answer.json()) == (200, {"done": 1})
            assert one(ops, "select s.state from publish_subscriptions() s") == state
        answer = act(boss, "pause", "none")
        assert (answer.status_code, answer.json()["code"]) == (404, "PT404")


def test_nobody_else_may(url, ops):
    rules = Jwt(SECRET, "HS256")
    signed = jwt.encode({"role": "ops", "exp": time.time() + 60}, SECRET)
    with serving(url, local_only=True, jwt=rules) as server:
        assert act(server, "pause", "copy").status_code == 401
        for given, status in ((token(ops, "web"), 403), (token(ops, "publish_reader"), 403),
                              (signed, 403), ("pgp_0", 401)):  # fmt: skip
            assert act(Serving(server.port, token=given), "pause", "copy").status_code == status
        boss = Serving(server.port, token=token(ops, "ops"))
        ops.execute("select publish_token_remove('ops None')")
        assert act(boss, "pause", "copy").status_code == 401
        cookie = {"Cookie": f"token={token(ops, 'ops')}"}
        assert act(server, "pause", "copy", headers=cookie).status_code == 401
    assert one(ops, "select s.state from publish_subscriptions() s") == "active"


def test_a_page_of_another_site_cannot_ask(url, ops):
    with serving(url, public=None, origins=("https://shop.example",)) as server:
        for origin in ("https://shop.example", "https://evil.example"):
            answer = server.get("/operate", method="OPTIONS", headers={
                "Origin": origin, "Access-Control-Request-Method": "POST",
                "Access-Control-Request-Headers": "authorization,content-type",
            })  # fmt: skip
            assert answer.status_code == 400
            assert "POST" not in answer.headers.get("access-control-allow-methods", "")


NONSENSE = [
    (400, b""), (400, b"[]"), (400, b'{"action": "pause"}'), (400, b"x" * 5000),
    (400, b'{"action": 1, "name": "copy"}'), (400, b'{"action": "pause", "name": "a\\u0000"}'),
    (400, b"\xff"), (400, b"[" * 4000), (403, b'{"action": "drop", "name": "copy"}'),
    (403, b'{"action": "pause\'; drop table x --", "name": "copy"}'),
]  # fmt: skip


def test_nonsense_a_form_and_get_are_refused(url, ops):
    with serving(url, public=None) as server:
        boss = Serving(server.port, token=token(ops, "ops"))
        kind = {"Content-Type": "application/json"}
        for status, body in NONSENSE:
            answer = boss.get("/operate", method="POST", content=body, headers=kind)
            assert (answer.status_code, answer.json()["status"]) == (status, status), body
        form = boss.get("/operate", method="POST", data={"action": "pause", "name": "copy"})
        assert form.status_code == 415
        assert boss.get("/operate").status_code == 405
