"""What PostgreSQL's catalog says of a view, its tables and its functions."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from pgpublish.database import Connection, call, tuples
from pgpublish.errors import NotDefined


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


@dataclass(frozen=True)
class Relation:
    name: str  # as SQL: qualified, and quoted where needed
    relkind: str
    rows: int
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
        return [tuple(c for c in i.columns if c) for i in self.indexes if i.unique]

    @property
    def primary(self) -> tuple[str, ...]:
        return next((tuple(c for c in i.columns if c) for i in self.indexes if i.primary), ())

    def index_on(self, column: str) -> Index | None:
        """One that finds rows by this column."""
        return next((i for i in self.indexes if i.whole and i.columns[:1] == (column,)), None)


@dataclass(frozen=True)
class Function:
    volatile: bool
    stable: bool
    builtin: bool
    immutable: bool
    aggregate: bool
    ordered: bool  # an aggregate whose result depends on the order of its rows


class Catalog:
    """Asks the database, once for each name."""

    def __init__(self, conn: Connection) -> None:
        self.conn = conn
        self._relations: dict[str, Relation] = {}
        self._functions: dict[str, Function] = {}

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
                    hint="Name a view of this database, with its schema if it needs one.",
                )
            columns = tuple(Column(**column) for column in found.pop("columns") or ())
            indexes = tuple(
                Index(**{**index, "columns": tuple(index["columns"])})
                for index in found.pop("indexes")
            )
            self._relations[name] = Relation(**found, columns=columns, indexes=indexes)
        return self._relations[name]

    def function(self, name: str) -> Function:
        if name not in self._functions:
            found: Any = call(self.conn, "select publish.describe_function(%s)", name)[0]
            self._functions[name] = Function(**found)
        return self._functions[name]

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
