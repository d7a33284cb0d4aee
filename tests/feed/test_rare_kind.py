"""Reading a kind costs what that kind has, not what the feed has."""

from __future__ import annotations

from conftest import Connection

from pgpublish.drain import drain_all


def blocks(db: Connection, query: str) -> int:
    """Shared buffers touched by a query whose functions have been planned before."""
    for _ in range(2):
        row = db.execute(f"explain (analyze, buffers, format json) {query}").fetchone()
    assert row is not None
    plan = row[0][0]["Plan"]
    return int(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])


def test_a_rare_kind_is_read_without_walking_the_others(db: Connection) -> None:
    db.execute("select publish_define('common'); select publish_define('rare')")
    db.execute("select publish_enqueue('rare', 'r', '{}')")
    db.execute("select publish_enqueue('common', i::text, '{}') from generate_series(1, 20000) i")
    list(drain_all(db, 5000))
    db.execute("analyze publish.published")
    assert blocks(db, "select * from publish_changes(0, 500, '{rare}')") < 50
    db.execute("select publish_define('rare', retention => '30 days')")
    db.execute("select publish_maintain(100)")
    assert blocks(db, "select publish.prune(100)") < 100
