"""A real Prometheus scrapes what pgpublish serves; the files of docs/ops are what it takes."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import tempfile
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import kubernetes_validate
import pytest
import yaml
from click.testing import CliRunner
from helpers import drain_all, enqueue, one, until

from pgpublish import cli

OPS = Path(__file__).parents[2] / "docs/ops"
METRICS = Path(__file__).parents[2] / "docs/metrics.md"
RUNBOOK = METRICS.with_name("runbook.md")
NAME = re.compile(r"\bpgpublish_[a-z_]+")


@pytest.fixture(autouse=True)
def needs_prometheus(server_kind: str) -> None:
    if not shutil.which("promtool"):
        assert server_kind != "debian", "tests/install-servers installs prometheus"
        pytest.skip("Debian's package prometheus is not installed")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


def get(url: str, accept: str = "text/plain") -> str:
    request = urllib.request.Request(url, headers={"Accept": accept})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return answer.read().decode()


def promtool(*arguments: str, given: str | None = None) -> str:
    done = subprocess.run(
        ["promtool", *arguments], input=given, capture_output=True, text=True, timeout=60, cwd=OPS
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture
def busy(connect: Callable[..., Any]) -> Any:
    """A database in which every metric has something to tell."""
    db = connect()
    db.execute(
        "create table t (id int primary key); insert into t select generate_series(1, 50);"
        "select publish_define('note'), publish_define('thing', 't'), publish_walk('thing'),"
        "       publish_subscribe('copy', 'stdout'), publish_job_add('a', 'clean'),"
        "       publish_job_add('b', 'clean'), publish_job_start('b', worker => 'w'),"
        "       publish_define('old', retention => '1 s')"
    )
    enqueue(db, "note", 'a"\n\\b', '{"a": 1}')
    db.execute("select publish_drain(20)")
    db.execute("select publish_drain(20)")
    enqueue(db, "note", "later", "1", available_at=one(db, "select now() + '1 day'::interval"))
    db.execute(
        "with c as (select * from publish_claim('copy', 'w'))"
        " select publish_settle(min(c.token), jsonb_agg(jsonb_build_object('pub_id', c.pub_id,"
        " 'rev', c.rev, 'class', 'rejected', 'message', 'no')) filter (where c.kind = 'note'))"
        "   from c"
    )
    db.execute("insert into publish.floor (kind, floor, pruned) values ('old', 0, 1)")
    enqueue(db, "note", "b", "2")
    return db


@pytest.fixture
def exporter(busy: Any, background: Callable[..., Any]) -> str:
    port = free_port()
    background("metrics", "--serve", f"127.0.0.1:{port}")
    url = f"http://127.0.0.1:{port}/metrics"

    def answers() -> bool:
        with suppress(OSError):
            return bool(get(url))
        return False

    until(answers)
    return url


@pytest.fixture
def prometheus(exporter: str) -> Iterator[str]:
    folder = Path(tempfile.mkdtemp(dir="/tmp"))
    port = free_port()
    config = yaml.safe_load((OPS / "prometheus.yml").read_text())
    config["rule_files"] = [str(OPS / "alerts.yaml")]
    config["global"] = {"evaluation_interval": "1s"}
    scrape = config["scrape_configs"][0]
    scrape["scrape_interval"] = scrape["scrape_timeout"] = "1s"
    scrape["static_configs"] = [{"targets": [exporter.split("/")[2]]}]
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    process = subprocess.Popen(
        [
            "prometheus", f"--config.file={folder}/prometheus.yml",
            f"--storage.tsdb.path={folder}/data", f"--web.listen-address=127.0.0.1:{port}",
            "--log.level=error",
        ],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        url = f"http://127.0.0.1:{port}"

        def scraped() -> bool:
            with suppress(OSError):
                return bool(query(url, "pgpublish_up == 1"))
            return False

        until(scraped)
        yield url
    finally:
        process.kill()
        process.wait(10)
        shutil.rmtree(folder, ignore_errors=True)


def query(url: str, expression: str) -> list[Any]:
    answer = json.loads(get(f"{url}/api/v1/query?{urlencode({'query': expression})}"))
    assert answer["status"] == "success", expression
    return answer["data"]["result"]


def queries() -> list[str]:
    board = json.loads((OPS / "grafana.json").read_text())
    return [target["expr"] for panel in board["panels"] for target in panel["targets"]]


def test_a_prometheus_scrapes_it_and_every_query_of_the_dashboard_runs_there(
    prometheus: str, busy: Any
) -> None:
    enqueue(busy, "note", "c", "3")
    drain_all(busy)
    until(lambda: query(prometheus, "changes(pgpublish_changes_published_total[1m]) > 0"))
    empty = []
    for expression in queries():
        concrete = expression.replace("$__rate_interval", "1m").replace("$instance", ".*")
        if not query(prometheus, concrete):
            empty.append(expression)
    assert [e for e in empty if "kind_" not in e and "walk" not in e and "keys" not in e] == []
    rules = json.loads(get(f"{prometheus}/api/v1/rules"))["data"]["groups"][0]["rules"]
    assert {rule["health"] for rule in rules} <= {"ok", "unknown"}
    targets = json.loads(get(f"{prometheus}/api/v1/targets"))["data"]["activeTargets"]
    assert [(t["health"], t["lastError"]) for t in targets] == [("up", "")]


def test_the_alerts_are_rules_and_their_tests_pass() -> None:
    promtool("check", "rules", "alerts.yaml")
    promtool("test", "rules", "alerts_test.yaml")
    promtool("check", "config", "--syntax-only", "prometheus.yml")


def test_every_alert_is_tested_to_fire_and_has_its_place_in_the_docs() -> None:
    rules = yaml.safe_load((OPS / "alerts.yaml").read_text())["groups"][0]["rules"]
    tests = yaml.safe_load((OPS / "alerts_test.yaml").read_text())["tests"]
    fired = {t["alertname"] for group in tests for t in group["alert_rule_test"] if t["exp_alerts"]}
    alerts = {rule["alert"] for rule in rules}
    assert fired == alerts
    assert sorted(re.findall(r"^\| `(Pgpublish\w+)` \|", RUNBOOK.read_text(), re.M)) == sorted(
        alerts
    )


def test_every_metric_is_in_the_docs_and_no_query_names_another(busy: Any) -> None:
    names = {name for (name,) in busy.execute("select name from publish_metrics()")}
    names.add("pgpublish_up")
    told = set(re.findall(r"^\| `(pgpublish_\w+)", METRICS.read_text(), re.M))
    families = {re.sub(r"_(bucket|count|sum)$", "", n) if "latency" in n else n for n in names}
    assert told == families
    for text in [*queries(), (OPS / "alerts.yaml").read_text(), *(
        [(OPS / "alerts_test.yaml").read_text()]
    )]:  # fmt: skip
        assert set(NAME.findall(text)) <= names, text


def test_it_serves_what_promtool_approves_and_says_when_the_database_is_gone(
    url: str, busy: Any, exporter: str, admin: Any, database: str
) -> None:
    printed = CliRunner().invoke(cli.main, ["--database-url", url, "metrics"])
    assert printed.exit_code == 0
    assert printed.stdout.endswith("# EOF\n")
    assert 'pgpublish_kind_depth{kind="note"} 1.0\n' in printed.stdout
    rows = CliRunner().invoke(cli.main, ["--database-url", url, "metrics", "--json"]).stdout
    assert {"name": "pgpublish_jobs_lost", "type": "gauge", "labels": {}, "value": 0} in [
        json.loads(line) for line in rows.splitlines()
    ]
    assert promtool("check", "metrics", given=get(exporter)) == ""
    assert get(exporter, "application/openmetrics-text; version=1.0.0").endswith("# EOF\n")
    taken = exporter.split("/")[2]
    refused = CliRunner().invoke(cli.main, ["--database-url", url, "metrics", "--serve", taken])
    assert refused.exit_code == 1
    assert "cannot be served" in refused.stderr
    admin.execute(f"alter database {database} allow_connections false")
    admin.execute(
        "select pg_terminate_backend(pid) from pg_stat_activity where datname = %s", [database]
    )
    until(lambda: "pgpublish_up 0.0\n" in get(exporter))
    assert "pgpublish_depth" not in get(exporter)
    admin.execute(f"alter database {database} allow_connections true")
    until(lambda: "pgpublish_up 1.0\n" in get(exporter))


@pytest.mark.parametrize("address", ["9187", "127.0.0.1:", "127.0.0.1:99999", "127.0.0.1:x"])
def test_what_is_no_address_is_wrong_usage(address: str) -> None:
    assert CliRunner().invoke(cli.main, ["metrics", "--serve", address]).exit_code == 2


# --- the other files


def test_the_manifests_say_commands_and_queries_that_there_are(url: str, busy: Any) -> None:
    documents = [
        document
        for file in ("kubernetes.yaml", "keda.yaml", "compose.yaml")
        for document in yaml.safe_load_all((OPS / file).read_text())
    ]
    commands, asked = [], []
    for document in documents:
        for service in document.get("services", {}).values():
            commands.append(service["command"])
        spec = document.get("spec", {})
        for container in spec.get("template", {}).get("spec", {}).get("containers", []):
            assert container["readinessProbe"]
            assert container["livenessProbe"]
            commands.append(container["args"])
        asked += [trigger["metadata"]["query"] for trigger in spec.get("triggers", [])]
    for unit in OPS.glob("*.service"):
        (line,) = re.findall(r"^ExecStart=/usr/bin/env pgpublish (.*)$", unit.read_text(), re.M)
        commands.append(line.split())
    assert len(commands) == 10
    for command in commands:
        assert CliRunner().invoke(cli.main, [command[0], "--help"]).exit_code == 0
        options = {word for word in command if word.startswith("--")}
        known = {o for p in cli.main.commands[command[0]].params for o in p.opts}
        assert options <= known
    assert len(asked) == 2
    for query_text in asked:
        assert isinstance(int(busy.execute(query_text).fetchone()[0]), int)


def test_kubernetes_takes_the_manifests() -> None:
    """By the schemas that the package carries, without a network."""
    manifests = list(yaml.safe_load_all((OPS / "kubernetes.yaml").read_text()))
    assert len(manifests) == 3
    for manifest in manifests:
        kubernetes_validate.validate(manifest, "1.33", strict=True)
        pod = manifest["spec"]["template"]
        chosen = manifest["spec"]["selector"]["matchLabels"]
        assert chosen.items() <= pod["metadata"]["labels"].items()
    manifests[0]["spec"]["template"]["spec"]["containers"][0]["livenesProbe"] = {}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(manifests[0], "1.33", strict=True)


# No package carries the schemas of KEDA: these are the fields of its documentation.
SCALED = {
    "scaleTargetRef": {"name"},
    "minReplicaCount": int,
    "maxReplicaCount": int,
    "pollingInterval": int,
    "cooldownPeriod": int,
    "triggers": list,
}


def test_keda_scales_deployments_that_there_are_by_its_postgresql_scaler() -> None:
    deployments = {
        d["metadata"]["name"] for d in yaml.safe_load_all((OPS / "kubernetes.yaml").read_text())
    }
    authentication, *scaled = yaml.safe_load_all((OPS / "keda.yaml").read_text())
    assert authentication["kind"] == "TriggerAuthentication"
    (secret,) = authentication["spec"]["secretTargetRef"]
    assert secret == {"parameter": "connection", "name": "pgpublish", "key": "DATABASE_URL"}
    assert [s["kind"] for s in scaled] == ["ScaledObject"] * 2
    for spec in (s["spec"] for s in scaled):
        assert spec.keys() <= SCALED.keys()
        for name, value in spec.items():
            kind = SCALED[name]
            assert value.keys() <= kind if isinstance(kind, set) else isinstance(value, kind)
        assert spec["scaleTargetRef"]["name"] in deployments
        assert spec["minReplicaCount"] <= spec["maxReplicaCount"]
        (trigger,) = spec["triggers"]
        assert trigger["type"] == "postgresql"
        assert trigger["authenticationRef"]["name"] == authentication["metadata"]["name"]
        metadata = trigger["metadata"]
        assert {"query", "targetQueryValue"} <= metadata.keys()
        assert metadata.keys() <= {"query", "targetQueryValue", "activationTargetQueryValue"}
        assert all(isinstance(value, str) for value in metadata.values())


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="no systemd here")
def test_systemd_finds_nothing_wrong_with_the_units() -> None:
    units = [str(unit) for unit in OPS.glob("*.service")]
    assert len(units) == 4
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *units],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")


def test_a_worker_touches_its_health_file(tmp_path: Path, busy: Any, monkeypatch: Any) -> None:
    from pgpublish.presence import Presence

    file = tmp_path / "healthy"
    monkeypatch.setenv("PGPUBLISH_HEALTH_FILE", str(file))
    Presence("drain").beat(busy, "draining")
    assert file.exists()
