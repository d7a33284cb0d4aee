"""Each broker's sink against the real thing: what arrives is the feed, also after failures."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Thread
from typing import Any

import boto3
import brokers
import confluent_kafka
import nats
import pytest
import redis
import trustme
from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition
from conftest import Connection
from delivery import notes, subscribe
from helpers import PATIENCE, drain_all, enqueue, one, until
from moto.server import ThreadedMotoServer

from pgpublish import database, deliver, sinks
from pgpublish.sinks import background

QUICK = {"backoff_min": "1 ms", "backoff_max": "50 ms"}
Newest = dict[str, tuple[int, Any]]  # pub_id → rev, payload (None: deleted)


@contextmanager
def working(url: str) -> Iterator[list[deliver.Delivered]]:
    stop = Event()
    reports: list[deliver.Delivered] = []

    def work() -> None:
        deliver.run(lambda: database.connect(url), stop, threads=2, batch=100,
                    report=reports.append)  # fmt: skip

    thread = Thread(target=work, daemon=True)
    thread.start()
    try:
        yield reports
    finally:
        stop.set()
        thread.join(PATIENCE)
        assert not thread.is_alive()


def feed(conn: Connection) -> Newest:
    rows = conn.execute("select pub_id::text, rev, payload from publish.published").fetchall()
    return {pub_id: (rev, payload) for pub_id, rev, payload in rows}


def change(conn: Connection, round_: int) -> None:
    """Some keys change, one is deleted, one is new."""
    for n in range(1, 20):
        enqueue(conn, "note", str(n), json.dumps(f"round {round_}"))
    enqueue(conn, "note", str(20 + round_), deleted=True)
    enqueue(conn, "note", f"new {round_}", "1")
    drain_all(conn)


def settled(conn: Connection) -> bool:
    return one(
        conn,
        "select bool_and(cursor = head and retries = 0 and dead = 0 and workers is null)"
        " from publish_subscriptions()",
    )


def failing(conn: Connection) -> bool:
    return one(conn, "select bool_or(fresh_failures > 0) from publish.lane_state")


def newest(events: list[dict[str, Any]]) -> Newest:
    """What a consumer knows that takes each event in the order in which it comes."""
    known: Newest = {}
    for event in events:
        rev = int(event["sequence"][-19:])
        assert rev >= known.get(event["subject"], (0, None))[0], "an older change came later"
        known[event["subject"]] = (rev, None if event.get("deleted") else event["data"])
    return known


def through_an_outage(
    conn: Connection, url: str, stop: Callable[[], None], start: Callable[[], None]
) -> None:
    """Delivers, while the broker is up, down, and up again."""
    with working(url):
        until(lambda: settled(conn))
        change(conn, 1)
        until(lambda: settled(conn))
        stop()
        change(conn, 2)
        until(lambda: failing(conn))
        start()
        until(lambda: settled(conn))
        change(conn, 3)
        until(lambda: settled(conn))


# --- Redis


def test_redis_has_the_feed_after_an_outage(db: Connection, url: str) -> None:
    notes(db, 150)
    with brokers.redis_server() as server:
        options = {"url": f"redis://127.0.0.1:{server.port}/0", "stream": "feed"}
        subscribe(db, "s", "redis", lanes=2, options=options, **QUICK)
        through_an_outage(db, url, server.stop, server.start)
        client = redis.Redis(port=server.port)
        entries = [fields for _, fields in client.xrange("feed")]
        client.close()
    events = [json.loads(fields[b"event"]) for fields in entries]
    assert newest(events) == feed(db)
    assert {f[b"id"].decode() for f in entries} == {e["id"] for e in events}


def test_redis_keeps_about_maxlen_and_says_why_it_refuses(db: Connection, url: str) -> None:
    notes(db, 2000)
    with brokers.redis_server() as server:
        client = redis.Redis(port=server.port)
        options = {"url": f"redis://127.0.0.1:{server.port}/0", "stream": "short", "maxlen": 200}
        subscribe(db, "s", "redis", options=options)
        deliver.run(lambda: database.connect(url), Event(), once=True)
        assert 200 <= client.xlen("short") < 600
        client.set("text", "x")
        client.config_set("maxmemory", "1")
        subscribe(db, "s", "redis", options=options | {"stream": "text"})
        enqueue(db, "note", "1", '"x"')
        drain_all(db)
        deliver.run(lambda: database.connect(url), Event(), once=True)
        (full,) = db.execute('select k."class" as kind, k.message from publish.parked k').fetchall()
        assert (full.kind, full.message.split()[0]) == ("endpoint", "OutOfMemoryError:")
        client.config_set("maxmemory", "0")
        db.execute("select publish_resume('s')")
        db.execute("update publish.parked set next_attempt_at = clock_timestamp()")
        deliver.run(lambda: database.connect(url), Event(), once=True)
        (wrong,) = db.execute(
            'select k."class" as kind, k.message from publish.parked k'
        ).fetchall()
        assert wrong.kind == "rejected"
        assert "WRONGTYPE" in wrong.message
        client.close()


def test_redis_is_called_by_tls_only_if_somebody_vouches_for_it(
    db: Connection, url: str, tmp_path: Path
) -> None:
    notes(db, 20)
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    certificate.private_key_pem.write_to_path(tmp_path / "key.pem")
    certificate.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    (port,) = brokers.free_ports(1)
    files = {name: str(tmp_path / f"{name}.pem") for name in ("ca", "cert", "key")}
    with brokers.redis_server(
        "--tls-port", str(port), "--tls-ca-cert-file", files["ca"], "--tls-cert-file",
        files["cert"], "--tls-key-file", files["key"], "--tls-auth-clients", "no",
    ) as server:  # fmt: skip
        options = {"url": f"rediss://127.0.0.1:{port}/0", "stream": "feed"}
        subscribe(db, "s", "redis", options=options, **QUICK)
        with working(url):
            until(lambda: failing(db))
            message = one(db, "select max(k.message) from publish.parked k")
            assert "certificate verify failed" in message
            subscribe(db, "s", "redis", options={"ca": files["ca"]})
            until(lambda: settled(db))
        client = redis.Redis(port=server.port)
        assert client.xlen("feed") == 20
        client.close()


# --- NATS


async def answered(ask: Callable[[], Awaitable[Any]]) -> Any:
    """The answer, asked for again while the cluster elects a leader and nobody answers."""
    async with asyncio.timeout(PATIENCE):
        while True:
            with suppress(nats.errors.Error, nats.js.errors.Error):
                return await ask()


async def read_stream(port: int, count: int) -> tuple[list[dict[str, Any]], list[str]]:
    """All events of the stream in its order, and their Nats-Msg-Ids."""
    client = await nats.connect(f"nats://127.0.0.1:{port}")
    context = client.jetstream(timeout=1)
    subscription = await answered(lambda: context.subscribe("feed.>", ordered_consumer=True))
    events, ids = [], []
    for _ in range(count):
        message = await subscription.next_msg(timeout=PATIENCE)
        events.append(json.loads(message.data))
        ids.append(message.headers["Nats-Msg-Id"])
    await client.close()
    return events, ids


async def make_stream(port: int, replicas: int = 1) -> None:
    client = await nats.connect(f"nats://127.0.0.1:{port}")
    while True:  # until the cluster has a leader
        try:
            await client.jetstream().add_stream(
                name="FEED", subjects=["feed.>"], num_replicas=replicas
            )
            break
        except (nats.js.errors.APIError, nats.errors.Error):
            await asyncio.sleep(0.05)
    await client.close()


async def stream_info(port: int) -> Any:
    client = await nats.connect(f"nats://127.0.0.1:{port}")
    context = client.jetstream(timeout=1)
    info = await answered(lambda: context.stream_info("FEED"))
    await client.close()
    return info


def test_nats_has_the_feed_after_an_outage_and_a_replay_once_more(db: Connection, url: str) -> None:
    notes(db, 150)
    with brokers.nats_servers() as (server,):
        asyncio.run(make_stream(server.port))
        subscribe(db, "s", "nats", **QUICK, options={
            "servers": [f"nats://127.0.0.1:{server.port}"], "subject": "feed.{kind}",
            "timeout": 1})  # fmt: skip
        through_an_outage(db, url, server.stop, server.start)
        count = asyncio.run(stream_info(server.port)).state.messages
        events, ids = asyncio.run(read_stream(server.port, count))
        assert newest(events) == feed(db)
        assert ids == [event["id"] for event in events]
        db.execute("select publish_seek('s', publish_head() - 20)")
        with working(url) as reports:
            until(lambda: settled(db))
        again = sum(report.sent for report in reports)
        assert again > 0
        assert asyncio.run(stream_info(server.port)).state.messages == count + again


def test_nats_cluster_takes_everything_while_its_leader_stops(db: Connection, url: str) -> None:
    notes(db, 500)
    with brokers.nats_servers(3) as servers:
        asyncio.run(asyncio.wait_for(make_stream(servers[0].port, replicas=3), PATIENCE))
        leader = asyncio.run(stream_info(servers[0].port)).cluster.leader
        subscribe(db, "s", "nats", **QUICK, max_attempts=1000, options={
            "servers": [f"nats://127.0.0.1:{server.port}" for server in servers],
            "subject": "feed.{kind}", "timeout": 1})  # fmt: skip
        with working(url) as reports:
            until(lambda: len(reports) >= 2)
            stopped = servers[int(leader[1:])]
            stopped.stop()
            change(db, 1)
            until(lambda: settled(db))
            left = next(server for server in servers if server is not stopped)
        count = asyncio.run(stream_info(left.port)).state.messages
        events, _ = asyncio.run(read_stream(left.port, count))
    assert newest(events) == feed(db)


def test_nats_without_a_stream_is_an_endpoint_failure(db: Connection, url: str) -> None:
    notes(db, 3)
    with brokers.nats_servers() as (server,):
        subscribe(db, "s", "nats", **QUICK, options={
            "servers": [f"nats://127.0.0.1:{server.port}"], "subject": "feed.{kind}",
            "timeout": 1})  # fmt: skip
        with working(url):
            until(lambda: failing(db))
            asyncio.run(make_stream(server.port))
            until(lambda: settled(db))


def test_nats_hands_back_what_nobody_acknowledged_when_it_is_stopped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Somebody listens to the subject, so that the server answers nothing; but no stream does."""
    monkeypatch.setattr("pgpublish.sinks.concurrent.GRACE_S", 0.1)
    with brokers.nats_servers() as (server,), listening(server.port, "feed"):
        hands_back("nats", servers=[f"nats://127.0.0.1:{server.port}"], subject="feed",
                   timeout=300)  # fmt: skip


