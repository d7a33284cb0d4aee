"""The examples follow the consumer's rule of docs/deliver.md, and are exact for it."""

from __future__ import annotations

import random
import re
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from conftest import Connection
from delivery import notes, subscribe
from helpers import drain_all, enqueue
from replicas import EXAMPLES, LANGUAGES, running

from pgpublish import database, deliver

NIL = "00000000-0000-0000-0000-000000000000"


def published(conn: Connection) -> dict[str, Any]:
    rows = conn.execute(
        "select p.pub_id::text, p.payload from publish.published p where not p.deleted"
    ).fetchall()
    return dict(rows)


def work(url: str) -> None:
    deliver.run(lambda: database.connect(url), Event(), once=True)


@pytest.mark.parametrize(("language", "file"), [("python", "replica.py"), ("js", "replica.mjs")])
def test_the_rule_on_the_page_is_the_one_of_the_example(language: str, file: str) -> None:
    page = (EXAMPLES.parent / "docs/deliver.md").read_text()
    (rule,) = re.findall(rf"```{language}\n(.*?)```", page, re.DOTALL)
    assert rule in (EXAMPLES / file).read_text()


@pytest.mark.parametrize("mode", ["structured", "batch"])
@pytest.mark.parametrize("language", LANGUAGES)
def test_an_example_is_exact_after_a_resync(
    db: Connection, url: str, tmp_path: Path, language: str, mode: str
) -> None:
    with running(language, tmp_path / "log") as consumer:
        notes(db, 30)
        subscribe(db, "s", "webhook", options=consumer.options | {"mode": mode}, lanes=3)
        work(url)
        enqueue(db, "note", "30", deleted=True)
        enqueue(db, "note", "29", '{"text": "né"}')
        drain_all(db)
        work(url)
        assert consumer.shows() == published(db)
        # As if these had never been: two born in what was lost, one whose deletion was.
        db.execute("delete from publish.published p where p.source_id in ('7', '8')")
        db.execute(
            "update publish.published p set deleted = false, payload = '30', payload_hash = '\\x30'"
            " where p.source_id = '30'"
        )
        assert consumer.shows() != published(db)
        db.execute("select publish_resync('s')")
        work(url)
        assert consumer.shows() == published(db)


def event(life: int, rev: int, subject: str, **more: Any) -> dict[str, Any]:
    return {
        "id": f"{life}/{rev}",
        "type": "note",
        "subject": subject,
        "sequence": f"{life:010d}{rev:019d}",
        "data": [life, rev],
    } | more


def control(kind: str, life: int, rev: int) -> dict[str, Any]:
    return event(life, rev, NIL, type=f"pgpublish.{kind}", data={"life": life, "head": 9})


@pytest.mark.parametrize("language", LANGUAGES)
def test_an_example_is_exact_in_whatever_order_and_however_often_events_come(
    tmp_path: Path, language: str
) -> None:
    """Of each life all are sent twice and shuffled, and those of the one before come again."""
    before = [event(5, rev, f"subject {rev % 4}") for rev in range(1, 12)]
    before += [event(5, 12, "subject 2", deleted=True), event(5, 13, "orphan")]
    again = [event(6, 9, "subject 1"), event(6, 8, "subject 0"), event(6, 12, "subject 3")]
    again += [event(6, 7, "subject 2", deleted=True)]
    dice = random.Random(language)
    with running(language, tmp_path / "log") as consumer:
        told = [*dice.sample(before * 2, 2 * len(before)), control("reset", 6, 0)]
        told += dice.sample(again * 2 + before, 2 * len(again) + len(before))
        told += [control("resynced", 6, 9), *before, *again]
        assert {consumer.post(each) for each in told} == {204}
        assert consumer.shows() == {f"subject {n}": [6, r] for n, r in ((0, 8), (1, 9), (3, 12))}


@pytest.mark.parametrize("language", LANGUAGES)
def test_an_example_takes_nothing_that_is_not_signed_by_its_secret(
    tmp_path: Path, language: str
) -> None:
    with running(language, tmp_path / "log") as consumer:
        assert consumer.post(event(1, 1, "s"), secret="whsec_" + "QUJE" * 8) == 401
        assert consumer.shows() == {}
        assert consumer.post(event(1, 1, "s")) == 204
        assert consumer.shows() == {"s": [1, 1]}
