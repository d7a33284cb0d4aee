"""A view's query, as PostgreSQL prints it, flattened. See flat.py for what a scope is."""

from __future__ import annotations

from dataclasses import replace

from pglast import ast, enums, parse_sql
from pglast.stream import RawStream

from pgpublish.plan.catalog import Catalog, Relation
from pgpublish.plan.conditions import Conditions
from pgpublish.plan.expressions import conjuncts, default_name, equality, has_aggregate, walk
from pgpublish.plan.flat import Block, Flat, Occurrence, Value, quoted
from pgpublish.plan.names import Names, check_table, column_of, mentions, note_sets, rename, side

JOINS = enums.JoinType


def flatten(catalog: Catalog, view: str) -> Flat:
    """Raises NotDefined."""
    catalog.read_functions(view)
    flat = Flat(ask_type=catalog.type_of)
    flat.top = Reader(catalog, flat).view(view, flat.new_scope())
    return flat


class Reader(Conditions):
    """One view's query. Subqueries see outer, the names of the queries around them, and ctes."""

    def __init__(
        self,
        catalog: Catalog,
        flat: Flat,
        outer: tuple[Names, ...] = (),
        ctes: dict[str, tuple[ast.CommonTableExpr, Reader] | None] | None = None,
    ) -> None:
        self.catalog, self.flat, self.outer = catalog, flat, outer
        self.names: Names = {}
        self.ctes = dict(ctes or {})

    def inner(self, lateral: bool = True) -> Reader:
        """For a subquery, whose names are its own."""
        outer = (self.names, *self.outer) if lateral else self.outer
        return Reader(self.catalog, self.flat, outer, self.ctes)

    def subquery(self, select: ast.SelectStmt, scope: int) -> Block:
        return self.inner().query(select, scope)

    def view(self, name: str, scope: int) -> Block:
        relation = self.catalog.relation(name)
        if relation.relkind != "v":
            number = self.table(relation, scope, "")
            return Block(outputs=self.names[""], sources=[number], scope=scope)
        statement = parse_sql(self.catalog.query(name))[0].stmt
        return Reader(self.catalog, self.flat).query(statement, scope)

    # --- queries

    def query(self, select: ast.SelectStmt, scope: int) -> Block:
        for cte in select.withClause.ctes if select.withClause else ():
            if select.withClause.recursive and mentions(cte.ctequery, cte.ctename):
                self.flat.refuse(
                    f"WITH RECURSIVE {cte.ctename}: how far a change reaches is not known. Publish"
                    " what it starts from, or store its result in a table."
                )
                self.ctes[cte.ctename] = None
            else:
                self.ctes[cte.ctename] = (cte, self.inner(lateral=False))
        limited = select.limitCount is not None or select.limitOffset is not None
        if limited:
            scope = self.flat.new_scope(scope)
        if select.op != enums.SetOperation.SETOP_NONE:
            block = self.set_operation(select, scope)
        elif select.valuesLists:
            self.expressions(select.valuesLists, scope)
            width = len(select.valuesLists[0])
            block = Block({f"column{n}": None for n in range(1, width + 1)}, many=True, scope=scope)
        else:
            block = self.rows(select, scope)
        if limited:
            block.outputs, block.limited = dict.fromkeys(block.outputs), True
            if (
                isinstance(select.limitCount, ast.A_Const)
                and str(RawStream()(select.limitCount)) == "1"
            ):
                block.by = []
        return block

    def set_operation(self, select: ast.SelectStmt, scope: int) -> Block:
        block = Block(scope=scope)
        for query in (select.larg, select.rarg):
            # A part sees the names around the whole, and its CTEs.
            part = Reader(self.catalog, self.flat, self.outer, self.ctes)
            block.parts.append(part.query(query, self.flat.new_scope(scope)))
        self.flat.unions.append((scope, [part.scope for part in block.parts]))
        for name, *shown in zip(
            block.parts[0].outputs, *(part.outputs.values() for part in block.parts), strict=True
        ):
            values = [value for value in shown if value is not None]
            one_type = self.flat.one_type(values)
            merged = self.flat.new_merged(scope, self.flat.type_of(values[0]) if values else None)
            block.outputs[name] = merged
            for part_block, value in zip(block.parts, shown, strict=True):
                if value is not None:
                    self.flat.equalities.append((part_block.scope, merged, value, one_type))
        if not select.all:
            block.by = list(block.outputs.values())
        return block

    def rows(self, select: ast.SelectStmt, scope: int) -> Block:
        grouped = bool(select.groupClause)
        sets = any(isinstance(g, ast.GroupingSet) for g in select.groupClause or ())
        total = not grouped and (
            select.havingClause is not None or has_aggregate(select.targetList, self.catalog)
        )
        if sets or total:  # it has a row without any of its tables'
            scope = self.flat.new_scope(scope)
        block = Block(scope=scope)
        self.sources(select, scope, block)
        block.many = note_sets(select.targetList, self.catalog, self.flat)
        for target in select.targetList or ():
            name = target.name or default_name(target.val)
            if name in block.outputs:  # which only the part of a UNION may have
                name = f"{name} {len(block.outputs)}"
            block.outputs[name] = None if sets else self.value(target.val)
        self.expressions(select.targetList, scope)
        self.expressions(select.havingClause, scope)
        self.expressions(select.sortClause, scope)
        if total:
            block.by, block.outputs = [], dict.fromkeys(block.outputs)
        elif grouped:
            block.by = None if sets else [self.value(g) for g in select.groupClause]
        if sets:
            block.many = True
            self.flat.refuse(
                "GROUP BY ROLLUP, CUBE or GROUPING SETS: a write changes rows of several groupings."
                " Publish a view for each of them."
            )
        if select.distinctClause:
            self.distinct(select, block)
        self.windows(select, block)
        return block

    def sources(self, select: ast.SelectStmt, scope: int, block: Block) -> None:
        for item in select.fromClause or ():
            block.sources += self.source(item, scope)
        self.condition(select.whereClause, scope)

    def distinct(self, select: ast.SelectStmt, block: Block) -> None:
        on = [node for node in select.distinctClause if isinstance(node, ast.Node)]
        if not on:
            block.by = list(block.outputs.values())
            return
        block.by = [self.value(node) for node in on]
        if not self.peers(select, block, [on]):
            shown = {v for v in block.by if v is not None}
            block.outputs = {n: v if v in shown else None for n, v in block.outputs.items()}

    def windows(self, select: ast.SelectStmt, block: Block) -> None:
        named = {w.name: w for w in select.windowClause or ()}
        partitions = []
        for part in walk((select.targetList, select.sortClause), into_queries=False):
            if isinstance(part, ast.FuncCall) and part.over:
                window = named.get(part.over.name or part.over.refname, part.over)
                partitions.append(list(window.partitionClause or ()))
        if partitions and not self.peers(select, block, partitions):
            self.flat.refuse(
                "A window function: a change of one row may change all of its window's. Partition"
                " all windows by one column that is NOT NULL."
            )

    def peers(self, select: ast.SelectStmt, block: Block, partitions: list[list[ast.Node]]) -> bool:
        """Reads the query's tables once more, as those of the rows that share a window or a
        DISTINCT ON with a row. False: nothing that is never null says which rows these are."""
        values = [{self.value(node) for node in nodes} for nodes in partitions]
        shared: list[ast.Node] = []
        for node in partitions[0]:
            value = self.value(node)
            everywhere = value is not None and all(value in others for others in values)
            if value and everywhere and self.flat.never_null(value, block.scope):
                shared.append(node)
        if not shared:
            return False
        other = Reader(self.catalog, self.flat, self.outer, self.ctes)
        scope = self.flat.new_scope(block.scope)
        other.sources(select, scope, Block())
        for node in shared:
            self.flat.equate(scope, self.value(node), other.value(node))
        return True

    # --- FROM

    def source(self, item: ast.Node, scope: int) -> list[int | Block]:
        if isinstance(item, ast.JoinExpr):
            return self.join(item, scope)
        given = getattr(item, "alias", None)
        alias = given.aliasname if given else getattr(item, "relname", "")
        alias = alias or f"source {len(self.names)}"
        renamed = [c.sval for c in (given.colnames if given else None) or ()]
        if isinstance(item, ast.RangeVar):
            return [self.named(item, scope, alias, renamed)]
        if isinstance(item, ast.RangeSubselect):
            found = self.inner().query(item.subquery, scope)
            self.names[alias] = rename(found.outputs, renamed)
            return [found]
        self.expressions(item, scope)
        if isinstance(item, ast.RangeTableSample):
            self.flat.refuse("TABLESAMPLE shows other rows each time. Leave it out.")
        note_sets(item, self.catalog, self.flat)
        self.names[alias] = dict.fromkeys([*renamed, alias, "*"])
        return [Block(many=True, scope=scope)]

    def named(self, item: ast.RangeVar, scope: int, alias: str, renamed: list[str]) -> int | Block:
        if not item.schemaname and item.relname in self.ctes:
            known = self.ctes[item.relname]
            if known is None:
                self.names[alias] = {"*": None}
                return Block(many=True, scope=scope)
            cte, reader = known
            found = Reader(self.catalog, self.flat, reader.outer, reader.ctes).query(
                cte.ctequery, scope
            )
            columns = [c.sval for c in cte.aliascolnames or ()]
            self.names[alias] = rename(rename(found.outputs, columns), renamed)
            return found
        schema = item.schemaname or "pg_catalog"  # the only one that PostgreSQL leaves out
        relation = self.catalog.relation(f"{quoted(schema)}.{quoted(item.relname)}")
        if relation.relkind == "v":
            found = self.view(relation.name, scope)
            self.names[alias] = rename(found.outputs, renamed)
            return found
        if not item.inh:
            relation = replace(relation, inherited=False)
        number = self.table(relation, scope, alias)
        self.names[alias] = rename(self.names[alias], renamed)
        return number

    def table(self, relation: Relation, scope: int, alias: str) -> int:
        check_table(self.flat, relation.name, relation.relkind)
        number = len(self.flat.occurrences) + 1
        self.flat.occurrences.append(Occurrence(number, relation, scope))
        self.names[alias] = {c.name: self.flat.column(number, c.name) for c in relation.columns}
        return number

    def join(self, item: ast.JoinExpr, scope: int) -> list[int | Block]:
        if item.alias or item.join_using_alias:
            self.flat.refuse("A join with an alias of its own. Leave the alias out.")
        kind = item.jointype
        left = self.flat.new_scope(scope) if kind in (JOINS.JOIN_RIGHT, JOINS.JOIN_FULL) else scope
        right = self.flat.new_scope(scope) if kind in (JOINS.JOIN_LEFT, JOINS.JOIN_FULL) else scope
        around = self.names.pop("", {})
        before = set(self.names)
        sources = self.source(item.larg, left)
        of_left, last_left = side(self.names, before), len(self.flat.occurrences)
        before = set(self.names)
        sources += self.source(item.rarg, right)
        of_right = side(self.names, before)
        self.names[""] = around | of_left.get("", {}) | of_right.get("", {})
        pairs = [
            (column_of(of_left, name.sval), column_of(of_right, name.sval), name.sval)
            for name in item.usingClause or ()
        ]
        if kind == JOINS.JOIN_FULL:
            self.full_join(item, scope, (left, right), pairs, last_left)
            return sources
        matched = right if kind == JOINS.JOIN_LEFT else left
        for one, other, name in pairs:
            self.flat.equate(matched, one, other)
            kept = other if kind == JOINS.JOIN_RIGHT else one
            self.names[""][name] = kept
        self.condition(item.quals, matched)
        return sources

    def full_join(
        self,
        item: ast.JoinExpr,
        scope: int,
        sides: tuple[int, int],
        pairs: list[tuple[Value | None, Value | None, str]],
        last_left: int,
    ) -> None:
        """A row of either side is there without the other: what both have in common is merged."""
        found = [(one, other, name) for one, other, name in pairs]
        for node in conjuncts(item.quals):
            if (both := equality(node)) is not None:
                values = sorted(
                    (v for v in map(self.value, both) if v is not None and v.occurrence > 0),
                    key=lambda v: v.occurrence,
                )
                if len(values) == 2 and values[0].occurrence <= last_left < values[1].occurrence:
                    found.append((values[0], values[1], ""))
        self.expressions(item.quals, self.flat.new_scope(scope))
        for one, other, name in found:
            if one is None or other is None or not self.flat.comparable(one, other):
                if name:
                    self.names[""][name] = None
                continue
            merged = self.flat.new_merged(scope)
            exact = self.flat.exact(one) and self.flat.exact(other)
            for part, value in zip(sides, (one, other), strict=True):
                self.flat.equalities.append((part, merged, value, exact))
            self.flat.coalesced[frozenset((one, other))] = merged
            if name:
                self.names[""][name] = merged
