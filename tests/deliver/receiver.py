"""A webhook endpoint that fails in every way endpoints fail, on a free loopback port."""

from __future__ import annotations

import json
import socket
import ssl
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Condition, Thread
from typing import Any

from helpers import PATIENCE


@dataclass
class Request:
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def event(self) -> Any:
        """One, or in mode batch a list of them."""
        return json.loads(self.body)

    @property
    def data(self) -> Any:
        return self.event.get("data")


# What an answer is: a status, a status with headers, or something done to the connection.
Answer = int | tuple[int, dict[str, str]] | Callable[["Handler"], None]


@dataclass
class Receiver:
    url: str = ""
    answer: Callable[[Request], Answer] = lambda request: 200
    requests: list[Request] = field(default_factory=list)
    connections: int = 0
    changed: Condition = field(default_factory=Condition)

    def wait(self, fact: Callable[[Receiver], object]) -> None:
        """Until fact(self) is true, looked at after every request."""
        with self.changed:
            assert self.changed.wait_for(lambda: fact(self), PATIENCE), f"{len(self.requests)} came"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    receiver: Receiver

    def setup(self) -> None:
        super().setup()
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.receiver.connections += 1

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        request = Request(self.path, {k.lower(): v for k, v in self.headers.items()}, body)
        with self.receiver.changed:
            self.receiver.requests.append(request)
            answer = self.receiver.answer(request)
            self.receiver.changed.notify_all()
        if callable(answer):
            answer(self)
            return
        status, headers = answer if isinstance(answer, tuple) else (answer, {})
        text = b"" if status == 204 else f"status {status}".encode()
        head = f"HTTP/1.1 {status} x\r\ncontent-length: {len(text)}\r\n"
        head += "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        with suppress(OSError):
            self.wfile.write(head.encode() + b"\r\n" + text)

    def log_message(self, format: str, *args: Any) -> None:
        pass


def reset(handler: Handler) -> None:
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.connection.close()
    handler.close_connection = True


def garbage(handler: Handler) -> None:
    handler.wfile.write(b"\x00\xff this is not HTTP\r\n\r\n")
    handler.close_connection = True


def endless(handler: Handler) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
    with suppress(OSError):
        while True:
            handler.wfile.write(b"400\r\n" + b"x" * 1024 + b"\r\n")
    handler.close_connection = True


def silent(handler: Handler) -> None:
    """Answers 200 only when the other side has given up."""
    with suppress(OSError):
        handler.connection.recv(1)
        handler.wfile.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
    handler.close_connection = True


def raw(reply: bytes, *, keep: bool = False) -> Callable[[Handler], None]:
    """These bytes; keep: the connection stays open after them until the other side has gone."""

    def answer(handler: Handler) -> None:
        handler.wfile.write(reply)
        if keep:
            with suppress(OSError):
                handler.connection.recv(1)
        handler.close_connection = True

    return answer


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass


@contextmanager
def receiving(
    answer: Callable[[Request], Answer] = lambda request: 200,
    tls: ssl.SSLContext | None = None,
    port: int = 0,
) -> Iterator[Receiver]:
    receiver = Receiver(answer=answer)
    handler = type("Bound", (Handler,), {"receiver": receiver})
    server = Server(("127.0.0.1", port), handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    receiver.url = f"http{'s' if tls else ''}://127.0.0.1:{server.server_address[1]}/hook"
    thread = Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        thread.join(PATIENCE)
        server.server_close()
