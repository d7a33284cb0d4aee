"""What a test does to a server that must not matter: kill it, fill its disk, move its clock, lose
its newest seconds in a failover. Counts what was done, by name."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from threading import Lock
from typing import Any

import psycopg
import servers
from helpers import cut, one, standby_of, until

from pgpublish.embedded import Cluster

FAKETIME = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1")
CLOCK_S = 15  # that a step of the clock is at most


class Faults:
    """cluster: the one that takes writes now. small: a file system of few megabytes, which holds
    the tablespace of that name; None: none can be mounted here."""

    def __init__(self, kind: str, stack: ExitStack, dice: random.Random, **settings: str) -> None:
        self.kind = kind
        self.stack = stack
        self.dice = dice
        self.done: Counter[str] = Counter()
        self._lock = Lock()
        root = servers.new_folder()
        stack.callback(shutil.rmtree, root, ignore_errors=True)
        self.small = self._mount()
        self.clock = root / "clock"
        self.set_clock(0)
        self.cluster: Cluster = servers.new_cluster(kind, root, **settings)
        self.cluster.create()
        stack.callback(lambda: self.cluster.stop())
        with self._moved_clock():
            self.cluster.start()

    def did(self, what: str) -> None:
        with self._lock:
            self.done[what] += 1

    def connect(self) -> psycopg.Connection[Any]:
        return psycopg.connect(self.cluster.url(), autocommit=True, connect_timeout=5)

    def deeds(self) -> list[Any]:
        """All that can be done here."""
        deeds = [self.kill_server, self.kill_backend, self.terminate, self.cancel, self.fail_over]
        if self.small is not None:
            deeds.append(self.fill_disk)
        if FAKETIME.exists():
            deeds.append(self.step_clock)
        return deeds

    def kill_server(self) -> None:
        """SIGKILL to the server and all its processes, as when the machine's power fails."""
        server = self._server()
        os.kill(server, signal.SIGSTOP)  # it must not start anything now
        processes = [*children(server), server]
        for process in processes:
            os.kill(process, signal.SIGKILL)
        until(lambda: not any(map(runs, processes)))
        self.cluster.stop()
        with self._moved_clock():
            self.cluster.start()
        self.did("server killed")

    def kill_backend(self) -> None:
        """SIGKILL to one backend: the server ends all and recovers."""
        with suppress(psycopg.Error), self.connect() as conn:
            process = one(
                conn,
                "select a.pid from pg_stat_activity a where a.backend_type = 'client backend'"
                " order by random() limit 1",
            )
            assert process in children(self._server())
            os.kill(process, signal.SIGKILL)
            self.did("backend killed")
        until(self.cluster.answers)

    def terminate(self) -> None:
        self._each("pg_terminate_backend")

    def cancel(self) -> None:
        self._each("pg_cancel_backend")

    def fill_disk(self) -> None:
        """For a second or so nothing more fits into the tablespace."""
        assert self.small is not None
        filler = self.small / "filler"
        try:
            with filler.open("wb", buffering=0) as file, suppress(OSError):
                while True:
                    file.write(bytes(8192))
            time.sleep(self.dice.uniform(0.2, 1.5))
        finally:
            filler.unlink()
        self.did("disk full")

    def step_clock(self) -> None:
        self.set_clock(self.dice.uniform(-CLOCK_S, CLOCK_S))
        self.did("clock stepped")

    def set_clock(self, seconds: float) -> None:
        new = self.clock.with_suffix(".new")
        new.write_text(f"{seconds:+.3f}\n")
        new.chmod(0o644)
        new.rename(self.clock)

    def fail_over(self) -> None:
        """The primary dies with what its standby never had."""
        options, small = [], None
        if self.small is not None:
            small = self._mount()
            options = [f"--tablespace-mapping={self.small}/data={small}/data"]
        old = self.cluster
        standby = self.stack.enter_context(standby_of(old, self.kind, *options))
        with psycopg.connect(standby.url(), autocommit=True) as copy:
            until(lambda: one(copy, "select count(*) from pg_stat_wal_receiver") == 1)
            cut(copy)
            time.sleep(self.dice.uniform(0.1, 1))
            old.stop(signal.SIGQUIT)
            assert one(copy, "select pg_promote(true, 60)")
        self.cluster, self.small = standby, small
        shutil.rmtree(old.data, ignore_errors=True)
        self.did("failed over")

    def _mount(self) -> Path | None:
        """A new small file system, gone at the end; None: we may not mount."""
        folder = servers.new_folder()
        self.stack.callback(shutil.rmtree, folder, ignore_errors=True)
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=32m,mode=755", "tmpfs", str(folder)],
            capture_output=True,
        )  # fmt: skip
        if mounted.returncode:
            return None
        self.stack.callback(subprocess.run, ["umount", "--lazy", str(folder)], check=True)
        (folder / "data").mkdir(mode=0o700)
        user = servers.embedded.unprivileged_user()
        if user:
            shutil.chown(folder / "data", user)
        return folder

    @contextmanager
    def _moved_clock(self) -> Iterator[None]:
        """A server that is started in here reads the time that set_clock sets."""
        if not FAKETIME.exists():
            yield
            return
        moved = {
            "LD_PRELOAD": str(FAKETIME), "FAKETIME_TIMESTAMP_FILE": str(self.clock),
            "FAKETIME_CACHE_DURATION": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "NO_FAKE_STAT": "1",
        }  # fmt: skip
        os.environ.update(moved)
        try:
            yield
        finally:
            for name in moved:
                del os.environ[name]

    def _each(self, function: str) -> None:
        with suppress(psycopg.Error), self.connect() as conn:
            conn.execute(
                f"select {function}(a.pid) from pg_stat_activity a"
                " where a.backend_type = 'client backend' and a.pid <> pg_backend_pid()".encode()
            )
            self.did(function)

    def _server(self) -> int:
        return int((self.cluster.data / "postmaster.pid").read_text().split()[0])


def children(process: int) -> list[int]:
    return [int(p) for p in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


def runs(process: int) -> bool:
    """Whether it still holds what it held; a zombie holds nothing."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
