"""Makes the pictures of the screens in docs/: `python tests/pictures.py MINUTES`.

A shop is written to at a rate that goes up and down, delivered to a webhook that is away for a
while, and looked at in the end: status and top as SVG, the report as PNG by chromium.
"""

from __future__ import annotations

import io
import math
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import psycopg
import servers
from rich.console import Console
from rich.text import Text

from pgpublish import jobs, operate
from pgpublish.cli import status
from pgpublish.cli.screen import Screen
from pgpublish.migrate import migrate

DOCS = Path(__file__).parents[1] / "docs"
SHOP = """
create schema shop;
create table shop.customer (id int primary key, name text not null);
create table shop.product (id int primary key, name text not null, price numeric not null);
create table shop.orders (
  id int primary key, customer_id int not null references shop.customer, status text not null);
create table shop.order_line (
  order_id int references shop.orders, product_id int references shop.product, amount int not null,
  primary key (order_id, product_id));
create index on shop.orders (customer_id);
create index on shop.order_line (product_id);
create view shop.order_feed as
  select o.id, o.status, c.name as customer,
         (select jsonb_agg(jsonb_build_object('product', l.product_id, 'amount', l.amount))
            from shop.order_line l where l.order_id = o.id) as lines
    from shop.orders o join shop.customer c on c.id = o.customer_id;
create view shop.product_feed as select id, name, price from shop.product;
insert into shop.customer select n, 'Customer ' || n from generate_series(1, 200) n;
insert into shop.product select n, 'Product ' || n, n from generate_series(1, 500) n;
insert into shop.orders select n, 1 + n % 200, 'open' from generate_series(1, 3000) n;
insert into shop.order_line select n, 1 + n % 500, 1 from generate_series(1, 3000) n;
select publish_define('order', 'shop.order_feed');
select publish_capture('order', 'shop.orders');
select publish_capture('order', 'shop.order_line', key => 'order_id');
select publish_capture('order', 'shop.customer',
                       lookup => 'select id from shop.orders where customer_id = any ($1)');
select publish_define('product', 'shop.product_feed');
select publish_capture('product', 'shop.product');
select publish_define('mail');
select publish_subscribe('search', 'webhook', options => jsonb_build_object('url', '{url}',
  'allow_private', true));
select publish_subscribe('partner', 'webhook', kinds => '{{product}}',
                         options => jsonb_build_object(
  'url', '{url}/partner', 'allow_private', true));
select publish_subscribe('audit', 'stdout', kinds => '{{order}}');
select publish_pause('audit');
"""


class Endpoint(BaseHTTPRequestHandler):
    away = False

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        bad = Endpoint.away or ("partner" in self.path and random.random() < 0.01)
        self.send_response(503 if Endpoint.away else 422 if bad else 204)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None: ...


def write(url: str, minutes: float, stop: threading.Event) -> None:
    began = time.monotonic()
    with psycopg.connect(url, autocommit=True, application_name="shop") as conn:
        while not stop.is_set():
            at = (time.monotonic() - began) / (60 * minutes)
            Endpoint.away = 0.55 < at < 0.62
            rate = 6 + 4 * math.sin(at * 9) + (20 if 0.3 < at < 0.36 or at > 0.9 else 0)
            conn.execute(
                "update shop.orders set status = (array['open', 'paid', 'sent', 'back'])"
                "[1 + floor(random() * 4)::int] where id = 1 + floor(random() * 3000)::int"
            )
            if random.random() < 0.1:
                conn.execute(
                    "update shop.product set price = price + 1 where id = %s",
                    [random.randint(1, 500)],
                )
            if random.random() < 0.02:
                conn.execute("select publish_enqueue('mail', gen_random_uuid()::text, '{}')")
            stop.wait(random.expovariate(rate))


def export(shown: object, width: int, height: int, title: str, file: Path) -> None:
    console = Console(
        record=True, width=width, height=height, file=io.StringIO(), force_terminal=True
    )
    console.print(shown)
    svg = console.export_svg(title=title)
    file.write_text(re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.S))


def main(minutes: float) -> None:
    os.environ["COLUMNS"] = "120"
    root = Path(tempfile.mkdtemp(prefix="pgpublish-pictures-"))
    cluster = servers.new_cluster("embedded", root)
    endpoint = ThreadingHTTPServer(("127.0.0.1", 0), Endpoint)
    threading.Thread(target=endpoint.serve_forever, daemon=True).start()
    cluster.create()
    cluster.start()
    workers: list[subprocess.Popen[bytes]] = []
    stop = threading.Event()
    try:
        with psycopg.connect(cluster.url(), autocommit=True) as conn:
            conn.execute("create role shop_worker login")
            conn.execute("create database shop")
        url, login = cluster.url("shop"), cluster.url("shop", "shop_worker")
        with psycopg.connect(url, autocommit=True) as conn:
            migrate(conn)
            conn.execute("grant publish_worker, publish_reader, pg_monitor to shop_worker")
            hook = f"http://127.0.0.1:{endpoint.server_port}"
            for statement in (
                SHOP.replace("{url}", hook).replace("{{", "{").replace("}}", "}").split(";\n")
            ):
                if statement.strip():
                    conn.execute(statement.encode())
        base = [sys.executable, "-m", "pgpublish", "--database-url", login]
        for command in (["drain"], ["drain"], ["deliver"], ["deliver"]):
            workers.append(
                subprocess.Popen(
                    [*base, *command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
                )
            )
        writer = threading.Thread(target=write, args=(url, minutes, stop))
        writer.start()
        with psycopg.connect(login, autocommit=True) as conn:
            screen = Screen()
            end = time.monotonic() + 60 * minutes
            with jobs.start(conn, "reindex", kind="search", worker="batch") as job:
                while (left := end - time.monotonic()) > 0:
                    screen.add(operate.overview(conn), operate.running_jobs(conn))
                    job.save(done=int(1000 * (1 - left / 60 / minutes)), total=1200)
                    stop.wait(min(1, left))
                screen.add(operate.overview(conn), operate.running_jobs(conn))
                export(screen, 140, 38, "pgpublish top", DOCS / "top.svg")
                found = operate.overview(conn), operate.running_jobs(conn)
                lines = Text.from_ansi("\n".join(status.screen(*found)))
                export(lines, 120, 40, "pgpublish status", DOCS / "status.svg")
                subprocess.run([*base, "report", "-o", str(root / "report.html")], check=True)
        (root / "home").mkdir()
        subprocess.run(
            ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
             f"--user-data-dir={root / 'home'}", "--window-size=1100,1540",
             f"--screenshot={DOCS / 'report.png'}", (root / "report.html").as_uri()],
            check=True, capture_output=True,
        )  # fmt: skip
    finally:
        stop.set()
        for worker in workers:
            worker.terminate()
            worker.wait(30)
        endpoint.shutdown()
        cluster.stop()
        shutil.rmtree(root, ignore_errors=True)


if __name__ == "__main__":
    main(float(sys.argv[1]))
