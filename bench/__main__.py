"""python -m bench: one table and one JSON file, on a server of its own."""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import psycopg

from bench import (
    capture,
    deliver,
    drain,
    feed,
    flat,
    jobs,
    latency,
    outage,
    peers,
    serve,
    size,
    sizing,
    wal,
    worker,
)
from bench.measure import Line
from bench.server import SETTINGS, Bench, running

LINES: dict[str, Callable[[Bench], Iterator[Line]]] = {
    "a": drain.run,
    "b": worker.run,
    "c": capture.run,
    "d": latency.run,
    "e": feed.run,
    "f": wal.run,
    "g": flat.run,
    "h": jobs.run,
    "i": deliver.run,
    "j": outage.run,
    "k": sizing.run,
    "l": serve.run,
    "m": peers.run,
    "n": size.run,
}

ROW = "{:1}  {:50} {:>10} {:>10} {:9} {:>7} {:>13}  {:>7} {:6} {}"


def figure(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def row(line: Line) -> str:
    spread = f"{figure(min(line.ratios))}-{figure(max(line.ratios))}" if line.ratios else ""
    met = {None: "", True: "met", False: "MISSED"}[line.met]
    target = str(line.target) if line.target else ""
    return ROW.format(
        line.line, line.name, figure(line.ours), figure(line.theirs), line.unit,
        figure(line.ratio), spread, target, met, line.against,
    ).rstrip()  # fmt: skip


def letters(text: str) -> list[str]:
    chosen = text.split(",")
    if unknown := [letter for letter in chosen if letter not in LINES]:
        raise argparse.ArgumentTypeError(f"no line {unknown}; there are {','.join(LINES)}")
    return chosen


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--server", choices=["embedded", "debian"], default="embedded")
    parser.add_argument("--quick", action="store_true", help="small counts: does it run?")
    parser.add_argument("--only", type=letters, default=list(LINES), metavar="a,b,…")
    options = parser.parse_args(arguments)

    began = time.monotonic()
    lines: list[Line] = []
    with running(options.server, quick=options.quick) as bench:
        with psycopg.connect(bench.cluster.url()) as conn:
            version = conn.info.parameter_status("server_version")
        server = f"PostgreSQL {version} ({options.server}), {os.cpu_count()} cores"
        settings = ", ".join(f"{name} {value}" for name, value in SETTINGS.items())
        print(f"{server}\n{settings}; both sides of every ratio share them.")
        print("ratio: pgpublish against bare, the median of rounds interleaved in this run.\n")
        print(ROW.format("", "", "pgpublish", "bare", "", "ratio", "spread", "target", "", "bare"))
        for letter in options.only:
            for line in LINES[letter](bench):
                lines.append(line)
                print(row(line), flush=True)

    results = Path(__file__).with_name("results")
    results.mkdir(exist_ok=True)
    at = datetime.datetime.now(datetime.UTC)
    path = results / f"{at:%Y%m%dT%H%M%SZ}-{options.server}.json"
    document = {
        "at": at.isoformat(timespec="seconds"),
        "server": server,
        "settings": SETTINGS,
        "quick": options.quick,
        "seconds": round(time.monotonic() - began),
        "lines": [dataclasses.asdict(n) | {"ratio": n.ratio, "met": n.met} for n in lines],
    }
    path.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n")
    print(f"\n{document['seconds']} s; {path}")


if __name__ == "__main__":
    main()
