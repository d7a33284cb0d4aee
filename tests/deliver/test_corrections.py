"""What a consumer behind a real server holds, once a worker has sent it everything again: nothing
on the way took the correction for something that it had."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event
from typing import Any

import boto3
import brokers
import pytest
import redis
from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition
from conftest import Connection
from delivery import notes, subscribe
from helpers import PATIENCE, drain_all, enqueue, until
from moto.server import ThreadedMotoServer
from receiver import receiving
from test_sinks import LOGIN, bind, make_stream, reached, read_stream, take

from pgpublish import database, deliver

Events = list[dict[str, Any]]
Read = Callable[[], Events]


@contextmanager
def to_webhook(mode: str = "structured") -> Iterator[tuple[str, dict[str, Any], Read]]:
    def read() -> Events:
        bodies = [request.event for request in endpoint.requests]
        return [e for body in bodies for e in (body if isinstance(body, list) else [body])]

    with receiving() as endpoint:
        options = {"url": endpoint.url, "allow_private": True, "mode": mode, "concurrency": 1}
        yield "webhook", options, read


@contextmanager
def to_redis() -> Iterator[tuple[str, dict[str, Any], Read]]:
    with brokers.redis_server() as server, redis.Redis(port=server.port) as client:
        options = {"url": f"redis://127.0.0.1:{server.port}", "stream": "feed"}
        yield "redis", options, lambda: [json.loads(f[b"event"]) for _, f in client.xrange("feed")]


@contextmanager
def to_nats() -> Iterator[tuple[str, dict[str, Any], Read]]:
    with brokers.nats_servers() as (server,):
        asyncio.run(make_stream(server.port))
        options = {"servers": [f"nats://127.0.0.1:{server.port}"], "subject": "feed.{kind}"}
        yield (
            "nats", options, lambda: [event for _, event in asyncio.run(read_stream(server.port))]
        )  # fmt: skip


@contextmanager
def to_rabbitmq() -> Iterator[tuple[str, dict[str, Any], Read]]:
    with brokers.rabbitmq_server() as server:
        url = f"amqp://guest:guest@127.0.0.1:{server.port}/"
        until(lambda: reached(url))
        asyncio.run(bind(url, "mine", "feed", "note", "pgpublish.*"))
        options = {"url": url, "routing_key": "{kind}", "exchange": "feed"}
        yield "rabbitmq", options, lambda: asyncio.run(take(url, "mine"))


@contextmanager
def to_kafka() -> Iterator[tuple[str, dict[str, Any], Read]]:
    """Of a consumer that reads one partition, as each of a group does."""
    cluster = Producer({"test.mock.num.brokers": 1, "bootstrap.servers": "x", "log_level": 0})
    found = cluster.list_topics(timeout=PATIENCE).brokers.values()
    servers = ",".join(f"{broker.host}:{broker.port}" for broker in found)

    def read() -> Events:
        consumer = Consumer({"bootstrap.servers": servers, "group.id": "c"})
        events: Events = []
        for n in consumer.list_topics("feed", timeout=PATIENCE).topics["feed"].partitions:
            consumer.assign([TopicPartition("feed", n, OFFSET_BEGINNING)])
            _, end = consumer.get_watermark_offsets(TopicPartition("feed", n))
            for _ in range(end):
                message = consumer.poll(PATIENCE)
                assert message is not None
                headers = {name: value.decode() for name, value in message.headers()}
                events.append(
                    {name.removeprefix("ce_"): value for name, value in headers.items()}
                    | {"data": json.loads(message.value() or "null"), "partition": n}
                )
        consumer.close()
        return events

    yield "kafka", {"servers": servers, "topic": "feed"}, read


@contextmanager
def to_sqs() -> Iterator[tuple[str, dict[str, Any], Read]]:
    (port,) = brokers.free_ports(1)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=port, verbose=False)
    server.start()
    at = f"http://127.0.0.1:{port}"
    client = boto3.client("sqs", region_name=LOGIN["region"], endpoint_url=at,
                          aws_access_key_id="a", aws_secret_access_key="b")  # fmt: skip
    queue = client.create_queue(QueueName="feed.fifo", Attributes={"FifoQueue": "true"})["QueueUrl"]

    def read() -> Events:
        events: Events = []
        while got := client.receive_message(
            QueueUrl=queue, MaxNumberOfMessages=10, WaitTimeSeconds=0
        ).get("Messages"):
            for message in got:
                events.append(json.loads(message["Body"]))
                client.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
        return events

    yield "sqs", LOGIN | {"endpoint_url": at, "queue_url": queue}, read
    client.close()
    server.stop()


def held(events: Events) -> dict[str, Any]:
    """Key and data of what a consumer holds that follows the rule: drop what is not above what it
    holds of the subject; at resynced, delete subjects of a lower life."""
    newest: dict[str, dict[str, Any]] = {}
    for event in events:
        if event["type"] == "pgpublish.resynced":
            life = event["sequence"][:10]
            newest = {s: e for s, e in newest.items() if e["sequence"][:10] >= life}
        elif not event["type"].startswith("pgpublish."):
            old = newest.get(event["subject"])
            if old is None or old["sequence"] < event["sequence"]:
                newest[event["subject"]] = event
    return {e["key"]: e["data"] for e in newest.values() if not e.get("deleted")}


def work(url: str) -> None:
    deliver.run(lambda: database.connect(url), Event(), once=True)


@pytest.mark.parametrize(
    "to",
    [to_webhook, lambda: to_webhook("batch"), to_redis, to_nats, to_rabbitmq, to_kafka],
    ids=["webhook", "batch", "redis", "nats", "rabbitmq", "kafka"],
)
def test_a_consumer_is_exact_after_everything_was_sent_again(
    db: Connection, url: str, to: Any
) -> None:
    with to() as (sink, options, read):
        notes(db, 30)
        subscribe(db, "s", sink, options=options, key=True)
        work(url)
        enqueue(db, "note", "30", deleted=True)
        drain_all(db)
        db.execute("delete from publish.published p where p.source_id in ('7', '8')")
        db.execute("select publish_resync('s')")
        work(url)
        events = read()
        kinds = [event["type"] for event in events]
        assert held(events) == {str(n): n for n in range(1, 30) if n not in (7, 8)}
        first = events[kinds.index("pgpublish.reset")]
        last = events[len(kinds) - 1 - kinds[::-1].index("pgpublish.resynced")]
        assert first["data"]["life"] == last["data"]["life"] == int(first["sequence"][:10])
        if sink != "kafka":
            assert kinds.count("pgpublish.reset") == kinds.count("pgpublish.resynced") == 1
            assert kinds[-1] == "pgpublish.resynced"
        else:
            partitions = {event["partition"] for event in events}
            assert kinds.count("pgpublish.reset") == len(partitions)


def test_of_sqs_a_correction_arrives_though_it_has_dropped_a_repetition(
    db: Connection, url: str
) -> None:
    """Within the five minutes in which a queue forgets nothing; order between groups is not its to
    keep, so that only what arrives is told here."""
    with to_sqs() as (sink, options, read):
        notes(db, 12)
        subscribe(db, "s", sink, options=options)
        work(url)
        db.execute("select publish_seek('s', 0)")
        work(url)
        assert len(read()) == 12
        db.execute("select publish_resync('s')")
        work(url)
        events = read()
    kinds = [event["type"] for event in events]
    assert kinds.count("note") == 12
    assert {"pgpublish.reset", "pgpublish.resynced"} < set(kinds)
    assert len(events) == 14


def test_who_is_not_bound_for_control_events_in_rabbitmq_gets_every_change_all_the_same(
    db: Connection, url: str
) -> None:
    with brokers.rabbitmq_server() as server:
        to = f"amqp://guest:guest@127.0.0.1:{server.port}/"

        until(lambda: reached(to, "notes", "note"))
        notes(db, 5)
        subscribe(db, "s", "rabbitmq", options={
            "url": to, "routing_key": "{kind}", "exchange": "feed"})  # fmt: skip
        work(url)
        db.execute("select publish_resync('s')")
        work(url)
        events = asyncio.run(take(to, "notes"))
    assert [event["data"] for event in events] == [*range(1, 6), *range(1, 6)]
