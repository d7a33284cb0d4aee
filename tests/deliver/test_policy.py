"""What leaves the machine is for the worker's operator to decide, not for an option in a row."""

from __future__ import annotations

import os
import subprocess
import sys
from ipaddress import ip_network
from pathlib import Path
from threading import Event
from typing import Any

import brokers
import pytest
from conftest import Connection
from delivery import notes, subscribe
from receiver import receiving

from pgpublish import sinks
from pgpublish.errors import BadArgument
from pgpublish.sinks.address import PRIVATE, SPECIAL, nature, parse
from pgpublish.sinks.policy import Networks, Policy

REDIS = {"url": "redis://127.0.0.1:1/0", "stream": "s"}


def made(sink: str, options: dict[str, Any], **environ: str) -> None:
    sinks.make(sink, sinks.resolve(options, environ)).close()


def refused(sink: str, options: dict[str, Any], **environ: str) -> str:
    """Why the sink is not made."""
    with pytest.raises(BadArgument) as caught:
        made(sink, options, **environ)
    return f"{caught.value.message} {caught.value.detail}"


def deliver(url: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pgpublish", "deliver", "--once"],
        env=os.environ | {"DATABASE_URL": url} | environ,
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize("network", [*SPECIAL, *PRIVATE])
def test_each_range_is_what_it_is_from_end_to_end(network: str) -> None:
    wanted = "special" if network in SPECIAL else "private"
    for end in (ip_network(network)[0], ip_network(network)[-1]):
        assert nature(end) == wanted
        assert not Networks(frozenset({"public"})).allow(str(end))


@pytest.mark.parametrize(
    "address",
    ["168.63.129.16", "169.254.169.254", "192.0.0.192", "100.100.100.200", "fd00:ec2::254",
     "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::1", "fe80::1%eth0",
     "64:ff9b:1::7f00:1", "2001:0:808:808::f5ff:fffe", "::7f00:1", "4000::1", "3fff::1",
     "2001:db8::1", "0.0.0.0", "255.255.255.255", "metadata.google.internal"],
)  # fmt: skip
def test_metadata_and_special_addresses_are_never_called_unless_named(address: str) -> None:
    assert not Networks().allow(address)


def test_what_is_next_to_a_special_range_is_public() -> None:
    for address in ("168.63.129.17", "169.253.255.255", "192.0.1.1", "8.8.8.8", "2606:4700::1111",
                    "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::1"):  # fmt: skip
        assert nature(parse(address)) == "public"


def test_a_network_that_the_operator_names_may_be_called() -> None:
    networks = Policy.of({"PGPUBLISH_NETWORKS": "10.1.0.0/16, 169.254.7.0/24"}).networks
    allowed = [a for a in ("10.1.2.3", "10.2.0.1", "169.254.7.9", "8.8.8.8") if networks.allow(a)]
    assert allowed == ["10.1.2.3", "169.254.7.9"]


@pytest.mark.parametrize(
    "environ", [{"PGPUBLISH_NETWORKS": "everything"}, {"PGPUBLISH_AMBIENT_CREDENTIALS": "maybe"}]
)
def test_a_policy_that_means_nothing_is_refused(environ: dict[str, str]) -> None:
    assert next(iter(environ)) in refused("stdout", {}, **environ)


@pytest.mark.parametrize(
    "options",
    [{"headers": {"x": "env:DATABASE_URL"}}, {"secrets": ["env:AWS_SECRET_ACCESS_KEY"]},
     {"url": "env:HOME"}],
)  # fmt: skip
def test_no_other_variable_than_those_with_the_prefix_may_be_named(options: dict[str, Any]) -> None:
    environ = {"DATABASE_URL": "s3cret", "AWS_SECRET_ACCESS_KEY": "s3cret", "HOME": "s3cret"}
    said = refused("webhook", {"url": "https://x/"} | options, **environ)
    assert "may not have" in said
    assert "s3cret" not in said


def test_the_operator_may_choose_another_prefix() -> None:
    options = {"url": "env:HOOK_URL"}
    made("webhook", options, PGPUBLISH_ENV_PREFIX="HOOK_", HOOK_URL="https://x/")
    assert "HOOK_URL" in refused("webhook", options, HOOK_URL="https://x/")


def test_no_variable_reaches_an_endpoint_of_an_administrator(db: Connection, url: str) -> None:
    notes(db, 1)
    with receiving() as endpoint:
        options = {"url": endpoint.url, "allow_private": True, "headers": {"x-a": "env:PRIVATE"}}
        subscribe(db, "s", "webhook", options=options)
        done = deliver(url, PRIVATE="s3cret")
    assert (done.returncode, endpoint.requests) == (7, [])
    assert "s3cret" not in done.stderr


def test_a_sink_that_the_operator_leaves_out_is_not_used() -> None:
    assert "redis" in refused("redis", REDIS, PGPUBLISH_SINKS="webhook,nats")
    made("redis", REDIS, PGPUBLISH_SINKS="redis")


@pytest.mark.parametrize(
    ("sink", "options"),
    [
        ("webhook", {"url": "http://127.0.0.1:{port}/", "allow_private": True}),
        ("redis", {"url": "redis://localhost:{port}/0", "stream": "s"}),
        ("nats", {"servers": ["nats://localhost:{port}"], "subject": "s"}),
        ("rabbitmq", {"url": "amqp://localhost:{port}/", "routing_key": "k"}),
        ("kafka", {"servers": "localhost:{port}", "topic": "t"}),
        ("sqs", {"queue_url": "http://127.0.0.1:{port}/q", "region": "eu-west-1",
                 "endpoint_url": "http://127.0.0.1:{port}", "access_key_id": "a",
                 "secret_access_key": "b"}),
    ],
)  # fmt: skip
def test_no_sink_connects_to_a_network_that_the_operator_leaves_out(
    sink: str, options: dict[str, Any], db: Connection, url: str
) -> None:
    notes(db, 1)
    with receiving() as endpoint:
        port = endpoint.url.split(":")[2].split("/")[0]
        filled = {
            name: [v.replace("{port}", port) for v in value] if isinstance(value, list)
            else value.replace("{port}", port) if isinstance(value, str) else value
            for name, value in options.items()
        }  # fmt: skip
        subscribe(db, "s", sink, options=filled | {"timeout": 2})
        done = deliver(url, PGPUBLISH_NETWORKS="public")
        assert endpoint.connections == 0
    assert done.returncode == 7
    assert "may not call" in done.stderr or sink == "sqs"  # its client keeps the reason to itself


@pytest.mark.parametrize(
    "servers",
    ["PLAINTEXT://127.0.0.1:{port}/x://8.8.8.8:1", "PLAINTEXT://127.0.0.1:{port}/", ":{port}", "",
     "PLAINTEXT://:{port}", "::1", "::ffff:127.0.0.1", "8.8.8.8:1,,:{port}", "[::1]x:{port}",
     "8.8.8.8:1 127.0.0.1:{port}", "127.0.0.1:{port}:1", "http://127.0.0.1:{port}"],
)  # fmt: skip
def test_kafka_takes_no_server_that_its_client_reads_as_another(servers: str) -> None:
    """librdkafka reads these by rules of its own, after the address was looked at."""
    with receiving() as endpoint:
        port = endpoint.url.split(":")[2].split("/")[0]
        options = {"servers": servers.replace("{port}", port), "topic": "t", "timeout": 2}
        assert "Option servers" in refused("kafka", options, PGPUBLISH_NETWORKS="public")
        assert endpoint.connections == 0


def test_kafka_takes_servers_in_every_form_that_is_one() -> None:
    for servers in ("a", "a:1", "a:1,b:2", "a:1, b:2", "[::1]:1,[::1]", "SASL_SSL://a-b.c_d:1"):
        made("kafka", {"servers": servers, "topic": "t"})


@pytest.mark.parametrize(
    "setting",
    [{"plugin.library.paths": "/x.so"}, {"sasl.kerberos.kinit.cmd": "id"}, {"debug": "all"},
     {"sasl.oauthbearer.token.endpoint.url": "http://x/"}, {"ssl.ca.location": "/etc/shadow"},
     {"ssl.engine.location": "/x.so"}, {"sasl.mechanisms": "GSSAPI"}, {"client.dns.lookup": "x"},
     {"sasl.mechanism": "OAUTHBEARER"}, {"Plugin.Library.Paths": "/x.so"}],
)  # fmt: skip
def test_settings_of_kafka_that_run_read_or_fetch_are_refused(setting: dict[str, str]) -> None:
    options = {"servers": "127.0.0.1:1", "topic": "t", "settings": setting}
    assert next(iter(setting)) in refused("kafka", options)


@pytest.mark.parametrize(
    ("sink", "options"),
    [
        ("redis", {"url": "unix:///run/redis.sock", "stream": "s"}),
        ("redis", {"url": "redis://h/0?ssl_keyfile=/etc/shadow", "stream": "s"}),
        ("redis", {"url": "rediss://h/0?ssl_cert_reqs=none", "stream": "s"}),
        ("rabbitmq", {"url": "amqps://h/?cafile=/etc/shadow", "routing_key": "k"}),
        ("rabbitmq", {"url": "amqps://h/?no_verify_ssl=1", "routing_key": "k"}),
        ("nats", {"servers": ["ws://h:80"], "subject": "s"}),
        ("nats", {"servers": ["nats://h"], "subject": "s 5\r\nPUB other"}),
    ],
)
def test_a_url_sets_nothing_but_where_and_as_whom(sink: str, options: dict[str, Any]) -> None:
    assert "Option" in refused(sink, options)


@pytest.mark.parametrize(
    "name",
    ["Host", "content-length", "Transfer-Encoding", "connection", "Content-Type", "webhook-id",
     "ce-id", "te", "Proxy-Authorization", "x y", "x:", ":path", ""],
)  # fmt: skip
def test_headers_that_frame_a_request_are_ours(name: str) -> None:
    assert "header" in refused("webhook", {"url": "https://x/", "headers": {name: "1"}})


@pytest.mark.parametrize(
    "options",
    [
        {"secrets": [None]},
        {"secrets": [1]},
        {"url": "https://u:p@x/", "headers": {"Authorization": "y"}},
    ],
)
def test_what_would_sign_or_log_in_as_nobody_meant_is_refused(options: dict[str, Any]) -> None:
    assert "Option" in refused("webhook", {"url": "https://x/"} | options)


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "0x7f000001", "[::ffff:127.0.0.1]", "[::1]", "[::]", "0.0.0.0", "2130706433",
     "0177.0.0.1", "127.1", "①②⑦.⓪.⓪.①", "127。0。0。1", "localhost", "127.0.0.1.", "u@127.0.0.1"],
)  # fmt: skip
def test_no_way_to_write_this_machine_is_taken_for_a_public_address(host: str) -> None:
    with receiving() as endpoint:
        port = endpoint.url.split(":")[2].split("/")[0]
        options = {"url": f"http://{host}:{port}/", "timeout": 2}
        sink = sinks.make("webhook", sinks.resolve(options, {}))
        (failure,) = sink.send([brokers.change(1)], Event())
        sink.close()
        assert (failure.kind, endpoint.connections) == ("endpoint", 0)


