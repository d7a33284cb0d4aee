"""The schemas that the tests publish, and random writes to them."""

from __future__ import annotations

import random
import time
from pathlib import Path
from typing import Any

import psycopg
from conftest import Connection
from helpers import drain_all

from pgpublish.plan import applying
from pgpublish.plan.plan import Defined, Plan, make

SCHEMAS = Path(__file__).parent / "schemas"
ACTIONS = ("update", "update", "update", "insert", "delete")


def load(db: Connection, name: str) -> None:
    db.execute((SCHEMAS / f"{name}.sql").read_bytes())
    db.execute("analyze")


def views(db: Connection) -> list[str]:
    found = db.execute(
        "select quote_ident(c.relname) from pg_class c"
        " where c.relnamespace = 'public'::regnamespace and c.relkind = 'v' order by c.oid"
    )
    return [name for (name,) in found.fetchall()]


def publish(db: Connection, view: str, key: list[str] | None = None) -> Plan:
    """What the command does with a view, up to the walk; a plan with reasons is only returned."""
    plan = make(db, view, view, key)
    if not plan.reasons:
        applying.apply(db, applying.statements(db, plan, Defined(None, (), {})))
        db.execute("select publish_walk(%s)", [view])
    return plan


def converges(
    db: Connection,
    expected: dict[str, str],
    writes: int,
    seed: int,
    keys: dict[str, list[str]] | None = None,
) -> int:
    """Publishes each view, or is refused: expected is its key, or "no: " and a word of the reason.
    Then writes until they are done or their time is over, with nothing missed; returns how many."""
    assert views(db) == list(expected)
    found: dict[str, str] = {}
    published: list[str] = []
    for view, wanted in expected.items():
        plan = publish(db, view, (keys or {}).get(view))
        if plan.reasons:
            said = " ".join(plan.reasons)
            found[view] = wanted if wanted[:4] == "no: " and wanted[4:] in said else said
        else:
            found[view] = ", ".join(plan.key)
            published.append(view)
    assert found == expected, {v: found[v] for v in found if found[v] != expected[v]}
    drain_all(db)
    assert differences(db, published) == []
    tables = [
        t
        for (t,) in db.execute(
            "select distinct c.source::regclass::text from publish.capture c order by 1"
        ).fetchall()
    ]
    return mutate(db, published, tables, writes, seed=seed, seconds=writes / 10)


def differences(db: Connection, kinds: list[str]) -> list[Any]:
    """What verify finds, of all kinds."""
    found: list[Any] = []
    for kind in kinds:
        after = None
        while True:
            row = db.execute(
                "select next, missing + stale + surplus + unpublishable as wrong, differences"
                " from publish_verify(%s, after => %s, batch => 5000)",
                [kind, after],
            ).fetchone()
            assert row is not None
            if row[1]:
                found.append((kind, row[2]))
            after = row[0]
            if after is None:
                break
    return found


def mutate(
    db: Connection, kinds: list[str], tables: list[str], writes: int, seed: int, seconds: float
) -> int:
    """Commits random writes, several in some transactions; after each group drains and verifies.
    Returns how many the constraints let pass."""
    chance = random.Random(seed)
    db.execute("select setseed(%s)", [chance.random()])
    end, done = time.monotonic() + seconds, 0
    while done < writes and time.monotonic() < end:
        group: list[str] = []
        for _ in range(40):
            together = [] if chance.random() < 0.7 else [chance.choice(tables)]
            try:
                with db.transaction():
                    for table in [chance.choice(tables), *together]:
                        write = db.execute(
                            "select publish.mutation(%s::regclass, %s)",
                            [table, chance.choice(ACTIONS)],
                        ).fetchone()[0]
                        if write:
                            db.execute(write.encode())
                            group.append(write)
            except (psycopg.IntegrityError, psycopg.DataError):
                continue
            done += 1 + len(together)
        drain_all(db)
        found = differences(db, kinds)
        assert found == [], (found, group)
    return done
