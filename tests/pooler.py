"""What may stand between us and the server: a real pgbouncer in transaction mode, and a proxy whose
connections go dead."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Thread

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


class Proxy:
    """Forwards TCP to a server's socket, until freeze: then the connections that are open stay so
    and forward nothing more, as behind a partition. New ones work."""

    def __init__(self, cluster: Cluster, database: str) -> None:
        self._server = str(cluster.folder / ".s.PGSQL.5432")
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._links: list[Event] = []
        port = self._listener.getsockname()[1]
        self.url = f"host=127.0.0.1 port={port} dbname={database} user=postgres sslmode=disable"
        Thread(target=self._accept, daemon=True).start()

    def freeze(self) -> None:
        for link in self._links:
            link.set()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError as error:
                print("proxy: it accepts no more:", error)  # it was closed, or the test failed
                return
            server = socket.socket(socket.AF_UNIX)
            try:
                server.connect(self._server)
            except OSError as error:  # it restarts, or is full: this connection ends, no other
                print("proxy: no server:", error)
                client.close()
            else:
                self._join(client, server)

    def _join(self, client: socket.socket, server: socket.socket) -> None:
        link = Event()
        self._links.append(link)
        for one, other in ((client, server), (server, client)):
            Thread(target=self._pump, args=(link, one, other), daemon=True).start()

    def _pump(self, frozen: Event, one: socket.socket, other: socket.socket) -> None:
        with suppress(OSError):
            while (data := one.recv(65536)) and not frozen.is_set():
                other.sendall(data)
        if not frozen.is_set():
            for end in (one, other):
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)


@contextmanager
def proxied(cluster: Cluster, database: str) -> Iterator[Proxy]:
    proxy = Proxy(cluster, database)
    try:
        yield proxy
    finally:
        proxy.close()
