"""The webhook sink against an endpoint that fails in every way: what it sends and reports."""

from __future__ import annotations

import asyncio
import base64
import datetime
import json
import ssl
from pathlib import Path
from threading import Event
from typing import Any

import pytest
import receiver
import standardwebhooks
import trustme
from receiver import Request, receiving

from pgpublish import sinks
from pgpublish.errors import BadArgument
from pgpublish.sinks import Failure, Message, Options
from pgpublish.sinks.address import is_public
from pgpublish.sinks.concurrent import send_all
from pgpublish.sinks.webhook import Webhook, seconds

SECRETS = ["whsec_" + base64.b64encode(bytes([n]) * 32).decode() for n in (1, 2)]
NOW = datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.UTC)


def change(n: int, **more: Any) -> Message:
    values: dict[str, Any] = {
        "id": f"epoch/{n}", "source": "/pgpublish/test", "rev": n, "kind": "note",
        "pub_id": f"00000000-0000-4000-8000-{n:012d}", "schema_version": 1, "deleted": False,
        "data": f'{{"n": {n}}}', "headers": None, "attempts": 0, "time": NOW.isoformat(),
    } | more  # fmt: skip
    return Message(**values)


def send(messages: list[Message], stop: Event | None = None, **options: Any) -> list[Failure]:
    sink = Webhook(Options({"allow_private": True, "timeout": 5} | options))
    try:
        return sink.send(messages, stop or Event())
    finally:
        sink.close()


def kinds(failures: list[Failure]) -> list[str]:
    return [failure.kind for failure in failures]


def test_a_change_is_a_cloudevent_in_json() -> None:
    trace = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "x": 1}
    with receiving() as endpoint:
        assert send([change(7, headers=json.dumps(trace), kind="café")], url=endpoint.url) == []
    (request,) = endpoint.requests
    assert request.headers["content-type"].startswith("application/cloudevents+json")
    assert request.event == {
        "specversion": "1.0", "id": "epoch/7", "source": "/pgpublish/test", "type": "café",
        "subject": "00000000-0000-4000-8000-000000000007", "time": "2026-01-02T03:04:05+00:00",
        "datacontenttype": "application/json", "sequence": "0000000000000000007",
        "schemaversion": 1, "traceparent": trace["traceparent"], "data": {"n": 7},
    }  # fmt: skip


def test_a_change_is_a_cloudevent_in_headers() -> None:
    with receiving() as endpoint:
        assert send([change(7, kind="café 1")], url=endpoint.url, mode="binary") == []
    (request,) = endpoint.requests
    assert request.headers["ce-id"] == "epoch/7"
    assert request.headers["ce-type"] == "caf%C3%A9%201"
    assert request.headers["ce-specversion"] == "1.0"
    assert request.headers["content-type"] == "application/json"
    assert request.body == b'{"n": 7}'


@pytest.mark.parametrize("mode", ["structured", "binary"])
def test_a_deletion_says_so(mode: str) -> None:
    with receiving() as endpoint:
        assert send([change(7, deleted=True, data=None)], url=endpoint.url, mode=mode) == []
    (request,) = endpoint.requests
    if mode == "binary":
        assert request.headers["ce-deleted"] == "true"
        assert request.body == b""
    else:
        assert request.event["deleted"] is True
        assert "data" not in request.event


@pytest.mark.parametrize("mode", ["structured", "binary"])
@pytest.mark.parametrize("verifier", SECRETS)
def test_the_reference_library_verifies_every_secret_in_rotation(mode: str, verifier: str) -> None:
    with receiving() as endpoint:
        assert send([change(7)], url=endpoint.url, secrets=SECRETS, mode=mode) == []
    (request,) = endpoint.requests
    standardwebhooks.Webhook(verifier).verify(request.body, request.headers)
    other = "whsec_" + base64.b64encode(b"3" * 32).decode()
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        standardwebhooks.Webhook(other).verify(request.body, request.headers)
    assert request.headers["webhook-id"] == "epoch/7"


