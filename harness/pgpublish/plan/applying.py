"""A plan as SQL, and what of it is still to be done."""

from __future__ import annotations

from typing import LiteralString

from pgpublish.database import Connection, bind, transact_all
from pgpublish.plan.captures import Capture
from pgpublish.plan.plan import Defined, Plan

CAPTURE: LiteralString = "select public.publish_capture(%s, %s, key => %s"
COLUMNS: LiteralString = ",\n  columns => %s::text[]"
LOOKUP: LiteralString = ",\n  lookup => %s"


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
            query = bind(conn, "select public.publish_uncapture(%s, %s)", plan.kind, source)
            made.append(query.decode(conn.info.encoding))
    return made


def define(conn: Connection, plan: Plan) -> str:
    query = "select public.publish_define(%s, %s, key => %s::text[])"
    return bind(conn, query, plan.kind, plan.view, list(plan.key)).decode(conn.info.encoding)


def capture(conn: Connection, kind: str, made: Capture) -> str:
    columns = list(made.columns) if made.columns else None
    query = CAPTURE + (COLUMNS if columns else "") + (LOOKUP if made.lookup is not None else "")
    more = [argument for argument in (columns, made.lookup) if argument is not None]
    bound = bind(conn, query + ")", kind, made.source, made.key, *more)
    return bound.decode(conn.info.encoding)


def apply(conn: Connection, made: list[str]) -> None:
    """All of it in one transaction. Raises BadArgument, also where a function of somebody else
    would fit one of these calls better, Locked, DatabaseError."""
    if made:
        transact_all(
            conn,
            b"select publish.check_names()",
            *(statement.encode(conn.info.encoding) for statement in made),
        )
