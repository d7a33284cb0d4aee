"""Expressions of a view's query: what they show, and whether rows alone decide it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from pglast import ast, enums
from pglast.stream import RawStream

from pgpublish.plan.catalog import Catalog
from pgpublish.plan.flat import FAMILIES, ROW, Flat, Value

Find = Callable[[ast.ColumnRef], Value | None]

# Stable functions of PostgreSQL whose result depends, but for settings that a projection pins, on
# their arguments alone.
STABLE = frozenset(
    [
        "date_trunc",
        "date_part",
        "extract",
        "timezone",
        "concat",
        "concat_ws",
        "format",
        "array_to_string",
        "date_bin",
        "age",
        "array_to_json",
        "row_to_json",
        "string_agg",
        "array_agg",
        "array_cat",
        "generate_series",
        "date_add",
        "date_subtract",
        "quote_literal",
        "quote_nullable",
        "ts_headline",
        "xmlagg",
        "max",
        "min",
        "sum",
        "avg",
        "count",
    ]
)
STABLE_PREFIXES = ("json", "to_char", "to_date", "to_json", "to_number", "to_timestamp", "to_ts")
CLOCK = frozenset({"now", "transaction_timestamp", "statement_timestamp", "clock_timestamp"})
CONSTANTS = ((ast.Integer, "integer"), (ast.Float, "numeric"), (ast.Boolean, "boolean"))
STRICT = frozenset(["lower", "upper", "btrim", "substring", "date_trunc", "date_part", "timezone"])
TO_COLUMN = "Show the time itself, and let readers compare it with theirs."


WITHIN = (
    ast.ColumnRef,
    ast.A_Const,
    ast.TypeCast,
    ast.TypeName,
    ast.String,
    ast.Integer,
    ast.Float,
    ast.Boolean,
)


def walk(node: object, into_queries: bool = True) -> Iterator[ast.Node]:
    """The node and all below it; those of subqueries only if into_queries."""
    if isinstance(node, tuple):
        for part in node:
            yield from walk(part, into_queries)
    elif isinstance(node, ast.Node):
        yield node
        if isinstance(node, ast.SelectStmt) and not into_queries:
            return
        for name in node:
            yield from walk(getattr(node, name), into_queries)


def name_of(call: ast.FuncCall) -> str:
    """As publish.describe_functions has it."""
    parts = [part.sval for part in call.funcname]
    return ".".join(parts[1:] if parts[0] == "pg_catalog" else parts)


def is_operator(node: ast.A_Expr, name: str) -> bool:
    return len(node.name) == 1 and node.name[0].sval == name


def check_calls(node: object, catalog: Catalog, flat: Flat) -> None:
    """Refuses what rows alone do not decide, and notes what may differ for equal rows."""
    for part in walk(node, into_queries=False):
        if isinstance(part, ast.SQLValueFunction):
            name = str(RawStream()(part))
            if name.startswith(("CURRENT_DATE", "CURRENT_TIME", "LOCALTIME")):
                flat.refuse(f"{name} changes without a write. {TO_COLUMN}")
            else:
                flat.refuse(f"{name} depends on who reads. Leave it out.")
        elif isinstance(part, ast.FuncCall):
            check_call(part, catalog, flat)


def check_call(call: ast.FuncCall, catalog: Catalog, flat: Flat) -> None:
    name = name_of(call)
    known = catalog.function(name)
    if name in CLOCK or (name == "age" and len(call.args or ()) == 1):
        flat.refuse(f"{name}() changes without a write. {TO_COLUMN}")
    elif known.volatile and not known.aggregate:
        flat.refuse(f"{name}() is volatile: equal rows may show another result. Leave it out.")
    elif not known.builtin and not known.immutable and not known.aggregate:
        flat.refuse(
            f"{name}() may read tables that PostgreSQL does not know of. Write its query into the"
            " view, or declare it immutable if it reads none."
        )
    elif known.stable and name not in STABLE and not name.startswith(STABLE_PREFIXES):
        flat.refuse(f"{name}() depends on more than its arguments. Leave it out.")
    if known.float and not call.over:
        flat.note(
            f"{name} of floating-point numbers: in another order the same rows show another result,"
            " which is published as a change. Cast them to numeric."
        )
    if known.ordered and not (call.agg_order or call.agg_distinct or call.over):
        flat.note(
            f"{name} without ORDER BY: equal rows may show another result, which is published as"
            " a change. Give it an ORDER BY."
        )


def has_aggregate(node: object, catalog: Catalog) -> bool:
    return any(
        isinstance(part, ast.JsonArrayAgg | ast.JsonObjectAgg)
        or (
            isinstance(part, ast.FuncCall)
            and not part.over
            and catalog.function(name_of(part)).aggregate
        )
        for part in walk(node, into_queries=False)
    )


def is_constant(node: object) -> bool:
    while isinstance(node, ast.TypeCast):
        node = node.arg
    return isinstance(node, ast.A_Const)


def cast_of(node: object) -> str | None:
    if isinstance(node, ast.A_Const):
        return next((t for kind, t in CONSTANTS if isinstance(node.val, kind)), None)
    return type_name(node) if isinstance(node, ast.TypeCast) else None


def type_name(cast: ast.TypeCast) -> str:
    return str(RawStream()(cast.typeName)).removeprefix("pg_catalog.")


def value_of(node: object, find: Find, catalog: Catalog, flat: Flat) -> Value | None:
    """What an expression shows; None: more than one row's columns, or nothing to rely on."""
    if isinstance(node, ast.ColumnRef):
        return find(node)
    if is_constant(node):
        return Value(0, RawStream()(node), cast=cast_of(node))
    if isinstance(node, ast.CoalesceExpr):
        parts = frozenset(value_of(a, find, catalog, flat) for a in node.args)
        merged = flat.coalesced.get(frozenset(p for p in parts if p is not None))
        if merged is not None:
            return merged
    if isinstance(node, ast.TypeCast) and isinstance(node.arg, ast.ColumnRef):
        value = find(node.arg)
        base = flat.type_of(value) if value else None
        # PostgreSQL writes a varchar as text, and a domain as its type, where it compares them.
        if base and (type_name(node) == base or {type_name(node), base} <= FAMILIES[1]):
            return value
    return computed(node, find, catalog)


