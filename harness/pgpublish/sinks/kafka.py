"""Kafka: an idempotent producer; the key is the pub_id, so that a key stays in its partition.

The value is the payload and null for a deletion, as a compacted topic wants it; the CloudEvent's
attributes are the headers ce_….
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from threading import Event
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer

from pgpublish.sinks import GRACE_S, Failure, FailureClass, Message, Options
from pgpublish.sinks.cloudevents import binary

TIMEOUT_S = 15.0
LOOK_S = 0.1
UNFINISHED = KafkaError(KafkaError._MSG_TIMED_OUT)
GIVEN_UP = {KafkaError._MSG_TIMED_OUT, KafkaError._PURGE_QUEUE, KafkaError._PURGE_INFLIGHT}
REFUSED = {KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.INVALID_MSG, KafkaError.INVALID_RECORD}


class Kafka:
    def __init__(self, options: Options) -> None:
        self.topic = options.text("topic")
        self.timeout = options.positive("timeout", TIMEOUT_S)
        self.settings: dict[str, Any] = {
            "linger.ms": 5,
            **options.mapping("settings"),
            "bootstrap.servers": options.text("servers"),
            "enable.idempotence": True,
            "message.timeout.ms": max(1, int(self.timeout * 1000)),  # 0 would be for ever
        }
        self._producer: Producer | None = None

    def send(self, messages: Sequence[Message], stop: Event) -> list[Failure]:
        if self._producer is None:
            self._producer = Producer(self.settings, logger=None)
        outcome: dict[str, KafkaError | None] = {}
        over = limit(self.timeout + 1, stop)
        for message in messages:
            if not stop.is_set():
                self._produce(self._producer, message, outcome, over)
        while self._producer.flush(LOOK_S):
            if over():
                self._producer.purge()
                self._producer.flush(1)
                break
        failures = []
        for message in messages:
            error = outcome.get(message.pub_id, UNFINISHED)
            if error is None:
                continue
            if stop.is_set() and error.code() in GIVEN_UP:
                failures.append(Failure(message, "unsent"))
                continue
            failures.append(Failure(message, judge(error), error.str()))
            if error.fatal():
                self._producer = None  # an idempotent producer that lost its place ends
        return failures

    def close(self) -> None:
        self._producer = None

    def _produce(
        self,
        producer: Producer,
        message: Message,
        outcome: dict[str, KafkaError | None],
        over: Callable[[], bool],
    ) -> None:
        headers, body = binary(message, "ce_", write=str)  # the Kafka binding: plain UTF-8
        value = None if message.data is None else body

        def delivered(error: KafkaError | None, _: object) -> None:
            outcome[message.pub_id] = error

        while not over():
            try:
                producer.produce(
                    self.topic, key=message.pub_id.encode(), value=value,
                    headers=[(name, value.encode()) for name, value in headers.items()],
                    on_delivery=delivered,
                )  # fmt: skip
                return
            except BufferError:
                producer.poll(0.1)  # the local queue is full: let some go
            except KafkaException as error:
                outcome[message.pub_id] = error.args[0]
                return


def limit(seconds: float, stop: Event) -> Callable[[], bool]:
    """Says whether to give up: so many seconds from now, or GRACE_S after stop is set."""
    until = time.monotonic() + seconds

    def over() -> bool:
        nonlocal until
        if stop.is_set():
            until = min(until, time.monotonic() + GRACE_S)
        return time.monotonic() >= until

    return over


def judge(error: KafkaError) -> FailureClass:
    """Whether this one message is refused, or the cluster takes none."""
    return "rejected" if error.code() in REFUSED else "endpoint"
