"""(e) Reading the feed page by page against a bare ordered index read of the same columns."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from functools import partial

from bench.drain import drain_all
from bench.measure import Line, Target, both, rates, seconds
from bench.server import Bench, Connection, connect

BATCH = 500

COLUMNS = (
    "rev, kind, pub_id, schema_version, deleted, payload, payload_hash, headers, created_at,"
    " updated_at"
)
CHANGES = f"select {COLUMNS} from publish_changes(%s, {BATCH})"
BARE = f"select {COLUMNS} from publish.published where rev > %s order by rev limit {BATCH}"
OF_KIND = f"select {COLUMNS} from publish_changes(%s, {BATCH}, '{{item}}')"
BARE_OF_KIND = (
    f"select {COLUMNS} from publish.published where kind = 'item' and rev > %s"
    f" order by rev limit {BATCH}"
)


def read(conn: Connection, query: str, since: int) -> None:
    """One page. Its values are not turned into Python's: that would hide the server's part."""
    result = conn.execute(query, [since]).pgresult
    if result is None or result.ntuples != BATCH:
        raise RuntimeError(f"not a full page after {since}: {query}")


def read_pages(conn: Connection) -> int:
    """Pages read through publish_page."""
    cursor, pages, more = None, 0, True
    query = (
        "select p.page ->> 'cursor', (p.page ->> 'more')::boolean, p.page::text"
        f" from (select publish_page(%s, {BATCH}) as page offset 0) p"
    )
    while more:
        result = conn.execute(query, [cursor]).pgresult
        assert result is not None
        cursor, more = (result.get_value(0, 0) or b"").decode(), result.get_value(0, 1) == b"t"
        pages += 1
    return pages


def run(bench: Bench) -> Iterator[Line]:
    rounds = bench.scaled(7, 2)
    rows = bench.items
    with bench.database("bench_feed") as url, connect(url) as conn:
        conn.execute(
            "insert into publish.outbox (kind, source_ids)"
            " select 'item', array[id::text] from bench.item order by random()"
        )
        drain_all(conn)
        conn.execute("vacuum analyze")
        for what, ours, theirs, target in (
            ("publish_changes", CHANGES, BARE, Target(0.8)),
            ("publish_changes of one kind", OF_KIND, BARE_OF_KIND, None),
        ):
            taken = [
                both(
                    [partial(read, conn, ours, since) for since in range(0, rows, BATCH)],
                    [partial(read, conn, theirs, since) for since in range(0, rows, BATCH)],
                )
                for _ in range(rounds)
            ]
            name = f"{what}, {rows:,} rows, batch {BATCH}"
            against = "bare ordered index read"
            yield rates("e", name, rows, taken, unit="rows/s", against=against, target=target)
        paged = [seconds(lambda: read_pages(conn)) for _ in range(rounds)]
        yield Line("e", f"publish_page, {rows:,} rows, batch {BATCH}",
                   ours=rows / statistics.median(paged), unit="rows/s")  # fmt: skip