def computed(node: object, find: Find, catalog: Catalog) -> Value | None:
    refs: list[tuple[ast.ColumnRef, Value]] = []
    for part in walk(node):
        if isinstance(part, ast.SubLink | ast.GroupingFunc | ast.SQLValueFunction):
            return None
        if isinstance(part, ast.FuncCall):
            known = catalog.function(name_of(part))
            if part.over or known.aggregate or known.volatile or not known.builtin:
                return None
        if isinstance(part, ast.ColumnRef):
            value = find(part)
            if value is None or value.column is None:
                return None
            refs.append((part, value))
    if len({value.occurrence for _, value in refs}) != 1:
        return None
    before = [ref.fields for ref, _ in refs]
    try:
        for ref, value in refs:
            ref.fields = (ast.String(ROW.strip('"')), ast.String(value.column))
        return Value(
            refs[0][1].occurrence,
            f"({RawStream()(node)})",
            cast=cast_of(node),
            strict=all(is_strict(part) for part in walk(node)),
        )
    finally:
        for (ref, _), fields in zip(refs, before, strict=True):
            ref.fields = fields


def is_strict(node: ast.Node) -> bool:
    """Whether a null in it makes it null."""
    if isinstance(node, ast.FuncCall):
        return name_of(node) in STRICT
    if isinstance(node, ast.A_Expr):
        return node.kind == enums.A_Expr_Kind.AEXPR_OP and not is_operator(node, "||")
    return isinstance(node, WITHIN)


def conjuncts(node: object) -> Iterator[object]:
    if isinstance(node, ast.BoolExpr) and node.boolop == enums.BoolExprType.AND_EXPR:
        for part in node.args:
            yield from conjuncts(part)
    elif node is not None:
        yield node


def equality(node: object) -> tuple[object, object] | None:
    """The two sides of "=" of PostgreSQL's own."""
    if (
        isinstance(node, ast.A_Expr)
        and node.kind == enums.A_Expr_Kind.AEXPR_OP
        and is_operator(node, "=")
    ):
        return node.lexpr, node.rexpr
    return None


def default_name(node: object) -> str:
    if isinstance(node, ast.ColumnRef) and isinstance(node.fields[-1], ast.String):
        return str(node.fields[-1].sval)
    return "?column?"
