"""What a view's query is flattened to.

A scope is a part of the query whose rows may be missing without the rest being so: the inner side
of an outer join, a subquery in an expression, a part of a UNION. A row matters to a row of the view
only if every equality of its scope, and of the scopes that its scope needs, holds. So a table may
be reached from another one only through tables and equalities of those scopes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from pglast.keywords import (
    COL_NAME_KEYWORDS,
    RESERVED_KEYWORDS,
    TYPE_FUNC_NAME_KEYWORDS,
)

from pgpublish.plan.catalog import Relation

Classes = dict["Value", frozenset["Value"]]
ROW = '"$row"'  # stands for a table's alias in the SQL of a value


@dataclass(frozen=True)
class Value:
    """What one column shows: a column or an expression over one occurrence of a table, a constant
    (occurrence 0), or what the parts of a UNION or a FULL JOIN have in common (below 0)."""

    occurrence: int
    sql: str
    column: str | None = None
    cast: str | None = field(default=None, compare=False)  # its type, where it says so
    strict: bool = field(default=True, compare=False)  # null without its row

    def of(self, alias: str) -> str:
        """Its SQL, with columns of this alias; without one, bare."""
        return self.sql.replace(ROW + ".", alias + "." if alias else "")


@dataclass(frozen=True)
class Occurrence:
    """A table where the query names it; a self join has two."""

    number: int
    relation: Relation
    scope: int


@dataclass
class Block:
    """A SELECT. by: what there is one row for (None: for what its sources have one for)."""

    outputs: dict[str, Value | None] = field(default_factory=dict)
    sources: list[int | Block] = field(default_factory=list)
    by: list[Value | None] | None = None
    parts: list[Block] = field(default_factory=list)
    scope: int = 0
    many: bool = False  # nothing says which of its rows is which
    limited: bool = False


@dataclass
class Flat:
    ask_type: Callable[[str, str], str]  # of an expression over a table's row
    occurrences: list[Occurrence] = field(default_factory=list)
    needs: list[set[int]] = field(default_factory=list)
    # In a scope two values are equal; True: their texts too.
    equalities: list[tuple[int, Value, Value, bool]] = field(default_factory=list)
    merged: list[int] = field(default_factory=list)  # the scope of each, value -1 - index
    filled: set[tuple[int, Value]] = field(default_factory=set)  # not null in this scope
    constant: set[tuple[int, Value]] = field(default_factory=set)  # of one value in this scope
    absent: set[tuple[int, int]] = field(default_factory=set)  # in this scope that has no row
    coalesced: dict[frozenset[Value], Value] = field(default_factory=dict)
    whole_rows: set[str] = field(default_factory=set)
    unions: list[tuple[int, list[int]]] = field(default_factory=list)  # scope, those of its parts
    several: list[str] = field(default_factory=list)  # what has rows without a key
    reasons: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    top: Block = field(default_factory=Block)
    _classes: dict[tuple[frozenset[int], bool], Classes] = field(default_factory=dict)

    def new_scope(self, *needs: int) -> int:
        self.needs.append(set(needs))
        return len(self.needs) - 1

    def new_merged(self, scope: int, cast: str | None = None) -> Value:
        self.merged.append(scope)
        return Value(-len(self.merged), "", cast=cast)

    def occurrence(self, number: int) -> Occurrence:
        return self.occurrences[number - 1]

    def column(self, number: int, name: str) -> Value:
        return Value(number, f"{ROW}.{quoted(name)}", name)

    def scope_of(self, value: Value) -> int | None:
        if value.occurrence == 0:
            return None
        if value.occurrence < 0:
            return self.merged[-1 - value.occurrence]
        return self.occurrence(value.occurrence).scope

    def equate(self, scope: int, left: Value | None, right: Value | None) -> None:
        """In this scope these are equal, and neither is null: their rows are there."""
        if left is None or right is None or left == right or not self.comparable(left, right):
            return
        self.equalities.append((scope, left, right, self.exact(left) and self.exact(right)))
        for value in (left, right):
            if value.strict:
                self.fill(scope, value)

    def fill(self, scope: int, value: Value) -> None:
        """In this scope it is not null: its row is there."""
        self.filled.add((scope, value))
        of = self.scope_of(value)
        if of is not None:
            self.needs[scope].add(of)

    def never_null(self, value: Value, scope: int) -> bool:
        """Whether no row of this scope has a null here, as far as the schema and the query say."""
        if value.occurrence < 1:
            return value.occurrence == 0
        around = self.around(scope)
        if any((near, value) in self.filled for near in around):
            return True
        occurrence = self.occurrence(value.occurrence)
        if occurrence.scope not in around or value.column is None:
            return False
        return occurrence.relation.column(value.column).not_null

    def type_of(self, value: Value) -> str | None:
        if value.occurrence > 0 and value.column is None and value.cast is None:
            return self.ask_type(self.occurrence(value.occurrence).relation.name, value.sql)
        if value.occurrence < 1 or value.column is None:
            return value.cast
        return self.occurrence(value.occurrence).relation.column(value.column).base

    def comparable(self, left: Value, right: Value) -> bool:
        """Whether "=" between them is of one family, so that an index and a lookup agree on it."""
        types = {self.type_of(left), self.type_of(right)}
        types.discard(None)
        return len(types) < 2 or any(types <= family for family in FAMILIES)

    def one_type(self, values: Iterable[Value]) -> bool:
        """Whether these are known to be of one type, so that a UNION of them keeps their text."""
        types = {self.type_of(value) for value in values}
        return None not in types and (
            len(types) == 1 or any(types <= family for family in FAMILIES)
        )

    def around(self, *scopes: int | None) -> frozenset[int]:
        """These scopes and all that they need."""
        found: set[int] = set()
        todo = [s for s in scopes if s is not None]
        while todo:
            scope = todo.pop()
            if scope not in found:
                found.add(scope)
                todo.extend(self.needs[scope])
        return frozenset(found)

    def exact(self, value: Value) -> bool:
        if value.occurrence < 1:
            return True
        return value.column is not None and (
            self.occurrence(value.occurrence).relation.column(value.column).exact
        )

    def classes(self, scopes: frozenset[int], exact: bool = False) -> Classes:
        """What equals what in these scopes, once all is read; exact: only what has equal text."""
        if (scopes, exact) not in self._classes:
            self._classes[scopes, exact] = self._join(scopes, exact)
        return self._classes[scopes, exact]

    def _join(self, scopes: frozenset[int], exact: bool) -> Classes:
        sets: dict[Value, set[Value]] = {}
        for scope, left, right, same_text in self.equalities:
            if scope not in scopes or (exact and not same_text):
                continue
            joined = sets.get(left, {left}) | sets.get(right, {right})
            for value in joined:
                sets[value] = joined
        return {value: frozenset(group) for value, group in sets.items()}

    def refuse(self, reason: str) -> None:
        if reason not in self.reasons:
            self.reasons.append(reason)

    def note(self, note: str) -> None:
        if note not in self.notes:
            self.notes.append(note)


KEYWORDS = RESERVED_KEYWORDS | COL_NAME_KEYWORDS | TYPE_FUNC_NAME_KEYWORDS
FAMILIES = (
    frozenset({"smallint", "integer", "bigint"}),
    frozenset({"text", "character varying"}),
)


def quoted(name: str) -> str:
    """As SQL, in quotes only where they are needed."""
    if re.fullmatch("[a-z_][a-z0-9_]*", name) and name not in KEYWORDS:
        return name
    return '"' + name.replace('"', '""') + '"'


def only(values: Iterable[Value | None]) -> list[Value] | None:
    """The values, if none is None."""
    found = list(values)
    return None if any(v is None for v in found) else [v for v in found if v is not None]
