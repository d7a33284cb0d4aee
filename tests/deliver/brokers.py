"""Real brokers from Debian's packages, on free loopback ports, stopped by their process id; and
messages to send them without a database."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from helpers import PATIENCE, until

from pgpublish.sinks import Message


def change(n: int, **more: Any) -> Message:
    values = {
        "part": "fresh", "id": f"x/{n}", "source": "/x", "sequence": f"{n:029d}", "rev": n,
        "kind": "note", "pub_id": f"00000000-0000-4000-8000-{n:012d}", "key": None,
        "schema_version": 1, "deleted": False, "data": "1", "headers": None, "attempts": 0,
        "time": "2026-01-02T03:04:05+00:00",
    } | more  # fmt: skip
    return Message(**values)


def control(kind: str = "pgpublish.reset", life: int = 1_700_000_000) -> Message:
    """What the database says before, or after, it sends everything again."""
    return change(
        0, part="control", id=f"{kind}/{life}", kind=kind, sequence=f"{life:010d}{0:019d}",
        pub_id="00000000-0000-0000-0000-000000000000", data=f'{{"life": {life}, "head": 9}}',
    )  # fmt: skip


def free_ports(count: int) -> list[int]:
    """Ports nobody listens on now."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


def answers(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


@dataclass
class Broker:
    """One process, which can be stopped and started again on the same port and data."""

    command: list[str]
    port: int
    log: Path
    environment: dict[str, str] | None = None
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command, stdout=log, stderr=log, env=self.environment, stdin=subprocess.DEVNULL
            )
        until(self.is_up)

    def is_up(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log.read_text(errors="replace")[-2000:]
        return answers(self.port)

    def stop(self) -> None:
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None


def program(name: str, package: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise RuntimeError(f"{name} is not installed; as root: apt-get install {package}")
    return found


@contextmanager
def folder() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="pgpublish-broker-"))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


@contextmanager
def redis_server(*options: str) -> Iterator[Broker]:
    with folder() as path:
        (port,) = free_ports(1)
        broker = Broker(
            [program("redis-server", "redis-server"), "--port", str(port), "--bind", "127.0.0.1",
             "--dir", str(path), "--save", "", "--appendonly", "yes", *options],
            port, path / "log",
        )  # fmt: skip
        broker.start()
        try:
            yield broker
        finally:
            broker.stop()


@contextmanager
def nats_servers(count: int = 1, *options: str) -> Iterator[list[Broker]]:
    with folder() as path:
        ports, routes = free_ports(count), free_ports(count)
        brokers = []
        for n in range(count):
            command = [
                program("nats-server", "nats-server"), "-a", "127.0.0.1", "-p", str(ports[n]),
                "-js", "-sd", str(path / str(n)), "-n", f"n{n}", *options,
            ]  # fmt: skip
            if count > 1:
                others = ",".join(f"nats://127.0.0.1:{route}" for route in routes)
                command += ["--cluster_name", "test", "--cluster",
                            f"nats://127.0.0.1:{routes[n]}", "--routes", others]  # fmt: skip
            brokers.append(Broker(command, ports[n], path / f"log{n}"))
        try:
            for broker in brokers:
                broker.start()
            yield brokers
        finally:
            for broker in brokers:
                broker.stop()


@contextmanager
def rabbitmq_server(*settings: str) -> Iterator[Broker]:
    """With an epmd of its own, which would otherwise stay behind as a daemon. settings: lines of
    its configuration."""
    homes = sorted(Path("/usr/lib/rabbitmq/lib").glob("rabbitmq_server-*/sbin/rabbitmq-server"))
    if not homes:
        raise RuntimeError(
            "rabbitmq-server is not installed; as root: apt-get install rabbitmq-server"
        )
    with folder() as path:
        port, distribution, names = free_ports(3)
        (path / "config.conf").write_text(
            "\n".join([f"listeners.tcp.1 = 127.0.0.1:{port}", *settings, ""])
        )
        (path / "plugins").write_text("[].\n")
        environment = os.environ | {
            "HOME": str(path), "ERL_EPMD_PORT": str(names), "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": f"pgpublish{port}@localhost", "RABBITMQ_LOGS": "-",
            "RABBITMQ_DIST_PORT": str(distribution), "RABBITMQ_MNESIA_BASE": str(path),
            "RABBITMQ_LOG_BASE": str(path), "RABBITMQ_ENABLED_PLUGINS_FILE": str(path / "plugins"),
            "RABBITMQ_CONFIG_FILE": str(path / "config.conf"),
            "RABBITMQ_PID_FILE": str(path / "pid"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 1:1 +sbwt none",
        }  # fmt: skip
        epmd = Broker([program("epmd", "erlang-base")], names, path / "epmd", environment)
        broker = Broker([str(homes[-1])], port, path / "log", environment)
        epmd.start()
        try:
            broker.start()
            yield broker
        finally:
            broker.stop()
            epmd.stop()
