"""CloudEvents 1.0: a change as an event, in JSON or as HTTP headers.

type is the kind, subject the pub_id, id the epoch and rev. Extensions: sequence (the rev, to
compare as text), schemaversion, deleted, and the change's traceparent and tracestate.
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

from pgpublish.sinks import Message

STRUCTURED = "application/cloudevents+json; charset=utf-8"
JSON = "application/json"
PRINTABLE = "".join(chr(c) for c in range(0x21, 0x7F) if chr(c) not in '"%')
TRACE = ("traceparent", "tracestate")


def attributes(message: Message) -> dict[str, Any]:
    event: dict[str, Any] = {
        "specversion": "1.0",
        "id": message.id,
        "source": message.source,
        "type": message.kind,
        "subject": message.pub_id,
        "time": message.time.isoformat(),
        "sequence": f"{message.rev:019d}",
        "schemaversion": message.schema_version,
    }
    if message.deleted:
        event["deleted"] = True
    else:
        event["datacontenttype"] = JSON
    for name in TRACE:
        if isinstance(message.headers.get(name), str):
            event[name] = message.headers[name]
    return event


def structured(message: Message) -> bytes:
    """The event as one JSON document; the payload's text is passed on as it is."""
    head = json.dumps(attributes(message), ensure_ascii=False).encode()
    return head if message.data is None else head[:-1] + b', "data": ' + message.data + b"}"


def binary(message: Message, prefix: str = "ce-") -> tuple[dict[str, str], bytes]:
    """The event as headers, percent-encoded as the HTTP binding says, and the payload as body."""
    event = attributes(message)
    content_type = event.pop("datacontenttype", None)
    headers = {
        prefix + name: "true" if value is True else quote(str(value), safe=PRINTABLE)
        for name, value in event.items()
    }
    if content_type:
        headers["content-type"] = content_type
    return headers, message.data or b""
