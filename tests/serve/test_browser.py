"""The page and the JavaScript client in a real browser."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from chromium import Browser, Page, browser
from helpers import Connection, drain_all, enqueue, head, one, until
from node import install
from serving import free_port, serving

pytest_plugins = ["served"]

HOSTILE = "<img src=x onerror='owned = 1'>\"'><script>owned = 1</script>${owned = 1}\u202e\x1b"
LIVE = "document.querySelector('#state').textContent === 'live'"
TABLES = "document.querySelectorAll('#tables table').length > 0"


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("profile")) as started:
        yield started


@pytest.fixture
def ops(orders: Connection) -> Iterator[Connection]:
    """Something of everything, and role ops, an administrator."""
    orders.execute(
        "create role ops; grant publish_admin to ops; create role web;"
        "select publish_grant('ops', '{*}'); select publish_grant('web', '{note}');"
        "select publish_subscribe('copy', 'stdout');"
        "select publish_job_add('export', 'export', data => '{\"done\": 7, \"total\": 20}'),"
        "       publish_job_start('export', worker => 'host:1');"
        "select publish_job_add('mail', 'mail', max_attempts => 1)"
    )
    run = one(orders, "select s.token from publish_job_start('mail') s")
    orders.execute("select publish_job_fail('mail', %s, 'Timeout', 'no answer')", [run])
    yield orders
    orders.execute("drop owned by ops, web; drop role ops, web")


def token(db: Connection, role: str) -> str:
    made: str = one(db, "select publish_token_add(%s, %s)", role, role)
    return made


def sign_in(page: Page, given: str) -> None:
    """As a person does it, by the keyboard."""
    if not page.run("document.querySelector('#token').open"):
        page.run("document.querySelector('#sign').focus()")
        page.press("Enter", 13)
    page.until("document.activeElement.id === 'token-text'")
    page.type(given)
    page.press("Enter", 13)
    page.until(LIVE)


def shown(page: Page) -> list[str]:
    """The latest changes, each as one line."""
    lines: list[str] = page.run(
        "[...document.querySelectorAll('#list > li')].map(i => i.innerText.replace(/\\s+/g, ' '))"
    )
    return lines


def has(text: str) -> str:
    return f"document.querySelector('#list').innerText.includes({json.dumps(text)})"


def resumed(page: Page) -> list[str | None]:
    """The cursor from which each stream went on."""
    page.run("0")
    return [
        event["params"]["request"]["headers"].get("Last-Event-ID")
        for event in page.events
        if event["method"] == "Network.requestWillBeSent"
        and "/stream" in event["params"]["request"]["url"]
        and event["params"]["request"]["method"] == "GET"
    ]


# --- what it shows


def test_changes_arrive_without_a_reload_and_tell_the_difference(url, ops, put, chromium):
    put("note", "a", '{"title": "one", "size": {"w": 1}}')
    with serving(url, local_only=True) as server, chromium.page() as page:
        page.open(server.url)
        page.run("window.marker = 1")
        page.until(LIVE)
        page.until(has("one"))
        put("note", "a", '{"title": "two", "size": {"w": 1, "h": 5}}')
        page.until(has("two"))
        (line, *_) = shown(page)
        assert line.startswith("changed note ")
        assert "title was one → is now two" in line
        assert "size.h5" in line.replace(" ", "")
        assert "size.w" not in line
        put("note", "a", None)
        page.until("document.querySelector('#list > li').innerText.startsWith('deleted')")
        put("note", "a", '{"title": "three"}')
        page.until("document.querySelector('#list > li').innerText.startsWith('new')")
        figures = page.run("document.querySelector('#cards').innerText")
        page.until(f"document.querySelector('#cards').innerText !== {json.dumps(figures)}")
        assert page.run("window.marker") == 1


def test_what_it_shows_is_what_the_commands_show(url, ops, put, chromium):
    put("note", "a", "1")
    with serving(url, local_only=True) as server, chromium.page() as page:
        page.open(server.url)
        page.until(TABLES)
        page.until("document.querySelectorAll('#charts svg polyline').length >= 1")
        said = page.text()
        for fact in ("copy", "stdout", "nobody delivers", "export", "Changes a second, last hour"):
            assert fact in said, fact
        assert (
            page.run("document.title") == f"(1) {one(ops, 'select current_database()')}: pgpublish"
        )


def test_it_goes_on_after_the_server_was_away(url, ops, put, chromium):
    port = free_port()
    with chromium.page() as page:
        page.expected = ["ERR_CONNECTION_REFUSED", "ERR_INCOMPLETE_CHUNKED", "ERR_CONNECTION_RESET"]
        with serving(url, port=port, local_only=True):
            page.open(f"http://127.0.0.1:{port}/")
            page.until(LIVE)
            page.run("window.marker = 1")
            put("note", "a", '{"v": "before"}')
            page.until(has("before"))
        page.until(f"!({LIVE})")
        put("note", "a", '{"v": "away"}')
        with serving(url, port=port, local_only=True):
            page.until(has("away"))
            page.until(LIVE)
            put("note", "a", '{"v": "after"}')
            page.until(has("after"))
        assert page.run("window.marker") == 1
        newest, middle, *_ = shown(page)
        assert "was away → is now after" in newest
        assert "was before → is now away" in middle
        places = [int(cursor.rpartition(".")[2]) for cursor in resumed(page) if cursor]
        assert places[0] == 0
        assert all(place > 0 for place in places[1:])


def test_a_reset_begins_the_list_again(url, ops, put, chromium):
    put("note", "a", '{"v": "old"}')
    port = free_port()
    with chromium.page() as page:
        page.expected = ["ERR_CONNECTION_REFUSED", "ERR_INCOMPLETE_CHUNKED", "ERR_CONNECTION_RESET"]
        with serving(url, port=port, local_only=True):
            page.open(f"http://127.0.0.1:{port}/")
            page.until(has("old"))
        put("note", "b", '{"v": "pruned"}', "c", '{"v": "kept"}')
        ops.execute("insert into publish.floor values ('note', %s, 1)", [head(ops) - 1])
        with serving(url, port=port, local_only=True):
            page.until(has("kept"))
            page.until(f"!{has('old')}")


def test_every_text_of_others_stays_text(url, ops, chromium):
    kind = HOSTILE.replace("\x1b", "")
    ops.execute("select publish_define(%s, show_key => true)", [kind])
    ops.execute("select publish_subscribe(%s, 'stdout')", [kind])
    ops.execute("select publish_pause(%s)", [kind])
    ops.execute("select publish_job_add(%s, %s), publish_job_start(%s, worker => %s)", [kind] * 4)
    payload = json.dumps({HOSTILE: HOSTILE, "b": {"__proto__": HOSTILE, "constructor": [HOSTILE]}})
    for n in range(2):
        changed = payload if n else payload.replace("owned", "other")
        enqueue(ops, kind, kind, changed)
        drain_all(ops)
    with serving(url, public=None) as server, chromium.page() as page:
        page.expected = ["401 (Unauthorized)"]
        page.open(server.url)
        sign_in(page, token(ops, "ops"))
        page.until("document.querySelectorAll('#list > li').length === 1")
        enqueue(ops, kind, kind, json.dumps({HOSTILE: HOSTILE + "2"}))
        drain_all(ops)
        page.until("document.querySelectorAll('#list > li').length === 2")
        page.until("document.querySelectorAll('#tables button').length > 0")
        page.run("document.querySelector('#tables button').click()")
        page.until("document.querySelector('#ask').open")
        assert page.run("document.querySelectorAll('img, body script, iframe, object').length") == 0
        assert page.run("typeof owned") == "undefined"
        assert page.run("typeof {}.owned") == "undefined"
        said = page.text()
        assert said.count("<img src=x onerror='owned = 1'>") >= 6
        assert "\u202e" not in said
        assert "\\u202e" in said
        assert "<img" in page.run("document.querySelector('#ask-title').textContent")
        assert page.run("document.querySelectorAll('#kind option').length") == 4


def test_who_reads_one_kind_sees_only_that(url, ops, put, chromium):
    put("note", "a", '{"v": "mine"}')
    put("order", "o", '{"v": "theirs"}')
    with serving(url, public=None) as server, chromium.page() as page:
        page.expected = ["401 (Unauthorized)"]
        page.open(server.url)
        sign_in(page, token(ops, "web"))
        page.until(has("mine"))
        page.until(TABLES)
        for secret in ("order", "theirs", "copy", "export", "host:1", "Needs somebody"):
            assert secret not in page.run("document.documentElement.outerHTML"), secret
        assert page.run("document.querySelectorAll('main button').length") == 0


# --- what a person does


def state(db: Connection) -> str:
    said: str = one(db, "select s.state from publish_subscriptions() s where s.name = 'copy'")
    return said


def focus(page: Page, label: str) -> None:
    page.until(f"(document.querySelector('[data-label=\"{label}\"]')?.focus(),"
               f" document.activeElement.dataset.label === '{label}')")  # fmt: skip


def press_button(page: Page, label: str) -> None:
    """By the keyboard, and confirms."""
    focus(page, label)
    page.press("Enter", 13)
    page.until("document.querySelector('#ask').open")
    page.until("document.activeElement.id === 'ask-no'")
    page.press("Tab", 9)
    page.press("Enter", 13)


def test_buttons_are_there_for_who_may_and_do_what_they_say(url, ops, chromium):
    with serving(url, local_only=True) as server, chromium.page() as page:
        page.open(server.url)
        page.until(TABLES)
        assert page.run("document.querySelectorAll('main button').length") == 0
        given = token(ops, "ops")
        sign_in(page, given)
        press_button(page, "Pause")
        until(lambda: state(ops) == "paused")
        page.until("document.querySelector('#done').innerText.includes('Done')")
        press_button(page, "Resume")
        until(lambda: state(ops) == "active")
        press_button(page, "Retry")
        until(
            lambda: one(ops, "select j.status from publish.job j where j.id = 'mail'") == "pending"
        )
        assert page.run("document.cookie + JSON.stringify(localStorage)") == "{}"
        assert not any(given in asked for asked in page.requests())
        assert page.run(f"sessionStorage.getItem('pgpublish.token') === '{given}'")
        focus(page, "Pause")
        page.press("Enter", 13)
        page.until("document.querySelector('#ask').open")
        ops.execute("revoke publish_admin from ops")  # between the question and the answer
        page.expected = ["403 (Forbidden)"]
        page.run("document.querySelector('#ask-yes').click()")
        page.until("document.querySelector('#done').innerText.includes('may not do this')")
        page.until("document.querySelectorAll('main button').length === 0")
        assert state(ops) == "active"
        page.run("document.querySelector('#sign').click()")
        page.run("document.querySelector('#token-forget').click()")
        assert page.run("sessionStorage.length") == 0


def test_a_dialog_can_be_left_and_nothing_was_done(url, ops, chromium):
    with serving(url, local_only=True) as server, chromium.page() as page:
        page.open(server.url)
        sign_in(page, token(ops, "ops"))
        focus(page, "Pause")
        page.press(" ", 32)
        page.until("document.querySelector('#ask').open")
        page.press("Escape", 27)
        page.until("!document.querySelector('#ask').open")
        before = page.run("document.querySelector('#tables').innerText")
        assert page.run("document.activeElement.dataset.label") == "Pause"
        # What is updated does not take the focus away.
        page.until(f"document.querySelector('#tables').innerText !== {json.dumps(before)}")
        assert page.run("document.activeElement.dataset.label") == "Pause"
        assert state(ops) == "active"


def test_a_wrong_token_is_told_and_another_may_be_given(url, ops, chromium):
    with serving(url, public=None) as server, chromium.page() as page:
        page.expected = ["401 (Unauthorized)"]
        page.open(server.url)
        page.until("document.querySelector('#token').open")
        page.type("pgp_0")
        page.press("Enter", 13)
        page.until("document.querySelector('#note').innerText.includes('not known')")
        sign_in(page, token(ops, "web"))
        assert page.run("document.querySelector('#note').hidden")


def test_it_holds_still_and_chooses_a_kind(url, ops, put, chromium):
    with (
        serving(url, local_only=True) as server,
        chromium.page() as page,
        chromium.page() as other,
    ):
        for one_of_them in (page, other):
            one_of_them.open(server.url)
            one_of_them.until(LIVE)
        put("note", "a", '{"v": "first"}')
        page.until(has("first"))
        page.run("document.querySelector('#freeze').click()")
        put("note", "a", '{"v": "second"}', "b", '{"v": "third"}')
        put("order", "o", '{"v": "fourth"}')
        other.until(has("fourth"))
        assert not page.run(has("second"))
        page.run("document.querySelector('#freeze').click()")
        page.until(has("fourth"))
        page.until("document.querySelectorAll('#kind option').length === 3")
        page.run("document.querySelector('#kind').value = 'order';"
                 "document.querySelector('#kind').dispatchEvent(new Event('change'))")  # fmt: skip
        assert [line.split()[1] for line in shown(page)] == ["order"]


# --- who it is for


@pytest.fixture(scope="module")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The source of axe-core, which checks the rules of WCAG that a program can check."""
    folder = tmp_path_factory.mktemp("axe")
    install(folder, "axe-core@4")
    return (folder / "node_modules/axe-core/axe.min.js").read_text()


