"""The rows of publish_metrics as Prometheus reads them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from threading import Lock

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.exposition import generate_latest
from prometheus_client.registry import Collector

from pgpublish.database import Connection, tuples
from pgpublish.errors import PublishError

QUERY = "select name, type, labels, value, help from public.publish_metrics()"
SUFFIXES = {"counter": ("_total",), "histogram": ("_bucket", "_count", "_sum")}

Row = tuple[str, str, dict[str, str], float, str]


def read(conn: Connection) -> list[Row]:
    """Raises what call raises."""
    return tuples(conn, QUERY)


def families(rows: list[Row]) -> list[Metric]:
    """Rows of one name under one head."""
    found: dict[str, Metric] = {}
    for name, kind, labels, value, about in rows:
        family = name
        for suffix in SUFFIXES.get(kind, ()):
            family = family.removesuffix(suffix)
        metric = found.setdefault(family, Metric(family, about, kind))
        metric.add_sample(name, {key: str(of) for key, of in labels.items()}, value)
    return list(found.values())


class Scrape(Collector):
    """Asks the database at each scrape, one at a time, on a connection that is kept. Without an
    answer pgpublish_up is 0, and nothing else is told."""

    def __init__(self, connect: Callable[[], Connection], warn: Callable[[str], None]) -> None:
        self._connect = connect
        self._warn = warn
        self._conn: Connection | None = None
        self._lock = Lock()

    def collect(self) -> Iterator[Metric]:
        with self._lock:
            try:
                if self._conn is None:
                    self._conn = self._connect()
                rows = read(self._conn)
            except PublishError as error:
                self._warn(f"no metrics: {error.message}")
                self.close()
                rows = []
        yield from families([*rows, ("pgpublish_up", "gauge", {}, float(bool(rows)), UP)])

    def close(self) -> None:
        if self._conn is not None:
            with suppress(Exception):
                self._conn.close()
        self._conn = None


UP = "1: the database answered."


def registry(collector: Collector) -> CollectorRegistry:
    found = CollectorRegistry(auto_describe=False)
    found.register(collector)
    return found


class _Rows(Collector):
    def __init__(self, rows: list[Row]) -> None:
        self._rows = rows

    def collect(self) -> Iterator[Metric]:
        yield from families(self._rows)


def openmetrics(rows: list[Row]) -> str:
    text: bytes = generate_latest(registry(_Rows(rows)))  # type: ignore[no-untyped-call]
    return text.decode()


def serve(host: str, port: int, scrape: Scrape) -> Callable[[], None]:
    """Answers GET /metrics in threads; returns what ends that. Raises OSError: the address is
    taken or is not ours."""
    server, thread = start_http_server(port, host, registry(scrape))

    def end() -> None:
        server.shutdown()
        server.server_close()
        thread.join(5)
        scrape.close()

    return end
