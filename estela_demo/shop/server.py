"""The shop's web site: `python -m estela_demo.shop.server [PORT]`, or `ShopServer` in a thread.

Besides listings and products it has what real sites have: old addresses that redirect, a page that is gone,
one that is overloaded at the first visit, and one that never answers in time. Prices change with the day.
"""

from __future__ import annotations

import sys
import threading
from html import escape
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from .catalogue import PAGES, PRODUCTS, on_page, product

REDIRECTED = 50  # the listing links every 50th product by its old address
FLAKY = 500  # this product's page answers 503 at the first visit
SLOW_ANSWER = 60.0  # seconds


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: ShopServer

    def do_GET(self) -> None:
        """Answer a page by its address."""
        match self.path.strip("/").split("/"):
            case [""]:
                self._send(_listing(1, self.server))
            case ["page", number] if number.isdecimal() and 1 <= int(number) <= self.server.pages:
                self._send(_listing(int(number), self.server))
            case ["old", number] if number.isdecimal():
                self._send("", HTTPStatus.MOVED_PERMANENTLY, Location=f"/product/{number}")
            case ["product", number] if number.isdecimal() and 1 <= int(number) <= PRODUCTS:
                if int(number) == FLAKY and self.server.first_visit_of_flaky():
                    self._send("", HTTPStatus.SERVICE_UNAVAILABLE)
                else:
                    self._send(_product_page(int(number), self.server.day))
            case ["slow"]:
                self.server.stopping.wait(SLOW_ANSWER)
                self._send("at last")
            case _:
                self._send("", HTTPStatus.NOT_FOUND)

    def _send(self, page: str, status: HTTPStatus = HTTPStatus.OK, **headers: str) -> None:
        body = page.encode()
        try:
            self.send_response(status)
            for name, value in {"Content-Type": "text/html; charset=utf-8", **headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        except ConnectionError:
            self.close_connection = True  # the visitor did not wait

    def log_message(self, format: str, *args: object) -> None:
        """Keep quiet: the crawl's own log tells what was fetched."""


class ShopServer(ThreadingHTTPServer):
    """The site; `with ShopServer() as shop:` serves it at `shop.url` from threads of its own."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, host: str = "127.0.0.1", port: int = 0, *, pages: int = PAGES) -> None:
        super().__init__((host, port), _Handler)
        self.pages = pages  # listings of 20 products each
        self.day = 1  # by which some prices differ; may be changed while the shop is open
        self.url = f"http://{host}:{self.server_address[1]}/"
        self.stopping = threading.Event()
        self._flaky_visited = False

    def first_visit_of_flaky(self) -> bool:
        """Whether nobody has asked for the overloaded page before."""
        first, self._flaky_visited = not self._flaky_visited, True
        return first

    def __enter__(self) -> ShopServer:
        threading.Thread(target=self.serve_forever, name="shop", daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self.stopping.set()
        self.shutdown()
        self.server_close()


def _listing(page: int, shop: ShopServer) -> str:
    links = []
    for ware in on_page(page, shop.day):
        number = int(ware.sku[-4:])
        address = f"/old/{number}" if number % REDIRECTED == 0 else ware.url
        links.append(
            f'<li data-sku="{ware.sku}"><a class="product" href="{address}">{escape(ware.name)}</a> '
            f'<span class="price">{ware.price}</span></li>'
        )
    more = f'<a class="next" href="/page/{page + 1}">next</a>' if page < shop.pages else ""
    odd = (
        '<a class="odd" href="/missing">sold out</a> <a class="odd" href="/slow">reviews</a>'
        if page == 1
        else ""
    )
    return f"<html><body><h1>Page {page}</h1><ul>{''.join(links)}</ul>{more}{odd}</body></html>"


def _product_page(number: int, day: int) -> str:
    ware = product(number, day)
    tags = "".join(f"<li>{escape(tag)}</li>" for tag in ware.tags)
    return (
        f'<html><body><h1 data-sku="{ware.sku}">{escape(ware.name)}</h1>'
        f'<p class="price">{ware.price}</p><time>{ware.added.isoformat()}</time><ul class="tags">{tags}</ul>'
        f'<p class="stock" data-warehouse="{ware.stock.warehouse}">{ware.stock.pieces}</p></body></html>'
    )


if __name__ == "__main__":
    served = ShopServer("0.0.0.0", int(sys.argv[1]) if len(sys.argv) > 1 else 8000)
    sys.stdout.write(f"The shop is open at {served.url}\n")
    sys.stdout.flush()
    served.serve_forever()
