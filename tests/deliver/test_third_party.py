"""A sink that another package brings, found by its entry point, as the docs page shows it."""

from __future__ import annotations

import json
import re
from importlib import metadata
from pathlib import Path
from threading import Event
from typing import Any

import psycopg
import pytest
import servers
from click.testing import CliRunner, Result
from conftest import Connection
from delivery import notes, subscribe
from helpers import one

from pgpublish import cli, database, deliver, migrate, script, sinks
from pgpublish.errors import BadArgument
from pgpublish.sinks import registry

PAGE = Path(__file__).parents[2] / "docs/deliver-broker.md"


@pytest.fixture
def pigeon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Installs the page's package, and gives the file that its sink writes."""
    page = PAGE.read_text()
    (code,) = re.findall(r"```python\n(# pigeon\.py\n.*?)```", page, re.DOTALL)
    (points,) = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    (tmp_path / "pigeon.py").write_text(code)
    info = tmp_path / "pigeon-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: pigeon\nVersion: 1.0\n")
    group, point = re.findall(r'entry-points\."(.*?)"\]\n(.*?)\n', points)[0]
    (info / "entry_points.txt").write_text(f"[{group}]\n{point.replace(chr(34), '')}\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path / "loft.jsonl"


@pytest.fixture(params=["import nowhere", "raise RuntimeError('no loft')", ""])
def broken(request: pytest.FixtureRequest, pigeon: Path) -> None:
    """Beside it, one whose package is broken."""
    folder = pigeon.parent
    (folder / "dodo.py").write_text(f"class Dodo: OPTIONS = {{1: set()}}\n{request.param}\n")
    info = folder / "dodo-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: dodo\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[pgpublish.sinks]\ndodo = dodo:Dodo\n")


def test_a_sink_of_another_package_is_checked_and_delivered_to(
    db: Connection, url: str, pigeon: Path
) -> None:
    notes(db, 3)

    def define(*options: str) -> int:
        arguments = ["--database-url", url, "subscribe", "birds", "pigeon", *options]
        return CliRunner().invoke(cli.main, arguments).exit_code

    assert define() == 1  # loft is required
    assert define("-o", f"loft={pigeon}", "-o", "wings=2") == 1
    assert define("-o", f"loft={pigeon}") == 0
    deliver.run(lambda: database.connect(url), Event(), once=True)
    lines = [json.loads(line) for line in pigeon.read_text().splitlines()]
    assert [line["data"] for line in lines] == [1, 2, 3]
    assert one(db, "select behind from publish_subscriptions()") == 0


