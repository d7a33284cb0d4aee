"""A plan as SQL, and what of it is still to be done."""

from __future__ import annotations

from pgpublish.database import Connection, bind, transact_all
from pgpublish.plan.captures import Capture
from pgpublish.plan.plan import Defined, Plan


def statements(conn: Connection, plan: Plan, before: Defined) -> list[str]:
    """What brings the database from what is defined to the plan, as SQL to print and to run."""
    made = [define(conn, plan)] if before.view != plan.view or before.key != plan.key else []
    new_key = before.key != plan.key
    for step in plan.steps:
        if new_key or before.captures.get(step.capture.source) != step.capture:
            made.append(capture(conn, plan.kind, step.capture))
    sources = {step.capture.source for step in plan.steps}
    for source in before.captures:
        if source not in sources:
            query = bind(conn, "select publish_uncapture(%s, %s)", plan.kind, source)
            made.append(query.decode(conn.info.encoding))
    return made


def define(conn: Connection, plan: Plan) -> str:
    query = "select publish_define(%s, %s, key => %s::text[])"
    return bind(conn, query, plan.kind, plan.view, list(plan.key)).decode(conn.info.encoding)


def capture(conn: Connection, kind: str, made: Capture) -> str:
    columns = list(made.columns) if made.columns else None
    if made.lookup is not None and columns:
        query = bind(
            conn,
            "select publish_capture(%s, %s, key => %s,\n  columns => %s::text[],\n  lookup => %s)",
            kind,
            made.source,
            made.key,
            columns,
            made.lookup,
        )
    elif made.lookup is not None:
        query = bind(
            conn,
            "select publish_capture(%s, %s, key => %s,\n  lookup => %s)",
            kind,
            made.source,
            made.key,
            made.lookup,
        )
    elif columns:
        query = bind(
            conn,
            "select publish_capture(%s, %s, key => %s,\n  columns => %s::text[])",
            kind,
            made.source,
            made.key,
            columns,
        )
    else:
        query = bind(conn, "select publish_capture(%s, %s, key => %s)", kind, made.source, made.key)
    return query.decode(conn.info.encoding)


def apply(conn: Connection, made: list[str]) -> None:
    """All of it in one transaction. Raises BadArgument, Locked, DatabaseError."""
    if made:
        transact_all(conn, *(statement.encode(conn.info.encoding) for statement in made))
