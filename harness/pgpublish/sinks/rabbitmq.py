"""RabbitMQ: persistent messages, published with confirms and as mandatory.

A change is delivered when a queue has it: one that no queue is bound for is returned, and rejected.
{kind} in the routing key stands for the kind.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress
from threading import Event
from typing import ClassVar

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractExchange, DeliveryMode
from aio_pika.exceptions import (
    AMQPError,
    ChannelPreconditionFailed,
    DeliveryError,
)
from aiormq.exceptions import ConnectionChannelError

from pgpublish.sinks import Failure, Message, Options, background
from pgpublish.sinks.cloudevents import structured
from pgpublish.sinks.concurrent import BEGIN_S, send_all
from pgpublish.sinks.urls import checked

TIMEOUT_S = 10.0
IN_FLIGHT = 256  # unconfirmed at a time
REFUSALS = (ChannelPreconditionFailed, ConnectionChannelError)
REFUSED = "PRECONDITION_FAILED, as for a message above the broker's max_message_size"


class RabbitMQ(background.KeptConnection):
    OPTIONS: ClassVar = {
        "url": "string required",
        "routing_key": "string required",
        "exchange": "string",
        "ca": "string",
    }

    def __init__(self, options: Options) -> None:
        self.url = checked(
            options.text("url"), "url", schemes=("amqp", "amqps"), parameters=("heartbeat", "name")
        )
        self.exchange = options.text("exchange")
        self.routing_key = options.text("routing_key")
        self.timeout = options.positive("timeout", TIMEOUT_S)
        self.tls = options.tls()
        self._connection: AbstractConnection | None = None
        self._channel: AbstractChannel | None = None
        self._to: AbstractExchange | None = None

    async def _close(self) -> None:
        connection, self._connection, self._to = self._connection, None, None
        if connection is not None:
            with suppress(AMQPError, OSError):
                await connection.close()

    async def _open(self) -> AbstractExchange:
        """The exchange, on a channel that is open."""
        if self._connection is None or self._connection.is_closed:
            await self._close()
            self._connection = await aio_pika.connect(self.url, ssl_context=self.tls)
        if self._to is None or self._channel is None or self._channel.is_closed:
            self._to = None
            self._channel = await self._connection.channel(
                publisher_confirms=True, on_return_raises=True
            )
            self._to = (
                await self._channel.get_exchange(self.exchange, ensure=True)
                if self.exchange
                else self._channel.default_exchange
            )
        return self._to

    async def _send(self, messages: Sequence[Message], stop: Event) -> list[Failure]:
        failures: list[Failure] = []
        todo = list(messages)
        begin_until = time.monotonic() + BEGIN_S
        while todo:
            if stop.is_set() or time.monotonic() >= begin_until:
                failures += [Failure(message, "unsent") for message in todo]
                break
            found, cut, todo = await self._publish_all(todo, stop)
            failures += found
            if len(cut) > 1:
                # One of them was refused, but the broker does not say which: the largest goes
                # alone, so that it knows, and then the others together again.
                largest = max(cut, key=lambda message: len(message.data or ""))
                todo += [message for message in cut if message is not largest]
                found, cut, late = await self._publish_all([largest], stop)
                failures += found
                todo += late
            failures += [Failure(message, "rejected", REFUSED) for message in cut]
        if any(failure.kind == "endpoint" for failure in failures):
            await self._close()  # begin again
        return failures

    async def _publish_all(
        self, messages: Sequence[Message], stop: Event
    ) -> tuple[list[Failure], list[Message], list[Message]]:
        """What failed; what the broker had not confirmed when it closed the channel because of a
        message that it refuses; and what came too late for that channel. The client may have
        written to it by then, which costs the connection too."""
        try:
            async with asyncio.timeout(self.timeout):
                to = await self._open()
        except (AMQPError, OSError, TimeoutError, RuntimeError) as error:
            await self._close()
            reason = f"{type(error).__name__}: {error}"
            return [Failure(message, "endpoint", reason) for message in messages], [], []
        cut: list[Message] = []

        async def publish(message: Message) -> Failure | None:
            try:
                return await self._publish(to, message)
            except REFUSALS:
                cut.append(message)
                return None

        failures = await send_all(publish, messages, stop, concurrency=IN_FLIGHT)
        if not cut:
            return failures, [], []
        await self._close()
        late = [f.message for f in failures if f.kind in ("endpoint", "unsent")]
        return [f for f in failures if f.kind not in ("endpoint", "unsent")], cut, late

    async def _publish(self, to: AbstractExchange, message: Message) -> Failure | None:
        """Raises REFUSALS."""
        try:
            content = aio_pika.Message(
                structured(message),
                content_type="application/cloudevents+json",
                delivery_mode=DeliveryMode.PERSISTENT,
                message_id=message.id,
                type=message.kind,
            )
            await to.publish(
                content,
                self.routing_key.replace("{kind}", message.kind),
                mandatory=True,
                timeout=self.timeout,
            )
        except REFUSALS:
            raise
        except DeliveryError as error:
            if error.message is None or error.frame.name != "Basic.Return":
                return Failure(message, "endpoint", "not confirmed")
            return Failure(message, "rejected", "no queue is bound for its routing key")
        except (AMQPError, OSError, TimeoutError, RuntimeError) as error:
            return Failure(message, "endpoint", f"{type(error).__name__}: {error}")
        except ValueError as error:  # a kind that is too long for a routing key
            return Failure(message, "encoding", str(error))
        return None
