"""The command that serves the feed over HTTP."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from pgpublish.cli.console import Database, log
from pgpublish.database import Connection, call
from pgpublish.errors import BadArgument, MissingPart, NotGranted
from pgpublish.installed import role_prefix
from pgpublish.migrate import require_usable


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    default=8080,
    show_default=True,
    help="Port to listen on.",
)
@click.option("--public", metavar="ROLE", help="Who comes without a token reads what ROLE may.")
@click.option("--tokens", is_flag=True, help="Answer only who comes with a token.")
@click.option(
    "--origin",
    "origins",
    multiple=True,
    metavar="URL",
    help="Pages that may read (CORS); may be given again.",
)
@click.option(
    "--jwt-key",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Take JSON Web Tokens that this public key, or secret, verifies.",
)
@click.option(
    "--jwt-algorithm",
    type=click.Choice(["RS256", "ES256", "HS256"]),
    default="RS256",
    show_default=True,
    help="How they are signed.",
)
@click.option("--jwt-audience", metavar="TEXT", help="Which their claim aud must name.")
@click.option("--jwt-issuer", metavar="TEXT", help="Which their claim iss must be.")
@click.option("--jwt-role", metavar="ROLE", help="Their role; without it the claim role says it.")
@click.option("--jwt-scope", metavar="CLAIM", help="The claim that says their scope.")
@click.option(
    "--streams",
    type=click.IntRange(1, 100_000),
    default=2500,
    show_default=True,
    help="Streams at a time, at most.",
)
@click.option(
    "--heartbeat",
    type=click.IntRange(1, 300),
    default=15,
    show_default=True,
    metavar="SECONDS",
    help="Between two signs of life of a stream.",
)
@click.option(
    "--cache",
    type=click.IntRange(0, 31_536_000),
    default=3600,
    show_default=True,
    metavar="SECONDS",
    help="How long a page below the head may be kept.",
)
@click.pass_obj
def serve(
    database: Database,
    /,
    host: str,
    port: int,
    public: str | None,
    tokens: bool,
    origins: tuple[str, ...],
    jwt_key: Path | None,
    streams: int,
    heartbeat: int,
    cache: int,
    **jwt: Any,
) -> None:
    """Serve the feed over HTTP: pages and server-sent events.

    Runs until SIGTERM. A browser shows at / what happens now; Prometheus reads /metrics.
    Log in as a member of publish_server. Without --public, --tokens or --jwt-key it listens on this
    machine only, and answers only who calls it from there.
    """
    try:
        from pgpublish.serve import Jwt, Settings, app
        from pgpublish.serve.run import run
        from pgpublish.serve.settings import is_loopback
    except ImportError as error:
        raise MissingPart(
            "the server needs an extra",
            detail=str(error),
            hint="Run: pip install 'pgpublish[serve]'",
        ) from None
    if public is not None and tokens:
        raise click.UsageError("--public and --tokens exclude each other.")
    is_open = public is None and not tokens and jwt_key is None
    if is_open and not is_loopback(host):
        raise BadArgument(
            "who may read is not said",
            detail=f"Host {host} is reached from other machines.",
            hint="Pass --tokens, --jwt-key FILE or --public ROLE.",
        )
    settings = Settings(
        public=public,
        local_only=is_open,
        jwt=None
        if jwt_key is None
        else Jwt(
            _key(jwt_key),
            jwt["jwt_algorithm"],
            jwt["jwt_audience"],
            jwt["jwt_issuer"],
            jwt["jwt_role"],
            scope_claim=jwt["jwt_scope"],
        ),
        origins=origins,
        streams=streams,
        connections=streams + 1500,
        heartbeat=float(heartbeat),
        cache=cache,
    )
    with database.server():
        with database.connect() as conn:
            require_usable(conn)
            conn.execute("select * from public.publish_serve_feed(null::text, 1::int)")
            if public is not None:
                warn_of_nothing(conn, public)
            if is_open:
                reader = f"{role_prefix(conn, None)}publish_reader"
                settings = replace(settings, public=reader)
        application = app(database.url, settings)
        log(
            f"serving http://{f'[{host}]' if ':' in host else host}:{port}"
            + (
                ", for this machine only: everything that publish_reader may read, without a token"
                if is_open
                else ""
            )
        )
        run(application, settings, host, port)


def warn_of_nothing(conn: Connection, role: str) -> None:
    """It may be granted something later, so this is no error."""
    try:
        call(
            conn,
            "select granted from public.publish_serve_reader(%s::name, null::text, null::text[])",
            role,
        )
    except NotGranted as error:
        log(f"warning: {error.message}: {error.detail}. {error.hint}")


def _key(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise BadArgument(
            "the key cannot be read",
            detail=f"{file}: {getattr(error, 'strerror', None) or 'it is not a text'}",
            hint="Give a file with a public key as PEM, or with the secret of HS256.",
        ) from None
