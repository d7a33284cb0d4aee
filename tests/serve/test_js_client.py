"""The JavaScript client: its own tests, its package, and the whole way to a real server."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from queue import Queue
from threading import Thread
from typing import Any

import pytest
from helpers import PATIENCE, head, one, until
from node import SOURCE, install, run
from serving import Serving, serving

pytest_plugins = ["served"]

RECIPES = Path(__file__).parents[2] / "examples/recipes"


def test_its_own_tests_pass(client: Path) -> None:
    assert "# fail 0" in run(client, "npm", "test", "--silent")


def test_the_package_holds_code_and_types_and_nothing_else(packed: Path) -> None:
    names = {path.relative_to(packed) for path in packed.rglob("*") if path.is_file()}
    assert {Path("package.json"), Path("README.md"), Path("dist/index.js")} <= names
    assert {name.parts[0] for name in names} == {"package.json", "README.md", "dist"}
    assert {name.with_suffix("").with_suffix("") for name in names if name.suffix == ".ts"} == {
        name.with_suffix("") for name in names if name.suffix == ".js"
    }


def test_the_package_works_where_it_is_installed(packed: Path, tmp_path: Path) -> None:
    (tmp_path / "node_modules").mkdir()
    (tmp_path / "node_modules/pgpublish").symlink_to(packed)
    code = "import * as all from 'pgpublish'; console.log(Object.keys(all).sort().join())"
    said = run(tmp_path, "node", "--input-type=module", "--eval", code)
    assert said == "FeedError,Mirror,ResetError,changes,events,indexedDb,mirror\n"


class Held:
    """What test/hold.mjs says it holds, line by line."""

    def __init__(self, client: Path, *arguments: str) -> None:
        self.process = subprocess.Popen(
            ["node", "test/hold.mjs", *arguments],
            cwd=client,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        self.lines: Queue[str] = Queue()
        Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.put(line)

    def until(self, want: Any) -> None:
        while (held := json.loads(self.lines.get(timeout=PATIENCE))) != want:
            assert "status" not in held, held


@pytest.fixture
def hold(client: Path) -> Iterator[Any]:
    started: list[Held] = []

    def start(*arguments: str) -> Held:
        started.append(Held(client, *arguments))
        return started[-1]

    yield start
    for held in started:
        held.process.kill()
        held.process.wait()


def now(db: Any, scope: str | None = None) -> dict[str, Any]:
    page = one(db, "select publish_serve_page('publish_reader', %s)", scope)
    return {c["pub_id"]: c["payload"] for c in page["changes"] if not c["deleted"]}


def test_a_mirror_holds_the_feed_also_after_the_server_went_away(url, orders, put, hold):
    put("note", "a", "1", "b", '{"ü": "\\n"}')
    with serving(url) as server:
        held = hold(server.url, "", "note")
        held.until(now(orders))
        put("note", "c", "3", "a", None)
        held.until(now(orders))
        port = server.port
    put("note", "b", "2", "d", "4", "c", None)
    with serving(url, port=port):
        held.until(now(orders))
        put("note", "e", "5")
        held.until(now(orders))
    assert head(orders) > 5


def test_a_mirror_of_a_tenant_loses_what_leaves_it(url, orders, put, hold):
    token = one(orders, "select publish_token_add('t', 'publish_reader', 'acme')")
    put("order", "1", '{"tenant": "acme"}', "2", '{"tenant": "globex"}')
    with serving(url, public=None) as server:
        held = hold(server.url, token)
        held.until(now(orders, "acme"))
        put("order", "1", '{"tenant": "globex"}')
        held.until({})
        refused = hold(server.url, "pgp_0")
        assert json.loads(refused.lines.get(timeout=PATIENCE)) == {"status": 401}
        assert Serving(server.port, token=token).get("/changes").status_code == 200


@pytest.fixture(scope="module")
def installed(packed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the package as it is published, and what the examples use it with."""
    folder = tmp_path_factory.mktemp("installed")
    (folder / "package.json").write_text('{"type": "module"}')
    install(folder, str(packed), "minisearch@7", "react@19", "react-test-renderer@19")
    return folder


def test_a_search_index_finds_what_is_published_and_not_what_was_deleted(
    url, orders, put, installed
):
    orders.execute("select publish_define('film', show_key => true)")
    put("film", "7", '{"title": "Heat"}', "8", '{"title": "Alien"}')
    shutil.copy(RECIPES / "search_index.mjs", installed)
    with serving(url) as server:
        index = subprocess.Popen(
            ["node", "search_index.mjs", server.url],
            cwd=installed, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        assert index.stdin is not None
        assert index.stdout is not None

        def found(query: str) -> list[str]:
            print(query, file=index.stdin, flush=True)
            return [hit["id"] for hit in json.loads(index.stdout.readline())]

        until(lambda: found("alien") == ["8"])
        put("film", "8", '{"title": "Aliens"}', "7", None)
        until(lambda: found("heat") == [])
        until(lambda: found("aliens") == ["8"])
        assert found("alien") == []
        index.stdin.close()
        assert index.wait(PATIENCE) == 0


def test_a_react_component_shows_what_its_mirror_holds(url, put, installed):
    put("note", "a", "1", "b", "2")
    for file in (SOURCE / "examples/use-mirror.js", Path(__file__).with_name("hook.mjs")):
        shutil.copy(file, installed)
    with serving(url) as server:
        shows = subprocess.Popen(
            ["node", "hook.mjs", server.url], cwd=installed, text=True, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        assert shows.stdout is not None
        try:
            for n, want in enumerate((["1", "2"], ["1", "2", "3"], ["2", "3"])):
                while (said := json.loads(shows.stdout.readline()))["shown"] != want:
                    pass
                assert said["renders"] <= 1 + 2 * n
                put("note", *[("c", "3"), ("a", None), ("d", "4")][n])
        finally:
            shows.kill()
            shows.wait()


def test_a_react_component_misses_no_change_and_follows_another_mirror(installed):
    for file in (SOURCE / "examples/use-mirror.js", Path(__file__).with_name("hook_swap.mjs")):
        shutil.copy(file, installed)
    said = run(installed, "node", "hook_swap.mjs").splitlines()
    assert [json.loads(line) for line in said] == [["late"], ["other"]]
