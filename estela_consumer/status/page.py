"""The status as one HTML page: no script, and nothing that is loaded from anywhere."""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Callable
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from estela_consumer.status.chart import chart
from estela_consumer.status.model import TROUBLED, JobState, Status, TopicStatus
from estela_consumer.status.sentence import Level, duration, sentence, summary
from estela_consumer.status.tables import count_text, lag_text, rate_text, time_text, to_go_text
from estela_pages.response import Response
from estela_terminal.printable import printable

REFRESH = 10
"""Seconds after which a browser asks again."""
_CELL_CHARACTERS = 400  # of a text that comes from outside; more makes no page easier to read
_MARKS = {Level.WELL: "✓", Level.BUSY: "…", Level.LOOK: "!", Level.TROUBLE: "✗"}
_JOB_LEVELS = {JobState.COMPLETE: Level.WELL, JobState.INCOMPLETE: Level.TROUBLE}


class StatusPage:
    """Renders it. Whatever is put into the page is escaped, printable and not too long."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        environment = Environment(
            loader=PackageLoader("estela_consumer.status"),
            autoescape=True,
            undefined=StrictUndefined,
            finalize=_shown,
        )
        environment.filters |= {
            "chart": chart,
            "count": count_text,
            "duration": duration,
            "job_level": _job_level,
            "lag": lag_text,
            "moment": time_text,
            "rate": rate_text,
            "to_go": to_go_text,
            "ago": lambda moment, now: "" if moment is None else f"{duration(now - moment)} ago",
            "reader_of": _reader_of,
        }
        css = files("estela_consumer.status").joinpath("templates/page.css").read_text(encoding="utf-8")
        digest = base64.b64encode(hashlib.sha256(css.encode()).digest()).decode()
        self._policy = (
            f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'; "
            "frame-ancestors 'none'"
        )
        self._template = environment.get_template("page.html")
        self._css = Markup(css)
        self._since = clock()

    def response(self, status: Status) -> Response:
        """The page, with a policy by which nothing in it can do anything but be looked at."""
        html = self._template.render(
            status=status,
            sentence=sentence(status),
            summary=summary(status),
            marks={level.value: mark for level, mark in _MARKS.items()},
            css=self._css,
            refresh=REFRESH,
            since=self._since,
        )
        headers = (("Content-Security-Policy", self._policy),)
        return Response(200, "text/html; charset=utf-8", html.encode(errors="backslashreplace"), headers)


def _shown(value: Any) -> Any:
    """Applied to whatever the template puts out, before it is escaped."""
    if isinstance(value, Markup):
        return value
    text = printable(value)
    return text if len(text) <= _CELL_CHARACTERS else f"{text[:_CELL_CHARACTERS]}…"


def _job_level(state: JobState) -> str:
    level = _JOB_LEVELS.get(state, Level.LOOK if state in TROUBLED else Level.BUSY)
    return level.value


def _reader_of(topic: TopicStatus, partition: int) -> str:
    members = [each for each in topic.members or () if partition in each.partitions]
    return ", ".join(f"{each.client} {each.host}".strip() or "a consumer" for each in members)
