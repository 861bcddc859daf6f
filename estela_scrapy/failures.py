"""What never became a message, and what did not stay as it was: said in a line, and counted."""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Iterable
from typing import Any, NamedTuple

from scrapy import Spider
from scrapy.http import Response

from estela_queue_adapter.serialization.conversion import name_of_type
from estela_queue_adapter.serialization.writing import Converted, Unwritable
from estela_terminal.printable import printable_logger

_LINES_OF_A_KIND = 20
_KINDS = 100  # that are told apart: names of fields may be scraped, and without end
_SUMMED_UP = 10  # kinds that the last line names
_LONGEST = 200  # characters of what is not ours
_FROM_HERE_ON = "; further ones of this kind are counted, and logged at level DEBUG"
_INDEX = re.compile(r"\[\d+\]")

logger = printable_logger(__name__)


class _Kind(NamedTuple):
    stream: str
    cls: str
    field: str
    reason: str

    def __str__(self) -> str:
        return ": ".join(filter(None, [self.cls, self.field and f"field {self.field}", self.reason]))


_ANY_OTHER = _Kind("", "", "", "of other kinds")


class FailureLog:
    """Says of each message that could not be made which one it was, and at the end how many there were.

    Of many that are alike the first few are errors in the log, so that they do not flood it.
    """

    def __init__(self) -> None:
        self._counts: Counter[_Kind] = Counter()

    def add(self, what: str, subject: Any, error: Exception, page: str, spider: Spider | None) -> None:
        """Say that no `what` could be made of `subject`, an item or a request met on `page`."""
        cls = cut(name_of_type(subject))
        field, reason, kind = _of(error)
        key = _Kind(what, cls, _INDEX.sub("[]", field), kind)
        if key not in self._counts and len(self._counts) >= _KINDS:
            key = _ANY_OTHER
        self._counts[key] += 1
        count = self._counts[key]
        logger.log(
            logging.ERROR if count <= _LINES_OF_A_KIND else logging.DEBUG,
            "%s not published: %s%s: %s (page: %s)%s",
            what,
            cls,
            f": field {field}" if field else "",
            reason,
            page,
            _FROM_HERE_ON if count == _LINES_OF_A_KIND else "",
            extra={"spider": spider},
        )

    def sum_up(self, spider: Spider | None) -> None:
        """Say once, at the end, how many there were and why."""
        if not self._counts:
            return
        kinds = [f"{count:,} x {kind}" for kind, count in self._counts.most_common(_SUMMED_UP)]
        if len(self._counts) > _SUMMED_UP:
            kinds.append(f"{len(self._counts) - _SUMMED_UP} more kinds")
        logger.error(
            "%s message(s) could not be published, and are counted in estela/<stream>/failed: %s",
            f"{self._counts.total():,}",
            "; ".join(kinds),
            extra={"spider": spider},
        )


class ConversionLog:
    """Says once for each class and field what is written as something else."""

    def __init__(self) -> None:
        self.items = 0
        """How many items held something of the kind."""
        self._said: set[tuple[str, str]] = set()

    def add(self, item: Any, converted: Iterable[Converted], page: str, spider: Spider | None) -> None:
        """Count one item."""
        self.items += 1
        cls = cut(name_of_type(item))
        for where, what in converted:
            field = cut(where)
            key = (cls, _INDEX.sub("[]", field))
            if key in self._said or len(self._said) >= _KINDS:
                continue
            self._said.add(key)
            logger.warning(
                "Item converted: %s: field %s: %s (page: %s). ESTELA_SERIALIZER may name a function that "
                "does it otherwise. Said once for each class and field.",
                cls,
                field,
                cut(what),
                page,
                extra={"spider": spider},
            )


def page_of(response: Response | None) -> str:
    """Where an item came from, for a log line."""
    return "none" if response is None else cut(response.url)


def cut(text: str) -> str:
    """Foreign text that is not too long for a log line."""
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def _of(error: Exception) -> tuple[str, str, str]:
    """The field, the reason, and the reason without what is this message's alone."""
    error = error if isinstance(error, Unwritable) else Unwritable("", error)
    return cut(error.where), cut(error.reason), cut(error.kind)
