"""Kafka: an idempotent producer; the key is the pub_id, so that a key stays in its partition.

The value is the payload and null for a deletion, as a compacted topic wants it; the CloudEvent's
attributes are the headers ce_…. A control event goes to each partition.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from threading import Event
from typing import Any, ClassVar

from confluent_kafka import KafkaError, KafkaException, Producer

from pgpublish.sinks import GRACE_S, Failure, FailureClass, Message, Options
from pgpublish.sinks.cloudevents import binary

TIMEOUT_S = 15.0
LOOK_S = 0.1
ANY = -1  # the partition of the key
UNFINISHED = KafkaError(KafkaError._MSG_TIMED_OUT)
GIVEN_UP = {KafkaError._MSG_TIMED_OUT, KafkaError._PURGE_QUEUE, KafkaError._PURGE_INFLIGHT}
REFUSED = {KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.INVALID_MSG, KafkaError.INVALID_RECORD}
Outcome = dict[str, KafkaError | None]  # by pub_id; None: every replica has it


class Kafka:
    OPTIONS: ClassVar = {
        "servers": "string required",
        "topic": "string required",
        "settings": "object",
    }

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
        self._logger = logging.Logger("kafka", logging.WARNING)
        self._logger.addHandler(_Lines(options))
        self._producer: Producer | None = None

    def send(self, messages: Sequence[Message], stop: Event) -> list[Failure]:
        producer = self._open()
        over = limit(self.timeout + 1, stop)
        outcome: Outcome = {}
        asked = [message for message in messages if not stop.is_set()]
        try:
            refused = self._produce_all(producer, asked, outcome, over)
            if len(refused) > 1:
                # A broker refuses a batch of the client's, not a message: each alone tells which.
                for message in refused:
                    self._produce_all(producer, [message], outcome, over)
        except KafkaException as unknown:  # which partitions there are
            outcome |= {m.pub_id: unknown.args[0] for m in messages if m.pub_id not in outcome}
        failures: list[Failure] = []
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

    def check(self) -> None:
        """Raises KafkaException."""
        found = self._open().list_topics(self.topic, self.timeout).topics[self.topic]
        if found.error is not None:
            raise KafkaException(found.error)

    def close(self) -> None:
        self._producer = None

    def _open(self) -> Producer:
        if self._producer is None:
            self._producer = Producer(self.settings, logger=self._logger)
        return self._producer

    def _produce_all(
        self,
        producer: Producer,
        messages: Iterable[Message],
        outcome: Outcome,
        over: Callable[[], bool],
    ) -> list[Message]:
        """Fills in each one's outcome; returns those that the cluster refused together."""
        sent = [m for m in messages if self._produce(producer, m, outcome, over)]
        while producer.flush(LOOK_S):
            if over():
                producer.purge()
                producer.flush(1)
                break
        errors = ((message, outcome.get(message.pub_id)) for message in sent)
        return [message for message, error in errors if error and error.code() in REFUSED]

    def _produce(
        self, producer: Producer, message: Message, outcome: Outcome, over: Callable[[], bool]
    ) -> bool:
        """Hands the message to the client; False: it took it not. Raises KafkaException."""
        headers, body = binary(message, "ce_", write=str)  # the Kafka binding: plain UTF-8
        value = None if message.data is None else body
        left = self._partitions(producer) if message.part == "control" else [ANY]
        outcome.pop(message.pub_id, None)

        def delivered(error: KafkaError | None, _: object) -> None:
            outcome[message.pub_id] = outcome.get(message.pub_id) or error

        while left and not over():
            try:
                producer.produce(
                    self.topic,
                    key=message.pub_id.encode(),
                    value=value,
                    headers=[(name, value.encode()) for name, value in headers.items()],
                    partition=left[-1],
                    on_delivery=delivered,
                )
                left.pop()
            except BufferError:
                producer.poll(0.1)  # the local queue is full: let some go
            except KafkaException as error:
                outcome[message.pub_id] = error.args[0]
                return False
        if left:
            outcome[message.pub_id] = UNFINISHED
        return not left

    def _partitions(self, producer: Producer) -> list[int]:
        found = producer.list_topics(self.topic, self.timeout).topics[self.topic]
        if found.error is not None:
            raise KafkaException(found.error)
        return sorted(found.partitions, reverse=True)


class _Lines(logging.Handler):
    """Lines of the client's log, without secrets."""

    def __init__(self, options: Options) -> None:
        super().__init__()
        self.options = options

    def emit(self, record: logging.LogRecord) -> None:
        self.options.warn(self.options.hide(f"kafka: {record.getMessage()}"))


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
