"""CloudEvents 1.0: a change as an event, in JSON or as headers.

type is the kind, subject the pub_id. Extensions: sequence (life and rev, to compare as text), key
(the source's, if the subscription has it sent), schemaversion, deleted, and the change's
traceparent and tracestate. A control event is one more type, with life and head as its data.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any
from urllib.parse import quote

from pgpublish.sinks import Message

STRUCTURED = "application/cloudevents+json; charset=utf-8"
BATCH = "application/cloudevents-batch+json; charset=utf-8"
JSON = "application/json"
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


def trace(message: Message) -> dict[str, Any]:
    headers = json.loads(message.headers) if message.headers else None
    if not isinstance(headers, dict):
        return {}
    return {n: headers[n] for n in ("traceparent", "tracestate") if isinstance(headers.get(n), str)}


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
