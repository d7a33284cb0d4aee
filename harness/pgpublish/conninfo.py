"""Database URLs: what is wrong with one is said without showing it, as it may hold a password."""

from __future__ import annotations

import os
import re

import psycopg
from psycopg.conninfo import conninfo_to_dict

from pgpublish.errors import ConnectionFailed, PublishError
from pgpublish.hiding import Hider

PASSWORD = re.compile(r"(?:pass\w*|secret)\s*=\s*('(?:[^'\\\\]|\\\\.)*'|[^\s&]+)", re.IGNORECASE)
SECRETS = ("password", "sslpassword", "oauth_client_secret", "scram_client_key", "scram_server_key")


def check(url: str) -> None:
    """Raises ConnectionFailed unless it is one, and no part of its login was taken for a host, a
    port or a database: libpq would look that up, and name it in its error."""
    try:
        given = conninfo_to_dict(url)
    except (psycopg.Error, UnicodeError):
        given = {}
        fine = False
    else:
        places = [str(given.get(name) or "") for name in ("host", "port")]
        cut = "://" in url and "@" in url and "user" not in given
        host_cut = "://" in url and "@" in places[0]
        fine = not (cut or host_cut) and bool(re.fullmatch(r"[\d,]*", places[1]))
    if not fine:
        raise ConnectionFailed(
            "this is not a database URL",
            hint="Write it as postgresql://user@host:5432/database or host=… dbname=…, with every"
            " special character of user and password percent-encoded; it is not shown here, as it"
            " may hold a password.",
        )


def without_secrets(error: PublishError, url: str) -> PublishError:
    """The error with no password of the URL, or of the environment, in it."""
    secrets = [found.strip("'") for found in PASSWORD.findall(url)]
    secrets.append(os.environ.get("PGPASSWORD", ""))
    given = conninfo_to_dict(url)
    secrets += [str(given[name]) for name in SECRETS if given.get(name)]
    hide = Hider(secret for secret in secrets if secret).hide
    error.message = hide(error.message)
    error.args = (error.message,)
    error.detail = error.detail and hide(error.detail)
    return error
