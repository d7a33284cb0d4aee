"""Sending a batch from coroutines: so many at a time, and none to an endpoint that is down."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from threading import Event

from pgpublish.sinks import GRACE_S, Failure, Message

LOOK_S = 0.1
Send = Callable[[Message], Awaitable[Failure | None]]


async def send_all(
    send: Send,
    messages: Sequence[Message],
    stop: Event,
    *,
    concurrency: int,
    clock: Callable[[], float] = time.monotonic,
) -> list[Failure]:
    """Calls send for each. Begins no more when stop is set, when the endpoint is gone or asks for
    time, or when it took nothing of the first `concurrency`; what is in flight GRACE_S after stop
    is given up. What was not finished comes back as "unsent"."""
    failures: list[Failure] = []
    waiting = iter(messages)
    done: set[str] = set()
    halted = False
    taken = 0

    async def work() -> None:
        nonlocal halted, taken
        for message in waiting:
            if halted or stop.is_set():
                return
            failure = await send(message)
            done.add(message.pub_id)
            if failure is None:
                taken += 1
                continue
            failures.append(failure)
            down = failure.kind == "endpoint" and not taken and len(done) >= concurrency
            halted = halted or down or failure.kind == "gone" or bool(failure.retry_after)

    tasks = {asyncio.ensure_future(work()) for _ in range(min(concurrency, len(messages)))}
    give_up_at: float | None = None
    pending = tasks
    while pending:
        _, pending = await asyncio.wait(pending, timeout=LOOK_S)
        if stop.is_set() and give_up_at is None:
            give_up_at = clock() + GRACE_S
        if give_up_at is not None and clock() >= give_up_at:
            for task in pending:
                task.cancel()
            await asyncio.wait(pending)
            break
    for task in tasks:
        if not task.cancelled() and (error := task.exception()):
            raise error
    return failures + [Failure(m, "unsent") for m in messages if m.pub_id not in done]
