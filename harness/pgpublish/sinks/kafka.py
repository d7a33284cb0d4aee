"""Kafka: an idempotent producer; the key is the pub_id, so that a key stays in its partition.

The value is the payload and null for a deletion, as a compacted topic wants it; the CloudEvent's
attributes are the headers ce_…. A control event goes to each partition.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from threading import Event
from typing import Any, ClassVar

from confluent_kafka import KafkaError, KafkaException, Producer

from pgpublish.errors import BadArgument
from pgpublish.sinks import GRACE_S, Failure, FailureClass, Message, Options
from pgpublish.sinks.cloudevents import binary

TIMEOUT_S = 15.0
LOOK_S = 0.1
# librdkafka takes more for a server: a path, no host (this machine), a bare IPv6 address. Its host
# is then not the one that was looked at.
SERVER = re.compile(
    r" *(?:(?:PLAINTEXT|SSL|SASL_PLAINTEXT|SASL_SSL)://)?"
    r"(?:(?P<name>[\w.-]+)|\[(?P<ip>[0-9A-Fa-f:.]+)\])(?::\d{1,5})?",
    re.ASCII,
)
ANY = -1  # the partition of the key
UNFINISHED = KafkaError(KafkaError._MSG_TIMED_OUT)
UNWRITABLE = KafkaError(KafkaError._VALUE_SERIALIZATION, "the change cannot be encoded")
GIVEN_UP = {KafkaError._MSG_TIMED_OUT, KafkaError._PURGE_QUEUE, KafkaError._PURGE_INFLIGHT}
REFUSED = {KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.INVALID_MSG, KafkaError.INVALID_RECORD}
# Others load libraries, run programs, read files, fetch URLs, write data into the log, or take as
# much memory as they like. A file's content goes into option ca or a setting that ends in .pem.
SETTINGS = {
    "acks",
    "batch.num.messages",
    "batch.size",
    "broker.address.family",
    "client.id",
    "client.rack",
    "compression.codec",
    "compression.level",
    "compression.type",
    "connections.max.idle.ms",
    "linger.ms",
    "log_level",
    "max.in.flight",
    "max.in.flight.requests.per.connection",
    "message.max.bytes",
    "metadata.max.age.ms",
    "partitioner",
    "queue.buffering.max.ms",
    "reconnect.backoff.max.ms",
    "reconnect.backoff.ms",
    "request.required.acks",
    "request.timeout.ms",
    "retries",
    "retry.backoff.max.ms",
    "retry.backoff.ms",
    "sasl.mechanism",
    "sasl.mechanisms",
    "sasl.password",
    "sasl.username",
    "security.protocol",
    "socket.connection.setup.timeout.ms",
    "socket.keepalive.enable",
    "socket.nagle.disable",
    "socket.timeout.ms",
    "ssl.ca.pem",
    "ssl.certificate.pem",
    "ssl.key.password",
    "ssl.key.pem",
    "sticky.partitioning.linger.ms",
    "topic.metadata.refresh.interval.ms",
}
MECHANISMS = {"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"}  # GSSAPI runs kinit, OAUTHBEARER fetches
Outcome = dict[str, KafkaError | None]  # by pub_id; None: every replica has it


class Kafka:
    OPTIONS: ClassVar = {
        "servers": "string required",
        "topic": "string required",
        "settings": "object",
        "ca": "string",
    }

    def __init__(self, options: Options) -> None:
        self.topic = options.text("topic")
        self.timeout = options.positive("timeout", TIMEOUT_S)
        servers = options.text("servers")
        self.hosts = hosts_of(servers)
        given = options.mapping("settings")
        check_settings(given)
        ca = options.authorities()
        self.policy = options.policy
        self.settings: dict[str, Any] = {
            "linger.ms": 5,
            **given,
            **({"ssl.ca.pem": ca} if ca else {}),
            "bootstrap.servers": servers,
            "enable.idempotence": True,
            "message.timeout.ms": max(1, int(self.timeout * 1000)),  # 0 would be for ever
        }
        self._logger = logging.Logger("kafka", logging.WARNING)
        self._logger.addHandler(_Lines(options))
        self._producer: Producer | None = None
        self._known = False  # its brokers

    def send(self, messages: Sequence[Message], stop: Event) -> list[Failure]:
        over = limit(self.timeout + 1, stop)
        try:
            producer = self._open()
            self._know(producer, over)
        except BadArgument as refusal:
            self._producer = None
            reason = f"{refusal.message}; {refusal.detail}"
            return [Failure(message, "endpoint", reason) for message in messages]
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
        cluster = self._open().list_topics(self.topic, self.timeout)
        self.policy.check_hosts(broker.host for broker in cluster.brokers.values())
        if (error := cluster.topics[self.topic].error) is not None:
            raise KafkaException(error)

    def close(self) -> None:
        self._producer = None

    def _open(self) -> Producer:
        if self._producer is None:
            self.policy.check_hosts(self.hosts)
            self._producer = Producer(self.settings, logger=self._logger)
            self._known = False
        return self._producer

    def _know(self, producer: Producer, over: Callable[[], bool]) -> None:
        """Before anything is sent: the brokers of the cluster, to which the client connects by
        itself, are where it may. Raises as check_hosts does."""
        while not (self._known or over()):
            with suppress(KafkaException):  # it does not answer, or not yet
                brokers = producer.list_topics(self.topic, LOOK_S).brokers.values()
                self.policy.check_hosts(broker.host for broker in brokers)
                self._known = bool(brokers)

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
        try:
            headers, body = binary(message, "ce_", write=str)  # the Kafka binding: plain UTF-8
            fields: list[tuple[str, str | bytes | None]] = [
                (name, value.encode()) for name, value in headers.items()
            ]
        except ValueError:
            outcome[message.pub_id] = UNWRITABLE
            return False
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
                    headers=fields,
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


def check_settings(settings: Mapping[str, Any]) -> None:
    """Raises BadArgument."""
    refused = sorted(settings.keys() - SETTINGS)
    for name in ("sasl.mechanism", "sasl.mechanisms"):
        if not {str(settings.get(name, "PLAIN")).upper()} <= MECHANISMS:
            refused.append(f"{name} {settings[name]}")
    if refused:
        raise BadArgument(
            "the client may not have a setting",
            detail=f"Option settings: {', '.join(refused)}.",
            hint="Use those that docs/deliver-broker.md names, and ca for certificates.",
        )


def hosts_of(servers: str) -> list[str]:
    """Of PROTOCOL://host:port, with commas between, where only the host has to be given. Raises
    BadArgument."""
    hosts = []
    for server in servers.split(","):
        found = SERVER.fullmatch(server)
        if found is None:
            raise BadArgument(
                "this is not a list of servers",
                detail="Option servers.",
                hint="Write host:port with commas between, an IPv6 address in brackets.",
            )
        hosts.append(found["name"] or found["ip"])
    return hosts


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
    if error.code() == KafkaError._VALUE_SERIALIZATION:
        return "encoding"
    return "rejected" if error.code() in REFUSED else "endpoint"
