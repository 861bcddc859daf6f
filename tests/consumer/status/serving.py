"""Statuses as pages of a real server, without anything behind them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from estela_consumer.status.model import Status
from estela_consumer.status.page import StatusPage
from estela_pages.address import ListenAddress
from estela_pages.response import Response
from estela_pages.server import PageServer, bind
from tests.consumer.status.states import NOW

PAGE = StatusPage(lambda: NOW - 3_600)

# Windows are never as narrow as a phone, but a frame can be, and a page beside it can measure what is in it.
_FRAME = """<iframe id="frame" width="{width}" height="3000" frameborder="0" src="/{name}/framed"></iframe>
<script>frame.onload = () => {{
document.title = frame.contentDocument.documentElement.scrollWidth + " wide" }}</script>"""
_MAY_BE_MEASURED = (("Content-Security-Policy", "default-src 'self' 'unsafe-inline'"),)


def _same(response: Response) -> Response:
    return response


@contextmanager
def served(**statuses: Status) -> Iterator[str]:
    """The URL at which each is a page, under its name."""
    address = ListenAddress.parse("127.0.0.1:0")
    pages: dict[str, Callable[[], Response]] = {}
    for name, status in statuses.items():
        response = PAGE.response(status)
        pages[f"/{name}"] = partial(_same, response)
        pages[f"/{name}/framed"] = partial(_same, response._replace(headers=_MAY_BE_MEASURED))
        for width in (400, 1_180):
            frame = _FRAME.format(width=width, name=name)
            pages[f"/{name}/{width}"] = partial(
                _same, Response(200, "text/html", frame.encode(), _MAY_BE_MEASURED)
            )
    server = PageServer(bind(address), address, pages)
    server.start()
    try:
        yield server.url
    finally:
        server.close()
