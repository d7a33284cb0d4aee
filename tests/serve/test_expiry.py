"""A token ends at its own time, and not when somebody looks again."""

from __future__ import annotations

from threading import Thread

import httpx
from helpers import one, until
from serving import serving

pytest_plugins = ["served"]


def test_a_token_ends_at_its_time_although_the_answer_was_kept(url, orders, put):
    put("note", "a", "1")
    token = one(
        orders,
        "select publish_token_add('t', 'publish_reader', null,"
        " clock_timestamp() + interval '2 seconds')",
    )
    with serving(url, public=None, heartbeat=60, recheck=60) as server:
        server.token = token
        with server.stream() as events:
            assert len(events.until("live")) == 1
            assert server.get("/changes").status_code == 200
            while events.next() is not None:
                pass
        until(lambda: server.get("/changes").status_code == 401, 10)


def test_a_long_poll_whose_token_was_removed_is_told_nothing(url, orders, put):
    put("note", "a", "1")
    token = one(orders, "select publish_token_add('t', 'publish_reader')")
    with serving(url, public=None) as server:
        server.token = token
        cursor = server.get("/changes").json()["cursor"]
        answers: list[httpx.Response] = []
        poll = Thread(
            target=lambda: answers.append(server.get(f"/changes?cursor={cursor}&wait=20"))
        )
        poll.start()
        until(lambda: server.feed.pages.waiting == 1)
        orders.execute("select publish_token_remove('t')")
        until(lambda: server.get("/changes").status_code == 401, 10)
        put("note", "b", "2")
        poll.join()
    assert answers[0].status_code == 401
    assert "payload" not in answers[0].text