def test_connections_are_kept_and_messages_sent_concurrently() -> None:
    with receiving() as endpoint:
        sink = Webhook(Options({"url": endpoint.url, "allow_private": True, "concurrency": 3}))
        for first in (0, 100):
            assert sink.send([change(n) for n in range(first, first + 100)], Event()) == []
        sink.close()
    assert endpoint.connections <= 3
    assert sorted(r.data["n"] for r in endpoint.requests) == list(range(200))


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (200, None), (204, None), (299, None),
        (301, "endpoint"), (307, "endpoint"), (400, "rejected"), (401, "rejected"),
        (403, "rejected"), (404, "rejected"), (405, "rejected"), (408, "endpoint"),
        (410, "gone"), (422, "rejected"), (425, "endpoint"),
        (429, "endpoint"), (500, "endpoint"), (503, "endpoint"),
        (receiver.reset, "endpoint"), (receiver.garbage, "endpoint"), (receiver.endless, None),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
)  # fmt: skip
def test_each_answer_is_of_its_class(answer: Any, kind: str | None) -> None:
    with receiving(lambda request: answer) as endpoint:
        failures = send([change(1)], url=endpoint.url)
    assert kinds(failures) == ([kind] if kind else [])
    assert len(endpoint.requests) == 1
    if isinstance(answer, int) and kind:
        assert str(answer) in failures[0].reason


def test_an_error_nobody_foresaw_costs_its_own_change_only() -> None:
    async def give(message: Message) -> Failure | None:
        if message.rev == 2:
            raise LookupError("what is this?")
        return None

    (failure,) = asyncio.run(send_all(give, [change(n) for n in range(5)], Event(), concurrency=2))
    assert (failure.message.rev, failure.kind) == (2, "unknown")
    assert "what is this?" in failure.reason


def test_an_answer_after_the_timeout_is_a_failure() -> None:
    with receiving(lambda request: receiver.silent) as endpoint:
        (failure,) = send([change(1)], url=endpoint.url, timeout=0.2)
    assert failure.kind == "endpoint"
    assert "0.2 s" in failure.reason


def test_an_endpoint_that_is_down_is_a_failure() -> None:
    with receiving() as endpoint:
        pass
    (failure,) = send([change(1)], url=endpoint.url)
    assert failure.kind == "endpoint"


@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_passed_on_and_ends_the_batch(status: int) -> None:
    with receiving(lambda request: (status, {"retry-after": "120"})) as endpoint:
        failures = send([change(n) for n in range(100)], url=endpoint.url, concurrency=2)
    assert {f.retry_after for f in failures if f.kind == "endpoint"} == {120}
    assert len(endpoint.requests) <= 2
    assert kinds(failures).count("unsent") == 100 - len(endpoint.requests)


def test_retry_after_is_read_as_seconds_or_date() -> None:
    assert seconds("7", 0) == 7
    assert seconds("Fri, 02 Jan 2026 03:05:05 GMT", NOW.timestamp()) == 60
    assert seconds("Fri, 02 Jan 2026 03:03:05 GMT", NOW.timestamp()) == 0
    assert seconds("soon", 0) is None
    assert seconds(None, 0) is None


def test_an_endpoint_that_takes_nothing_is_spared_the_rest() -> None:
    with receiving(lambda request: 500) as endpoint:
        failures = send([change(n) for n in range(100)], url=endpoint.url, concurrency=5)
    assert len(endpoint.requests) < 15
    assert len(failures) == 100


@pytest.mark.parametrize("answer", [429, 503])
def test_an_endpoint_that_asks_for_time_gets_it_also_in_the_middle_of_a_batch(answer: int) -> None:
    with receiving(lambda request: 200 if request.data["n"] < 50 else answer) as endpoint:
        failures = send([change(n) for n in range(200)], url=endpoint.url, concurrency=2)
    assert len(endpoint.requests) <= 52
    assert kinds(failures).count("unsent") == 200 - len(endpoint.requests)
    assert {f.retry_after for f in failures if f.kind == "endpoint"} == {0}


def test_an_endpoint_that_hangs_after_its_first_answer_is_spared_the_rest() -> None:
    with receiving(lambda r: 200 if r.data["n"] == 0 else receiver.silent) as endpoint:
        failures = send([change(n) for n in range(100)], url=endpoint.url, concurrency=5,
                        timeout=0.3)  # fmt: skip
    assert len(endpoint.requests) < 15
    assert kinds(failures).count("unsent") == 100 - len(endpoint.requests)


