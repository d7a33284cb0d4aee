"""RabbitMQ: persistent messages, published with confirms and as mandatory.

A change is delivered when a queue has it: one that no queue is bound for is returned, and rejected.
{kind} in the routing key stands for the kind.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence
from contextlib import suppress
from threading import Event

import aio_pika
from aio_pika.abc import AbstractConnection, AbstractExchange, DeliveryMode
from aio_pika.exceptions import AMQPError, DeliveryError

from pgpublish.sinks import Failure, Message, Options, background
from pgpublish.sinks.cloudevents import structured
from pgpublish.sinks.concurrent import send_all

TIMEOUT_S = 10.0
IN_FLIGHT = 256  # unconfirmed at a time


class RabbitMQ:
    def __init__(self, options: Options) -> None:
        self.url = options.text("url")
        self.exchange = options.text("exchange")
        self.routing_key = options.text("routing_key")
        self.timeout = options.positive("timeout", TIMEOUT_S)
        ca = options.text("ca")
        self.tls = ssl.create_default_context(cafile=ca) if ca else None
        self._connection: AbstractConnection | None = None
        self._to: AbstractExchange | None = None

    def send(self, messages: Sequence[Message], stop: Event) -> list[Failure]:
        return background.run(self._send(messages, stop))

    def close(self) -> None:
        background.run(self._close())

    async def _close(self) -> None:
        connection, self._connection, self._to = self._connection, None, None
        if connection is not None:
            with suppress(AMQPError, OSError):
                await connection.close()

    async def _open(self) -> AbstractExchange:
        if self._to is None or self._connection is None or self._connection.is_closed:
            await self._close()
            self._connection = await aio_pika.connect(self.url, ssl_context=self.tls)
            channel = await self._connection.channel(publisher_confirms=True, on_return_raises=True)
            self._to = (
                await channel.get_exchange(self.exchange, ensure=True)
                if self.exchange
                else channel.default_exchange
            )
        return self._to

    async def _send(self, messages: Sequence[Message], stop: Event) -> list[Failure]:
        try:
            async with asyncio.timeout(self.timeout):
                to = await self._open()
        except (AMQPError, OSError, TimeoutError) as error:
            await self._close()
            return [Failure(m, "endpoint", f"{type(error).__name__}: {error}") for m in messages]
        failures = await send_all(
            lambda message: self._publish(to, message), messages, stop, concurrency=IN_FLIGHT
        )
        if any(failure.kind == "endpoint" for failure in failures):
            await self._close()  # the channel may be closed: begin anew
        return failures

    async def _publish(self, to: AbstractExchange, message: Message) -> Failure | None:
        content = aio_pika.Message(
            structured(message), content_type="application/cloudevents+json",
            delivery_mode=DeliveryMode.PERSISTENT, message_id=message.id, type=message.kind,
        )  # fmt: skip
        try:
            await to.publish(
                content, self.routing_key.replace("{kind}", message.kind),
                mandatory=True, timeout=self.timeout,
            )  # fmt: skip
        except DeliveryError as error:
            if error.message is None or error.frame.name != "Basic.Return":
                return Failure(message, "endpoint", "not confirmed")
            return Failure(message, "rejected", "no queue is bound for its routing key")
        except (AMQPError, OSError, TimeoutError, RuntimeError) as error:
            return Failure(message, "endpoint", f"{type(error).__name__}: {error}")
        return None
