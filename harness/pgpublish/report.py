"""One page of HTML with what `pgpublish status` and `top` show, and the day as curves.

It needs nothing else: no script, no font, no picture from anywhere. Every text goes through `e`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from pgpublish import __version__
from pgpublish.charts import charts, e
from pgpublish.screens import Card, Cell, Table, cards, tables

STYLE = """
:root { color-scheme: light dark; --bg: #f6f7f9; --card: #fff; --ink: #1c2330; --soft: #667085;
  --line: #e2e6ec; --good: #18794e; --warn: #a15c00; --bad: #c4320a; --a: #3358d4; --b: #0b7687; }
@media (prefers-color-scheme: dark) { :root { --bg: #101318; --card: #181d25; --ink: #e6e9ef;
  --soft: #97a1b3; --line: #2a313d; --good: #4cc38a; --warn: #f1a10d; --bad: #ff8b6b;
  --a: #8da4ef; --b: #4ccce6; } }
* { box-sizing: border-box; }
body { margin: 0; padding: 28px 24px 48px; background: var(--bg); color: var(--ink);
  font: 15px/1.5 system-ui, "Segoe UI", Roboto, "Helvetica Neue", sans-serif; }
main { max-width: 1120px; margin: 0 auto; }
h1 { font-size: 22px; margin: 0; } h2 { font-size: 15px; margin: 0 0 10px; }
.sub { color: var(--soft); margin: 2px 0 20px; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(230px, 1fr)); gap: 12px; }
.card, section { background: var(--card); border: 1px solid var(--line); border-radius: 10px; }
.card { padding: 12px 14px; } .card b { display: block; font-size: 21px; font-weight: 600;
  font-variant-numeric: tabular-nums; } .card span { color: var(--soft); font-size: 13px; }
section { padding: 16px 18px; margin-top: 14px; overflow-x: auto; }
.two { display: grid; grid-template-columns: repeat(auto-fit, minmax(420px, 1fr)); gap: 0 14px; }
@media (max-width: 520px) { .two { grid-template-columns: 1fr; } body { padding: 16px 10px; } }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th { text-align: left; color: var(--soft); font-weight: 500; font-size: 13px; }
th, td { padding: 5px 14px 5px 0; border-bottom: 1px solid var(--line); vertical-align: top; }
tr:last-child td { border-bottom: 0; } .n { text-align: right; white-space: nowrap; }
.n + td, .n + th { padding-left: 10px; } .n + .n { padding-left: 0; }
.good { color: var(--good); } .warn { color: var(--warn); } .bad { color: var(--bad); }
.soft { color: var(--soft); } .needs { border-left: 4px solid var(--bad); }
.needs p { margin: 0 0 8px; overflow-wrap: anywhere; } .needs p:last-child { margin: 0; }
svg { width: 100%; height: auto; display: block; } svg text { fill: var(--soft); font-size: 11px; }
.grid { stroke: var(--line); } .a { stroke: var(--a); } .b { stroke: var(--b); }
.ink-a { color: var(--a); } .ink-b { color: var(--b); }
.fill { fill: var(--a); opacity: .14; } .curve { fill: none; stroke-width: 1.6; }
.key { font-size: 13px; color: var(--soft); margin: 6px 0 0; } .key i { font-style: normal; }
.bar { display: inline-block; width: 120px; height: 8px; border-radius: 4px;
  background: var(--line); overflow: hidden; vertical-align: 1px; margin-right: 8px; }
.bar i { display: block; height: 100%; background: var(--a); }
"""


def page(found: dict[str, Any], jobs: Sequence[dict[str, Any]], *, head: str = "") -> str:
    """The whole page. head: markup of ours for <head>, such as a refresh."""
    now = datetime.fromisoformat(found["at"])
    body = "".join(
        [
            f"<h1>{e(found['database'])}</h1>",
            f"<p class=sub>pgpublish {e(__version__)}, {e(f'{now:%Y-%m-%d %H:%M:%S %Z}')}"
            + (", a standby" if found["is_standby"] else "")
            + "</p>",
            html_cards(cards(found, now)),
            warnings(found),
            charts(found),
            *map(html_table, tables(found, jobs)),
        ]
    )
    return (
        "<!doctype html><html lang=en><meta charset=utf-8>"
        '<meta name=viewport content="width=device-width, initial-scale=1">'
        f"{head}<title>pgpublish: {e(found['database'])}</title><style>{STYLE}</style>"
        f"<main>{body}</main></html>\n"
    )


def html_cards(cards: Sequence[Card]) -> str:
    return (
        "<div class=cards>"
        + "".join(
            f"<div class=card><b class='{c.tone}'>{e(c.text)}</b><span>{e(c.name)}</span></div>"
            for c in cards
        )
        + "</div>"
    )


def warnings(found: dict[str, Any]) -> str:
    if not found["warnings"]:
        return "<section><h2 class=good>Nothing needs somebody</h2></section>"
    said = "".join(
        f"<p><b>{e(w['about'])}</b>: {e(w['message'])}<br>"
        f"<span class=soft>{e(w['hint'])}</span></p>"
        for w in found["warnings"]
    )
    return f"<section class=needs><h2 class=bad>Needs somebody</h2>{said}</section>"


def html_table(table: Table) -> str:
    if not table.rows:
        return ""
    top = "".join(
        f"<th class='{'n' if cell.number else ''}'>{e(head)}"
        for head, cell in zip(table.heads, table.rows[0], strict=True)
    )
    body = "".join("<tr>" + "".join(map(html_cell, row)) for row in table.rows)
    return f"<section><h2>{e(table.title)}</h2><table><tr>{top}{body}</table></section>"


def html_cell(cell: Cell) -> str:
    text = f"<b>{e(cell.text)}</b>" if cell.name else e(cell.text)
    if cell.part is not None:
        text = f"<span class=bar><i style='width:{cell.part}%'></i></span>{text}"
    if cell.below:
        text += f"<br><span class=soft>{e(cell.below)}</span>"
    kind = f"{'n ' if cell.number else ''}{cell.tone}".strip()
    return f"<td class='{kind}'>{text}"
