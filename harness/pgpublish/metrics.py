"""The rows of publish_metrics as Prometheus reads them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from threading import Lock

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.exposition import choose_encoder
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


def answered(rows: list[Row]) -> list[Metric]:
    """rows: none if the database did not answer."""
    return families([*rows, ("pgpublish_up", "gauge", {}, float(bool(rows)), UP)])


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
        yield from answered(rows)

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


class _Metrics(Collector):
    def __init__(self, metrics: list[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Metric]:
        yield from self._metrics


def openmetrics(rows: list[Row]) -> str:
    metrics = registry(_Metrics(families(rows)))
    text: bytes = generate_latest(metrics)  # type: ignore[no-untyped-call]
    return text.decode()


def scraped(rows: list[Row], accept: str) -> tuple[bytes, str]:
    """What serve() answers to a scrape with this header Accept: text, and its type."""
    metrics = registry(_Metrics(answered(rows)))
    try:
        encode, kind = choose_encoder(accept)
        return encode(metrics), kind
    except (TypeError, ValueError):  # it asks for a version that is none
        encode, kind = choose_encoder("")
        return encode(metrics), kind


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
