"""Each public function with hostile arguments and as each role: it answers, or raises what is
documented, and leaves the session as it was."""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import hostile
import psycopg
import pytest
from conftest import Connect, Connection
from helpers import one
from psycopg.rows import tuple_row

from pgpublish.errors import BY_SQLSTATE

# They need pg_cron, or a token that is shown once.
UNANSWERED = {
    "publish_schedule", "publish_unschedule", "publish_token_check", "publish_serve_operate",
}  # fmt: skip
CALLS = int(os.environ.get("FUZZ_CALLS", 5_000))
FITTING_CALLS = 500  # of those that fit by what is known of them, one in fourteen at least does
SEED = int(os.environ.get("FUZZ_SEED", random.SystemRandom().randrange(10**6)))
ROLES = ("publish_writer", "publish_reader", "publish_worker", "publish_admin", "fuzz_app")

# Beside those of docs/errors.md: the caller may not do that, or not with what it names.
RIGHTS = "42501"

# What a call may leave set to the end of its transaction.
LOCAL = {
    "synchronous_commit",  # the claim of a lane, and more like it, need not wait for a standby
    "idle_in_transaction_session_timeout",  # who holds a job's row must not sleep on it
}
# Those that number something by a sequence of ours: docs/capture.md says so of publish_enqueue; the
# others are not called by an application that writes.
NUMBERING = "publish_enqueue"
SETTINGS = (
    "select jsonb_object_agg(s.name, s.setting) from pg_settings s where s.source = 'session'"
)
LEFT = """
select lastval(), (select count(*) from pg_listening_channels()),
       (select count(*) from pg_class c where c.relnamespace = pg_my_temp_schema())
"""
AFTER = """
select (select count(*) from pg_prepared_statements), (select count(*) from pg_cursors),
       (select count(*) from pg_locks l where l.locktype = 'advisory' and l.pid = pg_backend_pid()),
       current_user::text
"""


@dataclass(frozen=True)
class Function:
    name: str
    arguments: list[tuple[str, str]]
    defaults: int
    roles: list[str]

    @property
    def is_of_applications(self) -> bool:
        reads_or_writes = {"publish_writer", "publish_reader"} & set(self.roles)
        return bool(reads_or_writes) and self.name != NUMBERING


def functions(db: Connection) -> list[Function]:
    found = db.execute(
        "select p.proname, coalesce(p.proargnames, '{}'),"
        "       array(select format_type(t, null) from unnest(p.proargtypes::oid[]) t),"
        "       p.pronargdefaults,"
        "       array(select r from unnest(%s::text[]) r"
        "              where has_function_privilege(r, p.oid, 'execute'))"
        "  from pg_proc p where p.pronamespace = 'public'::regnamespace"
        "   and p.prokind = 'f' and p.prorettype <> 'trigger'::regtype"
        "   and p.proname like 'publish\\_%%' order by 1",
        [list(ROLES)],
    ).fetchall()
    return [
        Function(n, list(zip(names, types, strict=False)), d, r) for n, names, types, d, r in found
    ]


@pytest.fixture
def db(connect: Connect, admin: Connection) -> Any:
    db = connect(row_factory=tuple_row, prepare_threshold=None)
    admin.execute("create role fuzz_app")
    db.execute(hostile.SETUP)
    db.execute(
        "create sequence fuzz; set statement_timeout = '20s'; set client_min_messages = error"
    )
    yield db
    db.execute("drop owned by fuzz_app cascade; drop role fuzz_app")


def call(dice: random.Random, function: Function, given: dict[str, str], hostility: float) -> str:
    """With each optional argument given or not."""
    first = len(function.arguments) - function.defaults
    arguments = [
        fit(dice, name, kind, given, hostility)
        for n, (name, kind) in enumerate(function.arguments)
        if n < first or dice.random() < 0.5
    ]
    return f"select count(*) from public.{function.name}({', '.join(arguments)})"


def turns(
    dice: random.Random, known: list[Function], answers: Counter[str]
) -> Iterator[tuple[Function, float]]:
    """Whose turn it is, and how much of what hardly fits it gets: then, for who has not answered
    one by chance, what fits."""
    for n in range(CALLS):
        yield known[n % len(known)], dice.choice((0.0, 0.15, 0.4, 0.8))
    for function in known:
        for _ in range(0 if function.name in UNANSWERED else FITTING_CALLS):
            if answers[function.name]:
                break
            yield function, 0.0


