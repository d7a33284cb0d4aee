"""publish.cron_next: the times that cronsim computes, also where clocks are put forward or back."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import psycopg
import pytest
from conftest import Connection
from cronsim import CronSim
from helpers import one

BERLIN, NEW_YORK = "Europe/Berlin", "America/New_York"
NEXT = "select publish.cron_next(%s, %s, %s)"


def at(zone: str, text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone))


@pytest.mark.parametrize(
    ("cron", "zone", "after", "times"),
    [
        # 02:00 to 03:00 is left out on 29 March 2026
        ("30 2 * * *", BERLIN, "2026-03-28T12:00", ["03-29T01:00", "03-30T00:30"]),
        ("0 3 * * *", BERLIN, "2026-03-28T12:00", ["03-29T01:00", "03-30T01:00"]),
        ("*/30 2 * * *", BERLIN, "2026-03-28T12:00", ["03-30T00:00", "03-30T00:30"]),
        ("15 * * * *", BERLIN, "2026-03-29T01:15", ["03-29T01:15", "03-29T02:15"]),
        # 02:00 to 03:00 comes twice on 25 October 2026
        ("30 2 * * *", BERLIN, "2026-10-24T12:00", ["10-25T00:30", "10-26T01:30"]),
        ("30 * * * *", BERLIN, "2026-10-25T01:30", ["10-25T00:30", "10-25T01:30", "10-25T02:30"]),
        ("0 9 * * mon-fri", BERLIN, "2026-10-23T12:00", ["10-26T08:00", "10-27T08:00"]),
        ("59 23 31 12 *", "Pacific/Kiritimati", "2026-03-01T00:00", ["12-31T09:59"]),
        ("0 0 29 2 *", "UTC", "2026-03-01T00:00", ["2028-02-29T00:00", "2032-02-29T00:00"]),
        ("0 12 13 * fri", "UTC", "2026-11-01T00:00", ["11-06T12:00", "11-13T12:00", "11-20T12:00"]),
        ("0 12 */13 * fri", "UTC", "2026-11-01T00:00", ["11-27T12:00", "2027-01-01T12:00"]),
        ("5-10/5,59 0,12 * jan,DEC 7", "UTC", "2026-12-06T00:07", ["12-06T00:10", "12-06T00:59"]),
    ],
)  # fmt: skip
def test_a_time_is_met_once_and_a_span_by_the_clock_of_time(
    db: Connection, cron: str, zone: str, after: str, times: list[str]
) -> None:
    moment = at(zone, after)
    for text in times:
        moment = one(db, NEXT, cron, zone, moment)
        full = text if text[4] == "-" else f"2026-{text}"
        assert moment.astimezone(UTC).isoformat(timespec="minutes") == full + "+00:00"


def field(choose: random.Random, low: int, high: int) -> str:
    first, last = sorted(choose.sample(range(low, high + 1), 2))
    return choose.choice(
        ["*", "*", f"*/{choose.randint(1, 20)}", str(first), str(last), f"{first}-{last}",
         f"{first}-{last}/{choose.randint(1, 5)}", f"{last},{first}"]
    )  # fmt: skip


def expressions(choose: random.Random) -> Iterator[str]:
    while True:
        hour = choose.choice([field(choose, 0, 23), str(choose.randint(0, 4))])
        day, month = choose.choice(["*", field(choose, 1, 28)]), field(choose, 1, 12)
        weekday = choose.choice(["*", field(choose, 0, 6)])
        yield f"{field(choose, 0, 59)} {hour} {day} {month} {weekday}"


@pytest.mark.parametrize("seed", range(4))
def test_it_computes_what_cronsim_does(db: Connection, seed: int) -> None:
    """Near shifts of the clock; zones whose rules have not changed for long, as the server and
    Python have tables of their own."""
    choose = random.Random(seed)
    zones = ["UTC", BERLIN, NEW_YORK, "Australia/Lord_Howe", "Asia/Kolkata", "Atlantic/Azores",
             "America/Havana", "Pacific/Chatham"]  # fmt: skip
    for cron, _ in zip(expressions(choose), range(60), strict=False):
        zone = choose.choice(zones)
        moment = at(zone, "2024-01-01T00:00").replace(
            month=choose.choice([3, 4, 9, 10, 11]), day=choose.randint(1, 28),
            hour=choose.randint(0, 23), minute=choose.randint(0, 59),
        )  # fmt: skip
        for wanted, _ in zip(CronSim(cron, moment), range(4), strict=False):
            got = one(db, NEXT, cron, zone, moment)
            assert got.astimezone(UTC) == wanted.astimezone(UTC), (cron, zone, moment)
            moment = wanted


@pytest.mark.parametrize(
    "cron",
    ["", "* * * *", "* * * * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * 32 * *",
     "* * * 13 *", "* * * * 8", "*/0 * * * *", "5-1 * * * *", "1,,2 * * * *", ", * * * *",
     "* * * foo *", "* * * * monday", "-1 * * * *", "1.5 * * * *", "@daily", "* * * * *; x",
     "999999999999 * * * *", None],
)  # fmt: skip
def test_what_is_no_expression_is_refused(db: Connection, cron: str | None) -> None:
    with pytest.raises(psycopg.Error) as refused:
        db.execute(NEXT, [cron, "UTC", datetime.now(UTC)])
    assert refused.value.sqlstate == "PT400"
