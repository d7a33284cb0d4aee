"""The webhook sink against an endpoint that fails in every way: what it sends and reports."""

from __future__ import annotations

import asyncio
import base64
import datetime
import json
import ssl
import time
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
from pgpublish.sinks.concurrent import send_all
from pgpublish.sinks.retry_after import seconds
from pgpublish.sinks.webhook import Webhook

SECRETS = ["whsec_" + base64.b64encode(bytes([n]) * 32).decode() for n in (1, 2)]
NOW = datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.UTC)


def change(n: int, **more: Any) -> Message:
    values = {
        "part": "fresh", "id": f"epoch/{n}", "source": "/pgpublish/test",
        "sequence": f"{n:029d}", "rev": n, "kind": "note",
        "pub_id": f"00000000-0000-4000-8000-{n:012d}", "key": None, "schema_version": 1,
        "deleted": False, "data": f'{{"n": {n}}}', "headers": None, "attempts": 0,
        "time": NOW.isoformat(),
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
        "datacontenttype": "application/json", "sequence": "00000000000000000000000000007",
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
        (429, "busy"), (500, "endpoint"), (503, "endpoint"),
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


OK = b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize(
    "reply",
    [
        OK + b"set-cookie: a=" + b"x" * 100_000 + b"\r\ncontent-length: 0\r\n\r\n",
        OK + b"".join(b"x-%d: 1\r\n" % n for n in range(1500)) + b"content-length: 0\r\n\r\n",
        OK + b"content-length: 100\r\n\r\nshort",
        OK + b"transfer-encoding: chunked\r\n\r\n2\r\nok\r\n",
        OK + b"content-encoding: gzip\r\ncontent-length: 2\r\n\r\nok",
        OK + b"\r\nuntil the end",
        b"HTTP/1.1 200 OK\ncontent-length: 2\n\nok",
        b"HTTP/1.0 200 OK\r\n\r\nok",
        b"HTTP/1.1 200\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 299 x\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 205 Reset Content\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: <x>\r\n\r\n"
        b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n",
    ],
    ids=["long-header", "many-headers", "cut", "cut-chunks", "no-gzip", "no-length",
         "line-feeds", "1.0", "no-reason", "299", "205", "1xx"],
)  # fmt: skip
def test_any_2xx_is_delivered_whatever_follows_it(reply: bytes) -> None:
    with receiving(lambda request: receiver.raw(reply)) as endpoint:
        assert send([change(1), change(2)], url=endpoint.url, concurrency=1) == []
    assert [request.data["n"] for request in endpoint.requests] == [1, 2]


@pytest.mark.parametrize("status", [b"200", b"422"])
def test_a_body_that_never_ends_costs_its_connection_only(
    status: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pgpublish.sinks.webhook.BODY_S", 0.1)
    reply = b"HTTP/1.1 %s x\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n" % status
    with receiving(lambda request: receiver.raw(reply, keep=True)) as endpoint:
        failures = send([change(1), change(2)], url=endpoint.url, timeout=60)
    assert kinds(failures) == ([] if status == b"200" else ["rejected"] * 2)
    assert len(endpoint.requests) == 2


@pytest.mark.parametrize(
    "path",
    ["/hook?sig=rX7%2FXCC2w%3D&sv=2019%3A01", "/a%2fb/c%3Ad", "/x%7Ey?q=%27a%27&r='b'",
     "/a/../b/./c", "/a//b", "/hook?u=user%40host&t=1+1&t=%2B", "/p;v=1,2?x=[1]&y={z}|^`",
     "/a?b?c"],
)  # fmt: skip
def test_a_url_is_called_to_the_letter(path: str) -> None:
    with receiving() as endpoint:
        assert send([change(1)], url=endpoint.url.removesuffix("/hook") + path) == []
    assert [request.path for request in endpoint.requests] == [path]


@pytest.mark.parametrize(
    ("path", "called"),
    [
        ("", "/"),
        ("?a=%2F", "/?a=%2F"),
        ("/é %2F?ü=%C3%BC", "/%C3%A9%20%2F?%C3%BC=%C3%BC"),
        ("/a#b", "/a"),
    ],
)
def test_only_what_no_request_can_hold_is_encoded(path: str, called: str) -> None:
    with receiving() as endpoint:
        assert send([change(1)], url=endpoint.url.removesuffix("/hook") + path) == []
    assert [request.path for request in endpoint.requests] == [called]


def test_a_kept_connection_that_ends_before_an_answer_is_replaced_at_once() -> None:
    """A server closes what is idle just when it is used again: nobody is at fault."""
    used = set()

    def once(handler: receiver.Handler) -> None:
        if handler in used:
            receiver.reset(handler)
        else:
            used.add(handler)
            handler.wfile.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")

    with receiving(lambda request: once) as endpoint:
        sink = Webhook(Options({"url": endpoint.url, "allow_private": True, "concurrency": 3}))
        for first in (0, 3):
            assert sink.send([change(n) for n in range(first, first + 3)], Event()) == []
        sink.close()
    assert endpoint.connections == 6
    assert len(endpoint.requests) > 6


def test_a_connection_that_was_made_for_a_request_and_breaks_is_a_failure() -> None:
    with receiving(lambda request: receiver.reset) as endpoint:
        failures = send([change(n) for n in range(3)], url=endpoint.url, concurrency=1)
    assert kinds(failures)[0] == "endpoint"
    assert len(endpoint.requests) == 1


def test_changes_travel_in_batches_and_each_is_a_cloudevent() -> None:
    with receiving() as endpoint:
        changes = [change(n, key=f"ключ {n}") for n in range(25)]
        assert send(changes, url=endpoint.url, mode="batch", batch_size=10, secrets=SECRETS) == []
    assert sorted(len(request.event) for request in endpoint.requests) == [5, 10, 10]
    for request in endpoint.requests:
        assert request.headers["content-type"].startswith("application/cloudevents-batch+json")
        standardwebhooks.Webhook(SECRETS[0]).verify(request.body, request.headers)
    events = [event for request in endpoint.requests for event in request.event]
    assert sorted(event["data"]["n"] for event in events) == list(range(25))
    assert all(event["key"] == f"ключ {event['data']['n']}" for event in events)
    assert len({request.headers["webhook-id"] for request in endpoint.requests}) == 3


def test_a_batch_is_of_a_megabyte_at_most_and_a_larger_change_goes_alone() -> None:
    large = {1: 700_000, 2: 700_000, 3: 2_000_000}
    changes = [change(n, data=json.dumps("x" * large.get(n, 10))) for n in range(6)]
    with receiving() as endpoint:
        assert send(changes, url=endpoint.url, mode="batch", concurrency=1) == []
    assert [len(request.event) for request in endpoint.requests] == [2, 1, 1, 2]


def test_a_batch_that_fails_fails_whole_and_its_retries_go_alone() -> None:
    """So that what is refused takes no other along a second time."""
    with receiving(lambda r: 422 if b'"n": 7}' in r.body else 200) as endpoint:
        changes = [change(n) for n in range(20)]
        failures = send(changes, url=endpoint.url, mode="batch", batch_size=10)
        assert sorted(f.message.rev for f in failures) == list(range(10))
        assert set(kinds(failures)) == {"rejected"}
        retries = [f.message._replace(part="retries") for f in failures]
        (failure,) = send(retries, url=endpoint.url, mode="batch", batch_size=10)
    assert failure.message.rev == 7
    assert len(endpoint.requests) == 2 + 10
    assert all(isinstance(request.event, dict) for request in endpoint.requests[2:])


@pytest.mark.parametrize(("answer", "kind"), [(410, "gone"), (429, "busy"), (500, "endpoint")])
def test_a_batch_is_judged_as_one_change_is(answer: int, kind: str) -> None:
    with receiving(lambda request: answer) as endpoint:
        failures = send([change(n) for n in range(30)], url=endpoint.url, mode="batch",
                        batch_size=10, concurrency=1)  # fmt: skip
    assert kinds(failures) == [kind] * 10 + ["unsent"] * 20
    assert len(endpoint.requests) == 1


def test_a_batch_that_is_not_full_holds_its_lane_for_batch_ms() -> None:
    with receiving() as endpoint:
        began = time.monotonic()
        assert send([change(1)], url=endpoint.url, mode="batch", batch_ms=300) == []
        assert time.monotonic() - began >= 0.3
        stopped = Event()
        stopped.set()
        sink = Webhook(Options({"url": endpoint.url, "allow_private": True, "mode": "batch",
                                "batch_size": 2, "batch_ms": 3_600_000}))  # fmt: skip
        assert sink.send([change(1), change(2)], Event()) == []  # it is full
        assert kinds(sink.send([change(1)], stopped)) == ["unsent"]
        sink.close()


@pytest.mark.parametrize("mode", ["structured", "binary", "batch"])
def test_a_control_event_is_one_more_type_with_life_and_head(mode: str) -> None:
    reset = change(0, part="control", kind="pgpublish.reset", id="pgpublish.reset/1700000000",
                   pub_id="00000000-0000-0000-0000-000000000000",
                   data='{"life": 1700000000, "head": 42}')  # fmt: skip
    with receiving() as endpoint:
        assert send([reset], url=endpoint.url, mode=mode) == []
    (request,) = endpoint.requests
    if mode == "binary":
        assert request.headers["ce-type"] == "pgpublish.reset"
        assert json.loads(request.body) == {"life": 1700000000, "head": 42}
    else:
        assert request.event["type"] == "pgpublish.reset"
        assert request.event["data"] == {"life": 1700000000, "head": 42}
    assert request.headers["webhook-id"] == reset.id


@pytest.mark.parametrize("mode", ["structured", "binary"])
def test_the_key_travels_where_the_subscription_has_it_also_of_a_deletion(mode: str) -> None:
    deleted = change(7, key='a"é', deleted=True, data=None)
    with receiving() as endpoint:
        assert send([deleted], url=endpoint.url, mode=mode) == []
    (request,) = endpoint.requests
    found = request.headers["ce-key"] if mode == "binary" else request.event["key"]
    assert found == ("a%22%C3%A9" if mode == "binary" else 'a"é')


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"url": "https://host.invalid/"}, "gaierror"),
        ({"url": "http://127.0.0.1/"}, "127.0.0.1"),
        ({"url": "http://127.0.0.1/", "ca": "/nowhere.pem"}, "Option ca"),
    ],
)
def test_an_endpoint_that_cannot_be_says_so_before_anything_is_sent(
    options: dict[str, Any], why: str
) -> None:
    with pytest.raises(BadArgument) as caught:
        sinks.check("webhook", options)
    assert why in str(caught.value.detail)


