"""What each outcome of a batch means for its changes and for both parts of its lane: every row of
the table in docs/deliver.md, then what makes a dead letter, and what a subscription shows."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from conftest import Connection
from delivery import claim, failure, notes, settle, subscribe
from helpers import drain_all, enqueue, one
from psycopg.rows import namedtuple_row

DOC = (Path(__file__).parents[2] / "docs/deliver.md").read_text()

ALL = "All tried were delivered or refused"
SOME = "Some answered, some failed"
FRESH = "Fresh, nothing answered"
RETRIES = "Retries, nothing answered"
BUSY = "It asked for time"
UNTRIED = "Not tried, or gone"


class Outcome(NamedTuple):
    """answers: what came of each change, sent or a class. attempts: how many are counted then, of
    each that failed. waits: for how long each of these does. fresh, retries: the circuits, each of
    which had two failures before. answered: the lane was, since the retries last failed."""

    row: str
    part: str
    answers: str
    attempts: list[int]
    waits: str
    fresh: str
    retries: str
    answered: bool = False


OUTCOMES = [
    Outcome(ALL, "fresh", "sent sent", [], "", "closes", "closes"),
    Outcome(ALL, "retries", "sent sent", [], "", "closes", "closes"),
    Outcome(ALL, "fresh", "rejected rejected", [1, 1], "backoff backoff", "closes", "closes"),
    Outcome(ALL, "retries", "rejected sent", [2], "backoff", "closes", "closes"),
    Outcome(ALL, "fresh", "sent unsent", [0], "place", "closes", "closes"),
    Outcome(SOME, "fresh", "sent endpoint", [1], "backoff", "closes", "closes"),
    Outcome(SOME, "fresh", "rejected unknown", [1, 1], "backoff backoff", "closes", "closes"),
    Outcome(SOME, "fresh", "sent encoding", [1], "backoff", "closes", "closes"),
    Outcome(SOME, "retries", "sent endpoint", [2], "backoff", "closes", "closes"),
    Outcome(SOME, "retries", "sent unknown", [2], "backoff", "closes", "closes"),
    Outcome(FRESH, "fresh", "endpoint endpoint", [0, 0], "end end", "opens", "opens"),
    Outcome(FRESH, "fresh", "unknown unsent", [0, 0], "end place", "opens", "opens"),
    Outcome(FRESH, "fresh", "endpoint", [0], "end", "opens", "opens", answered=True),
    Outcome(FRESH, "fresh", "encoding endpoint", [1, 0], "backoff end", "opens", "opens"),
    Outcome(RETRIES, "retries", "endpoint unknown", [1, 1], "backoff backoff", "stays", "opens"),
    Outcome(RETRIES, "retries", "endpoint unknown", [2, 2], "backoff backoff", "stays", "opens",
            answered=True),
    Outcome(RETRIES, "retries", "endpoint unsent", [1, 1], "backoff place", "stays", "opens"),
    Outcome(BUSY, "fresh", "busy busy", [0, 0], "asked asked", "asked", "asked"),
    Outcome(BUSY, "retries", "busy", [1], "asked", "asked", "asked", answered=True),
    Outcome(BUSY, "fresh", "sent busy", [0], "asked", "asked anew", "asked anew"),
    Outcome(BUSY, "fresh", "busy unsent", [0, 0], "asked place", "asked", "asked"),
    Outcome(UNTRIED, "fresh", "unsent unsent", [0, 0], "place place", "stays", "stays"),
    Outcome(UNTRIED, "retries", "unsent", [1], "place", "stays", "stays"),
    Outcome(UNTRIED, "fresh", "gone unsent", [0, 0], "place place", "stays", "stays"),
    Outcome(UNTRIED, "retries", "gone", [1], "place", "stays", "stays", answered=True),
]  # fmt: skip

SECOND = timedelta(seconds=1)
ASKED = 300.0


def all_due(conn: Connection) -> None:
    conn.execute(
        "update publish.parked set next_attempt_at = clock_timestamp()"
        " where next_attempt_at is not null"
    )
    conn.execute("update publish.batch set fresh_due_at = null, retries_due_at = null")


def parked(conn: Connection) -> list[Any]:
    with conn.cursor(row_factory=namedtuple_row) as cursor:
        return cursor.execute(
            "select rev, attempts, next_attempt_at from publish.parked order by rev"
        ).fetchall()


def lane(conn: Connection) -> Any:
    with conn.cursor(row_factory=namedtuple_row) as cursor:
        return cursor.execute("select * from publish.lane_state").fetchone()


def claimed(db: Connection, outcome: Outcome) -> list[Any]:
    """A batch of the outcome's part, in a lane of which both circuits are half-open."""
    count = len(outcome.answers.split())
    notes(db, count)
    subscribe(db, "s", backoff_min="10 s", backoff_max="1 hour")
    if outcome.part == "retries":
        first = claim(db, "s")
        settle(db, first, [failure(row, "rejected") for row in first])
        all_due(db)
    batch = claim(db, "s")
    assert {row.part for row in batch} == {outcome.part}
    assert len(batch) == count
    db.execute(
        "update publish.batch set fresh_failures = 2, retries_failures = 2,"
        " fresh_due_at = claimed_at, retries_due_at = claimed_at,"
        " answered_at = case when %s then claimed_at end where token = %s",
        [outcome.answered, batch[0].token],
    )
    return sorted(batch, key=lambda row: row.rev)