@contextmanager
def listening(port: int, subject: str) -> Iterator[None]:
    async def begin() -> nats.NATS:
        client = await nats.connect(f"nats://127.0.0.1:{port}")
        await client.subscribe(subject)
        await client.flush()
        return client

    client = background.run(begin())
    try:
        yield
    finally:
        background.run(client.close())


# --- RabbitMQ


def test_rabbitmq_has_the_feed_and_returns_what_no_queue_takes(db: Connection, url: str) -> None:
    notes(db, 150)
    with brokers.rabbitmq_server() as server:
        to = f"amqp://guest:guest@127.0.0.1:{server.port}/"
        until(lambda: asyncio.run(declare(to, "feed.note")))
        options = {"url": to, "routing_key": "feed.{kind}", "timeout": 5}
        subscribe(db, "s", "rabbitmq", options=options, **QUICK)
        with working(url):
            until(lambda: settled(db))
            change(db, 1)
            until(lambda: settled(db))
        assert newest(asyncio.run(consume(to, "feed.note"))) == feed(db)

        subscribe(db, "s", "rabbitmq", options=options | {"routing_key": "nowhere"},
                  max_attempts=1, **QUICK)  # fmt: skip
        change(db, 2)
        deliver.run(lambda: database.connect(url), Event(), once=True)
        found = db.execute('select distinct k."class" as kind, k.message from publish.parked k')
        ((kind, message),) = found.fetchall()
        assert kind == "rejected"
        assert "no queue" in message

        subscribe(db, "s", "rabbitmq", options=options | {"exchange": "nowhere"},
                  max_attempts=15, **QUICK)  # fmt: skip
        db.execute("select publish_discard('s'); select publish_resume('s')")
        change(db, 3)
        with working(url):
            until(lambda: failing(db))
            subscribe(db, "s", "rabbitmq", options=options | {"exchange": None}, **QUICK)
            until(lambda: settled(db))


