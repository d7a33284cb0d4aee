"""What a server refuses: bad input, too much of it, too slow, too many, and from elsewhere."""

from __future__ import annotations

import json
import selectors
import socket
from contextlib import ExitStack, suppress

import psutil  # type: ignore[import-untyped]
import pytest
from helpers import PATIENCE, one, until
from serving import Serving, free_port, serving

from pgpublish.serve.run import allow_files

pytest_plugins = ["served"]


UUID = "00000000-0000-4000-8000-000000000000"


@pytest.mark.parametrize(
    ("status", "path"),
    [
        (400, "/changes?cursor=nonsense"),
        (400, "/changes?cursor=%00"),
        (400, "/changes?cursor=1.0.0.-1"),
        (400, "/changes?cursor=" + "9" * 201),
        (400, "/changes?cursor='%20or%20true--"),
        (400, "/changes?cursor=5%0d%0aSet-Cookie:%20a=b"),
        (404, "/changes/"),
        (404, "/stream/"),
        (404, "//changes"),
        (400, "/changes?limit=0"),
        (400, "/changes?limit=1001"),
        (400, "/changes?limit=1e3"),
        (400, "/changes?limit=99999999999999999999"),
        (400, "/changes?limit=-1"),
        (400, "/changes?wait=61"),
        (400, "/changes?wait=soon"),
        (400, "/changes?kinds="),
        (400, "/changes?kinds=a%00b"),
        (400, "/changes?kinds=" + ",".join(str(n) for n in range(101))),
        (404, "/changes?kinds=nothing"),
        (404, "/changes?kinds=note,nothing"),
        (404, "/changes?kinds=note';drop%20table%20x--"),
        (404, "/stream?kinds=nothing"),
        (400, "/stream?cursor=nonsense"),
        (404, f"/kinds/nothing/{UUID}"),
        (400, "/kinds/note/1"),
        (404, f"/kinds/note/{UUID}"),
        (400, "/kinds/note/..%2f..%2fetc%2fpasswd"),
        (404, "/../../etc/passwd"),
        (404, "/%2e%2e/%2e%2e/etc/passwd"),
        (404, "/nothing"),
    ],
)
def test_bad_input_is_a_problem_that_says_what_is_wrong(shared, status, path):
    answer = shared.get(path)
    assert (answer.status_code, answer.json()["status"]) == (status, status)
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["title"]
    assert "set-cookie" not in answer.headers
    assert answer.json().get("code", f"PT{status}") == f"PT{status}"


def test_a_last_event_id_of_nobody_is_refused_before_the_stream_begins(shared):
    assert shared.get("/stream", headers={"Last-Event-ID": "x"}).status_code == 400


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_nothing_can_be_written(shared, method):
    assert shared.get("/changes", method=method, content=b"{}").status_code == 405


def test_head_has_no_body(shared):
    for path in ("/changes", "/stream"):
        answer = shared.get(path, method="HEAD")
        assert (answer.status_code, answer.content) == (200, b"")


def talk(server: Serving, data: bytes) -> bytes:
    """What comes back until the server closes the connection."""
    answer = b""
    with socket.create_connection(("127.0.0.1", server.port), 20) as conn:
        try:
            conn.sendall(data)
            while got := conn.recv(65536):
                answer += got
        except (ConnectionResetError, BrokenPipeError):
            pass
    return answer


def test_a_head_that_is_too_large_is_refused(shared):
    for headers in ({"X": "x" * 20_000}, {f"X-{n}": "x" * 100 for n in range(200)}):
        assert shared.get("/healthz", headers=headers).status_code == 431
    assert shared.get("/healthz?" + "x" * 20_000).status_code == 431
    assert talk(shared, b"GET / HTTP/1.1\r\n" + b"X: x\r\n" * 200_000).startswith(b"HTTP/1.1 400")


@pytest.mark.parametrize(
    "data",
    [
        b"GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"nonsense\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 50,
    ],
)
def test_what_is_no_request_ends_the_connection(shared, data):
    answer = talk(shared, data)
    assert answer == b"" or answer.startswith(b"HTTP/1.1 400")
    assert shared.get("/healthz").status_code == 200


def test_a_request_that_does_not_come_to_an_end_is_closed_by_the_clock(url, orders):
    with serving(url, header_time=0.2, keep_alive=1) as server:
        assert talk(server, b"") == b""
        assert talk(server, b"GET /healthz HTTP/1.1\r\nHost: loc") == b""
        whole = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
        assert talk(server, whole + b"GET /hea").count(b"HTTP/1.1") == 1


@pytest.mark.parametrize(
    "begun",
    [
        b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: ",
        b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9999\r\n\r\n",
        b"POST /changes HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n",
    ],
)
def test_a_byte_now_and_then_does_not_hold_a_connection(url, orders, begun):
    with (
        serving(url, header_time=0.5, keep_alive=1) as server,
        socket.create_connection(("127.0.0.1", server.port), 20) as conn,
    ):
        conn.sendall(begun)
        conn.settimeout(0.05)
        closed = False
        for _ in range(400):
            with suppress(TimeoutError):
                closed = conn.recv(65536) == b""
            if closed:
                return
            conn.sendall(b"a")
        raise AssertionError("it is still open")