@pytest.mark.usefixtures("broken")
def test_a_sink_that_cannot_be_loaded_stops_no_other(
    db: Connection, url: str, pigeon: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes(db, 3)

    def define(name: str, sink: str, *options: str) -> Result:
        arguments = ["--database-url", url, "subscribe", name, sink, *options]
        return CliRunner().invoke(cli.main, arguments)

    assert define("birds", "pigeon", "-o", f"loft={pigeon}").exit_code == 0
    refused = define("gone", "dodo")
    assert refused.exit_code == 1
    assert "dodo" in refused.stderr
    warnings: list[str] = []
    db.execute("insert into publish.sink (sink) values ('dodo')")
    db.execute("select publish_subscribe('gone', 'dodo')")
    deliver.run(lambda: database.connect(url), Event(), once=True, warn=warnings.append)
    assert len(pigeon.read_text().splitlines()) == 3
    assert warnings
    assert all("dodo" in warning for warning in warnings)


@pytest.mark.parametrize("options", [{"loft": float("nan")}, {"lo\0ft": "string"}, {"loft": None}])
def test_a_sink_of_odd_options_stops_no_other(
    db: Connection, url: str, pigeon: Path, monkeypatch: pytest.MonkeyPatch, options: Any
) -> None:
    notes(db, 3)
    arguments = ["--database-url", url, "subscribe", "birds", "pigeon", "-o", f"loft={pigeon}"]
    assert CliRunner().invoke(cli.main, arguments).exit_code == 0
    warnings: list[str] = []
    known = sinks.known_options
    installed = sinks.third_party()
    monkeypatch.setattr(sinks, "third_party", lambda: [*installed, "dodo"])
    monkeypatch.setattr(
        sinks, "known_options",
        lambda name: json.dumps(options) if name == "dodo" else known(name),
    )  # fmt: skip
    deliver.run(lambda: database.connect(url), Event(), once=True, warn=warnings.append)
    assert len(pigeon.read_text().splitlines()) == 3
    assert warnings


OURS = sorted(point.name for point in metadata.distribution("pgpublish").entry_points.select(
    group=sinks.GROUP))  # fmt: skip


def test_a_migrated_database_knows_the_options_of_our_sinks(db: Connection) -> None:
    """From their classes, as it learns a third party's; and no other."""
    known = db.execute("select s.sink, s.options from publish.sink s order by s.sink").fetchall()
    assert known == [(name, json.loads(sinks.known_options(name))) for name in OURS]
    assert {"webhook", "redis", "nats", "rabbitmq", "kafka", "sqs", "stdout"} <= set(OURS)
    assert one(db, "select publish.sink_options('pigeon')") is None


def test_a_database_that_psql_made_knows_them_too(new_database: Any, cluster: Any) -> None:
    name = new_database(None)
    servers.run_psql(cluster.url(name), text=script.ddl()).check_returncode()
    with psycopg.connect(cluster.url(name)) as conn:
        assert one(conn, "select count(*) from publish.sink") == len(OURS)


@pytest.mark.parametrize("name", OURS)
def test_options_are_known_without_the_package_that_the_sink_needs(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who migrates need not be who delivers."""
    expected = sinks.load(name).OPTIONS
    monkeypatch.setattr(metadata.EntryPoint, "load", None)
    assert json.loads(sinks.known_options(name)) == expected


def test_an_option_that_a_later_version_adds_is_known_after_migrate(
    db: Connection, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = registry.registration().replace('"maxlen": "number"', '"maxage": "number"')
    monkeypatch.setattr(script, "registration", lambda: later)
    with database.connect(url) as conn:
        assert [file.path for file in migrate.migrate(conn)] == ["sinks"]
        assert migrate.migrate(conn) == []
    subscribe(db, "s", "redis", options=required("redis") | {"maxage": 1})
    with pytest.raises(psycopg.Error) as caught:
        subscribe(db, "s", "redis", options={"maxlen": 1})
    assert caught.value.sqlstate == "PT400"


SAMPLES = {"url": "http://127.0.0.1/", "servers": "127.0.0.1", "queue_url": "http://127.0.0.1/q"}
PER_TYPE = {"string": "x", "number": 1, "boolean": True, "array": ["127.0.0.1"], "object": {}}
SCHEMES = {"redis": "redis://127.0.0.1", "rabbitmq": "amqp://127.0.0.1"}


def required(name: str) -> dict[str, Any]:
    """The fewest options that this sink can have."""
    found = {}
    for option, kind in json.loads(sinks.known_options(name)).items():
        if kind.endswith(" required"):
            sample = PER_TYPE[kind.split()[0]]
            found[option] = SAMPLES.get(option, sample) if sample == "x" else sample
    return found | ({"url": SCHEMES[name]} if name in SCHEMES else {})


@pytest.mark.parametrize("name", OURS)
def test_a_timeout_or_concurrency_that_is_not_above_0_is_refused(db: Connection, name: str) -> None:
    """By the database; and by the sink, where it comes from the environment."""
    known = {"timeout", "concurrency"} & set(one(db, "select publish.sink_options(%s)", name))
    for option in sorted(known):
        for value in (0, -1):
            with pytest.raises(psycopg.Error) as caught:
                subscribe(db, "s", name, options=required(name) | {option: value})
            assert caught.value.sqlstate == "PT400"
        for text in ("0", "-1", "nan", "inf") if name != "stdout" else ():
            options = sinks.resolve(
                required(name) | {option: "env:PGPUBLISH_SECRET_N"}, {"PGPUBLISH_SECRET_N": text}
            )
            with pytest.raises(BadArgument) as refused:
                sinks.make(name, options)
            assert option in str(refused.value.detail)
        subscribe(db, "s", name, options=required(name) | {option: 0.5})


@pytest.mark.parametrize("name", OURS)
def test_a_sink_reads_the_options_that_it_names_and_no_other(name: str) -> None:
    class Read(dict[str, Any]):
        def get(self, key: str, default: Any = None) -> Any:
            seen.add(key)
            return super().get(key, default)

    seen: set[str] = set()
    may = sinks.Policy(ambient=True)
    sinks.make(name, sinks.Options(Read(required(name)), policy=may)).close()
    assert seen - {"timeout"} == set(sinks.load(name).OPTIONS)
