"""Where deliveries go: what a sink is.

A sink is made from a subscription's options by an entry point of group `pgpublish.sinks`, ours as
a third party's. Its class names its options, so that publish_subscribe can check them:

    class Pigeon:
        OPTIONS = {"loft": "string required"}
        def __init__(self, options: Options) -> None: ...
        def send(self, messages, stop): ...
        def check(self) -> None: ...  # may be left out
        def close(self) -> None: ...
"""

from __future__ import annotations

from pgpublish.sinks.base import (
    GRACE_S,
    Failure,
    FailureClass,
    Message,
    Options,
    Sink,
    resolve,
)
from pgpublish.sinks.policy import Policy
from pgpublish.sinks.registry import GROUP, check, known_options, load, make, third_party

__all__ = [
    "GRACE_S",
    "GROUP",
    "Failure",
    "FailureClass",
    "Message",
    "Options",
    "Policy",
    "Sink",
    "check",
    "known_options",
    "load",
    "make",
    "resolve",
    "third_party",
]
