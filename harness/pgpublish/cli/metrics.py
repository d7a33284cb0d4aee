"""`pgpublish metrics`."""

from __future__ import annotations

import click

from pgpublish.cli.console import Database, json_option, log, stop_on_signals
from pgpublish.database import connect, watch
from pgpublish.errors import BadArgument, MissingPart
from pgpublish.terminal import say, say_json


class Address(click.ParamType[tuple[str, int]]):
    """HOST:PORT; without a host every address of this machine."""

    name = "address"

    def convert(
        self, value: str, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, int]:
        host, colon, port = value.rpartition(":")
        if not colon or not port.isdecimal() or not 0 <= int(port) < 65536:
            self.fail(f"{value!r} is not HOST:PORT, as in 127.0.0.1:9187.", param, ctx)
        return host.strip("[]") or "0.0.0.0", int(port)


@click.command()
@click.option(
    "--serve",
    "address",
    type=Address(),
    metavar="HOST:PORT",
    help="Answer Prometheus there, until SIGTERM, as in 127.0.0.1:9187.",
)
@json_option
@click.pass_obj
def metrics(database: Database, address: tuple[str, int] | None, as_json: bool) -> None:
    """Print metrics as OpenMetrics, or serve them.

    Each scrape asks the database; while that does not answer, pgpublish_up is 0. Give the login
    pg_monitor too, to see the oldest snapshot. The names are in docs/metrics.md.
    """
    try:
        from pgpublish import metrics as room
    except ImportError as error:
        raise MissingPart(
            "a package for metrics is not installed",
            detail=str(error),
            hint="pip install 'pgpublish[metrics]'",
        ) from error

    with database.server(), stop_on_signals() as stop:
        if address is None:
            with database.connect() as conn:
                rows = room.read(conn)
            if as_json:
                for name, kind, labels, value, _ in rows:
                    say_json({"name": name, "type": kind, "labels": labels, "value": value})
            else:
                say(room.openmetrics(rows), end="")
            return
        scrape = room.Scrape(
            lambda: watch(connect(database.url, name="pgpublish metrics"), stop), log
        )
        try:
            end = room.serve(*address, scrape)
        except OSError as error:
            raise BadArgument(
                "this address cannot be served",
                detail=f"{address[0]}:{address[1]}: {error.strerror or error}",
                hint="Name a free port of this machine.",
            ) from error
        log(f"serving http://{address[0]}:{address[1]}/metrics")
        stop.wait()
        end()


COMMANDS: list[click.Command] = [metrics]
