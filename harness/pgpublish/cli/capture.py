"""Commands that look at capture and its feed: verify, audit and quarantine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

import click

from pgpublish import exact, jobs
from pgpublish import verify as verify_room
from pgpublish.cli.console import done, json_option, stop_on_signals, with_connection
from pgpublish.cli.tables import show_rows
from pgpublish.database import Connection, rows
from pgpublish.errors import Differs, NotDefined
from pgpublish.jobs import Job
from pgpublish.terminal import finish, printable, progress_bar, say, say_json
from pgpublish.verify import Advance

WIDTH = 80
MAX_ATTEMPTS = 1_000_000  # who types the command decides when it has failed too often
PROBLEMS = ("missing", "stale", "surplus", "duplicate", "unpublishable")

page_option = click.option(
    "--batch",
    type=click.IntRange(1, 100_000),
    default=1000,
    show_default=True,
    help="Keys in one transaction.",
)
again_option = click.option(
    "--again", is_flag=True, help="Start from the first key, not from where it was stopped."
)
some_kind = click.argument("kind", required=False)


@contextmanager
def verifying(
    conn: Connection, kind: str, begin: Callable[[Connection, Job], bool]
) -> Iterator[tuple[Job, Advance, bool]]:
    """The job of a verify, what moves its progress bar on a terminal's stderr, and whether it goes
    on with an earlier run's.

    SIGTERM and SIGINT hand the job back after the page; a later run goes on there, if begin says
    so. Its own kind of job keeps it from being taken up by `pgpublish work`.
    """
    total = verify_room.estimated_keys(conn, kind)
    with (
        stop_on_signals() as stop,
        jobs.start(
            conn,
            f"verify:{kind}",
            kind="verify command",
            data={"kind": kind},
            max_attempts=MAX_ATTEMPTS,
        ) as job,
    ):
        job.stop_at(stop)
        goes_on = begin(conn, job)
        first = job.data["done"] if goes_on else 0
        if goes_on:
            say(
                f"verify {kind} goes on after {first:,} keys, begun {job.data['since']};"
                " --again starts from the first key",
                err=True,
            )
        with progress_bar(length=max(1, total - first), label=f"verify {kind}") as bar:

            def advance(keys: int) -> None:
                bar.length = max(bar.length or 0, bar.pos + keys)
                took = bar.time_per_iteration
                bar.update(keys, f"{1 / took:,.0f} keys/s" if took else None)

            yield job, advance, goes_on
            finish(bar)


@click.command()
@some_kind
@click.option("--repair", is_flag=True, help="Mark what differs, for the next drain to publish.")
@click.option("--diff", is_flag=True, help="Show the first differences field by field.")
@again_option
@page_option
@json_option
@with_connection()
def verify(
    conn: Connection,
    kind: str | None,
    repair: bool,
    diff: bool,
    again: bool,
    batch: int,
    as_json: bool,
) -> None:
    """Compare views with what is published.

    Compares KIND, or every kind. Writes and drains may go on: a key that is still to be drained
    counts as pending, not as a difference. Exits with 6 when something differs, repaired or not. It
    runs as the job `verify:KIND`. If it is stopped or killed, a run within the next hour goes on
    after the last page and says since when it counts, unless KIND or --repair is another by then.
    --diff shows the first 20 keys that differ field by field: as published → as the view says now.
    """
    found = 0
    begin = partial(verify_room.begin, again=again, repair=repair, batch=batch)
    kinds = rows(conn, "select * from public.publish_kinds()")
    for name in [kind] if kind else [row["kind"] for row in kinds if row["view"]]:
        try:
            with verifying(conn, name, begin) as (job, advance, goes_on):
                verify_room.pages(conn, job, advance)
        except jobs.Returned:
            say(f"stopped; `pgpublish verify {name}` goes on after the last page", err=True)
            raise SystemExit(1) from None
        except NotDefined as error:
            if kind:
                raise
            found += 1  # its view is gone; the other kinds are compared all the same
            say(f"{name}: {error.message}\n  hint: {error.hint}", err=True)
            continue
        found += sum(job.data[problem] for problem in PROBLEMS)
        differences = job.data["differences"]
        if diff:
            differences = verify_room.fields(conn, name, differences)
        report(name, job, differences, goes_on, as_json)
    if found:
        raise Differs(
            f"{found:,} {'key differs' if found == 1 else 'keys differ'} from what the views say",
            hint="Let the drain run, then verify again."
            if repair
            else "Find out why: `pgpublish audit`. Then repair it: `pgpublish verify --repair`.",
        )


def report(
    kind: str, job: Job, differences: list[dict[str, Any]], goes_on: bool, as_json: bool
) -> None:
    """What a verify found, for people or as JSON. goes_on: its first page is of an earlier run."""
    sums = {name: job.data[name] for name in ("checked", *PROBLEMS, "pending", "repaired")}
    since = job.data["since"]
    if as_json:
        say_json({"kind": kind, "since": since, **sums, "differences": differences})
        return
    number = sum(sums[problem] for problem in PROBLEMS)
    said = [f"{sums[p]:,} {p}" for p in PROBLEMS if sums[p]] or ["all as the view says"]
    if sums["pending"]:
        said.append(f"{sums['pending']:,} pending")
    checked = f"{sums['checked']:,} keys checked" + (f" since {since}" if goes_on else "")
    say(f"{kind}: {checked}, {', '.join(said)}")
    for difference in differences:
        shown = difference["source_id"] or difference.get("message", "")
        say(f"  {difference['problem']:<14} {printable(shown)}")
        for field in difference.get("fields", ()):
            say(changed(field))
    if number > len(differences):
        say(f"  … and {number - len(differences):,} more")
    if sums["repaired"]:
        say(f"  {sums['repaired']:,} marked for the next drain")


def changed(field: dict[str, Any]) -> str:
    """As in "    price: 10 → 12", in 80 columns where that leaves room."""
    start = f"    {printable(field['field'])}: " if field["field"] else "    "
    absent = "nothing" if field["field"] is None else "no such field"
    room = max(24, WIDTH - len(start) - len(" → "))
    old, new = (
        absent if side is None else printable(exact.dumps(side, ascii_only=False))
        for side in (field["old"], field["new"])
    )
    old_room = max(room // 2, room - len(new))
    new_room = room - min(len(old), old_room)
    return f"{start}{shortened(old, old_room)} → {shortened(new, new_room)}"


def shortened(text: str, room: int) -> str:
    return text if len(text) <= room else text[: room - 1] + "…"


@click.command()
@some_kind
@json_option
@with_connection()
def audit(conn: Connection, kind: str | None, as_json: bool) -> None:
    """Report capture problems for one kind or for all kinds.

    It finds triggers that are missing, disabled or replaced, new partitions without triggers,
    replicated tables without ALWAYS, tables and columns that a view reads but nothing captures,
    keys and lookups without an index, and what makes rows unlike for equal data. With the extra
    `plan` it also finds captures by a column that the joins of the view contradict. Exits with 6
    if there is a problem.
    """
    found = rows(conn, "select * from public.publish_audit(%s::text)", kind)
    with suppress(ModuleNotFoundError):  # without the extra plan
        from pgpublish.plan import contradictions

        found += contradictions.find(conn, kind)
    if as_json:
        show_rows(found, True, none="")
    for row in [] if as_json else found:
        names = dict.fromkeys(filter(None, (row["of_kind"], row["object"], row["problem"])))
        say(f"{': '.join(names)}\n  hint: {row['hint']}")
    if found:
        count = "1 problem" if len(found) == 1 else f"{len(found)} problems"
        raise Differs(count, hint="Follow the hints, then audit again.")
    say("no problem found", err=True)


@click.group()
def quarantine() -> None:
    """List and retry keys that could not be projected."""


@quarantine.command("list")
@some_kind
@click.option(
    "--batch",
    type=click.IntRange(1, 100_000),
    default=100,
    show_default=True,
    help="Maximum number of rows to show.",
)
@json_option
@with_connection()
def quarantine_list(conn: Connection, kind: str | None, batch: int, as_json: bool) -> None:
    """List the keys that failed and why, oldest failure first."""
    found = rows(conn, "select * from public.publish_quarantine(%s::text, %s::int)", kind, batch)
    show_rows(found, as_json, none="nothing is quarantined")


@quarantine.command("retry")
@some_kind
@click.argument("key", required=False)
@json_option
@with_connection()
def quarantine_retry(conn: Connection, kind: str | None, key: str | None, as_json: bool) -> None:
    """Make the next drain retry one key, all keys of KIND, or all keys."""
    due = rows(conn, "select public.publish_retry(%s::text, %s::text) as due", kind, key)[0]
    done(as_json, f"{due['due']} will be tried by the next drain", **due)


COMMANDS = (audit, quarantine, verify)
