"""A Redis stream: one XADD a change, all of a batch in one pipeline.

Fields: id, type, subject, and event, the CloudEvent in JSON.
"""

from __future__ import annotations

from collections.abc import Sequence
from threading import Event
from typing import Any, ClassVar

import redis
from redis.exceptions import DataError, RedisError, ResponseError

from pgpublish.sinks import Failure, FailureClass, Message, Options
from pgpublish.sinks.cloudevents import encoded
from pgpublish.sinks.urls import checked

TIMEOUT_S = 10.0
OURS = ("WRONGTYPE", "ERR")  # answers that a command, not the server, is to blame for


class Redis:
    OPTIONS: ClassVar = {
        "url": "string required",
        "stream": "string required",
        "maxlen": "number",
        "ca": "string",
    }

    def __init__(self, options: Options) -> None:
        timeout = options.positive("timeout", TIMEOUT_S)
        more: dict[str, Any] = {"ssl_ca_data": ca} if (ca := options.authorities()) else {}
        self.client = redis.Redis.from_url(
            checked(options.text("url"), "url", schemes=("redis", "rediss"), parameters=("db",)),
            socket_timeout=timeout,
            socket_connect_timeout=timeout,
            health_check_interval=30,
            **more,
        )
        maxlen = int(options.number("maxlen", 0))
        trim = ["MAXLEN", "~", str(maxlen)] if maxlen else []
        self.command = ["XADD", options.text("stream"), *trim, "*"]

    def send(self, messages: Sequence[Message], stop: Event) -> list[Failure]:
        events, failures = encoded(messages)
        with self.client.pipeline(transaction=False) as pipeline:
            for message, event in events:
                pipeline.execute_command(  # type: ignore[no-untyped-call]
                    *self.command,
                    "id",
                    message.id,
                    "type",
                    message.kind,
                    "subject",
                    message.pub_id,
                    "event",
                    event,
                )
            try:
                answers = pipeline.execute(raise_on_error=False)
            except (RedisError, OSError) as error:
                reason = f"{type(error).__name__}: {error}"
                return failures + [Failure(m, "endpoint", reason) for m, _ in events]
        return failures + [
            Failure(m, judge(answer), f"{type(answer).__name__}: {answer}")
            for (m, _), answer in zip(events, answers, strict=True)
            if isinstance(answer, Exception)
        ]

    def check(self) -> None:
        """Raises RedisError."""
        self.client.ping()

    def close(self) -> None:
        self.client.close()


def judge(error: Exception) -> FailureClass:
    """Whether the server refused this one change, or cannot take any (full, loading, read-only)."""
    if isinstance(error, DataError):
        return "encoding"
    # redis-py takes a known prefix off and makes a class of it; what is left is plain.
    return (
        "rejected" if type(error) is ResponseError and str(error).startswith(OURS) else "endpoint"
    )
