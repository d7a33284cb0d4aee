"""The demo's page: airports go on changing, a worker delivers them, and a browser shows it."""

from __future__ import annotations

import random
import socket
from collections.abc import Callable
from contextlib import ExitStack
from threading import Event, Thread
from typing import Any, LiteralString

from pgpublish import deliver, drain, presence
from pgpublish.database import Connection, call, connect
from pgpublish.demo import delivery
from pgpublish.errors import BadArgument, MissingPart

PORT = 8080
AIRPORTS = ["EDDF", "KJFK", "LSZH", "EGLL", "LFPG", "RJTT", "EHAM", "LEMD", "LIRF", "YSSY"]
COUNTRIES = [("CH", "Switzerland", "Schweiz"), ("NL", "Netherlands", "Nederland")]
LONGEST_PAUSE_S = 1.2

# A token of who may press the buttons. Roles belong to the server: one that was kept has it.
OPERATOR: LiteralString = """
do $$ begin
  if to_regrole('demo_operator') is null then create role demo_operator; end if;
end $$;
grant publish_admin to demo_operator;
select publish_grant('demo_operator', '{*}');
select publish_define('airport', 'airport_feed', key => '{icao}', show_key => true);
"""


def play(url: str, say: Callable[[str], None], port: int = PORT) -> None:
    """Until SIGINT or SIGTERM. Raises MissingPart, BadArgument."""
    try:
        from pgpublish.serve import Settings, app
        from pgpublish.serve.run import Server, listen
    except ImportError as error:
        raise MissingPart("the server needs an extra", detail=str(error)) from error
    settings = Settings(public="publish_reader", local_only=True)
    stop = Event()
    with ExitStack() as stack:
        conn = stack.enter_context(connect(url))
        conn.execute(OPERATOR)
        token = call(
            conn,
            "select public.publish_token_add('demo', 'demo_operator', null::text,"
            " now() + interval '1 day')",
        )[0]
        receiver = stack.enter_context(delivery.receiving())
        receiver.repaired = True
        delivery.subscribe(conn, receiver)
        listening = stack.enter_context(_listen(listen, port, settings))
        for work in (
            lambda: change(conn, stop),
            lambda: _drain(url, stop),
            lambda: deliver.run(lambda: connect(url), stop, threads=1),
        ):
            thread = Thread(target=work, daemon=True)
            thread.start()
            stack.callback(thread.join, 15)
        stack.callback(stop.set)
        host, port = listening.getsockname()[:2]
        say(
            f"\nAirports go on changing. Open  http://{host}:{port}/  and watch; Ctrl-C ends it.\n"
            f"Its buttons pause, resume and retry for who has this token: {token}"
        )
        Server(app(url, settings), settings).run(sockets=[listening])


def _listen(listen: Callable[..., socket.socket], port: int, settings: Any) -> socket.socket:
    """There, or on any port that is free."""
    try:
        return listen("127.0.0.1", port, settings)
    except BadArgument:
        return listen("127.0.0.1", 0, settings)


def _drain(url: str, stop: Event) -> None:
    with connect(url) as conn:
        drain.run(conn, stop, presence=presence.Presence("drain"))


def change(conn: Connection, stop: Event, chance: random.Random | None = None) -> None:
    """One airport after another, and at times a country that many airports show."""
    chance = chance or random.Random()
    while not stop.wait(chance.uniform(0.1, LONGEST_PAUSE_S)):
        what = chance.random()
        if what < 0.03:
            code, name, other = chance.choice(COUNTRIES)
            conn.execute(
                "update country set name = case name when %s then %s else %s end where code = %s",
                [name, other, name, code],
            )
        elif what < 0.2:
            conn.execute(
                "update airport set name = case when name like '%% (closed)'"
                " then left(name, -9) else name || ' (closed)' end where icao = %s",
                [chance.choice(AIRPORTS)],
            )
        else:
            conn.execute(
                "update airport set elevation_ft = elevation_ft + %s where icao = %s",
                [chance.randint(-3, 3), chance.choice(AIRPORTS)],
            )
