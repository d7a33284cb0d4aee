"""CloudEvents 1.0: a change as an event, in JSON or as headers.

type is the kind, subject the pub_id. Extensions: sequence (life and rev, to compare as text), key
(the source's, if the subscription has it sent), schemaversion, deleted, and of the change's headers
traceparent, tracestate and baggage. A control event is one more type; life and head are its data.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any
from urllib.parse import quote

from pgpublish import exact
from pgpublish.sinks import Failure, Message

STRUCTURED = "application/cloudevents+json; charset=utf-8"
BATCH = "application/cloudevents-batch+json; charset=utf-8"
JSON = "application/json"
PARENT = re.compile(
    r"(00|(?!ff)[0-9a-f]{2})-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}"
)
MEMBERS = {  # of the lists: how long one is, what each of its members looks like
    "tracestate": (512, re.compile(r"[a-z0-9][-_*/@a-z0-9]{0,255}=[ -+\--<>-~]{1,256}")),
    "baggage": (
        8192,
        re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+[ \t]*=[ \t]*[!#-+\--:<-\[\]-~]*(?:[ \t;].*)?"),
    ),
}
ASCII = re.compile(r"[\t -~]+")
PRINTABLE = "".join(chr(c) for c in range(0x21, 0x7F) if chr(c) not in '"%')


def attributes(message: Message) -> dict[str, Any]:
    """All but the data."""
    event = {
        "specversion": "1.0",
        "id": message.id,
        "source": message.source,
        "type": message.kind,
        "subject": message.pub_id,
        "time": message.time,
        "sequence": message.sequence,
        "schemaversion": message.schema_version,
    } | trace(message)
    if message.key is not None:
        event["key"] = message.key
    return event | ({"deleted": True} if message.deleted else {"datacontenttype": JSON})


def trace(message: Message) -> dict[str, str]:
    """Of the writer's headers those that W3C's Trace Context and Baggage know, in their form."""
    if not message.headers:
        return {}
    headers = exact.loads(message.headers)
    if not isinstance(headers, dict):
        return {}
    found = {}
    parent = headers.get("traceparent")
    if isinstance(parent, str) and PARENT.fullmatch(parent):
        found["traceparent"] = parent
    for name, (size, member) in MEMBERS.items():
        text = headers.get(name)
        if name == "tracestate" and not found:
            continue  # means nothing alone
        if isinstance(text, str) and len(text) <= size and ASCII.fullmatch(text):
            parts = [part.strip(" \t") for part in text.split(",")]
            if all(member.fullmatch(part) for part in parts):
                found[name] = text
    return found


def encoded(messages: Iterable[Message]) -> tuple[list[tuple[Message, bytes]], list[Failure]]:
    """Each with its event in JSON; and those that cannot be written, which fail alone."""
    events: list[tuple[Message, bytes]] = []
    failures: list[Failure] = []
    for message in messages:
        try:
            events.append((message, structured(message)))
        except ValueError as error:
            failures.append(Failure(message, "encoding", str(error)))
    return events, failures


@lru_cache(maxsize=1000)
def _same(source: str, kind: str, schema_version: int) -> str:
    """The attributes that most events share, as the inside of a JSON object."""
    shared = {"source": source, "type": kind, "schemaversion": schema_version}
    return json.dumps(shared, ensure_ascii=False)[1:-1]


def structured(message: Message) -> bytes:
    """The event as one JSON document; the payload's text is passed on as it is."""
    same = _same(message.source, message.kind, message.schema_version)
    more = "".join(f', "{n}": {json.dumps(v)}' for n, v in trace(message).items())
    if message.key is not None:
        more += f', "key": {json.dumps(message.key, ensure_ascii=False)}'
    rest = (
        ', "deleted": true'
        if message.data is None
        else f', "datacontenttype": "{JSON}", "data": {message.data}'
    )
    return (
        f'{{"specversion": "1.0", "id": "{message.id}", {same}, "subject": "{message.pub_id}",'
        f' "time": "{message.time}", "sequence": "{message.sequence}"{more}{rest}}}'
    ).encode()


def batch(events: Iterable[bytes]) -> bytes:
    """Structured events as one JSON document."""
    return b"[" + b",\n".join(events) + b"]"


def percent(text: str) -> str:
    """A header's value as the HTTP binding encodes it."""
    return quote(text, safe=PRINTABLE)


def binary(
    message: Message, prefix: str = "ce-", write: Callable[[str], str] = percent
) -> tuple[dict[str, str], bytes]:
    """The event as headers, each value as write makes it, and the payload as body."""
    event = attributes(message)
    content_type = event.pop("datacontenttype", None)
    headers = {
        prefix + name: "true" if value is True else write(str(value))
        for name, value in event.items()
    }
    if content_type:
        headers["content-type"] = content_type
    return headers, (message.data or "").encode()