def test_an_endpoint_that_can_be_is_not_called_to_find_out() -> None:
    with receiving() as endpoint:
        sinks.check("webhook", {"url": endpoint.url, "allow_private": True})
    assert endpoint.connections == 0


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


@pytest.mark.parametrize("status", [403, 429, 503])
def test_retry_after_is_passed_on_and_ends_the_batch(status: int) -> None:
    with receiving(lambda request: (status, {"retry-after": "120"})) as endpoint:
        failures = send([change(n) for n in range(100)], url=endpoint.url, concurrency=2)
    assert {f.retry_after for f in failures if f.kind == "busy"} == {120}
    assert len(endpoint.requests) <= 2
    assert kinds(failures).count("unsent") == 100 - len(endpoint.requests)


@pytest.mark.parametrize("zone", ["UTC", "Asia/Kolkata", "America/New_York"])
@pytest.mark.parametrize(
    ("text", "wait"),
    [
        ("7", 7), (" 7 ", 7), ("1.5", 1.5), ("0", 0), ("9" * 400, 31_536_000),
        ("Fri, 02 Jan 2026 03:05:05 GMT", 60), ("Friday, 02-Jan-26 03:05:05 GMT", 60),
        ("Fri Jan  2 03:05:05 2026", 60), ("Fri, 02 Jan 2026 04:05:05 +0100", 60),
        ("Fri, 02 Jan 2026 03:03:05 GMT", 0), ("Fri, 02 Jan 9999 03:03:05 GMT", 31_536_000),
        ("soon", None), ("-5", None), ("", None), ("Mon, 31 Feb 2026 00:00:00 GMT", None),
        ("\N{ARABIC-INDIC DIGIT SEVEN}", None), (None, None),
    ],
)  # fmt: skip
def test_retry_after_is_read_in_every_form_and_in_utc(
    text: str | None, wait: float | None, zone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        assert seconds(text, NOW.timestamp()) == wait
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize("value", ["soon", "-5"])
def test_a_retry_after_nobody_can_read_is_none(value: str) -> None:
    with receiving(lambda request: (503, {"retry-after": value})) as endpoint:
        (failure,) = send([change(1)], url=endpoint.url)
    assert (failure.kind, failure.retry_after) == ("endpoint", None)


def test_an_endpoint_that_takes_nothing_is_spared_the_rest() -> None:
    with receiving(lambda request: 500) as endpoint:
        failures = send([change(n) for n in range(100)], url=endpoint.url, concurrency=5)
    assert len(endpoint.requests) < 15
    assert len(failures) == 100


@pytest.mark.parametrize("answer", [429, (503, {"retry-after": "0"})])
def test_an_endpoint_that_asks_for_time_gets_it_also_in_the_middle_of_a_batch(answer: Any) -> None:
    with receiving(lambda request: 200 if request.data["n"] < 50 else answer) as endpoint:
        failures = send([change(n) for n in range(200)], url=endpoint.url, concurrency=2)
    assert len(endpoint.requests) <= 52
    assert kinds(failures).count("unsent") == 200 - len(endpoint.requests)
    assert {f.retry_after for f in failures if f.kind == "busy"} == {0}


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


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_never_followed(status: int) -> None:
    with receiving() as inside:
        to = {"location": "http://169.254.169.254/latest/meta-data/"}
        with receiving(lambda request: (status, to)) as endpoint:
            (failure,) = send([change(1)], url=endpoint.url)
        with receiving(lambda request: (status, {"location": inside.url})) as endpoint:
            (other,) = send([change(1)], url=endpoint.url)
    assert kinds([failure, other]) == ["endpoint", "endpoint"]
    assert "169.254.169.254" in failure.reason
    assert inside.requests == []
    assert inside.connections == 0  # a redirect may come as GET, which it does not write down


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "0.0.0.0"])
def test_private_addresses_are_refused_by_default_also_behind_a_name(host: str) -> None:
    with receiving() as endpoint:
        url = endpoint.url.replace("127.0.0.1", host)
        (failure,) = send([change(1)], url=url, allow_private=False)
        assert failure.kind == "endpoint"
        assert "not public" in failure.reason or "may not call" in failure.reason
        assert endpoint.connections == 0
        assert send([change(1)], url=endpoint.url, allow_private=True) == []


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
        {
            "url": "http://x/",
            "secrets": ["env:PGPUBLISH_SECRET_A", "plain"],
            "headers": {"authorization": "env:PGPUBLISH_SECRET_B"},
        },
        {"PGPUBLISH_SECRET_A": "alpha-secret", "PGPUBLISH_SECRET_B": "Bearer token-7"},
    )
    assert options.words("secrets") == ["alpha-secret", "plain"]
    assert options.mapping("headers") == {"authorization": "Bearer token-7"}
    assert options.hide("was: alpha-secret and Bearer token-7 (token-7)") == (
        "was: *** and *** (***)"
    )
    assert "alpha" not in repr(options)
    with pytest.raises(BadArgument) as caught:
        sinks.resolve({"url": "env:PGPUBLISH_SECRET_C"}, {})
    assert "PGPUBLISH_SECRET_C" in str(caught.value.detail)