def test_who_takes_a_page_byte_by_byte_is_cut(url, orders, put):
    large = json.dumps("x" * 500_000)
    put("note", *[text for n in range(20) for text in (str(n), large)])
    with serving(url, patience=0.4) as server, socket.socket() as conn:
        conn.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        conn.connect(("127.0.0.1", server.port))
        conn.sendall(b"GET /changes HTTP/1.1\r\nHost: localhost\r\n\r\n")
        mine = conn.getsockname()
        for _ in range(2000):
            assert conn.recv(50)
            assert server.get("/healthz").status_code == 200
            # What the system has taken for the client stays there, but the server is rid of it.
            if mine not in [c.raddr for c in psutil.Process().net_connections("tcp")]:
                return
        raise AssertionError("it is still held")


def test_no_more_clients_than_may_are_let_in(url, orders):
    with serving(url, streams=2, connections=6, waiting=1) as server:
        with server.stream(), server.stream():
            until(lambda: server.feed.streams == 2)
            answer = server.get("/stream")
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
            assert server.get("/stream?cursor=unread").status_code == 503
            crowd = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(40)]
            with suppress(ConnectionResetError):
                assert any(conn.recv(1) == b"" for conn in crowd[10:])
            for conn in crowd:
                conn.close()
            until(server.is_ready)
        until(lambda: server.feed.streams == 0)
        with server.stream() as events:
            assert events.until("live") == []


def test_a_crowd_of_streams_is_told_and_the_rest_is_refused(
    url, orders, put, background, pytestconfig
):
    """The server is a process of its own, with as many open files as it asks for."""
    crowd = pytestconfig.getoption("--crowd")
    allow_files(crowd + 200)
    port = free_port()
    process = background("serve", "--port", str(port), "--streams", str(crowd))
    server = Serving(port)
    until(lambda: server.is_ready() or process.poll() is not None)
    ask = b"GET /stream HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with ExitStack() as open, selectors.DefaultSelector() as waiting:

        def come() -> socket.socket:
            conn = open.enter_context(socket.create_connection(("127.0.0.1", port), PATIENCE))
            conn.sendall(ask)
            return conn

        conns = [come() for _ in range(crowd)]
        for conn in conns:
            answer = b""
            while b"event: live" not in answer:
                got = conn.recv(65536)
                assert got, answer
                answer += got
            waiting.register(conn, selectors.EVENT_READ, b"")
        assert come().recv(65536).startswith(b"HTTP/1.1 503")
        assert server.get("/changes").status_code == 200
        put("note", "a", '"told to all"')
        while waiting.get_map():
            ready = waiting.select(PATIENCE)
            assert ready, "some are not told"
            for key, _ in ready:
                got = key.data + key.fileobj.recv(65536)
                waiting.modify(key.fileobj, selectors.EVENT_READ, got)
                if b"told to all" in got:
                    waiting.unregister(key.fileobj)
        memory = psutil.Process(process.pid).memory_info().rss
        assert memory < 100e6 + crowd * 30_000
    until(lambda: server.get("/healthz").status_code == 200)


def test_pages_of_other_sites_read_only_if_they_are_named(url, orders):
    with serving(url, origins=("https://shop.example",)) as server:
        asked = {
            "Origin": "https://shop.example",
            "Access-Control-Request-Method": "GET",
            "Access-Control-Request-Headers": "authorization, last-event-id",
        }
        allowed = server.get("/changes", method="OPTIONS", headers=asked)
        assert allowed.headers["access-control-allow-origin"] == "https://shop.example"
        assert "access-control-allow-credentials" not in allowed.headers
        other = server.get("/changes", headers={"Origin": "https://evil.example"})
        assert "access-control-allow-origin" not in other.headers
        with server.stream(Origin="https://shop.example"):
            pass


@pytest.fixture(scope="module")
def local(cluster, shared):
    with serving(cluster.url("served"), local_only=True) as server:
        yield server


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (200, {"Host": "localhost:80"}),
        (200, {"Host": "127.0.0.1"}),
        (200, {"Host": "127.8.9.10:80"}),
        (200, {"Host": "[::1]:80"}),
        (200, {"Host": "[::1]"}),
        (403, {"Host": "127.evil.example"}),
        (403, {"Host": "127.0.0.1.evil.example:80"}),
        (403, {"Host": "127.0.0.1@evil.example"}),
        (403, {"Host": "[127.0.0.1].evil.example"}),
        (403, {"Host": "127.0.0.256"}),
        (403, {"Host": "127."}),
        (403, {"Host": ""}),
        (403, {"Host": "evil.example"}),
        (403, {"Host": "localhost.evil.example"}),
        (403, {"Host": "localhost", "X-Forwarded-For": "10.0.0.1"}),
        (403, {"Host": "localhost", "Forwarded": "for=10.0.0.1"}),
        (403, {"Host": "localhost", "Via": "1.1 proxy"}),
        (403, {"Host": "localhost", "X-Forwarded-Proto": "https"}),
        (403, {"Host": "localhost", "CF-Connecting-IP": "10.0.0.1"}),
    ],
)
def test_without_a_rule_it_answers_only_this_machine(local, status, headers):
    for path in ("/changes", "/stream", f"/kinds/note/{UUID}"):
        found = local.get(path, headers=headers, method="HEAD" if path == "/stream" else "GET")
        assert (403 if found.status_code == 403 else 200) == status


def test_an_error_of_the_database_tells_nothing_of_it(url, orders, server):
    orders.execute("alter function publish.page(publish.reading, text, int) rename to page_gone")
    answer = server.get("/changes")
    assert (answer.status_code, answer.json()["code"]) == (500, "42883")
    assert "publish.page" not in answer.text
    assert one(orders, "select 1") == 1
