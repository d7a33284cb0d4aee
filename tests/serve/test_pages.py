"""GET /changes and /kinds: pages as the database makes them, cacheable, shared and waited for."""

from __future__ import annotations

import asyncio
import gzip
import json
import re
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from urllib.parse import quote

import httpx
import pytest
from helpers import PATIENCE, begin, head, one, until
from serving import serving
from starlette.applications import Starlette
from starlette.routing import Mount

from pgpublish.serve import Settings, app

pytest_plugins = ["served"]


def test_pages_are_those_of_the_database_to_the_last_digit(server, orders, put):
    put("note", *(x for n in range(5) for x in (str(n), f'{{"n": {n}.10}}')))
    first = server.get("/changes?limit=2")
    assert first.text == one(orders, "select publish_page(batch => 2)::text")
    assert '"n": 0.10' in first.text
    revs, cursor = [], ""
    while True:
        page = server.get(f"/changes?limit=2&cursor={cursor}").json()
        revs += [change["rev"] for change in page["changes"]]
        cursor = page["cursor"]
        if not page["more"]:
            break
    assert revs == [1, 2, 3, 4, 5]


def test_pages_below_the_head_may_be_kept_and_the_last_is_asked_for_again(server, put):
    put("note", *(x for n in range(5) for x in (str(n), "1")))
    first = server.get("/changes?limit=2")
    assert first.headers["cache-control"] == "public, max-age=5"
    second = server.get("/changes?limit=2&cursor=" + first.json()["cursor"])
    assert second.headers["cache-control"] == "public, max-age=3600, immutable"
    last = server.get("/changes?limit=2&cursor=" + second.json()["cursor"])
    assert last.headers["cache-control"] == "no-cache"
    again = {"If-None-Match": last.headers["etag"]}
    path = "/changes?limit=2&cursor=" + second.json()["cursor"]
    assert (server.get(path, headers=again).status_code, len(server.get(path).content) > 0) == (
        304,
        True,
    )
    put("note", "new", "2")
    assert server.get(path, headers=again).status_code == 200


