"""Pages of the feed in Python, on a connection of the reader's own."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import pytest
from helpers import Connection, drain_all, enqueue

from pgpublish import feed
from pgpublish.errors import CursorInvalid


def test_pages_lead_to_the_head_with_every_digit(connect: Callable[[], Connection]) -> None:
    db = connect()
    db.execute("select publish_define('note')")
    for number in range(1, 6):
        enqueue(db, "note", str(number), f'{{"n": 12345678901234567890.1234{number}}}')
    drain_all(db)
    pages = list(feed.read(db, batch=2))
    assert [[change["rev"] for change in page.changes] for page in pages] == [[1, 2], [3, 4], [5]]
    assert pages[0].changes[0]["payload"]["n"] == Decimal("12345678901234567890.12341")
    assert list(feed.read(db, pages[-1].cursor)) == []
    assert [page.changes[0]["rev"] for page in feed.read(db, "4")] == [5]
    with pytest.raises(CursorInvalid, match="cannot be continued"):
        feed.page(db, "6")