def test_credentials_of_the_machine_are_not_used_by_default() -> None:
    options = {"queue_url": "http://x/q", "region": "eu-west-1"}
    environ = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}
    assert "credentials" in refused("sqs", options, **environ)
    made("sqs", options, PGPUBLISH_AMBIENT_CREDENTIALS="true")


@pytest.mark.parametrize("kind", ["missing", "device", "text", "large"])
def test_a_file_that_an_option_names_is_refused_in_the_same_words(
    kind: str, tmp_path: Path
) -> None:
    (tmp_path / "text").write_text("root:x:0:0")
    (tmp_path / "large").write_bytes(b"x" * 2_000_000)
    name = "/dev/zero" if kind == "device" else str(tmp_path / kind)
    said = refused("webhook", {"url": "https://x/", "ca": name})
    assert said == "the certificates cannot be read Option ca."


@pytest.mark.parametrize(
    ("sink", "options"),
    [
        ("redis", {"url": "redis://u:hunter22@h:99999/0", "stream": "s"}),
        ("redis", {"url": "redis:/u:hunter22@h/0", "stream": "s"}),
        ("rabbitmq", {"url": "amqp://u:hun/ter22@h/", "routing_key": "k"}),
        ("nats", {"servers": ["nats://u:hunter22@h:port"], "subject": "s"}),
        ("webhook", {"url": "https://u:hunter22@h:port/"}),
    ],
)
def test_a_malformed_url_is_refused_without_its_password(
    sink: str, options: dict[str, Any]
) -> None:
    said = refused(sink, options)
    assert "hun" not in said
    assert "ter22" not in said


def test_a_password_that_stands_in_the_row_is_hidden_too() -> None:
    hide = sinks.resolve({"url": "amqp://bob:hunter22@h/", "password": "correcthorse",
                          "settings": {"sasl.password": "batterystaple"}}, {}).hide  # fmt: skip
    assert hide("hunter22, correcthorse and batterystaple at h") == "***, *** and *** at h"


def test_one_change_that_cannot_be_encoded_fails_alone() -> None:
    changes = [brokers.change(1), brokers.change(2, headers="{"), brokers.change(3)]
    for sink, options in (("stdout", {}), ("redis", REDIS)):
        made_sink = sinks.make(sink, sinks.resolve(options, {}))
        failures = made_sink.send(changes, Event())
        made_sink.close()
        assert [f.message.rev for f in failures if f.kind == "encoding"] == [2]
