"""Sending a batch from coroutines: so many at a time, for so long, and none to an endpoint that is
down."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from threading import Event
from typing import NamedTuple

from pgpublish.sinks import GRACE_S, Failure, Message
from pgpublish.sinks.cloudevents import structured

LOOK_S = 0.1
BEGIN_S = 2.0  # a slow endpoint gets many short batches, not a long one


class Part(NamedTuple):
    """Messages that travel together, and each one's event in JSON; without: not written yet."""

    messages: list[Message]
    events: list[bytes]


def parts(messages: Sequence[Message], count: int, size: int) -> Iterator[Part]:
    """At most so many messages and bytes together; a larger message alone."""
    part, length = Part([], []), 0
    for message in messages:
        try:
            event = structured(message)
        except ValueError:
            yield Part([message], [])  # its sender says why
            continue
        if part.messages and (len(part.messages) == count or length + len(event) > size):
            yield part
            part, length = Part([], []), 0
        part.messages.append(message)
        part.events.append(event)
        length += len(event)
    if part.messages:
        yield part


async def send_all(
    send: Callable[[Message], Awaitable[Failure | None]],
    messages: Sequence[Message],
    stop: Event,
    *,
    concurrency: int,
    clock: Callable[[], float] = time.monotonic,
) -> list[Failure]:
    """send_parts where each message travels alone."""

    async def send_part(part: Part) -> list[Failure]:
        failure = await send(part.messages[0])
        return [] if failure is None else [failure]

    alone = (Part([message], []) for message in messages)
    return await send_parts(send_part, alone, messages, stop, concurrency=concurrency, clock=clock)


async def send_parts(
    send: Callable[[Part], Awaitable[list[Failure]]],
    parts: Iterable[Part],
    messages: Sequence[Message],
    stop: Event,
    *,
    concurrency: int,
    clock: Callable[[], float] = time.monotonic,
) -> list[Failure]:
    """Calls send for each part of these messages. Begins no more when stop is set, after BEGIN_S,
    when the endpoint is gone or asks for time, or when it failed `concurrency` times in a row; what
    is in flight GRACE_S after stop is given up. What was not finished comes back as "unsent"."""
    failures: list[Failure] = []
    waiting = iter(parts)
    done: set[str] = set()
    halted = False
    down = 0  # failures of the endpoint in a row
    begin_until = clock() + BEGIN_S

    async def work() -> None:
        nonlocal halted, down
        for part in waiting:
            if halted or stop.is_set() or clock() >= begin_until:
                return
            try:
                found = await send(part)
            except Exception as error:
                reason = f"{type(error).__name__}: {error}"
                found = [Failure(message, "unknown", reason) for message in part.messages]
            done.update(message.pub_id for message in part.messages)
            if not found:
                down = 0
                continue
            failures.extend(found)
            down = down + 1 if found[0].kind == "endpoint" else 0
            halted = halted or found[0].kind in ("gone", "busy") or down >= concurrency

    pending = {asyncio.ensure_future(work()) for _ in range(min(concurrency, len(messages)))}
    give_up_at: float | None = None
    while pending:
        _, pending = await asyncio.wait(pending, timeout=LOOK_S)
        if stop.is_set() and give_up_at is None:
            give_up_at = clock() + GRACE_S
        if give_up_at is not None and clock() >= give_up_at:
            for task in pending:
                task.cancel()
            await asyncio.wait(pending)
            break
    return failures + [Failure(m, "unsent") for m in messages if m.pub_id not in done]
