"""JSON lines on standard output, one CloudEvent each: for people and pipes."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from threading import Event, Lock
from typing import ClassVar

from pgpublish.errors import OutputClosed
from pgpublish.sinks import Failure, Message, Options
from pgpublish.sinks.cloudevents import encoded
from pgpublish.terminal import json_text

_lock = Lock()  # workers share the stream


class Stdout:
    OPTIONS: ClassVar[dict[str, str]] = {}

    def __init__(self, options: Options) -> None:
        pass

    def send(self, messages: Sequence[Message], stop: Event) -> list[Failure]:
        events, failures = encoded(messages)
        try:
            with _lock:
                for _, event in events:
                    sys.stdout.write(json_text(event.decode()) + "\n")
                sys.stdout.flush()
        except BrokenPipeError:
            raise OutputClosed(
                "standard output is closed", hint="Start it again with a reader."
            ) from None
        except OSError as error:
            return failures + [Failure(message, "endpoint", str(error)) for message, _ in events]
        return failures

    def close(self) -> None:
        pass
