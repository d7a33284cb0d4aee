"""Commands about capture: backfill, verify, audit and quarantine."""

from __future__ import annotations

import json
import sys
from collections import Counter
from dataclasses import asdict
from typing import Any

import click

from pgpublish import capture
from pgpublish.console import json_option, show_rows, with_connection
from pgpublish.database import Connection, rows
from pgpublish.errors import Differs

SHOWN = 20  # differences printed of a kind

page_option = click.option(
    "--batch", type=click.IntRange(1, 100_000), default=1000, show_default=True,
    help="Keys in one transaction.",
)  # fmt: skip
some_kind = click.argument("kind", required=False)


def bar(label: str, length: int) -> Any:
    """A progress bar with rate and time left on a terminal's stderr; nothing elsewhere."""
    return click.progressbar(
        length=max(1, length), label=label, file=sys.stderr, show_pos=True, show_percent=True,
        hidden=not sys.stderr.isatty(), item_show_func=lambda rate: rate,
        bar_template="%(label)s  [%(bar)s]  %(info)s",
    )  # fmt: skip


def advance(progress: Any, done: int, total: int) -> None:
    """Moves the bar by `done` to `total`, which may turn out to be more than was estimated."""
    progress.length = max(progress.length, total)
    progress.update(done, f"{rate(progress):,.0f} keys/s")


def rate(progress: Any) -> float:
    seconds: float = progress.time_per_iteration
    return 1 / seconds if seconds else 0.0


@click.command()
@click.argument("kind")
@click.option("--again", is_flag=True, help="From the beginning, not from where it was stopped.")
@page_option
@json_option
@with_connection()
def backfill(conn: Connection, kind: str, again: bool, batch: int, as_json: bool) -> None:
    """Mark every key of KIND's view dirty, so that the drain publishes what exists already.

    Stop it at any time, or lose the connection: the next run goes on after the last page.
    """
    total = 0
    try:
        with bar(f"backfill {kind}", capture.estimated_keys(conn, kind)) as progress:
            for marked in capture.backfill(conn, kind, batch=batch, again=again):
                first = marked.total - marked.page if not total else 0
                if first:
                    click.echo(f"going on after {first:,} keys", err=True)
                total = marked.total
                advance(progress, first + marked.page, total)
    except KeyboardInterrupt:
        click.echo(f"stopped after {total:,} keys; go on with: pgpublish backfill {kind}", err=True)
        raise SystemExit(1) from None
    click.echo(json.dumps({"kind": kind, "marked": total}) if as_json else f"marked {total:,} keys")


@click.command()
@some_kind
@click.option("--repair", is_flag=True, help="Mark what differs, for the next drain to publish.")
@page_option
@json_option
@with_connection()
def verify(conn: Connection, kind: str | None, repair: bool, batch: int, as_json: bool) -> None:
    """Compare what KIND's view says with what is published; without KIND, of every kind.

    Writes and drains may go on: a key that is still to be drained counts as pending, not as a
    difference. Exits with 6 when something differs, repaired or not.
    """
    found = 0
    kinds = rows(conn, "select * from public.publish_kinds()")
    for name in [kind] if kind else [row["kind"] for row in kinds if row["view"]]:
        sums: Counter[str] = Counter()
        differences: list[dict[str, Any]] = []
        with bar(f"verify {name}", 2 * capture.estimated_keys(conn, name)) as progress:
            for page in capture.verify(conn, name, repair=repair, batch=batch):
                counts = {k: v for k, v in asdict(page).items() if isinstance(v, int)}
                sums.update(counts)
                differences += (page.differences or [])[: SHOWN - len(differences)]
                advance(progress, page.checked or batch, 0)
        number = sum(sums[p] for p in PROBLEMS)
        found += number
        if as_json:
            click.echo(json.dumps({"kind": name, **sums, "differences": differences}))
            continue
        click.echo(f"{name}: {sums['checked']:,} keys checked, " + (
            ", ".join(f"{sums[p]:,} {p}" for p in PROBLEMS if sums[p]) or "all as the view says"
        ) + (f", {sums['pending']:,} pending" if sums["pending"] else ""))  # fmt: skip
        for difference in differences:
            click.echo(f"  {difference['problem']:<14} {difference['source_id']}")
        if number > len(differences):
            click.echo(f"  … and {number - len(differences):,} more")
        if repair and number:
            click.echo(f"  {sums['repaired']:,} marked for the next drain")
    if found:
        raise Differs(
            f"{found:,} keys differ from what the views say",
            hint="Let the drain run, then verify again." if repair
            else "Find out why with `pgpublish audit`; mend it with `pgpublish verify --repair`.",
        )  # fmt: skip


PROBLEMS = ("missing", "stale", "surplus", "duplicate", "unpublishable")


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
