"""Each sink called as a worker calls it, against its real server: what it refuses and why, what it
takes once, and how it says that everything comes again."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any

import aio_pika
import boto3
import brokers
import nats
import pytest
import redis
from brokers import change, control
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, Producer, TopicPartition
from helpers import PATIENCE, until
from moto.server import ThreadedMotoServer

from pgpublish import sinks
from pgpublish.errors import BadArgument
from pgpublish.sinks import Failure, Message, Sink

LIVES = [control(), control("pgpublish.resynced")]


@contextmanager
def made(name: str, options: dict[str, Any], **more: Any) -> Iterator[Sink]:
    sink = sinks.make(name, sinks.resolve(options, **more))
    try:
        yield sink
    finally:
        sink.close()


def send(sink: Sink, *messages: Message) -> list[Failure]:
    return sink.send(messages, Event())


def classes(failures: list[Failure]) -> dict[int, str]:
    return {failure.message.rev: failure.kind for failure in failures}


def text(size: int) -> str:
    return json.dumps("x" * size)


# --- Redis


def test_redis_gets_control_events_in_their_place() -> None:
    with brokers.redis_server() as server:
        options = {"url": f"redis://127.0.0.1:{server.port}", "stream": "feed"}
        with made("redis", options) as sink:
            for message in (LIVES[0], change(1, key="k"), LIVES[1]):
                assert send(sink, message) == []
        client = redis.Redis(port=server.port)
        entries = [fields for _, fields in client.xrange("feed")]
        client.close()
    assert [f[b"type"] for f in entries] == [b"pgpublish.reset", b"note", b"pgpublish.resynced"]
    assert json.loads(entries[0][b"event"])["data"] == {"life": 1_700_000_000, "head": 9}
    assert json.loads(entries[1][b"event"])["key"] == "k"


def test_a_redis_that_takes_no_login_says_so_before_anything_is_sent() -> None:
    """And one that is as it should be says nothing."""
    with brokers.redis_server() as server:
        options = {"url": f"redis://127.0.0.1:{server.port}", "stream": "feed"}
        sinks.check("redis", options)
        client = redis.Redis(port=server.port)
        client.config_set("requirepass", "secret")
        client.close()
        with pytest.raises(BadArgument, match="redis") as caught:
            sinks.check("redis", options)
        assert "Authentication required" in str(caught.value.detail)
        wrong = options | {"url": f"redis://:wrong-password@127.0.0.1:{server.port}"}
        with pytest.raises(BadArgument) as refused:
            sinks.check("redis", wrong)
        assert "wrong-password" not in str(refused.value.detail)


# --- NATS


async def make_stream(port: int, **settings: Any) -> None:
    client = await nats.connect(f"nats://127.0.0.1:{port}")
    await client.jetstream().add_stream(name="FEED", subjects=["feed.>"], **settings)
    await client.close()


async def read_stream(port: int) -> list[tuple[str, dict[str, Any]]]:
    """Subject and event of each message."""
    client = await nats.connect(f"nats://127.0.0.1:{port}")
    context = client.jetstream()
    count = (await context.stream_info("FEED")).state.messages
    subscription = await context.subscribe("feed.>", ordered_consumer=True)
    found = [await subscription.next_msg(timeout=PATIENCE) for _ in range(count)]
    await client.close()
    return [(message.subject, json.loads(message.data)) for message in found]


@contextmanager
def streaming(**settings: Any) -> Iterator[tuple[brokers.Broker, dict[str, Any]]]:
    with brokers.nats_servers() as (server,):
        asyncio.run(make_stream(server.port, **settings))
        yield server, {"servers": [f"nats://127.0.0.1:{server.port}"], "subject": "feed.{kind}",
                       "timeout": 5}  # fmt: skip


def test_nats_rejects_what_is_too_large_with_its_headers_and_goes_on() -> None:
    """max_payload counts headers: a body just below it would cost the connection. Refusals take no
    permit along, however many there are."""
    limit = 1024 * 1024
    with streaming() as (server, options), made("nats", options | {"concurrency": 3}) as sink:
        empty = len(sinks.cloudevents.structured(change(1, data=text(0))))
        edge = [change(n, data=text(limit - empty - n)) for n in range(2, 120, 9)]
        large = [change(n, data=text(limit)) for n in range(200, 220)]
        failures = send(sink, *edge, *large, change(999))
        found = asyncio.run(read_stream(server.port))
        assert send(sink, *(change(n) for n in range(1000, 1100))) == []
    assert set(classes(failures).values()) == {"rejected"}
    assert {message.rev for message in large} <= set(classes(failures))
    assert 0 < len(failures) - len(large) < len(edge)
    assert all("1048576" in failure.reason for failure in failures)
    assert len(found) == len(edge) + len(large) + 1 - len(failures)


def test_a_message_that_is_too_large_for_the_stream_is_rejected_and_a_full_one_takes_none() -> None:
    limits = {"max_msg_size": 2000, "max_msgs": 3, "discard": "new"}
    with streaming(**limits) as (_, options), made("nats", options) as sink:
        (failure,) = send(sink, change(1), change(2, data=text(3000)))
        assert (failure.message.rev, failure.kind) == (2, "rejected")
        assert "size" in failure.reason
        failures = send(sink, change(3), change(4), change(5), change(6))
    assert set(classes(failures).values()) == {"endpoint"}
    assert len(failures) == 2
    assert "maximum messages" in failures[0].reason


def test_nats_after_an_outage_needs_nothing_but_the_next_batch() -> None:
    """What could not be sent fills no buffer that is in the way afterwards."""
    batches = [[change(100 * b + n, data=text(50_000)) for n in range(100)] for b in range(5)]
    with streaming() as (server, options), made("nats", options) as sink:
        assert send(sink, *batches[0]) == []
        server.stop()
        for batch in batches[1:4]:
            failures = send(sink, *batch)
            assert {failure.kind for failure in failures} == {"endpoint"}
            assert len(failures) == 100
            assert "Connect" in failures[0].reason
        server.start()
        assert send(sink, *batches[4]) == []
        assert len(asyncio.run(read_stream(server.port))) == 200


def test_nats_drops_a_retry_that_it_has_but_neither_a_replay_nor_a_correction() -> None:
    with streaming() as (server, options), made("nats", options) as sink:
        for message in (
            change(1),
            change(1, part="retries"),  # its first answer was lost
            change(1),  # publish_seek
            change(1, id="x/1700000000/1"),  # the same rev in another life
        ):
            assert send(sink, message) == []
        found = asyncio.run(read_stream(server.port))
    assert [event["id"] for _, event in found] == ["x/1", "x/1", "x/1700000000/1"]


def test_nats_says_that_everything_comes_again_on_a_subject_of_its_own() -> None:
    with streaming() as (server, options), made("nats", options) as sink:
        for message in LIVES:
            assert send(sink, message) == []
        found = asyncio.run(read_stream(server.port))
    assert [subject for subject, _ in found] == ["feed.pgpublish_reset", "feed.pgpublish_resynced"]
    assert found[0][1]["type"] == "pgpublish.reset"
    assert found[0][1]["data"] == {"life": 1_700_000_000, "head": 9}


def test_a_nats_that_takes_no_login_says_so_before_and_when_something_is_sent() -> None:
    with brokers.nats_servers(1, "--user", "me", "--pass", "secret-1") as (server,):
        options = {"servers": [f"nats://127.0.0.1:{server.port}"], "subject": "feed", "timeout": 3}
        login = {"user": "me", "password": "secret-1"}
        sinks.check("nats", options | login)
        with pytest.raises(BadArgument) as caught:
            sinks.check("nats", options | login | {"password": "wrong"})
        assert "Authorization" in str(caught.value.detail)
        with made("nats", options) as sink:
            (failure,) = send(sink, change(1))
    assert failure.kind == "endpoint"
    assert "Authorization" in failure.reason


# --- RabbitMQ


async def bind(url: str, queue: str, exchange: str, *keys: str) -> None:
    async with await aio_pika.connect(url) as connection:
        channel = await connection.channel()
        found = await channel.declare_exchange(exchange, "topic")
        queue_ = await channel.declare_queue(queue)
        for key in keys:
            await queue_.bind(found, key)


async def take(url: str, queue: str) -> list[dict[str, Any]]:
    async with await aio_pika.connect(url) as connection:
        channel = await connection.channel()
        found = await channel.get_queue(queue)
        events = []
        while message := await found.get(fail=False, no_ack=True):
            events.append(json.loads(message.body))
        return events


def reached(url: str, queue: str = "all", key: str = "#") -> bool:
    """Whether the broker has started; makes the exchange, the queue and its binding."""
    try:
        asyncio.run(bind(url, queue, "feed", key))
    except (OSError, aio_pika.exceptions.AMQPError):
        return False
    return True


def test_rabbitmq_rejects_what_is_too_large_keeps_order_and_refuses_logins() -> None:
    with brokers.rabbitmq_server("max_message_size = 100000") as server:
        url = f"amqp://guest:guest@127.0.0.1:{server.port}/"
        until(lambda: reached(url))
        options = {"url": url, "routing_key": "feed.{kind}", "exchange": "feed", "timeout": 5}
        with made("rabbitmq", options) as sink:
            assert send(sink, change(1), change(2)) == []
            large = {n: change(n, data=text(size)) for n, size in ((20, 200_000), (40, 150_000))}
            failures = send(sink, *(large.get(n, change(n)) for n in range(3, 100)))
            assert classes(failures) == {20: "rejected", 40: "rejected"}
            assert "PRECONDITION_FAILED" in failures[0].reason
            events = asyncio.run(take(url, "all"))
            assert {e["id"] for e in events} == {f"x/{n}" for n in range(1, 100)} - {"x/20", "x/40"}

            (failure,) = send(sink, change(7, data=text(200_000)))
            assert failure.kind == "rejected"
            for message in (LIVES[0], change(1), LIVES[1]):
                assert send(sink, message) == []
            assert [event["type"] for event in asyncio.run(take(url, "all"))] == [
                "pgpublish.reset", "note", "pgpublish.resynced",
            ]  # fmt: skip
            (failure,) = send(sink, change(8, kind="k" * 300))
            assert failure.kind == "encoding"
            assert send(sink, change(9)) == []

        sinks.check("rabbitmq", options)
        for wrong, why in (
            ({"url": url.replace("guest:guest", "guest:wrong-one")}, "ACCESS_REFUSED"),
            ({"exchange": "nowhere"}, "NOT_FOUND"),
            ({"url": "amqp://host.invalid/"}, "Name or service not known"),
        ):
            with pytest.raises(BadArgument) as caught:
                sinks.check("rabbitmq", options | wrong)
            assert why in str(caught.value.detail), wrong


# --- Kafka


@pytest.fixture(scope="module")
def kafka() -> Iterator[str]:
    cluster = Producer({"test.mock.num.brokers": 1, "bootstrap.servers": "x", "log_level": 0})
    found = cluster.list_topics(timeout=PATIENCE).brokers.values()
    yield ",".join(f"{broker.host}:{broker.port}" for broker in found)
    cluster.flush(1)


def test_kafka_says_in_each_partition_that_everything_comes_again(kafka: str) -> None:
    with made("kafka", {"servers": kafka, "topic": "control", "timeout": 10}) as sink:
        assert send(sink, LIVES[0]) == []
        assert send(sink, *(change(n) for n in range(50))) == []
        assert send(sink, LIVES[1]) == []
    consumer = Consumer({"bootstrap.servers": kafka, "group.id": "c"})
    partitions = consumer.list_topics("control", timeout=PATIENCE).topics["control"].partitions
    consumer.assign([TopicPartition("control", n, OFFSET_BEGINNING) for n in partitions])
    found: dict[int, list[str]] = {n: [] for n in partitions}
    while sum(map(len, found.values())) < 50 + 2 * len(partitions):
        message = consumer.poll(PATIENCE)
        assert message is not None
        assert message.error() is None
        kind = dict(message.headers())["ce_type"].decode()
        found[message.partition()].append(kind)
        if kind != "note":
            assert message.key().decode() == LIVES[0].pub_id
            assert json.loads(message.value())["head"] == 9
    consumer.close()
    assert len(partitions) > 1
    for kinds in found.values():
        assert (kinds[0], kinds[-1]) == ("pgpublish.reset", "pgpublish.resynced")
        assert set(kinds[1:-1]) <= {"note"}


def test_kafka_rejects_what_is_too_large_for_its_client(kafka: str) -> None:
    options = {"servers": kafka, "topic": "large", "settings": {"message.max.bytes": 5000}}
    with made("kafka", options | {"timeout": 10}) as sink:
        (failure,) = send(sink, change(1), change(2, data=text(9000)), change(3))
    assert (failure.message.rev, failure.kind) == (2, "rejected")


class Refusing:
    """A producer whose broker refuses whole batches that hold something large, as Kafka does."""

    def __init__(self) -> None:
        self.waiting: list[tuple[Any, Any]] = []
        self.stored: list[str] = []

    def produce(self, topic: str, *, key: bytes, value: Any, on_delivery: Any, **_: Any) -> None:
        self.waiting.append((key.decode() if len(value) < 1000 else None, on_delivery))

    def flush(self, seconds: float) -> int:
        large = any(key is None for key, _ in self.waiting)
        for key, on_delivery in self.waiting:
            on_delivery(KafkaError(KafkaError.MSG_SIZE_TOO_LARGE) if large else None, None)
            self.stored += [] if large else [key]
        self.waiting = []
        return 0


def test_of_a_batch_that_kafka_refuses_only_what_is_too_large_is_rejected(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with made("kafka", {"servers": "x", "topic": "t"}) as sink:
        producer = Refusing()
        monkeypatch.setattr(sink, "_producer", producer)
        monkeypatch.setattr(sink, "_known", True)
        assert send(sink, change(1)) == []
        (failure,) = send(sink, change(2), change(3, data=text(2000)), change(4))
    assert (failure.message.rev, failure.kind) == (3, "rejected")
    assert producer.stored == [change(n).pub_id for n in (1, 2, 4)]


def test_kafkas_log_is_told_through_ours_without_secrets() -> None:
    (port,) = brokers.free_ports(1)
    lines: list[str] = []
    options = {"servers": "env:PGPUBLISH_SECRET_SERVERS", "topic": "t", "timeout": 1}
    environ = {"PGPUBLISH_SECRET_SERVERS": f"127.0.0.1:{port}"}
    with made("kafka", options, environ=environ, warn=lines.append) as sink:
        (failure,) = send(sink, change(1))
    assert failure.kind == "endpoint"
    assert lines
    assert all(line.startswith("kafka: ") for line in lines)
    assert str(port) not in " ".join(lines)


def test_a_kafka_that_does_not_answer_says_so_before_anything_is_sent(kafka: str) -> None:
    (port,) = brokers.free_ports(1)
    sinks.check("kafka", {"servers": kafka, "topic": "t"})
    for servers in (f"127.0.0.1:{port}", "host.invalid:9092"):
        with pytest.raises(BadArgument) as caught:
            sinks.check("kafka", {"servers": servers, "topic": "t", "timeout": 1})
        assert "KafkaException" in str(caught.value.detail)
    with pytest.raises(BadArgument):
        sinks.check("kafka", {"servers": kafka, "topic": "t", "settings": {"no.such": 1}})


# --- SQS

LOGIN = {"region": "eu-central-1", "access_key_id": "a", "secret_access_key": "b"}


@contextmanager
def sqs_of(answer: Any) -> Iterator[tuple[dict[str, Any], list[list[dict[str, Any]]]]]:
    """A stand-in for SQS: the options to call it, and the entries of each request."""
    requests: list[list[dict[str, Any]]] = []

    class Queue(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            entries = json.loads(self.rfile.read(int(self.headers["content-length"])))["Entries"]
            requests.append(entries)
            status, said = answer(entries)
            body = json.dumps(said).encode()
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Queue)
    thread = Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    at = f"http://127.0.0.1:{server.server_port}"
    try:
        yield LOGIN | {"endpoint_url": at, "queue_url": f"{at}/1/feed.fifo"}, requests
    finally:
        server.shutdown()
        thread.join(PATIENCE)
        server.server_close()


def taken(*entries: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"Id": e["Id"], "MessageId": "m", "MD5OfMessageBody": "0"} for e in entries]


def test_sqs_counts_what_is_named_as_taken_and_nothing_else() -> None:
    def answer(entries: list[dict[str, Any]]) -> Any:
        bad = [{"Id": entries[1]["Id"], "SenderFault": True, "Code": "Bad", "Message": "no"},
               {"Id": entries[2]["Id"], "SenderFault": False, "Code": "Busy"}]  # fmt: skip
        return 200, {"Successful": taken(entries[0]), "Failed": bad}

    with sqs_of(answer) as (options, _), made("sqs", options) as sink:
        failures = send(sink, *(change(n) for n in range(5)))
    assert classes(failures) == {1: "rejected", 2: "endpoint", 3: "endpoint", 4: "endpoint"}


@pytest.mark.parametrize("said", [{}, {"Successful": []}, {"Failed": []}])
def test_an_answer_of_sqs_that_names_nothing_took_nothing(said: dict[str, Any]) -> None:
    with sqs_of(lambda entries: (200, said)) as (options, _), made("sqs", options) as sink:
        assert classes(send(sink, change(1), change(2))) == {1: "endpoint", 2: "endpoint"}


def test_of_a_request_that_sqs_refuses_for_its_content_each_message_is_tried_alone() -> None:
    def answer(entries: list[dict[str, Any]]) -> Any:
        if any("bad" in entry["MessageBody"] for entry in entries):
            return 400, {"__type": "com.amazonaws.sqs#InvalidMessageContents", "message": "no"}
        return 200, {"Successful": taken(*entries)}

    with sqs_of(answer) as (options, requests), made("sqs", options) as sink:
        failures = send(sink, *(change(n, data='"bad"' if n == 4 else "1") for n in range(10)))
    assert classes(failures) == {4: "rejected"}
    assert [len(entries) for entries in requests] == [10] + [1] * 10


def test_sqs_drops_a_retry_but_no_correction_and_gives_control_events_a_group() -> None:
    (port,) = brokers.free_ports(1)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=port, verbose=False)
    server.start()
    at = f"http://127.0.0.1:{port}"
    client = boto3.client("sqs", region_name="eu-central-1", endpoint_url=at,
                          aws_access_key_id="a", aws_secret_access_key="b")  # fmt: skip
    queue = client.create_queue(QueueName="feed.fifo", Attributes={"FifoQueue": "true"})["QueueUrl"]
    options = LOGIN | {"endpoint_url": at, "queue_url": queue}
    correction = change(1, id="x/1700000000/1")
    sinks.check("sqs", options)
    with pytest.raises(BadArgument) as caught:
        sinks.check("sqs", options | {"queue_url": queue.replace("feed", "none")})
    assert "NonExistentQueue" in str(caught.value.detail)
    with made("sqs", options) as sink:
        for message in (change(1), change(1, part="retries"), LIVES[0], correction):
            assert send(sink, message) == []
    bodies, groups = [], []
    while got := client.receive_message(
        QueueUrl=queue, MaxNumberOfMessages=10, AttributeNames=["All"], WaitTimeSeconds=0
    ).get("Messages"):
        for message in got:
            bodies.append(json.loads(message["Body"]))
            groups.append(message["Attributes"]["MessageGroupId"])
            client.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
    client.close()
    server.stop()
    assert sorted(body["id"] for body in bodies) == [LIVES[0].id, "x/1", "x/1700000000/1"]
    assert set(groups) == {LIVES[0].pub_id, change(1).pub_id}
