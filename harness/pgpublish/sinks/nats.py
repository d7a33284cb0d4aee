"""NATS JetStream: a change is acknowledged when the stream has stored it.

Nats-Msg-Id is the event's id, so that the stream drops a retry whose first try it has stored.
{kind} in the subject stands for the kind.

A connection that fails is closed and the next batch opens another: the client's own reconnecting
keeps a full buffer of what nobody waits for any more, and its publish_async a permit for each
message that it refused.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from threading import Event
from typing import Any, ClassVar

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error

from pgpublish.errors import BadArgument
from pgpublish.sinks import Failure, FailureClass, Message, Options, background
from pgpublish.sinks.cloudevents import STRUCTURED, structured
from pgpublish.sinks.concurrent import send_all
from pgpublish.sinks.urls import checked

TIMEOUT_S = 10.0
CLOSE_S = 2.0
CONCURRENCY = 256  # unacknowledged at a time
UNSAFE = re.compile(r"[\s.*>\x00-\x1f]")
SPACE = re.compile(r"[\s\x00-\x1f\x7f]")
FRAME = len("NATS/1.0\r\n\r\n")  # of a header block, besides "name: value\r\n" each


@dataclass
class Link:
    """A connection, where its answers come, and who waits for them."""

    client: Client
    inbox: str = ""
    waiting: dict[str, asyncio.Future[Msg]] = field(default_factory=dict)

    async def answered(self, msg: Msg) -> None:
        future = self.waiting.get(msg.subject.rpartition(".")[2])
        if future is not None and not future.done():
            future.set_result(msg)

    async def lost(self) -> None:
        for future in self.waiting.values():
            if not future.done():
                future.set_exception(ConnectionResetError("the connection was lost"))


class Nats(background.KeptConnection):
    OPTIONS: ClassVar = {
        "servers": "array required",
        "subject": "string required",
        "token": "string",
        "user": "string",
        "password": "string",
        "ca": "string",
        "concurrency": "number",
    }

    def __init__(self, options: Options) -> None:
        self.servers = [
            checked(url if "://" in url else f"nats://{url}", "servers", schemes=("nats", "tls"))
            for url in options.words("servers")
        ]
        self.subject = options.text("subject")
        if SPACE.search(self.subject):  # a line of the protocol ends there
            raise BadArgument(
                "a subject has no blank and no control character",
                detail="Option subject.",
                hint="Write it as feed.{kind}.",
            )
        self.timeout = options.positive("timeout", TIMEOUT_S)
        self.concurrency = max(1, int(options.positive("concurrency", CONCURRENCY)))
        login = {name: options.text(name) for name in ("token", "user", "password")}
        self.login: dict[str, Any] = {name: value for name, value in login.items() if value}
        if tls := options.tls():
            self.login["tls"] = tls
        self._link: Link | None = None
        self._tokens = count()
        self._said = ""  # by the server or the client, not about one message

    async def _open(self) -> Link:
        if self._link is not None and self._link.client.is_connected:
            return self._link
        await self._close()
        self._said = ""
        self._link = link = Link(Client())
        await link.client.connect(
            self.servers,
            connect_timeout=min(2.0, self.timeout),  # type: ignore[arg-type]
            allow_reconnect=False,
            max_reconnect_attempts=1,  # of each server, before all were tried
            reconnect_time_wait=0.1,  # type: ignore[arg-type]
            ping_interval=20,
            error_cb=self._hear,
            closed_cb=link.lost,
            **self.login,
        )
        link.inbox = link.client.new_inbox()
        await link.client.subscribe(f"{link.inbox}.*", cb=link.answered)
        return link

    async def _close(self) -> None:
        link, self._link = self._link, None
        if link is not None:
            with suppress(Error, OSError, TimeoutError):
                async with asyncio.timeout(CLOSE_S):  # a dead peer takes nothing more
                    await link.client.close()

    async def _send(self, messages: Sequence[Message], stop: Event) -> list[Failure]:
        try:
            async with asyncio.timeout(self.timeout):
                link = await self._open()
        except (Error, OSError, TimeoutError) as error:
            reason = self._why(f"{type(error).__name__}: {error}")
            return [Failure(message, "endpoint", reason) for message in messages]
        failures = await send_all(
            lambda message: self._publish(link, message),
            messages,
            stop,
            concurrency=self.concurrency,
        )
        if any(failure.kind == "endpoint" for failure in failures):
            await self._close()
        return failures

    async def _publish(self, link: Link, message: Message) -> Failure | None:
        try:
            body = structured(message)
        except ValueError as error:
            return Failure(message, "encoding", str(error))
        headers = {"Nats-Msg-Id": message.id, "content-type": STRUCTURED}
        size = len(body) + FRAME + sum(len(f"{k}: {v}\r\n".encode()) for k, v in headers.items())
        if size > link.client.max_payload:
            reason = f"{size} bytes with its headers; the server takes {link.client.max_payload}"
            return Failure(message, "rejected", reason)
        subject = self.subject.replace("{kind}", UNSAFE.sub("_", message.kind))
        try:
            async with asyncio.timeout(self.timeout):
                answer = await self._ask(link, subject, body, headers)
                if answer.get("duplicate") and message.part == "fresh":
                    # Not a retry, but a replay, which is to be stored once more; or another worker
                    # died after it had sent this.
                    del headers["Nats-Msg-Id"]
                    answer = await self._ask(link, subject, body, headers)
        except TimeoutError:
            reason = self._why(f"not acknowledged within {self.timeout:g} s")
            return Failure(message, "endpoint", reason)
        except (Error, OSError) as error:
            return Failure(message, "endpoint", self._why(f"{type(error).__name__}: {error}"))
        if refusal := answer.get("error"):
            code = refusal.get("err_code", refusal.get("code"))
            reason = f"{refusal.get('description')} (code {code})"
            return Failure(message, judge(refusal), reason)
        return None

    async def _ask(
        self, link: Link, subject: str, body: bytes, headers: dict[str, str]
    ) -> dict[str, Any]:
        """The stream's answer."""
        token = str(next(self._tokens))
        link.waiting[token] = future = asyncio.get_running_loop().create_future()
        try:
            await link.client.publish(subject, body, reply=f"{link.inbox}.{token}", headers=headers)
            msg = await future
        finally:
            del link.waiting[token]
        if msg.headers and msg.headers.get("Status") == "503":
            return {"error": {"code": 503, "description": f"no stream takes {subject}"}}
        answer: dict[str, Any] = json.loads(msg.data)
        return answer

    async def _hear(self, error: Exception) -> None:
        self._said = f"{type(error).__name__}: {error}"

    def _why(self, reason: str) -> str:
        return f"{reason}; {self._said}" if self._said and self._said not in reason else reason


def judge(error: dict[str, Any]) -> FailureClass:
    """Whether the stream refused this one message, or takes none."""
    return "rejected" if 400 <= (error.get("code") or 500) < 500 else "endpoint"
