"""One event loop for all sinks that want one, in a thread of its own: kept connections answer
heartbeats, and notice that the other side closed them, also between batches."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Coroutine, Sequence
from functools import cache
from threading import Event, Lock, Thread
from typing import Any, TypeVar

from pgpublish.sinks.base import Failure, Message

T = TypeVar("T")
_making = Lock()  # a cache alone lets two first calls both make one


@cache
def _loop() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    Thread(target=loop.run_forever, name="pgpublish sinks", daemon=True).start()
    return loop


def run(work: Coroutine[Any, Any, T]) -> T:
    """What the coroutine returns, or raises."""
    with _making:
        loop = _loop()
    return asyncio.run_coroutine_threadsafe(work, loop).result()


class KeptConnection(ABC):
    """A sink with a connection that lives in the loop: each call runs its coroutine there."""

    timeout: float

    @abstractmethod
    async def _send(self, messages: Sequence[Message], stop: Event) -> list[Failure]: ...

    @abstractmethod
    async def _open(self) -> object: ...

    @abstractmethod
    async def _close(self) -> None: ...

    def send(self, messages: Sequence[Message], stop: Event) -> list[Failure]:
        return run(self._send(messages, stop))

    def check(self) -> None:
        """Raises TimeoutError, OSError, or what the client does when it cannot connect."""

        async def open_in_time() -> None:
            async with asyncio.timeout(self.timeout):
                await self._open()

        run(open_in_time())

    def close(self) -> None:
        run(self._close())
