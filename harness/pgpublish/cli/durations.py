"""Options that are a time: a number of seconds, or a number with its unit."""

from __future__ import annotations

import math
import re
from typing import Any

import click


class Seconds(click.FloatRange):
    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        seconds: float = super().convert(value, param, ctx)
        if math.isnan(seconds):  # within any range, for click
            self.fail(f"{value} is not a number of seconds.", param, ctx)
        return seconds


class Interval(click.ParamType[str]):
    """What PostgreSQL reads as one, but no number alone: it would be seconds, and a retention that
    was meant in days would be over at once."""

    name = "interval"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if re.fullmatch(r"\s*[-+]?[0-9.]*[1-9][0-9.]*\s*", value):
            self.fail(f"{value!r} has no unit; pass one, as in '7 days'.", param, ctx)
        return value