async def declare(url: str, queue: str) -> bool:
    import aio_pika

    try:
        async with await aio_pika.connect(url) as connection:
            channel = await connection.channel()
            await channel.declare_queue(queue, durable=True)
            return True
    except (OSError, aio_pika.exceptions.AMQPError):
        return False  # it is still starting


async def consume(url: str, queue: str) -> list[dict[str, Any]]:
    import aio_pika

    async with await aio_pika.connect(url) as connection:
        channel = await connection.channel()
        found = await channel.declare_queue(queue, durable=True)
        events = []
        while message := await found.get(fail=False, no_ack=True):
            events.append(json.loads(message.body))
        return events


# --- Kafka


def test_kafka_has_the_feed_keyed_and_with_tombstones(db: Connection, url: str) -> None:
    notes(db, 150)
    cluster = Producer({"test.mock.num.brokers": 3, "bootstrap.servers": "x", "log_level": 0})
    servers = ",".join(
        f"{b.host}:{b.port}" for b in cluster.list_topics(timeout=PATIENCE).brokers.values()
    )
    subscribe(db, "s", "kafka", lanes=2, **QUICK, options={
        "servers": servers, "topic": "feed", "source": "/café 100%",
    })  # fmt: skip
    with working(url):
        until(lambda: settled(db))
        change(db, 1)
        until(lambda: settled(db))
    consumer = Consumer({"bootstrap.servers": servers, "group.id": "test",
                         "auto.offset.reset": "earliest"})  # fmt: skip
    partitions = cluster.list_topics("feed", timeout=PATIENCE).topics["feed"].partitions
    consumer.assign([TopicPartition("feed", n, OFFSET_BEGINNING) for n in partitions])
    known: Newest = {}
    places: dict[str, set[int]] = {}
    while known != feed(db):
        message = consumer.poll(PATIENCE)
        assert message is not None
        assert message.error() is None
        headers = dict(message.headers())
        key, value = message.key().decode(), message.value()
        assert headers["ce_subject"].decode() == key
        assert headers["ce_source"].decode() == "/café 100%"
        assert headers["ce_time"].decode().endswith("+00:00")
        assert (headers.get("ce_deleted") == b"true") == (value is None)
        rev = int(headers["ce_sequence"][-19:])
        assert rev > known.get(key, (0, None))[0]
        known[key] = (rev, None if value is None else json.loads(value))
        places.setdefault(key, set()).add(message.partition())
    consumer.close()
    assert all(len(partitions) == 1 for partitions in places.values())


