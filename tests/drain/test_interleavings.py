"""Transactions and drains in every order that a seed can think of, one step at a time."""

import random
from collections import Counter
from dataclasses import dataclass, field

import pytest
from helpers import Connection, check_feed, drain, enqueue, feed, head, record_revs, revs_given


@dataclass
class Writer:
    """A session with the keys its open transaction has enqueued, a list for each savepoint."""

    conn: Connection
    transaction: str = ""
    levels: list[list[str]] = field(default_factory=list)

    def step(self, dice: random.Random, name: str) -> list[str]:
        """Does one thing; returns the keys that it committed, if it did."""
        if not self.levels:
            self.transaction, self.levels = name, [[]]
        choice = dice.random()
        if choice < 0.6:
            for _ in range(dice.choice([1, 2, 5, 12])):
                key = f"{self.transaction}.{dice.getrandbits(40):x}"
                enqueue(self.conn, "note", key, "1")
                self.levels[-1].append(key)
        elif choice < 0.7:
            self.conn.execute(f"savepoint s{len(self.levels)}".encode())
            self.levels.append([])
        elif choice < 0.78 and len(self.levels) > 1:
            self.levels.pop()
            self.conn.execute(f"rollback to s{len(self.levels)}".encode())
        elif choice < 0.83:
            self.conn.rollback()
            self.levels = []
        else:
            return self.commit()
        return []

    def commit(self) -> list[str]:
        self.conn.commit()
        keys = [key for level in self.levels for key in level]
        self.levels = []
        return keys


def transaction_of(key: str) -> str:
    return key.split(".")[0]


@pytest.mark.parametrize("seed", range(4))
def test_whatever_the_order_nothing_is_missed_and_small_transactions_stay_whole(connect, seed):
    dice = random.Random(seed)
    db = connect()
    db.execute("select publish_define('note')")
    record_revs(db)
    writers = [Writer(connect(autocommit=False)) for _ in range(5)]
    committed: set[str] = set()
    size: Counter[str] = Counter()
    cut: set[str] = set()

    def commit(keys: list[str]) -> None:
        committed.update(keys)
        size.update(map(transaction_of, keys))

    def drain_once() -> bool:
        batch, before = dice.choice([1, 3, 7, 20]), head(db)
        done = drain(db, batch)
        assert done.published <= done.scanned <= batch
        new = db.execute("select source_id from rev_given where rev > %s", [before]).fetchall()
        assert committed.issuperset(key for (key,) in new)
        for transaction, count in Counter(transaction_of(key) for (key,) in new).items():
            if count < size[transaction] and transaction not in cut:
                assert size[transaction] > batch
                cut.add(transaction)
        return done.scanned > 0

    for number in range(220):
        commit(dice.choice(writers).step(dice, str(number)))
        if dice.random() < 0.25:
            drain_once()
    for writer in writers:
        commit(writer.commit())
    while drain_once():
        pass

    assert set(feed(db, "note")) == committed
    assert revs_given(db) == list(range(1, len(committed) + 1))
    assert cut
    check_feed(db)
