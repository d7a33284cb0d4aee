"""What PostgreSQL's catalog says of a view, its tables and its functions."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from pgpublish.database import Connection, call, tuples
from pgpublish.errors import NotDefined


def bared(expression: str) -> str:
    """Without what PostgreSQL and the parser write differently."""
    return re.sub(r'[\s()"]', "", expression).lower()


@dataclass(frozen=True)
class Column:
    name: str
    type: str
    base: str  # of a domain the type below it
    exact: bool  # equal values have equal text
    not_null: bool
    distinct: int  # values, as last analyzed; 0: unknown


@dataclass(frozen=True)
class Index:
    name: str
    columns: tuple[str | None, ...]  # None: an expression
    primary: bool
    unique: bool  # of plain columns, over all rows
    whole: bool  # over all rows
    expressions: tuple[str, ...]


@dataclass(frozen=True)
class Relation:
    name: str  # as SQL: qualified, and quoted where needed
    relkind: str
    rows: int
    inherited: bool  # rows of its children count too, and its indexes do not know of them
    secured: bool  # by row security, so that a lookup cannot read it
    columns: tuple[Column, ...]
    indexes: tuple[Index, ...]

    @cached_property
    def by_name(self) -> dict[str, Column]:
        return {column.name: column for column in self.columns}

    def column(self, name: str) -> Column:
        return self.by_name[name]

    @property
    def unique(self) -> list[tuple[str, ...]]:
        """The columns of each unique index, the primary key's first."""
        unique = [] if self.inherited else [i for i in self.indexes if i.unique]
        return [tuple(c for c in i.columns if c) for i in unique]

    @property
    def primary(self) -> tuple[str, ...]:
        return next((tuple(c for c in i.columns if c) for i in self.indexes if i.primary), ())

    def index_on(self, column: str) -> Index | None:
        """One that finds rows by this column."""
        return next((i for i in self.indexes if i.whole and i.columns[:1] == (column,)), None)

    def index_of(self, expression: str) -> Index | None:
        """One that begins with this expression."""
        return next(
            (
                i
                for i in self.indexes
                if i.whole
                and i.columns[:1] == (None,)
                and bared(i.expressions[0]) == bared(expression)
            ),
            None,
        )


@dataclass(frozen=True)
class Function:
    volatile: bool
    stable: bool
    builtin: bool
    immutable: bool
    aggregate: bool
    many: bool  # returns many rows
    float: bool  # an aggregate of floating-point numbers
    ordered: bool  # an aggregate whose result depends on the order of its rows


UNKNOWN = Function(True, True, False, False, False, False, False, False)


class Catalog:
    """Asks the database, once for each name."""

    def __init__(self, conn: Connection) -> None:
        self.conn = conn
        self._relations: dict[str, Relation] = {}
        self._functions: dict[str, Function] = {}
        self._types: dict[tuple[str, str], str] = {}

    def relation(self, name: str) -> Relation:
        """Raises NotDefined."""
        if name not in self._relations:
            found: Any = call(self.conn, "select publish.describe_relation(to_regclass(%s))", name)[
                0
            ]
            if found is None:
                raise NotDefined(
                    "there is no such view",
                    detail=f"view {name}",
                    hint=call(self.conn, "select publish.view_hint(%s)", name)[0],
                )
            columns = tuple(Column(**column) for column in found.pop("columns") or ())
            indexes = tuple(
                Index(
                    **{
                        **index,
                        "columns": tuple(index["columns"]),
                        "expressions": tuple(index["expressions"] or ()),
                    }
                )
                for index in found.pop("indexes")
            )
            self._relations[name] = Relation(**found, columns=columns, indexes=indexes)
        return self._relations[name]

    def read_functions(self, view: str) -> None:
        """Those that the view calls, and the views below it."""
        query = "select publish.describe_functions(to_regclass(%s))"
        found: Any = call(self.conn, query, view)[0]
        self._functions = {name: Function(**what) for name, what in found.items()}

    def function(self, name: str) -> Function:
        return self._functions.get(name, UNKNOWN)

    def type_of(self, table: str, expression: str) -> str:
        """Of an expression over a row of the table, called "$row" in it."""
        if (table, expression) not in self._types:
            query = "select publish.expression_type(to_regclass(%s), %s)"
            self._types[table, expression] = call(self.conn, query, table, expression)[0]
        return self._types[table, expression]

    def query(self, view: str) -> str:
        query: str = call(self.conn, "select publish.view_query(to_regclass(%s))", view)[0]
        return query

    def columns_read(self, view: str) -> dict[str, set[str]]:
        """Of each table that the view reads, the columns."""
        read: dict[str, set[str]] = {}
        query = "select relid::oid::regclass::text, name from publish.view_reads(to_regclass(%s))"
        for table, name in tuples(self.conn, query, view):
            read.setdefault(self.relation(table).name, set()).update([name] if name else [])
        return read

    def count(self, view: str, key: list[str]) -> tuple[int, int, int]:
        """Rows of the view, distinct values of these columns, and rows where one is null."""
        query = "select rows, keys, nulls from publish.count_keys(to_regclass(%s), %s)"
        rows, keys, nulls = call(self.conn, query, view, key)
        return rows, keys, nulls
