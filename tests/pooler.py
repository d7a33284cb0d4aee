"""What may stand between us and the server: a real pgbouncer in transaction mode."""

from __future__ import annotations

import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg
from helpers import PATIENCE, until

from pgpublish.embedded import Cluster

SETTINGS = """
[databases]
{database} = host={server} port=5432 dbname={database} user=postgres
[pgbouncer]
listen_addr =
unix_socket_dir = {folder}
listen_port = 6432
auth_type = any
pool_mode = transaction
default_pool_size = {size}
{prepared}logfile = {folder}/log
pidfile = {folder}/pid
"""


def program() -> str:
    found = shutil.which("pgbouncer", path="/usr/sbin:/usr/bin:/usr/local/bin")
    if found is None:
        raise RuntimeError("pgbouncer is not installed; as root: apt-get install pgbouncer")
    return found


def version() -> tuple[int, ...]:
    said = subprocess.run([program(), "--version"], capture_output=True, text=True, check=True)
    return tuple(int(number) for number in said.stdout.split()[1].split("."))


@contextmanager
def pooled(
    cluster: Cluster, database: str, size: int = 3, *, prepares: bool = False
) -> Iterator[str]:
    """URL of the database through a pgbouncer with so many server connections. prepares: it knows
    prepared statements."""
    # Not tmp_path: as root, the pooler's user could not enter it.
    folder = Path(tempfile.mkdtemp(prefix="pgpublish-pool-"))
    settings = folder / "pgbouncer.ini"
    settings.write_text(
        SETTINGS.format(
            database=database,
            server=cluster.folder,
            folder=folder,
            size=size,
            prepared="max_prepared_statements = 100\n" if prepares else "",
        )
    )
    if cluster.user:
        shutil.chown(folder, cluster.user)
    process = subprocess.Popen(
        [program(), "-q", str(settings)], user=cluster.user, cwd="/",
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    url = f"host={folder} port=6432 dbname={database} user=postgres"

    def answers() -> bool:
        assert process.poll() is None, process.communicate()[1]
        with suppress(psycopg.OperationalError):
            psycopg.connect(url).close()
            return True
        return False

    try:
        until(answers)
        yield url
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
        shutil.rmtree(folder, ignore_errors=True)
