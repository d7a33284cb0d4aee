"""The recipes of docs/recipes.md, as their files in examples/recipes say, on what they are for."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Thread
from typing import Any

import django
import httpx
import psycopg
import pytest
import uvicorn
from django.conf import settings
from django.http import HttpResponse
from django.urls import path
from helpers import PATIENCE, one, until
from node import run
from serving import Serving, free_port, serving
from test_stream import payloads

pytest_plugins = ["served"]

RECIPES = Path(__file__).parents[2] / "examples/recipes"
urlpatterns = [path("hello", lambda _: HttpResponse('{"hello": "world"}'))]


def module(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, RECIPES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


@contextmanager
def running(application: Any) -> Iterator[Serving]:
    """uvicorn as it comes, with what somebody mounted the feed in."""
    server = uvicorn.Server(uvicorn.Config(application, port=free_port(), log_level="warning"))
    thread = Thread(target=server.run, daemon=True)
    thread.start()
    try:
        until(lambda: server.started or not thread.is_alive())
        yield Serving(server.config.port)
    finally:
        server.should_exit = True
        thread.join(PATIENCE)
        assert not thread.is_alive()


@pytest.fixture
def mounted(request: Any, url: str, orders: Any, monkeypatch: Any) -> Iterator[Serving]:
    monkeypatch.setenv("DATABASE_URL", url)
    if request.param == "with_django" and not settings.configured:
        settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], SECRET_KEY="x")
        django.setup()
    loaded = module(request.param)
    with running(loaded.api if hasattr(loaded, "api") else loaded.application) as server:
        yield server


@pytest.mark.parametrize("mounted", ["with_fastapi", "with_django"], indirect=True)
def test_the_feed_is_mounted_beside_what_is_there(mounted, put):
    put("note", "a", "1")
    assert httpx.get(f"{mounted.url}/hello").json() == {"hello": "world"}
    assert payloads(httpx.get(f"{mounted.url}/feed/changes").json()["changes"]) == [1]
    assert httpx.get(f"{mounted.url}/feed/changes?limit=0").json()["code"] == "PT400"
    assert httpx.get(f"{mounted.url}/changes").status_code == 404
    with mounted.stream("/feed/stream") as events:
        assert payloads(events.until("live")) == [1]
        put("note", "b", "2")
        assert payloads(events.changes(1)) == [2]


@pytest.fixture
def nginx(server: Serving, tmp_path: Path) -> Iterator[Serving]:
    with behind_nginx(server, tmp_path) as proxied:
        yield proxied


@contextmanager
def behind_nginx(server: Serving, tmp_path: Path) -> Iterator[Serving]:
    """nginx with the recipe, in front of a server."""
    port = free_port()
    recipe = (RECIPES / "nginx.conf").read_text()
    assert recipe.count("127.0.0.1:8080") == 2
    recipe = recipe.replace("127.0.0.1:8080", f"127.0.0.1:{server.port}")
    recipe = recipe.replace("listen 8000", f"listen 127.0.0.1:{port}")
    (tmp_path / "nginx.conf").write_text(
        f"daemon off; pid nginx.pid; error_log errors.log; user root;"
        f" events {{}} http {{ access_log off; {recipe} }}"
    )
    found = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    assert found is not None, "tests/install-servers installs it"
    process = subprocess.Popen([found, "-p", tmp_path, "-c", "nginx.conf"])
    try:
        proxied = Serving(port, server.feed)
        until(lambda: answers(f"{proxied.url}/feed/healthz") or process.poll() is not None)
        assert process.poll() is None, (tmp_path / "errors.log").read_text()
        yield proxied
    finally:
        process.terminate()
        process.wait(PATIENCE)


def answers(address: str) -> bool:
    try:
        return httpx.get(address, timeout=5).status_code == 200
    except httpx.TransportError:
        return False


def test_behind_nginx_events_come_at_once_and_streams_end_with_their_clients(nginx, put):
    put("note", "a", "1")
    with nginx.stream("/feed/stream") as events:
        assert payloads(events.until("live")) == [1]
        put("note", "b", "2")
        assert payloads(events.changes(1)) == [2]
        last = events.last_id
    until(lambda: nginx.feed.streams == 0)
    put("note", "c", "3")
    with nginx.stream("/feed/stream", **{"Last-Event-ID": last}) as events:
        assert payloads(events.until("live")) == [3]


def test_nginx_keeps_pages_below_the_head_and_asks_for_the_last_one(nginx, put):
    put("note", "a", "1", "b", "2", "c", "3")
    get = httpx.Client(base_url=nginx.url).get
    first = get("/feed/changes?limit=1").json()
    below, last = "/feed/changes?limit=1&cursor=", "/feed/changes?limit=500&cursor="
    seen = [get(page + first["cursor"]).headers["x-cache"] for page in (below, below, last, last)]
    assert (seen[:2], seen[3] == "HIT") == (["MISS", "HIT"], False)
    put("note", "d", "4")
    assert payloads(get(last + first["cursor"]).json()["changes"]) == [2, 3, 4]


def test_nginx_gives_nobody_what_it_keeps_for_another(nginx, orders, put):
    put("order", "1", '{"tenant": "a"}', "2", '{"tenant": "b"}', "3", '{"tenant": "b"}')
    put("note", "a", "1", "b", "2")
    orders.execute("create role web; select publish_grant('web', '{order}')")
    tokens = [one(orders, "select publish_token_add(%s, 'web', %s)", t, t) for t in ("a", "b")]

    def asked(token: str | None) -> list[Any]:
        reader = Serving(nginx.port, token=token)
        return [reader.get(f"/feed/changes?limit={n}").json()["changes"] for n in (1, 2, 500)]

    try:
        kept = asked(None)
        assert [len(changes) for changes in kept] == [1, 2, 5]
        for token, tenant, count in zip(tokens, "ab", (1, 2), strict=True):
            for changes in asked(token):
                assert {change["payload"]["tenant"] for change in changes} == {tenant}
            assert len(asked(token)[-1]) == count
        assert asked(None) == kept
        wrong = Serving(nginx.port, token="pgp_" + "0" * 64)
        assert wrong.get("/feed/changes?limit=1").status_code == 401
    finally:
        orders.execute("drop owned by web; drop role web")


def test_nginx_does_not_open_a_server_without_a_rule_to_everybody(url, orders, put, tmp_path):
    put("note", "a", "1")
    with serving(url, local_only=True) as server, behind_nginx(server, tmp_path) as proxied:
        assert server.get("/changes").status_code == 200
        for path in ("changes", "stream", "now", "metrics"):
            assert proxied.get(f"/feed/{path}").status_code == 403


def test_postgrest_calls_a_function_of_each_kind_as_the_role_of_a_request(url, orders, put):
    """As PostgREST does: a login that may nothing sets the role of the request's token."""
    orders.execute("create role web_anon; create role authenticator login noinherit")
    orders.execute("grant web_anon to authenticator")
    try:
        orders.execute("select publish_define('film'); select publish_define('secret')")
        orders.execute((RECIPES / "postgrest.sql").read_bytes())
        put("film", "7", '{"title": "Heat"}')
        put("secret", "1", "1")
        with psycopg.connect(url.replace("user=postgres", "user=authenticator")) as conn:
            conn.execute("select set_config('role', 'web_anon', true)")
            page = one(conn, "select * from api.film_changes()")
            assert payloads(page["changes"]) == [{"title": "Heat"}]
            pub_id = page["changes"][0]["pub_id"]
            assert one(conn, "select * from api.film(%s)", pub_id) == {"title": "Heat"}
            assert one(conn, "select api.film_changes(%s, 1)", page["cursor"])["changes"] == []
            with pytest.raises(psycopg.Error) as refused:
                conn.execute("select publish_page(kinds => '{secret}')")
            assert refused.value.sqlstate == "PT403"  # of which PostgREST makes 403
            conn.rollback()
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                conn.execute("select api.film_changes()")
    finally:
        orders.execute("drop owned by web_anon, authenticator; drop role web_anon, authenticator")


