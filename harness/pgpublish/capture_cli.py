"""Commands about capture: backfill, verify, audit and quarantine."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click

from pgpublish import capture, jobs
from pgpublish.capture import Advance
from pgpublish.console import json_option, show_rows, stop_on_signals, with_connection
from pgpublish.database import Connection, rows
from pgpublish.errors import Differs
from pgpublish.jobs import Job

MAX_ATTEMPTS = 1_000_000  # who types the command decides when it has failed too often
PROBLEMS = ("missing", "stale", "surplus", "duplicate", "unpublishable")

page_option = click.option(
    "--batch", type=click.IntRange(1, 100_000), default=1000, show_default=True,
    help="Keys in one transaction.",
)  # fmt: skip
some_kind = click.argument("kind", required=False)


@contextmanager
def walking(
    conn: Connection, work: str, kind: str, batch: int, again: bool = False, **more: object
) -> Iterator[tuple[Job, Advance]]:
    """The job of a walk over a kind, and what moves its progress bar on a terminal's stderr.

    SIGTERM and SIGINT hand the job back after the page; a later run goes on there.
    """
    total = capture.estimated_keys(conn, kind)
    with (
        stop_on_signals() as stop,
        jobs.start(
            conn, f"{work}:{kind}", kind=work, data={"kind": kind}, max_attempts=MAX_ATTEMPTS
        ) as job,
    ):
        job.stop_at(stop)
        first = job.data.get("done", 0) if job.data.get("after") and not again else 0
        job.save(batch=batch, **more, **({} if first else {"after": None}))
        if first:
            click.echo(f"{work} {kind} goes on after {first:,} keys", err=True)
        with click.progressbar(
            length=max(1, total - first), label=f"{work} {kind}", file=sys.stderr, show_pos=True,
            show_percent=True, hidden=not sys.stderr.isatty(), item_show_func=lambda rate: rate,
        ) as bar:  # fmt: skip

            def advance(keys: int) -> None:
                bar.length = max(bar.length or 0, bar.pos + keys)
                took = bar.time_per_iteration
                bar.update(keys, f"{1 / took:,.0f} keys/s" if took else None)

            yield job, advance


def stopped(work: str, kind: str) -> None:
    click.echo(f"stopped; `pgpublish {work} {kind}` goes on after the last page", err=True)
    raise SystemExit(1)


@click.command()
@click.argument("kind")
@click.option("--again", is_flag=True, help="From the beginning, not from where it was stopped.")
@page_option
@json_option
@with_connection()
def backfill(conn: Connection, kind: str, again: bool, batch: int, as_json: bool) -> None:
    """Mark every key of KIND's view dirty, so that the drain publishes what exists already.

    Stop it at any time, or lose the connection: the next run goes on after the last page. It runs
    as the job `backfill:KIND`, which `pgpublish jobs` shows.
    """
    try:
        with walking(conn, "backfill", kind, batch, again) as (job, advance):
            capture.backfill_job(conn, job, advance)
    except jobs.Returned:
        stopped("backfill", kind)
    done = job.data["done"]
    click.echo(json.dumps({"kind": kind, "marked": done}) if as_json else f"marked {done:,} keys")


@click.command()
@some_kind
@click.option("--repair", is_flag=True, help="Mark what differs, for the next drain to publish.")
@page_option
@json_option
@with_connection()
def verify(conn: Connection, kind: str | None, repair: bool, batch: int, as_json: bool) -> None:
    """Compare what KIND's view says with what is published; without KIND, of every kind.

    Writes and drains may go on: a key that is still to be drained counts as pending, not as a
    difference. Exits with 6 when something differs, repaired or not. It runs as the job
    `verify:KIND`: when it is killed, the next run goes on after the last page.
    """
    found = 0
    kinds = rows(conn, "select * from public.publish_kinds()")
    for name in [kind] if kind else [row["kind"] for row in kinds if row["view"]]:
        try:
            with walking(conn, "verify", name, batch, repair=repair) as (job, advance):
                capture.verify_job(conn, job, advance)
        except jobs.Returned:
            stopped("verify", name)
        found += sum(job.data[problem] for problem in PROBLEMS)
        report(name, job, as_json)
    if found:
        raise Differs(
            f"{found:,} keys differ from what the views say",
            hint="Let the drain run, then verify again." if repair
            else "Find out why with `pgpublish audit`; mend it with `pgpublish verify --repair`.",
        )  # fmt: skip


def report(kind: str, job: Job, as_json: bool) -> None:
    """What a verify found, for people or as JSON."""
    sums = {name: job.data[name] for name in ("checked", *PROBLEMS, "pending", "repaired")}
    differences = job.data["differences"]
    if as_json:
        click.echo(json.dumps({"kind": kind, **sums, "differences": differences}))
        return
    number = sum(sums[problem] for problem in PROBLEMS)
    said = [f"{sums[p]:,} {p}" for p in PROBLEMS if sums[p]] or ["all as the view says"]
    if sums["pending"]:
        said.append(f"{sums['pending']:,} pending")
    click.echo(f"{kind}: {sums['checked']:,} keys checked, {', '.join(said)}")
    for difference in differences:
        click.echo(f"  {difference['problem']:<14} {difference['source_id']}")
    if number > len(differences):
        click.echo(f"  … and {number - len(differences):,} more")
    if sums["repaired"]:
        click.echo(f"  {sums['repaired']:,} marked for the next drain")


@click.command()
@some_kind
@json_option
@with_connection()
def audit(conn: Connection, kind: str | None, as_json: bool) -> None:
    """Show capture that cannot work: of KIND, or of every kind.

    Triggers that are missing, disabled or replaced; new partitions; replicated tables without
    ALWAYS; tables that a view reads and nobody captures; keys that no index serves. Exits with 6
    when there is a problem.
    """
    found = rows(conn, "select * from public.publish_audit(%s)", kind)
    if as_json:
        show_rows(found, True, none="")
    for row in [] if as_json else found:
        click.echo(f"{row['of_kind']}: {row['object']}: {row['problem']}\n  hint: {row['hint']}")
    if found:
        raise Differs(f"{len(found)} problems", hint="Do as the hints say, and audit again.")
    click.echo("no problem found", err=True)


@click.group()
def quarantine() -> None:
    """Keys that could not be projected: show them, try them again."""


@quarantine.command("list")
@some_kind
@click.option("--batch", type=click.IntRange(1, 100_000), default=100, show_default=True,
              help="Rows to show, at most.")  # fmt: skip
@json_option
@with_connection()
def quarantine_list(conn: Connection, kind: str | None, batch: int, as_json: bool) -> None:
    """Show what is set aside and why, oldest failure first."""
    found = rows(conn, "select * from public.publish_quarantine(%s, %s)", kind, batch)
    show_rows(found, as_json, none="nothing is quarantined")


@quarantine.command("retry")
@some_kind
@click.argument("key", required=False)
@json_option
@with_connection()
def quarantine_retry(conn: Connection, kind: str | None, key: str | None, as_json: bool) -> None:
    """Have the next drain try KEY of KIND again, or every key of KIND, or all."""
    due = rows(conn, "select public.publish_retry(%s, %s) as due", kind, key)[0]
    click.echo(json.dumps(due) if as_json else f"{due['due']} will be tried by the next drain")


COMMANDS = (audit, backfill, quarantine, verify)
