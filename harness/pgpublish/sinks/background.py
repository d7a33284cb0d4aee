"""One event loop for all sinks that want one, in a thread of its own: kept connections answer
heartbeats, and notice that the other side closed them, also between batches."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from functools import cache
from threading import Lock, Thread
from typing import Any, TypeVar

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