def wait_of(row: Any, outcome: Outcome, claimed_at: datetime, settled_at: datetime) -> str:
    """The name of a parked change's wait: see OUTCOMES."""
    wait = row.next_attempt_at - settled_at
    longest = 10 * SECOND * 2 ** (row.attempts - 1)
    if row.next_attempt_at == claimed_at:
        return "place"
    if abs(wait) < SECOND:
        return "end"
    if abs(wait - ASKED * SECOND) < SECOND:
        return "asked"
    assert longest / 2 - SECOND < wait <= longest
    return "backoff"


def circuit(failures: int, due_at: datetime | None, claimed_at: datetime, at: datetime) -> str:
    if failures == 0:
        assert due_at is None
        return "closes"
    assert due_at is not None
    if failures == 2:
        assert due_at == claimed_at
        return "stays"
    if due_at - at > 200 * SECOND:
        assert abs(due_at - at - ASKED * SECOND) < SECOND
        return {1: "asked anew", 3: "asked"}[failures]
    assert failures == 3
    assert 19 * SECOND < due_at - at <= 40 * SECOND
    return "opens"


@pytest.mark.parametrize(
    "outcome", OUTCOMES, ids=[f"{o.row}: {o.part} {o.answers} {o.answered}" for o in OUTCOMES]
)
def test_a_batch_means_what_the_table_says(db: Connection, outcome: Outcome) -> None:
    batch = claimed(db, outcome)
    claimed_at = one(db, "select claimed_at from publish.batch order by token desc limit 1")
    failed = [
        failure(row, answer, **({"retry_after": ASKED} if answer == "busy" else {}))
        for row, answer in zip(batch, outcome.answers.split(), strict=True)
        if answer != "sent"
    ]
    settled = settle(db, batch, failed)
    assert settled.disabled == ("gone" in outcome.answers)
    assert (settled.parked, settled.dead) == (len(failed), 0)

    settled_at = one(db, "select settled_at from publish.batch order by token desc limit 1")
    rows = parked(db)
    assert [row.attempts for row in rows] == outcome.attempts
    waits = [wait_of(row, outcome, claimed_at, settled_at) for row in rows]
    assert waits == outcome.waits.split()
    state = lane(db)
    assert (
        circuit(state.fresh_failures, state.fresh_due_at, claimed_at, settled_at),
        circuit(state.retries_failures, state.retries_due_at, claimed_at, settled_at),
    ) == (outcome.fresh, outcome.retries)


def test_what_the_sink_cannot_write_says_nothing_of_the_endpoint(db: Connection) -> None:
    outcome = Outcome("", "fresh", "encoding encoding", [1, 1], "backoff backoff", "stays", "stays")
    test_a_batch_means_what_the_table_says(db, outcome)


@pytest.mark.parametrize("part", ["fresh", "retries"])
def test_a_part_that_waited_begins_with_one_change(db: Connection, part: str) -> None:
    outcome = next(o for o in OUTCOMES if o.row == (FRESH if part == "fresh" else RETRIES))
    batch = claimed(db, outcome)
    settle(db, batch, [failure(row, "endpoint") for row in batch])
    if part == "fresh":
        db.execute("select publish_enqueue('note', n::text, '0') from generate_series(10, 15) n")
        drain_all(db)
    assert claim(db, "s") == []
    all_due(db)
    probe = claim(db, "s")
    assert [row.part for row in probe] == [part]
    settle(db, probe)
    assert len(claim(db, "s")) > 1 or part == "retries"


