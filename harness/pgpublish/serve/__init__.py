"""The feed over HTTP: pages, long polls and server-sent events.

`app()` is an ASGI application for uvicorn or to be mounted; `pgpublish serve` runs it.
"""

from __future__ import annotations

from pgpublish.serve.app import app
from pgpublish.serve.settings import Jwt, Settings

__all__ = ["Jwt", "Settings", "app"]
