"""One page of HTML with what `pgpublish status` and `top` show, and the day as curves.

It needs nothing else: no script, no font, no picture from anywhere. Every text goes through `e`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from pgpublish import __version__
from pgpublish.charts import charts, e
from pgpublish.figures import ago, count, rate, seconds, size

STYLE = """
:root { color-scheme: light dark; --bg: #f6f7f9; --card: #fff; --ink: #1c2330; --soft: #667085;
  --line: #e2e6ec; --good: #18794e; --warn: #a15c00; --bad: #c4320a; --a: #3358d4; --b: #0d8a9e; }
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
            cards(found, now),
            warnings(found),
            charts(found),
            kinds(found),
            subscriptions(found),
            workers(found, now),
            job_table(found, jobs, now),
        ]
    )
    return (
        "<!doctype html><html lang=en><meta charset=utf-8>"
        '<meta name=viewport content="width=device-width, initial-scale=1">'
        f"{head}<title>pgpublish: {e(found['database'])}</title><style>{STYLE}</style>"
        f"<main>{body}</main></html>\n"
    )


def cards(found: dict[str, Any], now: datetime) -> str:
    feed = found["feed"] or {}
    published = [row for row in found["latency"] if row["step"] == "published"]
    minute = published[0] if published else {}
    day = published[-1] if published else {}
    oldest = max((k["oldest_s"] for k in found["kinds"] if k["oldest_s"] is not None), default=None)
    shown = [
        ("head", count(feed.get("head", 0)), ""),
        ("marks waiting", count(found["depth"]), ""),
        ("oldest mark", seconds(oldest), late(oldest, 10, 60)),
        ("changes/s, last minute", rate(minute.get("per_second", 0)), ""),
        ("published in, p95 of the last minute", seconds(minute.get("p95")), ""),
        ("published in, p95 of the last day", seconds(day.get("p95")), ""),
        ("since the last drain", ago(feed.get("last_drain_at"), now), ""),
        ("outbox, feed", f"{size(found['bytes']['outbox'])}, {size(found['bytes']['feed'])}", ""),
    ]
    return (
        "<div class=cards>"
        + "".join(
            f"<div class=card><b class='{colour}'>{e(value)}</b><span>{e(name)}</span></div>"
            for name, value, colour in shown
        )
        + "</div>"
    )


def late(age: float | None, warn: float, bad: float) -> str:
    return "" if age is None or age < warn else "warn" if age < bad else "bad"


def warnings(found: dict[str, Any]) -> str:
    if not found["warnings"]:
        return "<section><h2 class=good>Nothing needs somebody</h2></section>"
    said = "".join(
        f"<p><b>{e(w['about'])}</b>: {e(w['message'])}<br>"
        f"<span class=soft>{e(w['hint'])}</span></p>"
        for w in found["warnings"]
    )
    return f"<section class=needs><h2 class=bad>Needs somebody</h2>{said}</section>"


def table(title: str, heads: Sequence[str], rows: Sequence[Sequence[tuple[str, str]]]) -> str:
    """Cells are (HTML, class)."""
    if not rows:
        return ""
    top = "".join(
        f"<th class='{rows[0][n][1] and 'n' if 'n' in rows[0][n][1].split() else ''}'>{e(h)}"
        for n, h in enumerate(heads)
    )
    body = "".join(
        "<tr>" + "".join(f"<td class='{kind}'>{text}" for text, kind in row) for row in rows
    )
    return f"<section><h2>{e(title)}</h2><table><tr>{top}{body}</table></section>"


def kinds(found: dict[str, Any]) -> str:
    return table(
        "Kinds",
        ("kind", "view", "waiting", "oldest", "failed", "for later", "walk"),
        [
            [
                (f"<b>{e(k['kind'])}</b>", ""),
                (e(k["view"] or "payloads"), "soft"),
                (e(count(k["depth"])), "n"),
                (e(seconds(k["oldest_s"])), f"n {late(k['oldest_s'], 10, 60)}"),
                (e(count(k["failed"])), "n bad" if k["failed"] else "n"),
                (e(count(k["scheduled"])), "n"),
                (bar(k["walk_marked"], k["walk_estimate"]), ""),
            ]
            for k in found["kinds"]
        ],
    )


def bar(done: Any, total: Any) -> str:
    if not isinstance(done, int | float):
        return "<span class=soft>-</span>"
    if not isinstance(total, int | float) or not total:
        return e(count(done))
    part = min(100, round(100 * done / total))
    return (
        f"<span class=bar><i style='width:{part}%'></i></span>{e(count(done))} of {e(count(total))}"
    )


STATES = {"active": "good", "resyncing": "good", "paused": "warn"}


def subscriptions(found: dict[str, Any]) -> str:
    day = {
        row["subscription"]: row
        for row in found["latency"]
        if row["step"] == "delivered" and row["span"] == 900
    }
    return table(
        "Subscriptions",
        (
            "subscription",
            "sink",
            "state",
            "behind",
            "oldest",
            "sent/s",
            "p95",
            "retries",
            "dead",
            "waits for, last error",
        ),
        [
            [
                (f"<b>{e(s['name'])}</b>", ""),
                (e(s["sink"]), "soft"),
                (e(s["state"]), STATES.get(s["state"], "bad")),
                (e(count(s["behind"])), "n"),
                (e(seconds(s["lag_s"])), f"n {late(s['lag_s'], 60, 600)}"),
                (e(rate(day.get(s["name"], {}).get("per_second", 0))), "n"),
                (e(seconds(day.get(s["name"], {}).get("p95"))), "n"),
                (e(count(s["retries"])), "n"),
                (e(count(s["dead"])), "n bad" if s["dead"] else "n"),
                (
                    e(s["waits_for"] or "-")
                    + (
                        f"<br><span class=soft>{e(s['last_error'])}</span>"
                        if s["last_error"]
                        else ""
                    ),
                    "",
                ),
            ]
            for s in found["subscriptions"]
        ],
    )


def workers(found: dict[str, Any], now: datetime) -> str:
    return table(
        "Workers",
        ("worker", "kind", "doing", "up for", "seen", "version"),
        [
            [
                (f"<b>{e(w['name'])}</b>", ""),
                (e(w["kind"]), ""),
                (e(w["doing"]), "good") if w["is_alive"] else ("silent", "bad"),
                (e(ago(w["since"], now)), "n"),
                (e(ago(w["seen_at"], now)) + " ago", "n"),
                (e(w["version"] or "-"), "soft"),
            ]
            for w in found["workers"]
        ],
    )


def job_table(found: dict[str, Any], jobs: Sequence[dict[str, Any]], now: datetime) -> str:
    running = table(
        "Running jobs",
        ("job", "kind", "progress", "for", "worker"),
        [
            [
                (f"<b>{e(j['id'])}</b>", ""),
                (e(j["kind"]), ""),
                (bar(j["data"].get("done"), j["data"].get("total")), ""),
                (e(ago(j["started_at"], now)), "n"),
                (e(j["worker"] or "-"), "soft"),
            ]
            for j in jobs
        ],
    )
    return running + table(
        "Jobs",
        ("kind", "status", "jobs"),
        [
            [(f"<b>{e(j['kind'])}</b>", ""), (e(j["status"]), ""), (e(count(j["count"])), "n")]
            for j in found["jobs"]
        ],
    )
