"""GET /stream: every change once the client is live, from where it was, for what it may see."""

from __future__ import annotations

import json
import random
import socket
from threading import Event
from typing import Any

from helpers import PATIENCE, begin, head, one, until
from serving import Serving, serving

pytest_plugins = ["served"]


def payloads(changes: list[Any]) -> list[Any]:
    return [change["payload"] for change in changes]


def test_a_stream_begins_with_everything_and_goes_on_live(server, put):
    put("note", "a", "1", "b", "2.50")
    with server.stream() as events:
        assert payloads(events.until("live")) == [1, 2.5]
        put("note", "c", "3", "a", None)
        assert [(c["payload"], c["deleted"]) for c in events.changes(2)] == [
            (3, False),
            (None, True),
        ]


def test_a_client_resumes_after_the_last_id_it_saw(server, orders, put):
    put("note", "a", "1")
    with server.stream() as events:
        events.until("live")
        put("note", "b", "2")
        events.changes(1)
        last = events.last_id
    put("note", "c", "3")
    with server.stream(**{"Last-Event-ID": last}) as events:
        assert payloads(events.until("live")) == [3]
        assert events.last_id.endswith(f".{head(orders)}")
    with server.stream(f"/stream?cursor={last}") as events:
        assert payloads(events.until("live")) == [3]


def test_the_id_moves_on_while_only_others_get_changes(server, orders, put):
    put("note", "a", "1")
    with server.stream("/stream?kinds=order") as events:
        assert events.until("live") == []
        put("note", "b", "2", "c", "3")
        until(lambda: events.block() and events.last_id.endswith(f".{head(orders)}"))
        assert events.seen[-1][0] == "live"


def test_a_cursor_that_cannot_go_on_is_told_and_everything_follows(server, put):
    put("note", "a", "1", "b", "2")
    with server.stream("/stream?cursor=99") as events:
        name, data = events.next()
        assert (name, "above the head" in data["reason"]) == ("reset", True)
        assert payloads(events.until("live")) == [1, 2]


def test_streams_show_kinds_and_scopes_and_what_leaves_them(url, orders, put):
    orders.execute("select publish_grant('publish_reader', '{order,note}')")
    acme = one(orders, "select publish_token_add('acme', 'publish_reader', 'acme')")
    globex = one(orders, "select publish_token_add('globex', 'publish_reader', 'globex')")
    put("order", "1", '{"tenant": "acme"}', "2", '{"tenant": "globex"}', "3", "{}")
    put("note", "n", "0")
    with serving(url, public=None) as server:
        one_, two = Serving(server.port, token=acme), Serving(server.port, token=globex)
        with one_.stream() as left, two.stream("/stream?kinds=order") as right:
            assert payloads(left.until("live")) == [{"tenant": "acme"}, 0]
            assert payloads(right.until("live")) == [{"tenant": "globex"}]
            put("order", "1", '{"tenant": "globex"}', "3", '{"tenant": null}')
            put("note", "n", "1")
            assert [(c["deleted"], c["payload"]) for c in left.changes(2)] == [
                (True, None),
                (False, 1),
            ]
            assert payloads(right.changes(1)) == [{"tenant": "globex"}]
            put("order", "1", '{"tenant": "acme"}')
            assert not left.changes(1)[0]["deleted"]
            assert right.changes(1)[0]["deleted"]


def test_whatever_happens_a_stream_holds_what_its_pages_would_give(url, orders, put):
    """Clients come and go at random; each holds in the end what the feed says of its scope."""
    random.seed(7)
    tenants = ["a", "b", None]
    tokens = {
        t: one(orders, "select publish_token_add(%s, 'publish_reader', %s)", f"t{t}", t)
        for t in tenants
    }
    held: dict[Any, dict[str, Any]] = {t: {} for t in tenants}
    cursors: dict[Any, str] = {}

    def follow(server: Serving, tenant: Any, upto: int) -> None:
        headers = {"Last-Event-ID": cursors[tenant]} if tenant in cursors else {}
        with Serving(server.port, token=tokens[tenant]).stream(**headers) as events:
            while not (events.last_id and int(events.last_id.split(".")[3]) >= upto):
                fields = events.block()
                if fields.get("event") is None and "data" in fields:
                    change = json.loads(fields["data"])
                    held[tenant].pop(change["pub_id"], None)
                    if not change["deleted"]:
                        held[tenant][change["pub_id"]] = change["payload"]
            cursors[tenant] = events.last_id

    with serving(url, public=None, batch=3) as server:
        for _ in range(6):
            upto = head(orders)
            following = [begin(follow, server, t, upto + 5) for t in tenants]
            while head(orders) < upto + 12:
                payload = {"tenant": random.choice(["a", "b", "c"]), "n": random.randrange(99)}
                gone = random.random() < 0.2
                put(
                    random.choice(["order", "note"]),
                    str(random.randrange(6)),
                    None if gone else json.dumps(payload),
                )
            for future in following:
                future.result(PATIENCE)
        for tenant in tenants:
            follow(server, tenant, head(orders))
            page = one(orders, "select publish_serve_page('publish_reader', %s)", tenant)
            want = {c["pub_id"]: c["payload"] for c in page["changes"] if not c["deleted"]}
            assert held[tenant] == want


