"""A plan as text of 80 columns."""

from __future__ import annotations

from collections.abc import Iterator
from textwrap import wrap

from pgpublish.plan.plan import Plan, Step, bare

WIDTH = 80


def lines(plan: Plan) -> Iterator[str]:
    yield f"{plan.view} → kind {plan.kind}"
    if plan.key:
        yield f"key: {', '.join(plan.key)}   rows: {plan.rows:,}"
    if plan.steps:
        yield ""
    width = max((len(bare(step.capture.source)) for step in plan.steps), default=5)
    width = max(5, min(width, 30))
    if plan.steps:
        yield f"{'table':<{width}}  {'keys/row':>8}  a write finds its keys by"
    for step in plan.steps:
        yield from of_step(step, width)
    for note in plan.notes:
        yield from hanging("note: ", note)
    for reason in plan.reasons:
        yield from hanging("cannot: ", reason)


def of_step(step: Step, width: int) -> Iterator[str]:
    fan_out = "?" if step.fan_out is None else f"{step.fan_out:,}"
    first = f"{bare(step.capture.source):<{width}}  {fan_out:>8}  "
    indent = " " * len(first)
    texts = [*step.finds]
    if step.indexes:
        texts.append("index " + ", ".join(step.indexes))
    texts += [f"no index: {sql}" for sql in step.missing]
    if step.capture.columns:
        texts.append("only if " + ", ".join(step.capture.columns) + " changes")
    for text in texts:
        for line in wrap(text, max(20, WIDTH - len(indent))) or [""]:
            yield (first + line).rstrip()
            first = indent


def hanging(label: str, text: str) -> Iterator[str]:
    yield ""
    yield from wrap(label + text, WIDTH, subsequent_indent="  ", break_long_words=False)
