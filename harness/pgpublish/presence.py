"""How a worker tells the database that it is there: the view publish.worker shows it."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

from pgpublish import __version__
from pgpublish.database import Connection, bind, session_is_over, transact
from pgpublish.errors import PublishError

BEAT_S = 15.0  # publish.worker takes one that is silent for three of these for gone
CHANGE_S = 5.0  # at the soonest, when what it does has changed
TOUCH_S = 1.0
UNKNOWN = ("42883", "3F000", "42501")  # an older schema, or a role that may not: no beats then


class Presence:
    """One worker, from its start to its end, over all its sessions. Not for two threads at once."""

    def __init__(
        self, kind: str, *, name: str | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        host = socket.gethostname()
        self.name = name or f"{host}:{os.getpid()}"
        self._id = uuid4()
        self._about = json.dumps(
            {
                "name": self.name,
                "kind": kind,
                "host": host,
                "pid": os.getpid(),
                "version": __version__,
            }
        )
        self._clock = clock
        self._beat_at: float | None = None
        self._doing = ""
        self._mute = False
        self._health = os.environ.get("PGPUBLISH_HEALTH_FILE")
        self._touched_at: float | None = None

    def beat(self, conn: Connection, doing: str) -> None:
        """Says so if it is time. conn is in no transaction. Raises PublishError only when the
        session is over: a worker goes on without."""
        self._touch()
        if self._beat_at is not None:
            every = BEAT_S if doing == self._doing else CHANGE_S
            if self._clock() - self._beat_at < every:
                return
        self._say(conn, doing)

    def end(self, conn: Connection) -> None:
        """The last beat, if there was one before."""
        if self._beat_at is not None:
            self._say(conn, "ended", is_last=True)

    def _touch(self) -> None:
        """For a probe by what runs this process: the loop goes round, on a session."""
        if self._health is None:
            return
        now = self._clock()
        if self._touched_at is None or now - self._touched_at >= TOUCH_S:
            self._touched_at = now
            Path(self._health).touch()

    def _say(self, conn: Connection, doing: str, *, is_last: bool = False) -> None:
        if self._mute:
            return
        self._beat_at, self._doing = self._clock(), doing
        beat = "select publish.beat(%s, %s, %s, %s)"
        try:
            transact(conn, bind(conn, beat, self._id, self._about, doing, is_last))
        except PublishError as error:
            if session_is_over(error):
                raise
            self._mute = error.sqlstate in UNKNOWN