def test_one_change_the_endpoint_breaks_on_delays_no_other() -> None:
    with receiving(lambda request: 500 if request.data["n"] == 13 else 200) as endpoint:
        (failure,) = send([change(n) for n in range(100)], url=endpoint.url, concurrency=2)
    assert (failure.kind, failure.message.rev) == ("endpoint", 13)
    assert len(endpoint.requests) == 100


def test_a_slow_endpoint_gets_no_more_of_a_batch_after_some_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What is in flight is not given up: a slow answer counts."""
    monkeypatch.setattr("pgpublish.sinks.concurrent.BEGIN_S", 0.2)

    def slow(handler: receiver.Handler) -> None:
        Event().wait(0.3)
        handler.wfile.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")

    with receiving(lambda request: slow) as endpoint:
        failures = send([change(n) for n in range(50)], url=endpoint.url, concurrency=4)
    assert kinds(failures) == ["unsent"] * 46
    assert len(endpoint.requests) == 4


def test_gone_ends_the_batch() -> None:
    with receiving(lambda request: 410) as endpoint:
        failures = send([change(n) for n in range(50)], url=endpoint.url, concurrency=1)
    assert kinds(failures) == ["gone"] + ["unsent"] * 49


def test_one_poison_message_delays_no_other() -> None:
    def answer(request: Request) -> int:
        return 422 if request.data["n"] == 13 else 200

    with receiving(answer) as endpoint:
        (failure,) = send([change(n) for n in range(100)], url=endpoint.url)
    assert (failure.kind, failure.message.rev) == ("rejected", 13)
    assert "status 422" in failure.reason
    assert len(endpoint.requests) == 100


def test_redirects_are_never_followed() -> None:
    with receiving() as inside:
        to = {"location": "http://169.254.169.254/latest/meta-data/"}
        with receiving(lambda request: (302, to)) as endpoint:
            (failure,) = send([change(1)], url=endpoint.url)
        with receiving(lambda request: (302, {"location": inside.url})) as endpoint:
            (other,) = send([change(1)], url=endpoint.url)
    assert kinds([failure, other]) == ["endpoint", "endpoint"]
    assert "169.254.169.254" in failure.reason
    assert inside.requests == []


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "0.0.0.0"])
def test_private_addresses_are_refused_by_default_also_behind_a_name(host: str) -> None:
    with receiving() as endpoint:
        url = endpoint.url.replace("127.0.0.1", host)
        (failure,) = send([change(1)], url=url, allow_private=False)
        assert failure.kind == "endpoint"
        assert "not public" in failure.reason
        assert endpoint.connections == 0
        assert send([change(1)], url=endpoint.url, allow_private=True) == []


def test_only_public_addresses_are_public() -> None:
    for address in (
        "8.8.8.8",
        "2606:4700::1111",
        "64:ff9b::808:808",
        "::ffff:8.8.8.8",
        "2002:808:808::1",
    ):
        assert is_public(address)
    for address in (
        "10.1.2.3", "172.16.0.1", "192.168.1.1", "127.0.0.1", "169.254.169.254", "0.0.0.0",
        "100.64.0.1", "224.0.0.1", "255.255.255.255", "::1", "::", "fe80::1", "fe80::1%eth0",
        "fc00::1", "fec0::1", "ff02::1", "::ffff:10.0.0.1", "::ffff:127.0.0.1", "::7f00:1",
        "::169.254.169.254", "::ffff:0:a00:1",
        "64:ff9b::a00:1", "64:ff9b:1::7f00:1", "64:ff9b:1::808:808",
        "2002:a00:1::1", "2001:0:808:808::f5ff:fffe",
        "2001:0:a00:1::1", "2001:db8::1", "100::1", "5f00::1",
    ):  # fmt: skip
        assert not is_public(address), address


def test_a_certificate_nobody_vouches_for_is_a_failure(tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")

    def server(certificate: trustme.LeafCert) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate.configure_cert(context)
        return context

    with receiving(tls=server(authority.issue_cert("127.0.0.1"))) as endpoint:
        (failure,) = send([change(1)], url=endpoint.url)
        assert failure.kind == "endpoint"
        assert "Certificate" in failure.reason
        assert send([change(1)], url=endpoint.url, ca=str(tmp_path / "ca.pem")) == []
    with receiving(tls=server(authority.issue_cert("elsewhere.example"))) as endpoint:
        (failure,) = send([change(1)], url=endpoint.url, ca=str(tmp_path / "ca.pem"))
    assert failure.kind == "endpoint"


def test_stop_ends_the_batch_and_gives_up_what_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pgpublish.sinks.concurrent.GRACE_S", 0.1)
    stop = Event()

    def answer(request: Request) -> Any:
        if request.data["n"] < 5:
            return 200
        stop.set()
        return receiver.silent

    with receiving(answer) as endpoint:
        failures = send([change(n) for n in range(50)], stop, url=endpoint.url, concurrency=1,
                        timeout=60)  # fmt: skip
    assert kinds(failures) == ["unsent"] * 45
    assert len(endpoint.requests) == 6


@pytest.mark.parametrize(
    "options",
    [{"url": "ftp://x/"}, {"url": "nothing"},
     {"url": "http://x/\n"}, {"url": "http://x/", "mode": "odd"},
     {"url": "http://x/", "secrets": ["whsec_!!"]},
     {"url": "http://x/", "secrets": ["whsec_"]}, {"url": "http://x/", "secrets": [""]},
     {"url": "http://x/", "secrets": ""}, {"url": "http://x/", "timeout": "soon"},
     {"url": "http://x/", "headers": {"authorization": "whsec token\n"}}],
)  # fmt: skip
def test_options_that_cannot_be_are_refused_without_showing_them(options: dict[str, Any]) -> None:
    with pytest.raises(BadArgument) as caught:
        Webhook(Options(options))
    assert "whsec" not in f"{caught.value} {caught.value.detail}"


def test_secrets_come_from_the_environment_and_are_hidden() -> None:
    options = sinks.resolve(
        {"url": "http://x/", "secrets": ["env:A", "plain"], "headers": {"authorization": "env:B"}},
        {"A": "alpha-secret", "B": "Bearer token-7"},
    )
    assert options.words("secrets") == ["alpha-secret", "plain"]
    assert options.mapping("headers") == {"authorization": "Bearer token-7"}
    assert options.hide("was: alpha-secret and Bearer token-7 (token-7)") == (
        "was: *** and *** (***)"
    )
    assert "alpha" not in repr(options)
    with pytest.raises(BadArgument) as caught:
        sinks.resolve({"url": "env:NOT_SET"}, {})
    assert "NOT_SET" in str(caught.value.detail)


URL_OF_A_HOOK = "https://bob:pass%2Fword@hooks.example/services/T0AB/tok-9f8e7d6c"


@pytest.mark.parametrize(
    "quoted",
    ["/services/T0AB/tok-9f8e7d6c", "tok-9f8e7d", "9f8e7d6c", "TOK-9F8E7D6C", "T0AB",
     "pass/word", "pass%2Fword", "pass%252Fword", "Ym9iOnBhc3Mvd29yZA==", "hooks.example",
     base64.b64encode(b"x tok-9f8e7d6c").decode(), "%2Fservices%2FT0AB%2Ftok-9f8e7d6c"],
)  # fmt: skip
def test_a_part_of_a_secret_is_hidden_however_it_is_written(quoted: str) -> None:
    hide = sinks.resolve({"url": "env:HOOK"}, {"HOOK": URL_OF_A_HOOK}).hide
    text = hide(f"HTTP 410: [{quoted}] is gone")
    assert text.startswith("HTTP 410: [")
    assert text.endswith("] is gone")
    assert "***" in text
    for n in range(len(quoted) - 5):
        assert quoted[n : n + 6] not in text


def test_what_is_no_secret_is_not_hidden() -> None:
    hide = sinks.resolve({"url": "env:HOOK", "mode": "binary"}, {"HOOK": URL_OF_A_HOOK}).hide
    text = "HTTP 422: the title of the note is too long; binary; İstanbul"
    assert hide(text) == text