def test_a_kafka_cluster_that_does_not_answer_is_an_endpoint_failure(
    db: Connection, url: str
) -> None:
    notes(db, 3)
    (port,) = brokers.free_ports(1)
    subscribe(db, "s", "kafka", **QUICK, options={
        "servers": f"127.0.0.1:{port}", "topic": "feed", "timeout": 1,
        "settings": {"log_level": 0}})  # fmt: skip
    with working(url):
        until(lambda: failing(db))
    assert confluent_kafka.version()


def test_kafka_hands_back_what_a_cluster_did_not_take_when_it_is_stopped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("pgpublish.sinks.kafka.GRACE_S", 0.1)
    (port,) = brokers.free_ports(1)
    hands_back("kafka", servers=f"127.0.0.1:{port}", topic="feed", timeout=300,
               settings={"log_level": 0})  # fmt: skip


def hands_back(sink: str, **options: Any) -> None:
    """A sink that waits for an answer which does not come ends once stop is set."""
    made = sinks.make(sink, sinks.resolve(options))
    stop = Event()
    with ThreadPoolExecutor(1) as pool:
        sending = pool.submit(made.send, [brokers.change(n) for n in range(300)], stop)
        with pytest.raises(TimeoutError):
            sending.result(0.5)
        stop.set()
        failures = sending.result(PATIENCE)
    made.close()
    assert [failure.kind for failure in failures] == ["unsent"] * 300


# --- SQS


@pytest.fixture(scope="module")
def sqs() -> Iterator[str]:
    (port,) = brokers.free_ports(1)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=port, verbose=False)
    server.start()
    yield f"http://127.0.0.1:{port}"
    server.stop()


def test_sqs_has_the_feed_once_and_in_order(
    db: Connection, url: str, sqs: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGPUBLISH_SECRET_KEY", "key")
    monkeypatch.setenv("PGPUBLISH_SECRET_SECRET", "secret")
    client = boto3.client("sqs", region_name="eu-central-1", endpoint_url=sqs,
                          aws_access_key_id="key", aws_secret_access_key="secret")  # fmt: skip
    queue = client.create_queue(
        QueueName="feed.fifo", Attributes={"FifoQueue": "true", "VisibilityTimeout": "600"}
    )["QueueUrl"]
    notes(db, 45)
    subscribe(db, "s", "sqs", **QUICK, options={
        "queue_url": queue, "region": "eu-central-1", "endpoint_url": sqs,
        "access_key_id": "env:PGPUBLISH_SECRET_KEY",
        "secret_access_key": "env:PGPUBLISH_SECRET_SECRET"})  # fmt: skip
    with working(url):
        until(lambda: settled(db))
        before = feed(db)
        db.execute("select publish_seek('s', 0)")  # a replay within the deduplication window
        until(lambda: settled(db))
    events = []
    while got := client.receive_message(
        QueueUrl=queue, MaxNumberOfMessages=10, AttributeNames=["All"], WaitTimeSeconds=0
    ).get("Messages"):
        for message in got:
            event = json.loads(message["Body"])
            assert message["Attributes"]["MessageGroupId"] == event["subject"]
            assert message["Attributes"]["MessageDeduplicationId"] == event["id"]
            events.append(event)
            client.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
    assert newest(events) == before
    assert len(events) == 45
    client.close()


def test_sqs_without_its_queue_is_an_endpoint_failure(db: Connection, url: str, sqs: str) -> None:
    notes(db, 3)
    subscribe(db, "s", "sqs", **QUICK, options={
        "queue_url": f"{sqs}/123456789012/none.fifo", "region": "eu-central-1",
        "endpoint_url": sqs, "access_key_id": "a", "secret_access_key": "b"})  # fmt: skip
    with working(url):
        until(lambda: failing(db))
