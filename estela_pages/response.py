"""What a request is answered with."""

from __future__ import annotations

from typing import NamedTuple

_TEXT = "text/plain; charset=utf-8"


class Response(NamedTuple):
    """A page as it is sent."""

    status: int
    content_type: str
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()
    """Beside those that every response has, or in their place: a Content-Security-Policy of its own, say."""


def plain(status: int, text: str, *headers: tuple[str, str]) -> Response:
    """A response of lines for people."""
    return Response(status, _TEXT, f"{text}\n".encode(errors="backslashreplace"), headers)