def fit(
    dice: random.Random, name: str, kind: str, given: dict[str, str], hostility: float = 0.0
) -> str:
    """The argument as SQL; without hostility, what fits as far as something is known to."""
    fitting = hostile.FITTING.get((name, kind)) or hostile.FITTING.get((name, ""))
    if dice.random() >= hostility and (fitting or not hostility):
        value = dice.choice(fitting or ["null"])
    else:
        value = "null" if dice.random() < 0.1 else dice.choice(hostile.VALUES[kind])
    for stand_in, real in given.items():
        value = value.replace(stand_in, real)
    return f"{name} => cast({value} as {kind})"


def test_hostile_arguments_raise_nothing_but_what_is_documented(db: Connection) -> None:
    known = functions(db)
    assert len(known) > 40
    given = hostile.stand_ins(db)
    dice = random.Random(SEED)
    faults = Counter[str]()
    answers = Counter[str]()
    before = one(db, SETTINGS)
    user_before = one(db, "select current_user::text")

    def fault(function: Function, what: str, role: str, statement: str) -> None:
        key = f"{function.name}: {what}"
        faults[key] += 1
        if faults[key] == 1:
            print(f"-- {key}\nbegin; set local role {role};\n{statement};\nrollback;")

    for n, (function, hostility) in enumerate(turns(dice, known, answers)):
        role = dice.choice(function.roles if dice.random() < 0.95 else ROLES)
        statement = call(dice, function, given, hostility)
        try:
            state = results(
                db,
                f"begin; select nextval('fuzz'); set local role {role}; {statement};"
                f" select current_user::text; set local role none; {LEFT};"
                + (SETTINGS if n % 4 == 0 else "select null"),
            )
        except psycopg.Error as error:
            if error.sqlstate not in (*BY_SQLSTATE, RIGHTS):
                text = str(error).splitlines()[0][:80]
                fault(function, f"{error.sqlstate} {text}", role, statement)
            assert not db.closed
        else:
            (number,), _, (user,), (last, *left), (settings,) = state
            answers[function.name] += 1
            if role not in function.roles or user != role:
                fault(function, f"ran as {user}", role, statement)
            if left != [0, 0] or (function.is_of_applications and last != number):
                fault(function, f"left {left}, lastval {last - number}", role, statement)
            if (
                changed := {k for k, v in (settings or before).items() if before.get(k) != v}
                - LOCAL
            ):
                fault(function, f"left {changed}", role, statement)
        db.execute("rollback")
        if n % 10 == 0 and db.execute(AFTER).fetchone() != (0, 0, 0, user_before):
            fault(function, "left something in the session", role, statement)
    never = [f.name for f in known if not answers[f.name]]
    assert faults == Counter(), f"FUZZ_SEED={SEED}"
    assert {*never} <= UNANSWERED, f"{never} FUZZ_SEED={SEED}"


def results(db: Connection, statements: str) -> list[Any]:
    """The first row of each of these statements that has one."""
    cursor = db.execute(statements.encode())
    found = []
    while True:
        if cursor.description:
            found.append(cursor.fetchone())
        if not cursor.nextset():
            return found


def test_no_function_of_ours_calls_one_of_somebody_else(db: Connection) -> None:
    """Not even where it would fit better: as publish_owner, it could do more than who made it."""
    known = functions(db)
    given = hostile.stand_ins(db)
    assert hostile.overloads(db) > 300
    dice, taken = random.Random(SEED), []
    for function in known:
        for role in function.roles:
            arguments = ", ".join(fit(dice, *argument, given) for argument in function.arguments)
            db.execute(f"begin; set local role {role}".encode())
            try:
                db.execute(f"select count(*) from public.{function.name}({arguments})".encode())
            except psycopg.Error as error:
                if error.sqlstate not in (*BY_SQLSTATE, RIGHTS):  # HIJAK, or which one is unclear
                    taken.append(f"{function.name}: {error}")
            db.execute("rollback")
    assert taken == []
