"""(m) Next to what people would use instead, each the nearest equivalent, in the same server."""

from __future__ import annotations

from collections.abc import Iterator

from bench.measure import Line
from bench.peers import pgq, queues
from bench.server import Bench


def run(bench: Bench) -> Iterator[Line]:
    yield from queues.run(bench)
    yield from pgq.run(bench)