VIOLATIONS = """axe.run(document, {resultTypes: ['violations']}).then(found =>
  found.violations.map(one => [one.id, one.help, one.nodes.map(node => node.html + ' ' +
    node.any.map(check => check.message)).slice(0, 3)]))"""


STICK_OUT = """[...document.querySelectorAll('main section *')].filter(one =>
  one.getBoundingClientRect().right > one.closest('section').getBoundingClientRect().right
  && getComputedStyle(one).clipPath === 'none').map(one => one.outerHTML.slice(0, 90))"""


@pytest.mark.parametrize(
    ("width", "dark"), [(1400, False), (1400, True), (390, False), (390, True)]
)
def test_it_is_accessible_and_fits(url, ops, put, chromium, axe, width, dark):
    put("note", "a", '{"v": "a long word ' + "x" * 300 + '", "w": 1}')
    ops.execute(
        "select publish_subscribe('search-of-the-shop', 'webhook', '{\"url\": \"https://a.example/\"}'),"
        " publish.report_fault('search-of-the-shop', 'the certificate of a.example has expired')"
    )
    put("note", "a", '{"v": "other"}')
    with serving(url, local_only=True) as server, chromium.page(width=width, dark=dark) as page:
        page.media(dark=dark, still=True)
        page.open(server.url)
        sign_in(page, token(ops, "ops"))
        page.until(has("other"))
        page.until("document.querySelectorAll('#charts svg').length === 2")
        page.run(axe + "; 0")
        assert page.run(VIOLATIONS) == []
        for opener in ("#sign", "#tables button"):
            page.run(f"document.querySelector('{opener}').click()")
            assert page.run(VIOLATIONS) == []
            page.press("Escape", 27)
        for wide in (width, 320, 700, 900, 1090, 1280, 1800):
            page.resize(wide)
            assert page.run("document.documentElement.scrollWidth") <= wide
            assert page.run(STICK_OUT) == [], wide
        assert page.run("getComputedStyle(document.querySelector('#list > li')).animationName") \
            == "none"  # fmt: skip
        roles = page.run("['header', 'main', 'footer', 'h1'].map("
                         "  tag => document.querySelectorAll(tag).length)")  # fmt: skip
        assert roles == [1, 1, 1, 1]


