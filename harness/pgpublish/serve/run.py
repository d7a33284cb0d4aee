"""A server of its own: uvicorn, with limits that it does not have by itself."""

from __future__ import annotations

import asyncio
import gc
import resource
import signal
import socket
from types import FrameType

import uvicorn
from starlette.applications import Starlette
from uvicorn.protocols.http.h11_impl import H11Protocol

from pgpublish.errors import BadArgument
from pgpublish.serve.settings import Settings

GRACE_S = 10
SPARE_FILES = 64


def guarded(settings: Settings) -> type[H11Protocol]:
    """A protocol that closes who sends no whole request in time, and who comes when all places are
    taken. It gives the application the connection, to drop a client that does not read, and to
    write to many at once."""

    class Guarded(H11Protocol):
        _late: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            if len(self.connections) > settings.connections:
                transport.abort()
                return
            self._expect()

        def data_received(self, data: bytes) -> None:
            if self._late is None and (self.cycle is None or self.cycle.response_complete):
                self._expect()
            super().data_received(data)

        def handle_events(self) -> None:
            before = self.cycle
            super().handle_events()
            if self.cycle is not before:
                self._unexpect()
                # The application begins after this.
                self.scope["pgpublish.transport"] = self.transport  # type: ignore[typeddict-unknown-key]

        def connection_lost(self, exc: Exception | None) -> None:
            self._unexpect()
            super().connection_lost(exc)

        def _expect(self) -> None:
            self._late = self.loop.call_later(settings.header_time, self.transport.abort)

        def _unexpect(self) -> None:
            if self._late is not None:
                self._late.cancel()
                self._late = None

    return Guarded


class Server(uvicorn.Server):
    """Of an application made by app()."""

    def __init__(self, application: Starlette, settings: Settings) -> None:
        self.feed = application.state.server
        super().__init__(
            uvicorn.Config(
                application,
                http=guarded(settings),
                ws="none",
                lifespan="on",
                log_level="warning",
                access_log=False,
                server_header=False,
                proxy_headers=False,
                backlog=2048,
                timeout_keep_alive=settings.keep_alive,
                timeout_graceful_shutdown=GRACE_S,
                h11_max_incomplete_event_size=settings.header,
            )
        )

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """A stop that was asked for is no failure: uvicorn would end by the signal itself."""
        self.force_exit = self.should_exit and sig == signal.SIGINT
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Streams end first: uvicorn waits for them."""
        self.feed.hub.stop()
        await super().shutdown(sockets)


def run(application: Starlette, settings: Settings, host: str, port: int) -> None:
    """Serves until SIGTERM or SIGINT. Raises BadArgument when the address cannot be had."""
    collect_rarely()
    allow_files(settings.connections + SPARE_FILES)
    listening = listen(host, port, settings)
    try:
        Server(application, settings).run(sockets=[listening])
    finally:
        listening.close()


def collect_rarely() -> None:
    """A full collection over thousands of streams, which leave no cycles, stops them all for a
    tenth of a second and more."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 100)


def listen(host: str, port: int, settings: Settings) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listening = socket.socket(family, kind, protocol)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            # So ends a client that is gone or never reads, also where nothing is sent to it.
            gone = int(settings.patience * 2000)
            listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, gone)
        listening.bind(address)
    except OSError as error:
        raise BadArgument(
            "this address cannot be listened on",
            detail=f"{host} port {port}: {error.strerror or error}",
            hint="Choose another with --host and --port.",
        ) from None
    listening.set_inheritable(True)
    return listening


def allow_files(wanted: int) -> None:
    """As many open files as connections, as far as the system lets us."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY or hard >= wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    else:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
