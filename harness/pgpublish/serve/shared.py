"""Answers that several requests wait for are asked for once."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

T = TypeVar("T")


class Shared(Generic[T]):
    """keep: how long an answer is given again, in seconds; 0: only to who asks while it is
    made. A failure is given to who waits for it, and not kept."""

    def __init__(self, keep: float = 0.0, size: int = 10_000) -> None:
        self.keep = keep
        self.size = size
        self.asked = 0
        self._running: dict[Hashable, asyncio.Task[T]] = {}
        self._kept: OrderedDict[Hashable, tuple[float, T]] = OrderedDict()

    async def get(self, key: Hashable, ask: Callable[[], Awaitable[T]]) -> T:
        kept = self._kept.get(key)
        if kept is not None and kept[0] > time.monotonic():
            return kept[1]
        task = self._running.get(key)
        if task is None:
            self.asked += 1
            task = asyncio.ensure_future(self._ask(key, ask))
            self._running[key] = task
            task.add_done_callback(lambda done: self._end(key, done))
        return await asyncio.shield(task)  # one that goes away takes nothing from the others

    async def _ask(self, key: Hashable, ask: Callable[[], Awaitable[T]]) -> T:
        answer = await ask()
        if self.keep:
            self._kept[key] = (time.monotonic() + self.keep, answer)
            self._kept.move_to_end(key)
            while len(self._kept) > self.size:
                self._kept.popitem(last=False)
        return answer

    def _end(self, key: Hashable, done: asyncio.Task[T]) -> None:
        self._running.pop(key, None)
        if not done.cancelled():
            done.exception()  # who waited has it
