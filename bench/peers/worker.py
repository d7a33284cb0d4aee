"""A worker of procrastinate or PgQueuer: one empty job at a time, until it is killed.

Arguments: which of the two, the database's URI. Prints "ping" for each job that asks for it.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from typing import Any

import procrastinate
import psycopg
from pgqueuer import PgQueuer, PsycopgDriver
from pgqueuer.models import Job


async def run_procrastinate(url: str) -> None:
    logging.getLogger("procrastinate").setLevel(logging.ERROR)
    connector = procrastinate.PsycopgConnector(conninfo=url, min_size=1, max_size=3)
    app = procrastinate.App(connector=connector)

    @app.task(name="empty")
    async def empty(**data: Any) -> None:
        if data.get("ping"):
            print("ping", flush=True)

    async with app.open_async():
        await app.run_worker_async(concurrency=1)


async def run_pgqueuer(url: str) -> None:
    logging.getLogger("pgqueuer").setLevel(logging.ERROR)
    conn = await psycopg.AsyncConnection.connect(url, autocommit=True)
    queue = PgQueuer(PsycopgDriver(conn))

    @queue.entrypoint("empty")
    async def empty(job: Job) -> None:
        if job.payload == b"ping":
            print("ping", flush=True)

    await queue.run()


asyncio.run(
    {"procrastinate": run_procrastinate, "pgqueuer": run_pgqueuer}[sys.argv[1]](sys.argv[2])
)
