"""python -m bench.readers PORT COUNT crowd|watched: clients of a stream, for bench.serve.

Says "live" when all are. Given the head, it waits until each has been told up to there, and says
the milliseconds between write and receipt, of those that are watched. The events of a crowd are not
looked at, but for the end.
"""

from __future__ import annotations

import gc
import json
import re
import select
import socket
import sys
import time
from datetime import datetime

REQUEST = b"GET /stream HTTP/1.1\r\nHost: localhost\r\n\r\n"
WRITTEN = re.compile(rb'"touched_at": "([^"]+)"')
LIVE = b"event: live\n"


def connected(port: int, count: int) -> list[socket.socket]:
    sockets = []
    for _ in range(count):
        conn = socket.create_connection(("127.0.0.1", port), 30)
        conn.sendall(REQUEST)
        sockets.append(conn)
    for conn in sockets:
        got = b""
        while LIVE not in got:
            got += conn.recv(65536)
        conn.setblocking(False)
    return sockets


def main(port: int, count: int, *, watched: bool) -> None:
    gc.disable()
    by_file = {conn.fileno(): conn for conn in connected(port, count)}
    pieces: dict[int, list[tuple[float, bytes]]] = {file: [] for file in by_file}
    tails = dict.fromkeys(by_file, b"")
    poll = select.epoll()
    for file in by_file:
        poll.register(file, select.EPOLLIN)
    poll.register(sys.stdin.fileno(), select.EPOLLIN)
    print("live", flush=True)
    end: bytes | None = None
    buffer = bytearray(1 << 20)
    view = memoryview(buffer)
    behind = set(by_file)
    while behind:
        for file, _ in poll.poll():
            if file == sys.stdin.fileno():
                end = b"." + sys.stdin.readline().strip().encode() + b"\n"
                poll.unregister(file)
                behind = {file for file in by_file if end not in tails[file]}
                continue
            size = by_file[file].recv_into(buffer)
            if size == 0:
                raise RuntimeError("a stream was ended")
            tails[file] = bytes(view[max(0, size - 100) : size])
            if watched:
                pieces[file].append((time.time(), bytes(view[:size])))
            if end is not None and end in tails[file]:
                behind.discard(file)
    print(json.dumps(latencies(list(pieces.values()))), flush=True)


def latencies(clients: list[list[tuple[float, bytes]]]) -> list[list[float]]:
    """(written, milliseconds to receipt) of every change that each client was told."""
    found = []
    for pieces in clients:
        ends, whole = [], b""
        for at, piece in pieces:
            whole += piece
            ends.append((len(whole), at))
        n = 0
        for match in WRITTEN.finditer(whole):
            while ends[n][0] < match.end():
                n += 1
            written = datetime.fromisoformat(match[1].decode()).timestamp()
            found.append([written, (ends[n][1] - written) * 1000])
    return found


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), watched=sys.argv[3] == "watched")
