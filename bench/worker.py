"""(b) The drain against the usual worker in Python: one ORM session, row by row."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from typing import Any

import psycopg
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship

from bench.drain import drain, mark
from bench.measure import Line, Target, both, rates
from bench.server import Bench, Connection, connect

LOCK = 4711
BATCH = 500
CASES = ("new", "changed", "unchanged")
CREATED = ("bench.dirty", "bench.feed")


class Base(DeclarativeBase):
    metadata = sa.MetaData(schema="bench")


class Owner(Base):
    __tablename__ = "owner"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    country: Mapped[str]


class Item(Base):
    __tablename__ = "item"
    id: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True)
    owner_id: Mapped[int] = mapped_column(sa.ForeignKey(Owner.id))
    title: Mapped[str]
    body: Mapped[str]
    price: Mapped[Decimal]
    tags: Mapped[list[str]] = mapped_column(ARRAY(sa.Text))
    live: Mapped[bool]
    created_at: Mapped[datetime] = mapped_column(sa.DateTime(timezone=True))
    touched_at: Mapped[datetime] = mapped_column(sa.DateTime(timezone=True))
    owner: Mapped[Owner] = relationship(lazy="joined", innerjoin=True)

    def payload(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "title": self.title,
            "body": self.body,
            "price": str(self.price),
            "tags": self.tags,
            "created_at": self.created_at.isoformat(),
            "touched_at": self.touched_at.isoformat(),
            "owner_name": self.owner.name,
            "owner_country": self.owner.country,
        }


class Dirty(Base):
    __tablename__ = "dirty"
    id: Mapped[int] = mapped_column(sa.BigInteger, sa.Identity(), primary_key=True)
    kind: Mapped[str]
    source_id: Mapped[str]


class Feed(Base):
    __tablename__ = "feed"
    __table_args__ = (sa.UniqueConstraint("kind", "source_id"),)
    id: Mapped[int] = mapped_column(sa.BigInteger, sa.Identity(), primary_key=True)
    rev: Mapped[int] = mapped_column(sa.BigInteger, unique=True)
    kind: Mapped[str]
    source_id: Mapped[str]
    pub_id: Mapped[uuid.UUID] = mapped_column(default=uuid.uuid4, unique=True)
    payload: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    payload_hash: Mapped[bytes | None]
    deleted: Mapped[bool]
    updated_at: Mapped[datetime] = mapped_column(sa.DateTime(timezone=True))


def publish_batch(engine: sa.Engine) -> int:
    """One transaction: up to BATCH dirty keys, each looked up, compared and flushed by itself."""
    with Session(engine) as session, session.begin():
        if not session.scalar(sa.select(sa.func.pg_try_advisory_xact_lock(LOCK))):
            return 0
        dirty = session.scalars(sa.select(Dirty).order_by(Dirty.id).limit(BATCH)).all()
        head = session.scalar(sa.select(sa.func.max(Feed.rev))) or 0
        for mark_ in dirty:
            item = session.get(Item, int(mark_.source_id))
            payload = item.payload() if item is not None and item.live else None
            text = json.dumps(payload, sort_keys=True)
            payload_hash = hashlib.sha256(text.encode()).digest() if payload is not None else None
            row = session.scalar(
                sa.select(Feed).where(Feed.kind == mark_.kind, Feed.source_id == mark_.source_id)
            )
            if row is None:
                row = Feed(kind=mark_.kind, source_id=mark_.source_id)
                session.add(row)
            elif row.payload_hash == payload_hash:
                continue
            head += 1
            row.rev = head
            row.payload, row.payload_hash, row.deleted = payload, payload_hash, payload is None
            row.updated_at = datetime.now(UTC)
            session.flush()
        if dirty:
            session.execute(sa.delete(Dirty).where(Dirty.id <= dirty[-1].id))
        return len(dirty)


def publish_full(engine: sa.Engine) -> None:
    """One batch that must be full."""
    if (seen := publish_batch(engine)) != BATCH:
        raise RuntimeError(f"the worker found {seen} keys")


def dirty(conn: Connection, lo: int, hi: int) -> None:
    """Marks the items lo..hi for both workers."""
    conn.execute(
        "insert into bench.dirty (kind, source_id)"
        " select 'item', n::text from generate_series(%s::bigint, %s) as n",
        [lo, hi],
    )
    conn.execute("vacuum analyze")
    mark(conn, "item", lo, hi)


def measure(url: str, keys: int) -> Iterator[tuple[str, tuple[float, float]]]:
    """One round of each case, both workers warm and their tables not empty."""
    with connect(url) as conn:
        engine = sa.create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(url))
        Base.metadata.create_all(engine, tables=[Base.metadata.tables[n] for n in CREATED])
        for key in range(1, 9):  # by then a session keeps its plans
            mark(conn, "item", keys + BATCH + key, keys + BATCH + key)
            drain(conn, 1)
        dirty(conn, keys + 1, keys + BATCH)
        drain(conn, BATCH)
        publish_full(engine)
        for case in CASES:
            if case == "changed":
                conn.execute("call bench.change(1, %s)", [keys])
            dirty(conn, 1, keys)
            times = keys // BATCH
            published = 0 if case == "unchanged" else None
            ours = partial(drain, conn, BATCH, published=published)
            yield case, both([ours] * times, [partial(publish_full, engine)] * times)
        engine.dispose()


def run(bench: Bench) -> Iterator[Line]:
    keys, rounds = bench.scaled(2000, 1000), bench.scaled(3, 1)
    taken: dict[str, list[tuple[float, float]]] = {case: [] for case in CASES}
    for _ in range(rounds):
        with bench.database("bench_worker") as url:
            for case, pair in measure(url, keys):
                taken[case].append(pair)
    for case, pairs in taken.items():
        yield rates("b", f"drain {case} keys, projected, batch {BATCH}", keys, pairs,
                    unit="keys/s", against="row-by-row ORM worker", target=Target(75))  # fmt: skip
