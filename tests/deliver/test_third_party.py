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
from click.testing import CliRunner, Result
from conftest import Connection
from delivery import notes, subscribe
from helpers import one

from pgpublish import cli, database, deliver, sinks
from pgpublish.errors import BadArgument

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
    assert one(db, "select behind from publish.subscription_state") == 0


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


def test_the_database_and_the_package_know_the_same_sinks(db: Connection) -> None:
    named = {point.name for point in metadata.entry_points(group=sinks.GROUP)}
    known = {name for name in named if one(db, "select publish.sink_options(%s)", name)}
    assert known == named == {
        "kafka", "nats", "rabbitmq", "redis", "sqs", "stdout", "webhook",
    }  # fmt: skip
    assert one(db, "select publish.sink_options('pigeon')") is None


REQUIRED = {
    "webhook": {"url": "http://127.0.0.1/"}, "redis": {"url": "redis://127.0.0.1", "stream": "s"},
    "nats": {"servers": ["nats://127.0.0.1"], "subject": "s"}, "stdout": {},
    "rabbitmq": {"url": "amqp://127.0.0.1", "routing_key": "r"},
    "kafka": {"servers": "127.0.0.1", "topic": "t"},
    "sqs": {"queue_url": "http://127.0.0.1/q", "region": "eu-west-1"},
}  # fmt: skip


@pytest.mark.parametrize("name", REQUIRED)
def test_a_timeout_or_concurrency_that_is_not_above_0_is_refused(db: Connection, name: str) -> None:
    """By the database; and by the sink, where it comes from the environment."""
    known = {"timeout", "concurrency"} & set(one(db, "select publish.sink_options(%s)", name))
    for option in sorted(known):
        for value in (0, -1):
            with pytest.raises(psycopg.Error) as caught:
                subscribe(db, "s", name, options=REQUIRED[name] | {option: value})
            assert caught.value.sqlstate == "PT400"
        for text in ("0", "-1", "nan", "inf") if name != "stdout" else ():
            options = sinks.resolve(REQUIRED[name] | {option: "env:N"}, {"N": text})
            with pytest.raises(BadArgument) as refused:
                sinks.make(name, options)
            assert option in str(refused.value.detail)
        subscribe(db, "s", name, options=REQUIRED[name] | {option: 0.5})


def test_every_option_the_database_knows_is_read_by_its_sink(db: Connection) -> None:
    """And no sink reads one that publish_subscribe would refuse."""
    folder = Path(sinks.__file__).parent
    for name in ("kafka", "nats", "rabbitmq", "redis", "sqs", "stdout", "webhook"):
        text = (folder / f"{name}.py").read_text()
        read = set(re.findall(r'options\.\w+\(\s*"(\w+)"', text))
        if name == "nats":
            read |= {"token", "user", "password"}
        known = set(one(db, "select publish.sink_options(%s)", name))
        assert read | {"source", "timeout"} == known, name