URL_OF_A_HOOK = "https://bob:pass%2Fword@hooks.example/services/T0AB/tok-9f8e7d6c"


@pytest.mark.parametrize(
    "quoted",
    ["/services/T0AB/tok-9f8e7d6c", "tok-9f8e7d", "9f8e7d6c", "TOK-9F8E7D6C", "T0AB",
     "pass/word", "pass%2Fword", "pass%252Fword", "Ym9iOnBhc3Mvd29yZA==", "hooks.example",
     base64.b64encode(b"x tok-9f8e7d6c").decode(), "%2Fservices%2FT0AB%2Ftok-9f8e7d6c"],
)  # fmt: skip
def test_a_part_of_a_secret_is_hidden_however_it_is_written(quoted: str) -> None:
    hide = sinks.resolve(
        {"url": "env:PGPUBLISH_SECRET_HOOK"}, {"PGPUBLISH_SECRET_HOOK": URL_OF_A_HOOK}
    ).hide
    text = hide(f"HTTP 410: [{quoted}] is gone")
    assert text.startswith("HTTP 410: [")
    assert text.endswith("] is gone")
    assert "***" in text
    for n in range(len(quoted) - 5):
        assert quoted[n : n + 6] not in text


def test_what_is_no_secret_is_not_hidden() -> None:
    hide = sinks.resolve(
        {"url": "env:PGPUBLISH_SECRET_HOOK", "mode": "binary"},
        {"PGPUBLISH_SECRET_HOOK": URL_OF_A_HOOK},
    ).hide
    text = "HTTP 422: the title of the note is too long; binary; İstanbul"
    assert hide(text) == text