def test_the_feed_is_read_once_for_all_streams(server, put):
    put("note", "a", "1")
    streams = [server.stream() for _ in range(20)]
    events = [stream.__enter__() for stream in streams]
    try:
        for each in events:
            each.until("live")
        asked = server.feed.parts.asked
        put("note", "b", "2")
        assert {each.changes(1)[0]["payload"] for each in events} == {2}
        assert server.feed.parts.asked == asked
    finally:
        for stream in streams:
            stream.__exit__(None, None, None)
    until(lambda: len(server.feed.hub) == 0 and server.feed.streams == 0)


def test_a_client_that_does_not_read_is_cut_and_holds_nobody_up(url, orders, put):
    slow = socket.socket()
    slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    with serving(url, patience=0.3, buffer=100_000) as server, slow, server.stream() as live:
        slow.connect(("127.0.0.1", server.port))
        slow.sendall(b"GET /stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
        until(lambda: server.feed.streams == 2)
        live.until("live")
        while server.feed.streams == 2:
            put("note", "large", json.dumps(str(random.random()) + "x" * 1_000_000))
            live.changes(1)
        put("note", "last", "1")
        assert payloads(live.changes(1)) == [1]


def test_a_client_of_http_1_0_gets_the_same_events_without_chunks(server, put):
    with socket.create_connection(("127.0.0.1", server.port), PATIENCE) as conn:
        conn.sendall(b"GET /stream HTTP/1.0\r\nHost: localhost\r\n\r\n")
        got = b""
        while b"event: live" not in got:
            got += conn.recv(65536)
        put("note", "a", "1")
        while b'"payload": 1' not in got or not got.endswith(b"\n\n"):
            got += conn.recv(65536)
    body = got.partition(b"\r\n\r\n")[2].decode()
    assert {line.split(":")[0] for line in body.splitlines()} <= {
        "",
        "retry",
        "id",
        "event",
        "data",
    }


def test_a_stream_ends_when_its_token_does(url, orders, put):
    with serving(url, public=None, heartbeat=0.1) as server:
        token = one(orders, "select publish_token_add('t', 'publish_reader')")
        with Serving(server.port, token=token).stream() as events:
            events.until("live")
            orders.execute("select publish_token_remove('t')")
            assert events.next() is None
        brief = one(
            orders,
            "select publish_token_add('u', 'publish_reader', null,"
            " clock_timestamp() + interval '1 second')",
        )
        with Serving(server.port, token=brief).stream() as events:
            events.until("live")
            assert events.next() is None
        assert Serving(server.port, token=brief).get("/stream").status_code == 401


def test_a_stream_ends_when_its_token_does_however_much_there_is_to_tell(url, orders, put):
    ended = Event()

    def write() -> None:
        n = 0
        while not ended.is_set():
            n += 1
            put("note", str(n % 5), str(n))

    with serving(url, public=None, heartbeat=0.5, buffer=1 << 30) as server:
        token = one(orders, "select publish_token_add('t', 'publish_reader')")
        with Serving(server.port, token=token).stream() as events:
            events.until("live")
            orders.execute("select publish_token_remove('t')")
            writing = begin(write)
            try:
                while events.next() is not None:
                    assert len(events.seen) < 5000
            finally:
                ended.set()
                writing.result(PATIENCE)


def test_a_stream_ends_when_its_rights_are_others(url, orders, put):
    orders.execute("create role web")
    orders.execute("select publish_grant('web', '{note,order}')")
    with serving(url, public="web", heartbeat=0.1) as server, server.stream() as events:
        events.until("live")
        orders.execute("select publish_revoke('web', '{order}')")
        assert events.next() is None
        orders.execute("select publish_revoke('web')")
        until(lambda: server.get("/stream").status_code == 403)
    orders.execute("drop owned by web; drop role web")


def test_a_stream_of_other_rights_begins_again_and_one_of_the_same_goes_on(url, orders, put):
    orders.execute("create role web")
    orders.execute("select publish_grant('web', '{note}')")
    put("order", "1", '{"tenant": "acme"}')
    put("note", "n", "0")
    with serving(url, public="web", heartbeat=0.1) as server:
        with server.stream() as events:
            events.until("live")
            put("note", "n", "1")  # whose id comes from the hub
            assert payloads(events.changes(1)) == [1]
            last = events.last_id
        with server.stream(**{"Last-Event-ID": last}) as events:
            assert events.until("live") == []
            orders.execute("select publish_grant('web', '{order}')")
            assert events.next() is None
        with server.stream(**{"Last-Event-ID": events.last_id}) as events:
            reset, *changes = events.until("live")
            assert reset == {"reason": "what this reader may read is not what it was"}
            assert payloads(changes) == [{"tenant": "acme"}, 1]
    orders.execute("drop owned by web; drop role web")


def test_who_is_interrupted_in_the_first_page_still_hears_of_deletions(server, put):
    put("note", "a", "1", "b", "2")
    with server.stream() as events:
        while events.last_id is None:
            events.block()
        began = events.last_id
        events.changes(1)
    put("note", "a", None)
    with server.stream(**{"Last-Event-ID": began}) as events:
        changes = events.until("live")
    assert sorted((c["deleted"], c["payload"] or 0) for c in changes) == [(False, 2), (True, 0)]
