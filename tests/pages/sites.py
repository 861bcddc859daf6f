"""The two practice sites that the pages crawl, on this machine: quotes, and books whose prices change."""

from __future__ import annotations

import re
import threading
from html import escape
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

QUOTES = "https://quotes.toscrape.com"
BOOKS = "https://books.toscrape.com"
BOOKS_A_PAGE, PAGES = 4, 3
CHANGED = 5  # books that have another price in the next round

_FIRST_BOOK = ("A Light in the Attic", "51.77")
_TAGS = (("change", "thinking"), (), ("love",))


class Sites(ThreadingHTTPServer):
    """`with Sites() as sites:` serves both; `here` makes a page's text lead to them."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.address = f"http://127.0.0.1:{self.server_address[1]}"
        self.round = 0
        """How often prices have changed."""

    def here(self, text: str) -> str:
        """The text with the sites' addresses in the place of the real ones."""
        return text.replace(QUOTES, f"{self.address}/quotes").replace(BOOKS, f"{self.address}/books")

    def there(self, text: str) -> str:
        """The reverse."""
        return text.replace(f"{self.address}/quotes", QUOTES).replace(f"{self.address}/books", BOOKS)

    def __enter__(self) -> Sites:
        threading.Thread(target=self.serve_forever, name="sites", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Sites

    def do_GET(self) -> None:
        """Answer a page of either site; nothing else is there."""
        if found := re.fullmatch(r"/quotes(?:/page/(\d+))?/?", self.path):
            self._send(_quotes(int(found[1] or 1)))
        elif found := re.fullmatch(r"/books(?:/catalogue/page-(\d+)\.html)?/?", self.path):
            self._send(_books(int(found[1] or 1), self.server.round))
        else:
            self._send("", HTTPStatus.NOT_FOUND)

    def _send(self, page: str, status: HTTPStatus = HTTPStatus.OK) -> None:
        body = page.encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Keep quiet."""


def _quotes(page: int) -> str:
    quotes = "".join(
        f'<div class="quote"><span class="text">“Words {page}.{number} & more”</span>'
        f'<span>by <small class="author">Author {number}</small></span>'
        f'<div class="tags">{"".join(f"<a class=tag>{tag}</a>" for tag in tags)}</div></div>'
        for number, tags in enumerate(_TAGS)
    )
    following = f'<li class="next"><a href="/quotes/page/{page + 1}/">Next</a></li>' if page < PAGES else ""
    return f"<html><body>{quotes}<ul>{following}</ul></body></html>"


def _books(page: int, changes: int) -> str:
    first = (page - 1) * BOOKS_A_PAGE
    books = "".join(_book(number, changes) for number in range(first, first + BOOKS_A_PAGE))
    link = f'<li class="next"><a href="/books/catalogue/page-{page + 1}.html">next</a></li>'
    return f"<html><body><ol>{books}</ol>{link if page < PAGES else ''}</body></html>"


def _book(number: int, changes: int) -> str:
    title, price = _FIRST_BOOK if number == 0 else (f"Book & Sons {number}", f"{10 + number}.50")
    if 0 < number <= CHANGED:
        price = f"{10 + number + changes}.50"
    link = (
        f"/books/catalogue/{title.lower().replace(' ', '-').replace('&', 'and')}_{1000 - number}/index.html"
    )
    return (
        f'<article class="product_pod"><h3><a href="{link}" title="{escape(title)}">{escape(title)}</a></h3>'
        f'<p class="price_color">£{price}</p><p class="instock availability"> In stock </p></article>'
    )
