"""SQS FIFO: the group is the pub_id, the deduplication id epoch/rev, ten messages in a request."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from pgpublish.sinks import Failure, Message, Options
from pgpublish.sinks.cloudevents import structured
from pgpublish.sinks.concurrent import BEGIN_S

TIMEOUT_S = 10.0
CONCURRENCY = 4  # requests at a time
ENTRIES = 10
BYTES = 256 * 1024


class Sqs:
    def __init__(self, options: Options) -> None:
        self.queue_url = options.text("queue_url")
        self.concurrency = max(1, int(options.positive("concurrency", CONCURRENCY)))
        timeout = options.positive("timeout", TIMEOUT_S)
        self.client: Any = boto3.client(
            "sqs",
            region_name=options.text("region"),
            endpoint_url=options.text("endpoint_url") or None,
            aws_access_key_id=options.text("access_key_id") or None,
            aws_secret_access_key=options.text("secret_access_key") or None,
            config=Config(
                connect_timeout=timeout, read_timeout=timeout, retries={"max_attempts": 0},
                max_pool_connections=self.concurrency,
            ),
        )  # fmt: skip

    def send(self, messages: Sequence[Message], stop: Event) -> list[Failure]:
        begin_until = time.monotonic() + BEGIN_S
        down = Event()

        def send_part(part: list[tuple[Message, str]]) -> list[Failure]:
            if stop.is_set() or down.is_set() or time.monotonic() >= begin_until:
                return [Failure(message, "unsent") for message, _ in part]
            failures = self._send(part)
            if len(failures) == len(part) and failures[0].kind == "endpoint":
                down.set()
            return failures

        with ThreadPoolExecutor(self.concurrency) as pool:
            found = pool.map(send_part, parts(messages))
            return [failure for failures in found for failure in failures]

    def close(self) -> None:
        self.client.close()

    def _send(self, part: Sequence[tuple[Message, str]]) -> list[Failure]:
        entries = [
            {"Id": str(n), "MessageBody": body, "MessageGroupId": message.pub_id,
             "MessageDeduplicationId": message.id}
            for n, (message, body) in enumerate(part)
        ]  # fmt: skip
        try:
            answer = self.client.send_message_batch(QueueUrl=self.queue_url, Entries=entries)
        except ClientError as error:
            status = error.response["ResponseMetadata"]["HTTPStatusCode"]
            code = error.response["Error"]["Code"]
            alone = len(part) == 1 and code.endswith(("TooLong", "InvalidMessageContents"))
            kind = "rejected" if alone and status < 500 else "endpoint"
            return [Failure(message, kind, f"{code}: {error}") for message, _ in part]  # type: ignore[arg-type]
        except BotoCoreError as error:
            reason = f"{type(error).__name__}: {error}"
            return [Failure(message, "endpoint", reason) for message, _ in part]
        return [
            Failure(part[int(entry["Id"])][0], "rejected" if entry["SenderFault"] else "endpoint",
                    f"{entry['Code']}: {entry.get('Message', '')}")
            for entry in answer.get("Failed", [])
        ]  # fmt: skip


def parts(messages: Sequence[Message]) -> Iterator[list[tuple[Message, str]]]:
    """The messages with their text, at most ten and 256 kB of them together."""
    part: list[tuple[Message, str]] = []
    size = 0
    for message in messages:
        body = structured(message).decode()
        length = len(body.encode())
        if part and (len(part) == ENTRIES or size + length > BYTES):
            yield part
            part, size = [], 0
        part.append((message, body))
        size += length
    if part:
        yield part
