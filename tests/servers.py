"""The real servers the tests run on: Debian's PostgreSQL and the embedded one."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from pgpublish import embedded
from pgpublish.embedded import Cluster

MEMORY_NEEDED = 4 << 30
SETTINGS = {
    "fsync": "off",
    "max_prepared_transactions": "20",
    "max_wal_senders": "4",
    "wal_level": "logical",
    "max_connections": "60",
    "log_min_messages": "warning",
}


def debian_bin() -> Path:
    """The newest Debian server that has pgTAP and plpgsql_check."""
    for version in sorted(Path("/usr/lib/postgresql").glob("*"), key=lambda p: -int(p.name)):
        extensions = Path("/usr/share/postgresql") / version.name / "extension"
        if (version / "bin/postgres").exists() and all(
            (extensions / f"{name}.control").exists() for name in ("pgtap", "plpgsql_check")
        ):
            return version / "bin"
    raise RuntimeError(
        "Debian's PostgreSQL with pgTAP and plpgsql_check is not installed; as root: "
        "apt-get install postgresql postgresql-15-pgtap postgresql-15-plpgsql-check"
    )


def major_version(kind: str) -> int:
    """As of `--server`, without starting it."""
    if kind == "embedded":
        bin = embedded.binaries()
    else:
        bin = debian_bin() if kind == "debian" else Path(kind)
    said = subprocess.run([bin / "postgres", "--version"], capture_output=True, text=True)
    return int(said.stdout.split()[2].split(".")[0].rstrip("abcdefghijklmnopqrstuvwxyz"))


class Server(Cluster):
    """One whose folder of binaries may lack pg_dump, pg_basebackup and pgbench, as npm's packages
    do: then those of another version are used that fit."""

    def tool(self, program: str, *, newest: bool = False) -> Path:
        """The server's own, or one of a version that it works with; newest: one of any version."""
        if (self.bin / program).exists():
            return self.bin / program
        major = major_version(str(self.bin))
        if newest or program in ("pg_basebackup", "pgbench") or major >= 17:
            bin = embedded.reachable(embedded.binaries(), self.user, self.folder.parent)
        elif major <= 15:
            bin = debian_bin()
        else:  # what the newest pg_dump writes is for PostgreSQL 17 and later
            pytest.skip(f"there is no {program} of PostgreSQL {major} here")
        return bin / program

    def run(self, program: str, *args: str) -> None:
        if (self.bin / program).exists():
            super().run(program, *args)
        else:
            Cluster(self.folder, self.tool(program).parent, user=self.user).run(program, *args)

    def create(self) -> None:
        """As later versions have it, also in PostgreSQL 14: not everybody may create in public."""
        super().create()
        if major_version(str(self.bin)) < 15:
            script = (
                "alter schema public owner to pg_database_owner;\n"
                "revoke create on schema public from public;\n"
            )
            for database in ("template0", "template1", "postgres"):
                subprocess.run(
                    [self.bin / "postgres", "--single", "-D", self.data, database],
                    input=script, text=True, user=self.user, check=True, capture_output=True,
                    cwd="/",
                )  # fmt: skip


def new_cluster(kind: str, folder: Path, **settings: str) -> Server:
    """A server in folder, not created yet. kind: "debian", "embedded" or a folder of binaries."""
    user = embedded.unprivileged_user()
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o755)
    if kind == "debian":
        bin = debian_bin()
    else:
        bin = embedded.binaries() if kind == "embedded" else Path(kind)
        bin = embedded.reachable(bin, user, folder)
    return Server(folder / "cluster", bin, settings={**SETTINGS, **settings}, user=user)


def new_folder() -> Path:
    """For a server's data: in memory where there is room, as every test makes a database."""
    memory = Path("/dev/shm")
    if memory.is_dir() and shutil.disk_usage(memory).free > MEMORY_NEEDED:
        return Path(tempfile.mkdtemp(prefix="pgpublish-test-", dir=memory))
    return Path(tempfile.mkdtemp(prefix="pgpublish-test-"))


@contextmanager
def running(kind: str) -> Iterator[Cluster]:
    """A started server in a temporary folder; both are gone at the end."""
    root = new_folder()
    cluster = new_cluster(kind, root)
    try:
        cluster.create()
        cluster.start()
        yield cluster
    finally:
        cluster.stop()
        shutil.rmtree(root, ignore_errors=True)


def load_pgtap(conn: psycopg.Connection[object]) -> None:
    """pgTAP, also into a server that lacks the extension: its script is plain SQL."""
    available = conn.execute(
        "select from pg_available_extensions e where e.name = 'pgtap'"
    ).fetchone()
    if available is not None:
        conn.execute("create extension pgtap")
        return
    scripts = sorted(Path("/usr/share/postgresql").glob("*/extension/pgtap--?.?.?.sql")) or sorted(
        Path("/usr/share/postgresql").glob("*/extension/pgtap--*.sql")
    )
    text = scripts[-1].read_text()
    conn.execute(
        "\n".join(line for line in text.splitlines() if not line.startswith("\\")).encode()
    )


def psql() -> str:
    found = shutil.which("psql")
    if found is None:
        raise RuntimeError("psql is not installed; as root: apt-get install postgresql-client")
    return found


def run_psql(url: str, *args: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [psql(), "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", url, *args],
        input=text, capture_output=True, text=True, timeout=100,
    )  # fmt: skip
