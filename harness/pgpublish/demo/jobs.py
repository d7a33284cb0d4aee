"""The demo's last step: a job whose worker is killed in the middle, and taken over."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Mapping
from threading import Event
from typing import LiteralString

from pgpublish import jobs
from pgpublish.database import Connection
from pgpublish.jobs import Job

WAIT_SECONDS = 60
UNHURRIED = Event()  # never set: each country takes its time

SCHEMA: LiteralString = """
create table country_report (country text not null, airports int not null);
create function report_country(after text) returns text language sql as $$
  insert into country_report
  select c.code, count(a.icao)
    from country c left join airport a on a.country = c.code
   where c.code = (select min(n.code) from country n where n.code > coalesce(after, ''))
   group by c.code
  returning country
$$;
"""


@jobs.handler("demo report")
def report(conn: Connection, job: Job) -> None:
    """Counts each country's airports, a country in a transaction."""

    def page(after: str | None) -> tuple[str | None, Mapping[str, int]]:
        row = conn.execute("select report_country(%s)", [after]).fetchone()
        UNHURRIED.wait(0.002)
        return (row[0], {"done": 1}) if row and row[0] else (None, {})

    jobs.walk(conn, job, page)


def play(conn: Connection, url: str, say: Callable[[str], None]) -> None:
    conn.execute(SCHEMA.encode())
    countries = conn.execute("select count(*) from country").fetchone()
    assert countries is not None
    jobs.add(conn, "report", "demo report", {"total": countries[0]})
    worker = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "pgpublish",
            "--database-url",
            url,
            "work",
            "demo report",
            "--import",
            __name__,
        ],
        stdout=subprocess.DEVNULL,
    )
    try:
        until(lambda: jobs.listing(conn, id="report")[0]["data"].get("done", 0) >= 60)
    finally:
        worker.kill()
        worker.wait()
    until(lambda: jobs.activity(conn)[0]["lock"] == "lost")
    done = jobs.activity(conn)[0]["data"]["done"]
    say(
        f"\nA job counts each country's airports. Its worker, process {worker.pid}, was killed by"
        f"\nSIGKILL when {done} of {countries[0]} countries were done."
    )
    with jobs.start(conn, "report") as job:
        say(f"  taken over at once, at country {job.data['done'] + 1}, though its lease still runs")
        report(conn, job)
    found = conn.execute("select count(*), count(distinct country) from country_report").fetchone()
    assert found is not None
    say(f"  {found[0]} countries were counted, {found[1]} different ones: none missed, none twice")


def until(fact: Callable[[], bool]) -> None:
    """Looks every few milliseconds until it is so. Raises RuntimeError when it does not get so."""
    for _ in range(WAIT_SECONDS * 200):
        if fact():
            return
        UNHURRIED.wait(0.005)
    raise RuntimeError("the demo's worker does not do its job")
