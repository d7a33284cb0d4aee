"""SQL sessions in Markdown: psql runs a ```sql block, the ```text block after it is its output.

`python tests/doc_session.py README.md …` writes the outputs anew; test_docs.py compares them.
"""

from __future__ import annotations

import re
import shutil
import sys
import tempfile
from pathlib import Path

import psycopg
import servers

from pgpublish.migrate import migrate

VOID = re.compile(r"^ publish_(define|capture|subscribe) *\n-+\n *\n\n", re.MULTILINE)
BLOCK = re.compile(r"```sql\n(?P<sql>.*?)```\n```text\n(?P<text>.*?)```", re.DOTALL)
UUID = re.compile(r"[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}")
TIME = re.compile(r"\d{4}-\d\d-\d\d[T ][\d:.]+(\+[\d:]+)?")
MARK = "-- end of block --"


def outputs(url: str, markdown: str) -> list[str]:
    """What psql prints for each sql block, run in order in one session."""
    script = "\\pset footer off\n" + "".join(
        f"{block['sql']}\\echo '{MARK}'\n" for block in BLOCK.finditer(markdown)
    )
    result = servers.run_psql(url, text=script)
    if result.returncode:
        raise RuntimeError(result.stderr)
    parts = result.stdout.split(MARK + "\n")[:-1]
    return ["\n".join(line.rstrip() for line in tidy(part).splitlines()) + "\n" for part in parts]


def tidy(output: str) -> str:
    """Leaves out the empty answers of functions that return void."""
    return VOID.sub("", output).strip("\n")


def masked(text: str) -> str:
    """text with what differs from run to run replaced."""
    return TIME.sub("<time>", UUID.sub("<uuid>", text))


def rewritten(url: str, markdown: str) -> str:
    """markdown with fresh outputs, where they differ in more than ids and times."""
    fresh = iter(outputs(url, markdown))

    def block(match: re.Match[str]) -> str:
        text = next(fresh)
        if masked(text) == masked(match["text"]):
            return match[0]
        return f"```sql\n{match['sql']}```\n```text\n{text}```"

    return BLOCK.sub(block, markdown)


def main(paths: list[str]) -> None:
    cluster = servers.new_cluster("embedded", Path(tempfile.mkdtemp(prefix="pgpublish-docs-")))
    cluster.create()
    cluster.start()
    try:
        for number, name in enumerate(paths):
            with psycopg.connect(cluster.url(), autocommit=True) as conn:
                conn.execute(f"create database doc_{number}")
            with psycopg.connect(cluster.url(f"doc_{number}"), autocommit=True) as conn:
                migrate(conn)
            path = Path(name)
            path.write_text(rewritten(cluster.url(f"doc_{number}"), path.read_text()))
    finally:
        cluster.stop()
        shutil.rmtree(cluster.folder.parent, ignore_errors=True)


if __name__ == "__main__":
    main(sys.argv[1:])
