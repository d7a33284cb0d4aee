"""NATS JetStream: a change is acknowledged when the stream has stored it.

Nats-Msg-Id is epoch/rev, so that the stream drops what comes twice within its deduplication window.
{kind} in the subject stands for the kind.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from contextlib import suppress
from threading import Event
from typing import Any

import nats
from nats.aio.client import Client
from nats.errors import Error, MaxPayloadError
from nats.js import JetStreamContext
from nats.js.errors import APIError, NoStreamResponseError

from pgpublish.sinks import Failure, FailureClass, Message, Options, background
from pgpublish.sinks.cloudevents import STRUCTURED, structured
from pgpublish.sinks.concurrent import send_all

TIMEOUT_S = 10.0
CONCURRENCY = 256  # unacknowledged at a time
UNSAFE = re.compile(r"[\s.*>\x00-\x1f]")


class Nats:
    def __init__(self, options: Options) -> None:
        self.servers = options.words("servers")
        self.subject = options.text("subject")
        self.timeout = options.positive("timeout", TIMEOUT_S)
        self.concurrency = max(1, int(options.positive("concurrency", CONCURRENCY)))
        self.login: dict[str, Any] = {
            name: options.text(name) for name in ("token", "user", "password") if options.text(name)
        }
        if ca := options.text("ca"):
            import ssl

            self.login["tls"] = ssl.create_default_context(cafile=ca)
        self._client: Client | None = None
        self._stream: JetStreamContext | None = None

    def send(self, messages: Sequence[Message], stop: Event) -> list[Failure]:
        return background.run(self._send(messages, stop))

    def close(self) -> None:
        background.run(self._close())

    async def _open(self) -> JetStreamContext:
        if self._stream is None or self._client is None or self._client.is_closed:
            self._client = await nats.connect(
                self.servers, connect_timeout=min(2.0, self.timeout), max_reconnect_attempts=-1,
                reconnect_time_wait=0.1, allow_reconnect=True, error_cb=_ignore, **self.login,
            )  # fmt: skip
            self._stream = self._client.jetstream(
                timeout=self.timeout, publish_async_max_pending=self.concurrency
            )
        return self._stream

    async def _close(self) -> None:
        if self._client is not None:
            with suppress(Error, OSError):
                await self._client.close()

    async def _send(self, messages: Sequence[Message], stop: Event) -> list[Failure]:
        try:
            async with asyncio.timeout(self.timeout):
                stream = await self._open()
        except (Error, OSError, TimeoutError) as error:
            return [Failure(m, "endpoint", f"{type(error).__name__}: {error}") for m in messages]
        return await send_all(
            lambda message: self._publish(stream, message), messages, stop,
            concurrency=self.concurrency,
        )  # fmt: skip

    async def _publish(self, stream: JetStreamContext, message: Message) -> Failure | None:
        try:
            async with asyncio.timeout(self.timeout):
                await (await stream.publish_async(
                    self.subject.replace("{kind}", UNSAFE.sub("_", message.kind)),
                    structured(message),
                    headers={"Nats-Msg-Id": message.id, "content-type": STRUCTURED},
                ))  # fmt: skip
        except TimeoutError:
            return Failure(message, "endpoint", f"not acknowledged within {self.timeout:g} s")
        except (Error, OSError) as error:
            return Failure(message, judge(error), f"{type(error).__name__}: {error}")
        return None


async def _ignore(error: Exception) -> None:
    """What goes wrong with a message is in its acknowledgement."""


def judge(error: Exception) -> FailureClass:
    """Whether the stream refused this one message, or takes none."""
    if isinstance(error, MaxPayloadError):
        return "rejected"
    if isinstance(error, APIError) and not isinstance(error, NoStreamResponseError):
        return "rejected" if (error.code or 500) < 500 else "endpoint"
    return "endpoint"
