"""Headers are data of writers: of them only trace context of valid form travels."""

from __future__ import annotations

import json
from typing import Any

import brokers
import pytest

from pgpublish.sinks.cloudevents import trace

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def travels(**headers: Any) -> dict[str, str]:
    return trace(brokers.change(1, headers=json.dumps(headers)))


def test_what_is_valid_travels() -> None:
    headers = {
        "traceparent": PARENT,
        "tracestate": "rojo=00f067aa0ba902b7, congo=t61rcWkgMzE",
        "baggage": "userId=Am%C3%A9lie,serverNode=DF:28;p=1",
    }
    assert travels(**headers, authorization="x") == headers


@pytest.mark.parametrize(
    "parent",
    [PARENT.upper(), PARENT + "\n", PARENT + "-x", PARENT[:-1], "ff" + PARENT[2:], 1, None,
     [PARENT], "00-" + "0" * 32 + "-00f067aa0ba902b7-01"],
)  # fmt: skip
def test_a_traceparent_of_another_form_stays_with_its_tracestate(parent: Any) -> None:
    assert travels(traceparent=parent, tracestate="a=b") == {}


@pytest.mark.parametrize(
    "text", ["a=b\r\nx-admin: 1", "a=\u202e", "a", "", "a=b,,c=d", "a=" + "x" * 9000, {"a": "b"}]
)
def test_lists_of_another_form_stay(text: Any) -> None:
    assert travels(traceparent=PARENT, tracestate=text, baggage=text) == {"traceparent": PARENT}


def test_deep_headers_harm_nobody() -> None:
    deep = '{"a": ' + "[" * 5000 + "]" * 5000 + f', "traceparent": "{PARENT}"}}'
    assert trace(brokers.change(1, headers=deep)) == {"traceparent": PARENT}
