"""SQS FIFO: the group is the pub_id, the deduplication id the event's, ten messages in a request.

What the answer does not name as taken was not delivered. There is no order between groups: a
control event may arrive before or after changes that were sent on its other side.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any, ClassVar

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from pgpublish.errors import BadArgument
from pgpublish.sinks import Failure, Message, Options
from pgpublish.sinks.concurrent import BEGIN_S, Part, parts

TIMEOUT_S = 10.0
CONCURRENCY = 4  # requests at a time
ENTRIES = 10
BYTES = 256 * 1024
OF_CONTENT = ("TooLong", "InvalidMessageContents", "InvalidParameterValue")


class Sqs:
    OPTIONS: ClassVar = {
        "queue_url": "string required",
        "region": "string required",
        "endpoint_url": "string",
        "access_key_id": "string",
        "secret_access_key": "string",
        "concurrency": "number",
    }

    def __init__(self, options: Options) -> None:
        self.queue_url = options.text("queue_url")
        self.concurrency = max(1, int(options.positive("concurrency", CONCURRENCY)))
        timeout = options.positive("timeout", TIMEOUT_S)
        key_id, secret = options.text("access_key_id"), options.text("secret_access_key")
        if not ((key_id and secret) or options.policy.ambient):
            raise BadArgument(
                "there are no credentials",
                detail="Options access_key_id and secret_access_key.",
                hint="Give both, or have the worker's operator set"
                " PGPUBLISH_AMBIENT_CREDENTIALS=true.",
            )
        self.client: Any = boto3.client(
            "sqs",
            region_name=options.text("region"),
            endpoint_url=options.text("endpoint_url") or None,
            aws_access_key_id=key_id or None,
            aws_secret_access_key=secret or None,
            config=Config(
                connect_timeout=timeout,
                read_timeout=timeout,
                retries={"max_attempts": 0},
                max_pool_connections=self.concurrency,
            ),
        )

    def send(self, messages: Sequence[Message], stop: Event) -> list[Failure]:
        begin_until = time.monotonic() + BEGIN_S
        down = Event()

        def send_part(part: Part) -> list[Failure]:
            if stop.is_set() or down.is_set() or time.monotonic() >= begin_until:
                return [Failure(message, "unsent") for message in part.messages]
            failures = self._send(part)
            if len(failures) == len(part.messages) and failures[0].kind == "endpoint":
                down.set()
            return failures

        with ThreadPoolExecutor(self.concurrency) as pool:
            found = pool.map(send_part, parts(messages, ENTRIES, BYTES))
            return [failure for failures in found for failure in failures]

    def check(self) -> None:
        """Raises BotoCoreError or ClientError; a login that may only send is fine."""
        try:
            self.client.get_queue_attributes(QueueUrl=self.queue_url)
        except ClientError as error:
            if "AccessDenied" not in error.response["Error"]["Code"]:
                raise

    def close(self) -> None:
        self.client.close()

    def _send(self, part: Part) -> list[Failure]:
        if not part.events:
            return [Failure(message, "encoding", "not JSON") for message in part.messages]
        entries = [
            {
                "Id": str(n),
                "MessageBody": event.decode(),
                "MessageGroupId": message.pub_id,
                "MessageDeduplicationId": message.id,
            }
            for n, (message, event) in enumerate(zip(*part, strict=True))
        ]
        try:
            answer = self.client.send_message_batch(QueueUrl=self.queue_url, Entries=entries)
        except ClientError as error:
            return self._refused(part, error)
        except BotoCoreError as error:
            reason = f"{type(error).__name__}: {error}"
            return [Failure(message, "endpoint", reason) for message in part.messages]
        taken = {entry["Id"] for entry in answer.get("Successful", [])}
        failed = {entry["Id"]: entry for entry in answer.get("Failed", [])}
        return [
            judge(message, failed.get(str(n)))
            for n, message in enumerate(part.messages)
            if str(n) not in taken
        ]

    def _refused(self, part: Part, error: ClientError) -> list[Failure]:
        """A request whose content is at fault is sent again message by message."""
        status = error.response["ResponseMetadata"]["HTTPStatusCode"]
        code = error.response["Error"]["Code"]
        content = status < 500 and code.endswith(OF_CONTENT)
        if content and len(part.messages) > 1:
            alone = (Part([message], [event]) for message, event in zip(*part, strict=True))
            return [failure for one in alone for failure in self._send(one)]
        return [
            Failure(message, "rejected" if content else "endpoint", f"{code}: {error}")
            for message in part.messages
        ]


def judge(message: Message, entry: dict[str, Any] | None) -> Failure:
    """Of a message that the answer does not name as taken."""
    if entry is None:
        return Failure(message, "endpoint", "the answer does not name it as taken")
    reason = f"{entry['Code']}: {entry.get('Message', '')}"
    return Failure(message, "rejected" if entry["SenderFault"] else "endpoint", reason)
