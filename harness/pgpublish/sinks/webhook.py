"""Webhooks: CloudEvents over HTTP/1.1, signed as Standard Webhooks says.

Any 2xx is delivered, also if what follows its status line is broken; 410 is gone; 429, or a failure
with a Retry-After, is busy; 408, 425 and 5xx are the endpoint's failure, as are 3xx (never
followed), timeouts and broken answers; any other status rejects what was sent.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import socket
import ssl
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from contextvars import ContextVar
from errno import EACCES
from threading import Event
from typing import ClassVar
from urllib.parse import quote, urlsplit

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
from pgpublish.sinks.concurrent import Part, parts, send_all, send_parts
from pgpublish.sinks.retry_after import seconds

TIMEOUT_S = 15.0
CONCURRENCY = 10
BATCH_SIZE = 100
BATCH_BYTES = 1024 * 1024
BODY_S = 1.0  # that the rest of an answer may take: it is read to keep the connection
READ = 64 * 1024  # bytes of it
KEPT = 4096  # of these
FIELD = 256 * 1024  # bytes of one line of an answer's head
FIELDS = 10_000
MODES = ("structured", "binary", "batch")
# What frames a request or says who sends it is ours; the rest is the subscription's.
FRAMING = re.compile(
    r"host|content-.*|transfer-encoding|te|trailer|connection|keep-alive|upgrade|expect|via"
    r"|forwarded|x-forwarded-.*|proxy-.*|webhook-.*|ce-.*|http2-settings|:.*",
    re.IGNORECASE,
)
TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")  # but the tab
ASCII = "".join(map(chr, range(0x21, 0x7F)))
BROKEN = (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError)
NOT_MADE = aiohttp.ClientConnectorError  # one of the latter: there was no connection at all
Why = tuple[FailureClass, str, float | None]

_made: ContextVar[list[socket.socket]] = ContextVar("_made")  # connections, for this request


class Webhook:
    OPTIONS: ClassVar = {
        "url": "string required",
        "mode": "string",
        "secrets": "array",
        "headers": "object",
        "concurrency": "number",
        "batch_size": "number",
        "batch_ms": "number",
        "allow_private": "boolean",
        "ca": "string",
    }

    def __init__(self, options: Options, clock: Callable[[], float] = time.time) -> None:
        self.url = as_given(options.text("url"))
        self.mode = options.text("mode", "structured")
        if self.mode not in MODES:
            raise BadArgument(
                "there is no such mode",
                detail="Option mode.",
                hint="Use structured, binary or batch.",
            )
        given = options.values.get("secrets")
        # An empty variable is a mistake, not the wish to sign nothing.
        self.keys = signature.keys(options.words("secrets") or ([""] if given == "" else []))
        self.headers = {name: str(value) for name, value in options.mapping("headers").items()}
        if CONTROL.search("".join([*self.headers, *self.headers.values()])):
            raise BadArgument(
                "a header holds a line break or another control character",
                detail="Option headers.",
                hint="Look for a newline at the end of the variable.",
            )
        for name in self.headers:
            if FRAMING.fullmatch(name) or not TOKEN.fullmatch(name):
                raise BadArgument(
                    "a header may not be set",
                    detail=f"Option headers: {name}.",
                    hint="Leave out those that frame the request or belong to the event.",
                )
        if self.url.raw_user is not None and "authorization" in map(str.lower, self.headers):
            raise BadArgument(
                "there are two logins",
                detail="Options url and headers.",
                hint="Take it out of the URL, or leave out the header authorization.",
            )
        self.concurrency = max(1, int(options.positive("concurrency", CONCURRENCY)))
        self.timeout = options.positive("timeout", TIMEOUT_S)
        self.batch_size = max(1, int(options.positive("batch_size", BATCH_SIZE)))
        self.batch_s = max(0.0, options.number("batch_ms", 0)) / 1000
        self.allow_private = options.flag("allow_private")
        self.networks = options.policy.networks
        self.tls = ssl.create_default_context()
        if ca := options.authorities():
            self.tls.load_verify_locations(cadata=ca)
        self.clock = clock
        self._session: aiohttp.ClientSession | None = None

    def send(self, messages: Sequence[Message], stop: Event) -> list[Failure]:
        began = time.monotonic()
        failures = background.run(self._send(messages, stop))
        if self._together(messages) and len(messages) < self.batch_size and not failures:
            # Holds the lane, so that the next batch is what has come until then.
            while not stop.is_set() and (left := began + self.batch_s - time.monotonic()) > 0:
                stop.wait(min(left, 0.1))  # a worker's stop is two events: it wakes for one
        return failures

    def check(self) -> None:
        """Raises OSError where the host is not known, BadArgument where it is not public."""
        found = socket.getaddrinfo(self.url.host, self.url.port, type=socket.SOCK_STREAM)
        hosts = sorted({str(address[0]) for *_, address in found})
        if not any(map(self._may_call, hosts)):
            raise BadArgument(
                "the address may not be called",
                detail=f"{self.url.host} is {', '.join(hosts)}.",
                hint="Set allow_private, if this endpoint may be called; what the worker may call"
                " at all, PGPUBLISH_NETWORKS says.",
            )

    def close(self) -> None:
        if self._session is not None:
            background.run(self._session.close())

    def _together(self, messages: Sequence[Message]) -> bool:
        """A retry goes alone, so that what an endpoint refuses takes no others along."""
        return self.mode == "batch" and all(message.part == "fresh" for message in messages)

    async def _send(self, messages: Sequence[Message], stop: Event) -> list[Failure]:
        if self._session is None:
            self._session = self._open()
        if self._together(messages):
            batches = parts(messages, self.batch_size, BATCH_BYTES)
            return await send_parts(
                self._post_batch, batches, messages, stop, concurrency=self.concurrency
            )
        return await send_all(self._post_one, messages, stop, concurrency=self.concurrency)

    def _open(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=self.concurrency, ssl=self.tls, socket_factory=self._socket
            ),
            timeout=aiohttp.ClientTimeout(total=self.timeout),
            headers={"user-agent": f"pgpublish/{__version__}", **self.headers},
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            max_line_size=FIELD,
            max_field_size=FIELD,
            max_headers=FIELDS,
        )

    def _may_call(self, address: str) -> bool:
        """What the worker may call; of that, what is not public only if the option says so."""
        return self.networks.allow(address) and (self.allow_private or is_public(address))

    def _socket(self, address: aiohttp.AddrInfoType) -> socket.socket:
        """Called for each address that the name has, after DNS and before connecting."""
        family, kind, protocol, _, (host, *_) = address
        if not self._may_call(str(host)):
            raise OSError(
                EACCES,
                f"{host} is not public; allow_private would allow it"
                if self.networks.allow(str(host))
                else f"this worker may not call {host}, as PGPUBLISH_NETWORKS says",
            )
        made = socket.socket(family, kind, protocol)
        _made.get([]).append(made)
        return made

    async def _post_one(self, message: Message) -> Failure | None:
        try:
            if self.mode == "binary":
                headers, body = cloudevents.binary(message)
            else:
                headers = {"content-type": cloudevents.STRUCTURED}
                body = cloudevents.structured(message)
        except ValueError as error:
            return Failure(message, "encoding", str(error))
        why = await self._post(headers, message.id, body)
        return None if why is None else Failure(message, *why)

    async def _post_batch(self, part: Part) -> list[Failure]:
        if not part.events:
            failure = await self._post_one(part.messages[0])
            return [] if failure is None else [failure]
        headers = {"content-type": cloudevents.BATCH}
        ids = hashlib.sha256("\n".join(message.id for message in part.messages).encode())
        body = cloudevents.batch(part.events)
        why = await self._post(headers, f"batch/{ids.hexdigest()[:32]}", body)
        return [] if why is None else [Failure(message, *why) for message in part.messages]

    async def _post(self, headers: dict[str, str], id_: str, body: bytes) -> Why | None:
        """Why it was not delivered. Sent again at once where a connection of before was used and
        ended without an answer: the endpoint may have closed it just then."""
        headers |= signature.headers(self.keys, id_, int(self.clock()), body)
        assert self._session is not None
        while True:
            made: list[socket.socket] = []
            _made.set(made)
            try:
                async with self._session.post(
                    self.url, data=body, headers=headers, allow_redirects=False
                ) as response:
                    rest = b"" if response.content.at_eof() else await self._rest(response)
                    return self._judge(response, rest)
            except TimeoutError:
                return "endpoint", f"no answer within {self.timeout:g} s", None
            except (aiohttp.ClientError, OSError) as error:
                if made or not isinstance(error, BROKEN) or isinstance(error, NOT_MADE):
                    return "endpoint", f"{type(error).__name__}: {error}", None

    async def _rest(self, response: aiohttp.ClientResponse) -> bytes:
        """The beginning of the body. One that is long, slow or broken ends with its connection; its
        status counts all the same."""
        got = b""
        with suppress(TimeoutError, aiohttp.ClientError, OSError):
            async with asyncio.timeout(BODY_S):
                while len(got) < READ and (chunk := await response.content.read(READ)):
                    got += chunk
        if not response.content.at_eof():
            response.close()
        return got

    def _judge(self, response: aiohttp.ClientResponse, body: bytes) -> Why | None:
        status = response.status
        if 200 <= status < 300:
            return None
        reason = f"HTTP {status}"
        if 300 <= status < 400:
            reason += f", a redirect to {response.headers.get('location', 'nowhere')}"
        elif body:
            reason += ": " + body[:KEPT].decode(errors="replace").strip()
        if status == 410:
            return "gone", reason, None
        wait = seconds(response.headers.get("retry-after"), self.clock()) if status >= 400 else None
        if status == 429 or wait is not None:
            return "busy", reason, wait or 0.0
        if status >= 500 or status < 400 or status in (408, 425):
            return "endpoint", reason, None
        return "rejected", reason, None


def as_given(text: str) -> URL:
    """The URL with its path and query to the letter, as a signature over them needs; only what no
    request can hold is encoded. Raises BadArgument."""
    try:
        given = urlsplit(text)
        origin = URL(f"{given.scheme}://{given.netloc}")
        if given.scheme not in ("http", "https") or not origin.host or CONTROL.search(text):
            raise ValueError
        rest = text.partition("#")[0][len(f"{given.scheme}://{given.netloc}") :]
        path = rest if rest.startswith("/") else f"/{rest}"
        return URL(str(origin).rstrip("/") + quote(path, safe=ASCII), encoded=True)
    except ValueError:
        raise BadArgument(
            "a webhook has a URL",
            detail="Option url.",
            hint="Write https://…, without a line break.",
        ) from None