def test_tab_reaches_everything_in_order(url, ops, put, chromium):
    with serving(url, local_only=True) as server, chromium.page() as page:
        page.open(server.url)
        sign_in(page, token(ops, "ops"))
        page.open(server.url)  # from its beginning; the tab keeps its token
        page.until("document.querySelectorAll('#tables button').length === 2")
        passed = []
        for _ in range(6):
            page.press("Tab", 9)
            passed.append(page.run("document.activeElement.className || document.activeElement.id"
                                   " || document.activeElement.dataset.label"))  # fmt: skip
        assert passed == ["skip", "freeze", "sign", "kind", "Pause", "Retry"]


# --- the JavaScript client


@pytest.fixture(scope="module")
def site(packed: Path) -> Iterator[str]:
    """A web site of its own origin, with the client as npm publishes it."""
    (packed.parent / "index.html").write_text(
        '<!doctype html><link rel="icon" href="data:,"><title>shop</title>'
    )

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(packed.parent)))
    Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


MIRROR = """import('/package/dist/index.js').then(({{ mirror, indexedDb }}) => {{
  window.held = mirror('{url}', {{ kinds: ['note'], storage: indexedDb('notes'), minDelay: 20,
                                   maxDelay: 100 }});
  window.resets = 0;
  held.subscribe((changed, all) => {{ if (all) resets += 1; }});
}})"""
HELD = "JSON.stringify(Object.fromEntries([...held].map(([id, one]) => [id, one.payload])))"