def test_large_pages_are_compressed_for_who_takes_it(server, put):
    put("note", "a", json.dumps({"text": "x" * 100_000}))
    plain = server.get("/changes", headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers
    zipped = server.get("/changes", headers={"Accept-Encoding": "br, gzip;q=0.5"})
    assert zipped.headers["content-encoding"] == "gzip"
    assert zipped.text == plain.text
    assert int(zipped.headers["content-length"]) < len(plain.content) / 10
    assert gzip.compress(plain.content, 5, mtime=0)[:2] == b"\x1f\x8b"
    refusing = server.get("/changes", headers={"Accept-Encoding": "gzip;q=0"})
    assert "content-encoding" not in refusing.headers


def test_a_reset_is_an_answer_that_says_why_and_is_not_kept(server, put):
    put("note", "a", "1")
    answer = server.get("/changes?cursor=99")
    assert (answer.status_code, answer.json()["reset"]) == (200, True)
    assert "above the head" in answer.json()["reason"]
    assert answer.headers["cache-control"] == "no-store"


def test_a_long_poll_is_answered_when_a_change_of_its_kinds_comes(server, orders, put):
    put("note", "a", "1")
    cursor = server.get("/changes").json()["cursor"]
    waiting = begin(server.get, f"/changes?cursor={cursor}&kinds=note&wait=30")
    until(lambda: server.feed.pages.waiting == 1)
    put("order", "o", '{"tenant": "x"}')
    put("note", "b", "2")
    page = waiting.result(PATIENCE).json()
    assert [change["payload"] for change in page["changes"]] == [2]
    assert page["head"] == head(orders)
    assert until(lambda: server.feed.pages.waiting == 0)
    assert len(server.feed.hub) == 0


def test_a_long_poll_without_a_change_ends_with_an_empty_page(server, put):
    put("note", "a", "1")
    cursor = server.get("/changes").json()["cursor"]
    page = server.get(f"/changes?cursor={cursor}&wait=1").json()
    assert (page["changes"], page["cursor"]) == ([], cursor)


def test_equal_long_polls_cost_one_query_when_a_change_comes(server, put):
    put("note", "a", "1")
    cursor = server.get("/changes").json()["cursor"]
    with ThreadPoolExecutor(30) as pool:
        path = f"/changes?cursor={cursor}&wait=30"
        waiting = [pool.submit(server.get, path) for _ in range(30)]
        until(lambda: server.feed.pages.waiting == 30)
        asked = server.feed.pages.shared.asked
        put("note", "b", "2")
        answers = [future.result(PATIENCE) for future in waiting]
    assert {len(answer.json()["changes"]) for answer in answers} == {1}
    assert server.feed.pages.shared.asked - asked <= 2


def test_one_key_is_got_live_deleted_or_not_at_all(server, orders, put):
    put("note", "a", '{"n": 1.0}')
    pub_id = one(orders, "select publish_pub_id('note', 'a')")
    answer = server.get(f"/kinds/note/{pub_id}")
    assert (answer.status_code, answer.json()["payload"]) == (200, {"n": 1.0})
    put("note", "a", None)
    assert server.get(f"/kinds/note/{pub_id}").json()["deleted"]
    assert server.get(f"/kinds/order/{pub_id}").status_code == 404
    assert server.get("/kinds/note/00000000-0000-4000-8000-000000000000").status_code == 404


def test_the_document_describes_what_is_answered(server):
    document = server.get("/openapi.json").json()
    for path in document["paths"]:
        filled = path.format(kind="note", pub_id="00000000-0000-4000-8000-000000000000")
        with httpx.stream("GET", server.url + filled, timeout=PATIENCE) as answer:
            assert answer.status_code in (200, 404)
            content = answer.headers["content-type"].split(";")[0]
        operation = document["paths"][path]["get"]["responses"]
        named = operation[str(answer.status_code) if answer.status_code == 200 else "default"]
        assert content in named["content"]


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_health_is_told(server, path):
    assert server.get(path).status_code == 200


def test_it_can_be_mounted_in_an_application_of_ones_own(url, orders, put):
    put("note", "a", "1")
    feed = app(url, Settings(public="publish_reader"))

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with feed.router.lifespan_context(feed):
            yield

    api = Starlette(routes=[Mount("/feed", feed)], lifespan=lifespan)

    async def ask(*paths: str) -> list[httpx.Response]:
        transport = httpx.ASGITransport(api)
        async with (
            api.router.lifespan_context(api),
            httpx.AsyncClient(transport=transport, base_url="http://localhost") as client,
        ):
            return [await client.get(path) for path in paths]

    page, wrong, other, bare, html, script, now = asyncio.run(
        ask("/feed/changes", "/feed/changes?limit=0", "/changes",
            "/feed", "/feed/", "/feed/page.js", "/feed/now")
    )  # fmt: skip
    assert len(page.json()["changes"]) == 1
    assert wrong.json()["code"] == "PT400"
    assert other.status_code == 404
    assert bare.headers["location"] == "http://localhost/feed/"  # its addresses are relative
    assert not re.search(r'(src|href)="/', html.text)
    assert (script.status_code, now.json()["kinds"]) == (200, ["note", "order"])


def test_who_forgets_its_lifespan_is_told_so(url, orders):
    async def ask() -> None:
        feed = app(url, Settings(public="publish_reader"))
        transport = httpx.ASGITransport(Starlette(routes=[Mount("/feed", feed)]))
        async with httpx.AsyncClient(transport=transport, base_url="http://mounted") as client:
            await client.get("/feed/changes")

    with pytest.raises(RuntimeError, match="lifespan"):
        asyncio.run(ask())


@pytest.mark.parametrize("kind", ["shop/film", "a?b#c", "ä ö", "%2e"])
def test_a_kind_of_any_name_is_got(server, orders, put, kind):
    orders.execute("select publish_define(%s)", [kind])
    put(kind, "1", "7")
    pub_id = one(orders, "select publish_pub_id(%s, '1')", kind)
    answer = server.get(f"/kinds/{quote(kind, safe='')}/{pub_id}")
    assert (answer.status_code, answer.json()["payload"]) == (200, 7)
    page = server.get(f"/changes?kinds={quote(kind, safe='')}").json()
    assert [change["pub_id"] for change in page["changes"]] == [str(pub_id)]


@pytest.mark.parametrize("encoding", ["latin1", "sql_ascii"])
def test_every_letter_is_told_whatever_encoding_the_database_prefers(
    url, orders, admin, put, encoding
):
    name = orders.info.dbname
    admin.execute(f"alter database {name} set client_encoding to {encoding}".encode())
    put("note", "a", '"€ ł"')
    with serving(url) as server:
        assert server.get("/changes").json()["changes"][0]["payload"] == "€ ł"
        with server.stream() as events:
            assert [change["payload"] for change in events.until("live")] == ["€ ł"]
            put("note", "a", '"ł"')
            assert events.changes(1)[0]["payload"] == "ł"


def test_sessions_that_the_database_ended_cost_no_request(url, orders, admin, put):
    put("note", "a", "1")
    with serving(url, look=60.0) as server, ThreadPoolExecutor(8) as pool:
        every = [f"/changes?limit={n}" for n in range(1, 40)]
        sessions = "from pg_stat_activity a where a.application_name = 'pgpublish serve'"

        def all_are_open() -> bool:
            assert {answer.status_code for answer in pool.map(server.get, every)} == {200}
            return bool(one(admin, f"select count(*) > 4 {sessions}"))

        until(all_are_open)
        admin.execute(f"select pg_terminate_backend(a.pid, 5000) {sessions}".encode())
        assert server.get("/changes").status_code == 200