def table(title: str) -> list[list[str]]:
    """Rows of the Markdown table below this heading of docs/deliver.md, without its head."""
    section = DOC.split(f"## {title}\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_every_row_of_the_documented_table_is_walked() -> None:
    assert [row[0] for row in table("What becomes of a batch")] == list(
        dict.fromkeys(outcome.row for outcome in OUTCOMES)
    )


def test_the_documented_classes_are_those_of_the_database(db: Connection) -> None:
    known = db.execute("select class as name, counts, is_internal from publish.failure_class")
    documented = [
        (name.strip("`"), counts, when.startswith("set by the database"))
        for name, when, counts in table("Failure classes")
    ]
    assert sorted(documented) == sorted(known.fetchall())
    tried = {answer for outcome in OUTCOMES for answer in outcome.answers.split()}
    assert tried - {"sent"} <= {name for name, _, by_database in documented if not by_database}


# --- classes as they are reported


def test_a_class_that_the_database_does_not_know_is_unknown(db: Connection) -> None:
    notes(db, 2)
    subscribe(db, "s")
    batch = claim(db, "s")
    settle(db, batch, [failure(batch[0], "teapot"), failure(batch[1], "pruned")])
    assert one(db, "select array_agg(class) from publish.parked") == ["unknown", "unknown"]


def test_an_endpoint_that_says_when_to_come_again_is_busy(db: Connection) -> None:
    notes(db, 1)
    subscribe(db, "s")
    batch = claim(db, "s")
    settle(db, batch, [failure(batch[0], "endpoint", retry_after=5)])
    assert one(db, "select class as name from publish.parked") == "busy"


# --- dead letters


def test_only_what_counts_makes_a_dead_letter_by_number(db: Connection) -> None:
    notes(db, 1)
    subscribe(db, "s", max_attempts=2)
    for kind, dead in [("endpoint", 0), ("busy", 0), ("rejected", 0), ("unsent", 0),
                       ("encoding", 1)]:  # fmt: skip
        all_due(db)
        batch = claim(db, "s")
        assert settle(db, batch, [failure(batch[0], kind)]).dead == dead, kind


@pytest.mark.parametrize("kind", ["endpoint", "busy", "rejected"])
def test_what_fails_for_longer_than_give_up_after_is_a_dead_letter(
    db: Connection, kind: str
) -> None:
    notes(db, 1)
    subscribe(db, "s", give_up_after="3 days")
    for age, dead in [("2 days", 0), ("4 days", 1)]:
        all_due(db)
        batch = claim(db, "s")
        settle(db, batch, [failure(batch[0], "endpoint")])
        db.execute("update publish.parked set first_failed_at = now() - %s::interval", [age])
        all_due(db)
        batch = claim(db, "s")
        assert settle(db, batch, [failure(batch[0], kind)]).dead == dead
    assert one(db, "select count(*) from publish_dead_letters('s')") == 1


def test_a_newer_change_of_a_dead_letter_survives_an_outage(db: Connection) -> None:
    """It is tried once; a failure that does not count is no try."""
    notes(db, 1)
    subscribe(db, "s", max_attempts=1, backoff_min="1 us", backoff_max="2 us")
    batch = claim(db, "s")
    assert settle(db, batch, [failure(batch[0], "rejected")]).dead == 1
    db.execute("update publish.parked set first_failed_at = now() - interval '1 year'")
    enqueue(db, "note", "1", '"new"')
    drain_all(db)
    for _ in range(5):
        batch = claim(db, "s")
        assert settle(db, batch, [failure(batch[0], "endpoint")]).dead == 0
    batch = claim(db, "s")
    assert batch[0].payload == "new"
    assert settle(db, batch, [failure(batch[0], "rejected")]).dead == 1


def test_redriven_letters_are_sent_in_rev_order_over_several_pages(db: Connection) -> None:
    notes(db, 30)
    subscribe(db, "s", max_attempts=1)
    batch = claim(db, "s")
    settle(db, batch, [failure(row, "rejected") for row in batch])
    after, pages = None, 0
    while True:
        row = db.execute(
            "select next, redriven from publish_redrive('s', batch => 7, after => %s)", [after]
        ).fetchone()
        assert row is not None
        pages += 1
        if (after := row[0]) is None:
            break
    assert pages == 5
    revs: list[int] = []
    while batch := claim(db, "s", limit=4):
        revs += [row.rev for row in batch]
        settle(db, batch)
    assert revs == list(range(1, 31))


# --- settings


def test_a_rate_limits_batches_and_makes_both_parts_wait(db: Connection) -> None:
    notes(db, 100)
    subscribe(db, "s", rate=20)
    began = one(db, "select clock_timestamp()")
    batch = claim(db, "s")
    assert len(batch) == 20
    settled = settle(db, batch, [failure(batch[0], "rejected")])
    assert settled.resume_at - began >= SECOND
    assert claim(db, "s") == []
    db.execute("update publish.parked set next_attempt_at = clock_timestamp()")
    assert claim(db, "s") == []
    assert 0.5 < one(db, "select wait_s from publish.deliverable()") <= 1
    subscribe(db, "s", rate=0)
    all_due(db)
    settle(db, claim(db, "s"))
    assert len(claim(db, "s")) == 80


def test_the_source_key_travels_if_the_subscription_says_so(db: Connection) -> None:
    notes(db, 2)
    subscribe(db, "s", key=True)
    subscribe(db, "t")
    assert [row.key for row in claim(db, "s")] == ["1", "2"]
    assert [row.key for row in claim(db, "t")] == [None, None]
    settle(db, claim_again(db))
    enqueue(db, "note", "2", deleted=True)
    drain_all(db)
    (gone,) = claim(db, "s")
    assert (gone.deleted, gone.key) == (True, "2")


def claim_again(db: Connection) -> list[Any]:
    db.execute("update publish.batch set lease_until = clock_timestamp() where settled_at is null")
    return claim(db, "s")


def test_sequence_is_life_and_rev_and_compares_as_text(db: Connection) -> None:
    notes(db, 12)
    subscribe(db, "s")
    batch = claim(db, "s")
    life = one(db, "select life from publish_subscriptions()")
    assert [row.sequence for row in batch] == [f"{life:010}{row.rev:019}" for row in batch]
    assert sorted(batch, key=lambda row: row.sequence) == batch


# --- what people see


def test_a_subscription_says_what_it_waits_for(db: Connection) -> None:
    def seen(*columns: str) -> tuple[Any, ...]:
        row = db.execute(
            f"select {', '.join(columns)} from publish_subscriptions()".encode()
        ).fetchone()
        assert row is not None
        return tuple(row)

    notes(db, 3)
    subscribe(db, "s")
    assert seen("state", "circuit", "waits_for") == ("active", "closed", "a worker")
    batch = claim(db, "s")
    assert seen("waits_for", "workers") == ("its worker", ["w"])
    settle(db, batch, [failure(row, "endpoint") for row in batch])
    assert seen("state", "circuit", "waits_for", "retries", "behind", "last_error_class",
                "last_error") == ("endpoint failing", "open", "the endpoint", 3, 0, "endpoint",
                                  "no")  # fmt: skip
    assert seen("oldest_undelivered_at") == (
        one(db, "select min(updated_at) from publish.published"),
    )
    all_due(db)
    assert seen("circuit") == ("half-open",)
    settle(db, claim(db, "s"))
    batch = claim(db, "s")
    settle(db, batch, [failure(batch[0], "rejected")])
    assert seen("state", "circuit", "waits_for", "last_error_class") == (
        "active", "closed", "time", "rejected",
    )  # fmt: skip
    all_due(db)
    settle(db, claim(db, "s"))
    assert seen("waits_for", "oldest_undelivered_at") == (None, None)
    db.execute("select publish_pause('s')")
    assert seen("state", "waits_for", "paused_reason") == ("paused", "publish_resume", None)


def test_a_fault_is_shown_until_it_is_cleared(db: Connection) -> None:
    notes(db, 1)
    subscribe(db, "s")
    fault = "select fault from publish_subscriptions()"
    db.execute("select publish.report_fault('s', 'no host named nope')")
    assert one(db, fault) == "no host named nope"
    assert one(db, "select waits_for from publish_subscriptions()") == "its configuration"
    db.execute("select publish.report_fault('s', null)")
    assert one(db, fault) is None
    db.execute("select publish.report_fault('s', 'refused login')")
    subscribe(db, "s")
    assert one(db, fault) is None, "another configuration may work"


def test_the_outcome_columns_are_no_list_in_a_function() -> None:
    """A class is added as a row: no function but the mapping of reports names one."""
    folder = Path(__file__).parents[2] / "sql/deliver"
    classes = "rejected|endpoint|encoding|unknown|busy|unsent"
    naming = {
        file.stem for file in folder.glob("*.sql") if re.search(rf"'({classes})'", file.read_text())
    }
    assert naming == {"read_failures"}


def test_a_retry_is_found_also_where_the_clock_was_set_back(db: Connection) -> None:
    """Retries due before retried_to are not looked for again: none may be parked below it."""
    notes(db, 1)
    subscribe(db, "s", backoff_min="1 ms", backoff_max="1 ms")
    batch = claim(db, "s")
    db.execute("update publish.batch set retry_to = now() + interval '1 hour'")
    assert settle(db, batch, [failure(batch[0], "rejected")]).parked == 1
    assert one(
        db,
        "select k.next_attempt_at >= l.retried_to from publish.parked k"
        " join publish.lane_now l on l.subscription_id = k.subscription_id and l.lane = k.lane",
    )