def holds(page: Page, db: Connection) -> None:
    found = one(db, "select publish_serve_page('publish_reader', kinds => '{note}')")
    want = {c["pub_id"]: c["payload"] for c in found["changes"] if not c["deleted"]}
    page.until("typeof held !== 'undefined'")
    until(lambda: json.loads(page.run(HELD)) == want)


def test_a_mirror_is_kept_in_the_browser_and_survives_a_reload_and_a_reset(
    url, ops, put, chromium, site
):
    put("note", "a", "1", "b", '{"ü": "\\n"}')
    with chromium.page() as page:
        page.expected = ["ERR_CONNECTION_REFUSED", "ERR_INCOMPLETE_CHUNKED", "ERR_CONNECTION_RESET"]
        with serving(url, origins=(site,)) as server:
            port = server.port
            page.open(site)
            page.run(MIRROR.format(url=server.url))
            holds(page, ops)
            put("note", "c", "3", "a", None)
            holds(page, ops)
            assert resumed(page) == [None]
        page.open(site)  # the server is away: what was kept is there
        page.run(MIRROR.format(url=f"http://127.0.0.1:{port}"))
        holds(page, ops)
        put("note", "d", "4")
        with serving(url, port=port, origins=(site,)):
            holds(page, ops)
            assert resumed(page)[-1] is not None
            assert page.run("resets") == 0
        put("note", "b", None, "e", "5")
        ops.execute("insert into publish.floor values ('note', %s, 1)", [head(ops)])
        with serving(url, port=port, origins=(site,)):
            holds(page, ops)
            page.until("resets === 1")
        page.open(site)
        page.run(MIRROR.format(url=f"http://127.0.0.1:{port}"))
        holds(page, ops)  # the state after the reset was kept


def test_changes_are_read_in_the_browser_and_refusals_are_told(url, ops, put, chromium, site):
    given = token(ops, "web")
    put("note", "a", "1", "b", "2")
    with serving(url, public=None, origins=(site,)) as server, chromium.page() as page:
        page.open(site)
        page.run(f"""import('/package/dist/index.js').then(async ({{ changes }}) => {{
          window.read = [];
          for await (const one of changes('{server.url}', {{ token: '{given}' }})) {{
            read.push(one.payload);
          }}
        }}); 0""")
        page.until("window.read?.length === 2")
        put("note", "c", "3")
        page.until("JSON.stringify(read) === '[1,2,3]'")
        page.expected = ["403 (Forbidden)"]
        refused = page.run(f"""import('/package/dist/index.js').then(async ({{ changes }}) => {{
          try {{
            const options = {{ token: '{given}', kinds: ['order'] }};
            for await (const one of changes('{server.url}', options));
          }} catch (error) {{ return [error.name, error.status, error.code]; }}
        }})""")
        assert refused == ["FeedError", 403, "PT403"]
