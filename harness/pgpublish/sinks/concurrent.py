"""Sending a batch from coroutines: so many at a time, for so long, and none to an endpoint that is
down."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from threading import Event

from pgpublish.sinks import GRACE_S, Failure, Message

LOOK_S = 0.1
BEGIN_S = 2.0  # a slow endpoint gets many short batches, not a long one
Send = Callable[[Message], Awaitable[Failure | None]]


async def send_all(
    send: Send,
    messages: Sequence[Message],
    stop: Event,
    *,
    concurrency: int,
    clock: Callable[[], float] = time.monotonic,
) -> list[Failure]:
    """Calls send for each. Begins no more when stop is set, after BEGIN_S, when the endpoint is
    gone or asks for time, or when it failed `concurrency` times in a row; what is in flight GRACE_S
    after stop is given up. What was not finished comes back as "unsent"."""
    failures: list[Failure] = []
    waiting = iter(messages)
    done: set[str] = set()
    halted = False
    down = 0  # failures of the endpoint in a row
    begin_until = clock() + BEGIN_S

    async def work() -> None:
        nonlocal halted, down
        for message in waiting:
            if halted or stop.is_set() or clock() >= begin_until:
                return
            try:
                failure = await send(message)
            except Exception as error:
                failure = Failure(message, "unknown", f"{type(error).__name__}: {error}")
            done.add(message.pub_id)
            if failure is None:
                down = 0
                continue
            failures.append(failure)
            down = down + 1 if failure.kind == "endpoint" else 0
            asks = failure.kind == "gone" or failure.retry_after is not None
            halted = halted or asks or down >= concurrency

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