@pytest.mark.timeout(600)
def test_a_next_page_is_made_again_after_a_change(
    url, orders, put, background, monkeypatch, pytestconfig, tmp_path
):
    if not pytestconfig.getoption("--recipes"):
        pytest.skip("make recipes builds with Next")
    orders.execute("select publish_define('film', show_key => true)")
    put("film", "7", '{"title": "Heat"}')
    folder = tmp_path / "nextjs"
    shutil.copytree(RECIPES / "nextjs", folder)
    port = free_port()
    secret = "whsec_" + "QUJD" * 8
    monkeypatch.setenv("PGPUBLISH_SECRET_SHOP", secret)
    monkeypatch.setenv("WEBHOOK_SECRET", secret)
    monkeypatch.setenv("NEXT_TELEMETRY_DISABLED", "1")
    site = f"http://127.0.0.1:{port}"
    with serving(url) as server, ExitStack() as ends:
        monkeypatch.setenv("FEED_URL", server.url)
        run(folder, "npm", "install", "--no-audit", "--no-fund", "--prefer-offline", patience=300)
        run(folder, "npx", "next", "build", patience=300)
        started = subprocess.Popen(
            ["node", "node_modules/next/dist/bin/next", "start", "-H", "127.0.0.1", f"-p{port}"],
            cwd=folder, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        ends.callback(started.wait, PATIENCE)
        ends.callback(started.terminate)
        until(lambda: answers(site))
        assert httpx.post(f"{site}/published", content="{}").status_code == 401
        until(lambda: titles(site) == ["Heat"])
        orders.execute(
            "select publish_subscribe('shop', 'webhook', %s, kinds => '{film}', key => true,"
            " from_rev => publish_head())",
            [json.dumps({"url": f"{site}/published", "allow_private": True,
                         "secrets": ["env:PGPUBLISH_SECRET_SHOP"]})],
        )  # fmt: skip
        background("deliver")
        put("film", "8", '{"title": "Alien"}')
        until(lambda: titles(site) == ["Heat", "Alien"])
        put("film", "7", None)
        until(lambda: titles(site) == ["Alien"])


def titles(site: str) -> list[str]:
    return re.findall(r"<li>(.*?)</li>", httpx.get(site, timeout=PATIENCE).text)
