"""Captures that the view's own joins contradict."""

from __future__ import annotations

import re

from pgpublish.database import Connection, rows
from pgpublish.errors import PublishError
from pgpublish.plan.captures import Capture
from pgpublish.plan.plan import Plan, defined, make

COLUMNS = re.compile(r'("[^"]*"|[a-z_][a-z0-9_]*)(\s*,\s*("[^"]*"|[a-z_][a-z0-9_]*))*')


def find(conn: Connection, kind: str | None) -> list[dict[str, str]]:
    """Of one kind or all, as rows of publish_audit. Nothing of views that cannot be planned."""
    found: list[dict[str, str]] = []
    for row in rows(conn, "select * from public.publish_kinds()"):
        if row["view"] and kind in (None, row["kind"]):
            try:
                plan = make(conn, row["view"], row["kind"], list(row["key"]), count=False)
            except PublishError:
                continue  # publish_audit says what is wrong with it
            if not plan.reasons:
                found += of_plan(plan, defined(conn, row["kind"]).captures)
    return found


def of_plan(plan: Plan, there: dict[str, Capture]) -> list[dict[str, str]]:
    """A capture by columns of the table, where the joins lead from others to the key."""
    found: list[dict[str, str]] = []
    for step in plan.steps:
        made, planned = there.get(step.capture.source), step.capture
        if made is None or made.lookup is not None or not COLUMNS.fullmatch(made.key):
            continue
        if planned.lookup is None and bared(planned.key) == bared(made.key):
            continue
        should = f"its key is {planned.key}" if planned.lookup is None else "it takes a lookup"
        found.append(
            {
                "of_kind": plan.kind,
                "object": planned.source,
                "problem": f"it is captured by {made.key}, but by the joins of the view {should}",
                "hint": f"pgpublish publish '{plan.view}' --kind {plan.kind}",
            }
        )
    return found


def bared(key: str) -> str:
    return re.sub(r'[\s"]', "", key)
