"""The event loop that sinks share."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec, module_from_spec
from threading import Barrier
from typing import Any

import pytest


@pytest.fixture
def switching() -> Iterator[None]:
    """Threads take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def fresh() -> Any:
    """The module as a process that has sent nothing yet has it."""
    spec = find_spec("pgpublish.sinks.background")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


async def loop() -> asyncio.AbstractEventLoop:
    return asyncio.get_running_loop()


def test_threads_that_begin_together_get_the_same_loop(switching: None) -> None:
    for _ in range(5):
        background, together = fresh(), Barrier(8)

        def first(background: Any = background, together: Barrier = together) -> Any:
            together.wait()
            return background.run(loop())

        with ThreadPoolExecutor(8) as pool:
            begun = [pool.submit(first) for _ in range(8)]
            loops = {future.result() for future in begun}
        assert len(loops) == 1
        (only,) = loops
        only.call_soon_threadsafe(only.stop)
