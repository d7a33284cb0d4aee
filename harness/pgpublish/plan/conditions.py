"""Conditions of a query: what equals what in its scope, and the subqueries in its expressions."""

from __future__ import annotations

from abc import ABC, abstractmethod

from pglast import ast, enums

from pgpublish.plan.catalog import Catalog
from pgpublish.plan.expressions import check_calls, conjuncts, equality, name_of, value_of, walk
from pgpublish.plan.flat import Block, Flat, Value
from pgpublish.plan.names import Names, find, is_in, whole_rows

NULL = enums.NullTestType.IS_NULL
NOT_NULL = enums.NullTestType.IS_NOT_NULL
COMPARISONS = frozenset(["=", "<>", "<", ">", "<=", ">=", "~~", "!~~", "~~*", "!~~*", "~", "~*"])
STORED = frozenset(["ctid", "xmin", "xmax", "cmin", "cmax"])
EXISTS = enums.SubLinkType.EXISTS_SUBLINK


def never_null(condition: object) -> list[object]:
    """What is not null where this condition is true."""
    if isinstance(condition, ast.NullTest) and condition.nulltesttype == NOT_NULL:
        return [condition.arg]
    if isinstance(condition, ast.A_Expr) and str(condition.name[0].sval) in COMPARISONS:
        if condition.kind == enums.A_Expr_Kind.AEXPR_OP:
            return [condition.lexpr, condition.rexpr]
        if condition.kind == enums.A_Expr_Kind.AEXPR_OP_ANY:
            return [condition.lexpr]
    return []


class Conditions(ABC):
    """One query that sees names, and outer, the names of the queries around it."""

    catalog: Catalog
    flat: Flat
    outer: tuple[Names, ...]
    names: Names

    @abstractmethod
    def subquery(self, select: ast.SelectStmt, scope: int) -> Block:
        """Reads a query in an expression of this one."""

    def value(self, node: object) -> Value | None:
        return value_of(node, self.find, self.catalog, self.flat)

    def find(self, ref: ast.ColumnRef) -> Value | None:
        return find(ref, (self.names, *self.outer))

    def condition(self, node: object, scope: int) -> None:
        """What must be true of each row of the scope."""
        for part in conjuncts(node):
            both = equality(part)
            if both is not None:
                self.equate(scope, *both)
            for tested in never_null(part):
                value = self.value(tested)
                if value is not None and value.occurrence and value.strict:
                    self.flat.fill(scope, value)
            if isinstance(part, ast.NullTest) and part.nulltesttype == NULL:
                self.anti_join(self.value(part.arg), scope)
            if isinstance(part, ast.SubLink) and is_in(part):
                self.expressions(part.testexpr, scope)
                self.membership(part, scope, scope, trusted=True)
            elif isinstance(part, ast.SubLink) and part.subLinkType == EXISTS:
                self.subquery(part.subselect, scope)  # as an inner join
            else:
                self.alternatives(part, scope)

    def anti_join(self, value: Value | None, scope: int) -> None:
        """IS NULL of a column that never is: of an outer join's other side there is no row."""
        if value is None or value.occurrence < 1 or value.column is None:
            return
        occurrence = self.flat.occurrence(value.occurrence)
        if occurrence.relation.column(value.column).not_null and occurrence.scope != scope:
            self.flat.absent.add((scope, occurrence.scope))

    def alternatives(self, node: object, scope: int) -> None:
        """AND and OR below a condition: false and null are one."""
        if isinstance(node, ast.BoolExpr) and node.boolop != enums.BoolExprType.NOT_EXPR:
            for part in node.args:
                self.alternatives(part, scope)
        elif isinstance(node, ast.SubLink) and is_in(node):
            self.expressions(node.testexpr, scope)
            self.membership(node, scope, self.flat.new_scope(scope), trusted=True)
        else:
            self.expressions(node, scope)

    def equate(self, scope: int, left: object, right: object) -> None:
        if isinstance(left, ast.RowExpr) and isinstance(right, ast.RowExpr):
            for one, other in zip(left.args, right.args, strict=True):
                self.equate(scope, one, other)
            return
        values = self.value(left), self.value(right)
        for value, other in (values, values[::-1]):
            if value is not None and other is not None and not other.occurrence:
                self.flat.constant.add((scope, value))
        if all(v is not None and v.occurrence for v in values):
            self.flat.equate(scope, *values)

    def membership(self, link: ast.SubLink, scope: int, inside: int, trusted: bool) -> None:
        """x IN (query); trusted: it matters only where it is true. Else, as in NOT IN, a null on
        either side changes the answer for others."""
        found = self.subquery(link.subselect, inside)
        tested = link.testexpr
        tests = tested.args if isinstance(tested, ast.RowExpr) else (tested,)
        for test, shown in zip(tests, found.outputs.values(), strict=True):
            value = self.value(test)
            if value is None or shown is None or not value.occurrence:
                continue
            if trusted or (
                self.flat.never_null(value, scope) and self.flat.never_null(shown, found.scope)
            ):
                self.flat.equate(inside, value, shown)

    def check(self, node: object) -> None:
        check_calls(node, self.catalog, self.flat)
        whole_rows(node, (self.names, *self.outer), self.flat)
        for part in walk(node, into_queries=False):
            if isinstance(part, ast.FuncCall) and part.agg_order and not part.agg_distinct:
                self.check_order(part)

            elif isinstance(part, ast.ColumnRef) and self.find(part) is None:
                name = part.fields[-1].sval if isinstance(part.fields[-1], ast.String) else ""
                if name in STORED:
                    self.flat.refuse(
                        f"{name} says how a row is stored, not what it is. Leave it out."
                    )

    def check_order(self, call: ast.FuncCall) -> None:
        """Notes an order in which rows may be equal."""
        values = [self.value(sort.node) for sort in call.agg_order]
        for value in values:
            if value is not None and value.occurrence > 0:
                relation = self.flat.occurrence(value.occurrence).relation
                if any(value.column in unique for unique in relation.unique):
                    return
        if self.catalog.function(name_of(call)).ordered:
            self.flat.note(
                f"{name_of(call)} orders by what several rows may share: then equal rows may show"
                " another result, which is published as a change. Order by a key last."
            )

    def expressions(self, node: object, scope: int) -> None:
        """Anything else: only its subqueries matter."""
        if node is None:
            return
        self.check(node)
        for part in walk(node, into_queries=False):
            if isinstance(part, ast.SubLink) and is_in(part):
                self.membership(part, scope, self.flat.new_scope(scope), trusted=False)
            elif isinstance(part, ast.SubLink):
                self.subquery(part.subselect, self.flat.new_scope(scope))
