"""Proves capture on existing data: random writes in transactions that are rolled back.

After each write: is every key whose row of the view changed among those that were marked?
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import psycopg

from pgpublish.database import Connection, call, failure, tuples
from pgpublish.errors import BadArgument, PublishError

GROUP = 25  # writes in one transaction, each undone before the next
ACTIONS = ("update", "update", "update", "delete", "insert")


@dataclass(frozen=True)
class Tried:
    """One round: its writes as SQL; changed, missed: keys. refused: why the database refused it."""

    writes: tuple[str, ...]
    changed: int
    missed: tuple[str, ...]
    refused: str | None


def check(
    conn: Connection,
    kind: str,
    rounds: int,
    seed: int,
    *,
    seconds: float = 60.0,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Tried]:
    """Rounds of one to three writes to tables that are captured for the kind, until that many were
    not refused or the seconds are over. Each is rolled back. Raises NotDefined, BadArgument."""
    found = tuples(conn, "select source from publish.captures_of(%s)", kind)
    tables = [str(source) for (source,) in found]
    if not tables:
        call(conn, "select publish.estimated_keys(%s)", kind)  # says if it is not defined
        raise BadArgument(
            "nothing is captured for this kind",
            detail=f"kind {kind}",
            hint="Publish its view: pgpublish publish VIEW",
        )
    chance = random.Random(seed)
    call(conn, "select setseed(%s)", chance.random())
    end, done, tried = clock() + seconds, 0, 0
    while done < rounds and tried < rounds * 10 and clock() < end:
        with conn.transaction(force_rollback=True):
            conn.execute("set transaction isolation level repeatable read")
            before = state(conn, kind)
            for _ in range(GROUP):
                one = once(
                    conn,
                    kind,
                    before,
                    [
                        choose(chance, tables)
                        for _ in range(1 if chance.random() < 0.6 else chance.randint(2, 3))
                    ],
                )
                tried += 1
                done += one.refused is None
                yield one
                if done >= rounds or clock() >= end:
                    return


def choose(chance: random.Random, tables: list[str]) -> tuple[str, str]:
    return chance.choice(tables), chance.choice(ACTIONS)


def state(conn: Connection, kind: str) -> dict[str, str]:
    rows: dict[str, str] = {}
    for key, row in tuples(conn, "select source_id, state from publish.view_state(%s)", kind):
        rows[key] = rows.get(key, "") + row
    return rows


def once(
    conn: Connection, kind: str, before: dict[str, str], chosen: list[tuple[str, str]]
) -> Tried:
    writes: list[str] = []
    try:
        with conn.transaction(force_rollback=True):
            for table, action in chosen:
                write = call(conn, "select publish.mutation(to_regclass(%s), %s)", table, action)[0]
                if write:
                    writes.append(write)
                    conn.execute(write.encode())
            after = state(conn, kind)
            changed = {
                key for key in before.keys() | after.keys() if before.get(key) != after.get(key)
            }
            marked = {key for (key,) in tuples(conn, "select publish.marked_keys(%s)", kind)}
    except psycopg.Error as error:
        return refused(writes, failure(conn, error))
    except PublishError as error:
        return refused(writes, error)
    missed = () if None in marked else tuple(sorted(changed - marked))
    return Tried(tuple(writes), len(changed), missed, None)


def refused(writes: list[str], error: PublishError) -> Tried:
    """By a constraint, a trigger, or as the view cannot show such data. Raises anything else."""
    if error.sqlstate[:2] not in ("21", "22", "23", "P0"):
        raise error
    return Tried(tuple(writes), 0, (), error.message)
