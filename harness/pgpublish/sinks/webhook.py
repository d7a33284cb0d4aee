"""Webhooks: CloudEvents over HTTP/1.1, signed as Standard Webhooks says.

2xx is delivered; 410 gone; 408, 425, 429 and 5xx are the endpoint's failure, as are 3xx (never
followed), timeouts and broken answers; any other status rejects the one message.
"""

from __future__ import annotations

import re
import socket
import ssl
import time
from collections.abc import Callable, Sequence
from email.utils import parsedate_to_datetime
from errno import EACCES
from threading import Event

import aiohttp
from yarl import URL

from pgpublish import __version__
from pgpublish.errors import BadArgument
from pgpublish.sinks import (
    Failure,
    FailureClass,
    Message,
    Options,
    background,
    cloudevents,
    signature,
)
from pgpublish.sinks.address import is_public
from pgpublish.sinks.concurrent import send_all

TIMEOUT_S = 15.0
CONCURRENCY = 10
READ = 64 * 1024  # bytes of an answer that are read to keep the connection
KEPT = 4096  # of these
CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")  # but the tab


class Webhook:
    def __init__(self, options: Options, clock: Callable[[], float] = time.time) -> None:
        url = options.text("url")
        self.url = URL(url)
        if self.url.scheme not in ("http", "https") or not self.url.host or CONTROL.search(url):
            raise BadArgument("a webhook has a URL", detail="Option url.",
                              hint="Write https://…, without a line break.")  # fmt: skip
        self.mode = options.text("mode", "structured")
        if self.mode not in ("structured", "binary"):
            raise BadArgument("there is no such mode", detail="Option mode.",
                              hint="Use structured or binary.")  # fmt: skip
        given = options.values.get("secrets")
        # An empty variable is a mistake, not the wish to sign nothing.
        self.keys = signature.keys(options.words("secrets") or ([""] if given == "" else []))
        self.headers = {name: str(value) for name, value in options.mapping("headers").items()}
        if CONTROL.search("".join([*self.headers, *self.headers.values()])):
            raise BadArgument(
                "a header holds a line break or another control character",
                detail="Option headers.", hint="Look for a newline at the end of the variable.",
            )  # fmt: skip
        self.concurrency = max(1, int(options.positive("concurrency", CONCURRENCY)))
        self.timeout = options.positive("timeout", TIMEOUT_S)
        self.allow_private = options.flag("allow_private")
        self.tls = ssl.create_default_context()
        if ca := options.text("ca"):
            self.tls.load_verify_locations(ca)
        self.clock = clock
        self._session: aiohttp.ClientSession | None = None

    def send(self, messages: Sequence[Message], stop: Event) -> list[Failure]:
        return background.run(self._send(messages, stop))

    def close(self) -> None:
        if self._session is not None:
            background.run(self._session.close())

    async def _send(self, messages: Sequence[Message], stop: Event) -> list[Failure]:
        if self._session is None:
            self._session = self._open()
        return await send_all(self._post, messages, stop, concurrency=self.concurrency)

    def _open(self) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(
            limit=self.concurrency, ssl=self.tls, socket_factory=self._socket
        )
        return aiohttp.ClientSession(
            connector=connector,
            timeout=aiohttp.ClientTimeout(total=self.timeout),
            headers={"user-agent": f"pgpublish/{__version__}", **self.headers},
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
        )

    def _socket(self, address: aiohttp.AddrInfoType) -> socket.socket:
        """Called for each address that the name has, after DNS and before connecting."""
        family, kind, protocol, _, (host, *_) = address
        if not self.allow_private and not is_public(str(host)):
            raise OSError(EACCES, f"{host} is not public; allow_private would allow it")
        return socket.socket(family, kind, protocol)

    async def _post(self, message: Message) -> Failure | None:
        try:
            headers, body = self._write(message)
        except ValueError as error:
            return Failure(message, "encoding", str(error))
        assert self._session is not None
        try:
            async with self._session.post(
                self.url, data=body, headers=headers, allow_redirects=False
            ) as response:
                body = b"" if response.content.at_eof() else await self._drain(response)
                if 200 <= response.status < 300:
                    return None
                return self._judge(message, response, body)
        except TimeoutError:
            return Failure(message, "endpoint", f"no answer within {self.timeout:g} s")
        except (aiohttp.ClientError, OSError) as error:
            return Failure(message, "endpoint", f"{type(error).__name__}: {error}")

    def _write(self, message: Message) -> tuple[dict[str, str], bytes]:
        if self.mode == "binary":
            headers, body = cloudevents.binary(message)
        else:
            headers = {"content-type": cloudevents.STRUCTURED}
            body = cloudevents.structured(message)
        return headers | signature.headers(self.keys, message.id, int(self.clock()), body), body

    async def _drain(self, response: aiohttp.ClientResponse) -> bytes:
        """The beginning of the answer; a long one is cut off with its connection."""
        got = b""
        while chunk := await response.content.read(READ):
            got += chunk
            if len(got) >= READ:
                response.close()
                break
        return got

    def _judge(self, message: Message, response: aiohttp.ClientResponse, body: bytes) -> Failure:
        status = response.status
        reason = f"HTTP {status}"
        if 300 <= status < 400:
            reason += f", a redirect to {response.headers.get('location', 'nowhere')}"
        elif body:
            reason += ": " + body[:KEPT].decode(errors="replace").strip()
        kind: FailureClass = "rejected"
        if status == 410:
            kind = "gone"
        elif status >= 500 or status < 400 or status in (408, 425, 429):
            kind = "endpoint"
        wait: float | None = None
        if kind == "endpoint":
            wait = seconds(response.headers.get("retry-after"), self.clock())
        if wait is None and status in (429, 503):
            wait = 0.0
        return Failure(message, kind, reason, wait)


def seconds(retry_after: str | None, now: float) -> float | None:
    """A Retry-After header in seconds; None where there is none, or nobody can read it."""
    if retry_after is None:
        return None
    if retry_after.strip().isdecimal():
        return float(retry_after)
    try:
        return max(0.0, parsedate_to_datetime(retry_after).timestamp() - now)
    except (ValueError, OverflowError, OSError):  # a year, or a zone, that there is not
        return None
