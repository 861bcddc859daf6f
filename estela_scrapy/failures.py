"""What never became a message, and what was converted for one: logged and counted."""

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

_LINES_PER_KIND = 20
_KINDS = 100  # that are kept apart: names of fields may be scraped, and without end
_KINDS_IN_SUMMARY = 10  # kinds that the last line names
_MAX_CHARACTERS = 200  # of foreign text
_LAST_LINE_OF_KIND = "; further ones of this kind are counted, and logged at level DEBUG"
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
    """Logs each message that could not be made, and at the end how many there were.

    Of many that are alike the first few are errors in the log, so that they do not flood it.
    """

    def __init__(self) -> None:
        self._counts: Counter[_Kind] = Counter()

    def add(self, what: str, subject: Any, error: BaseException, page: str, spider: Spider | None) -> None:
        """Count and log that no `what` could be made of `subject`, an item or a request met on `page`."""
        cls = cut(name_of_type(subject))
        field, reason, kind = _field_and_reason(error)
        key = _Kind(what, cls, _INDEX.sub("[]", field), kind)
        if key not in self._counts and len(self._counts) >= _KINDS:
            key = _ANY_OTHER
        self._counts[key] += 1
        count = self._counts[key]
        logger.log(
            logging.ERROR if count <= _LINES_PER_KIND else logging.DEBUG,
            "%s not published: %s%s: %s (page: %s)%s",
            what,
            cls,
            f": field {field}" if field else "",
            reason,
            page,
            _LAST_LINE_OF_KIND if count == _LINES_PER_KIND else "",
            extra={"spider": spider},
        )

    def log_summary(self, spider: Spider | None) -> None:
        """Log once, at the end, how many there were and why."""
        if not self._counts:
            return
        kinds = [f"{count:,} x {kind}" for kind, count in self._counts.most_common(_KINDS_IN_SUMMARY)]
        if len(self._counts) > _KINDS_IN_SUMMARY:
            kinds.append(f"{len(self._counts) - _KINDS_IN_SUMMARY} more kinds")
        logger.error(
            "%s message(s) could not be published, and are counted in estela/<stream>/failed: %s",
            f"{self._counts.total():,}",
            "; ".join(kinds),
            extra={"spider": spider},
        )


class ConversionLog:
    """Counts items of which a part is written as something else, and logs each class and field once."""

    def __init__(self) -> None:
        self.items = 0
        """How many items held something of the kind."""
        self._logged: set[tuple[str, str]] = set()

    def add(self, item: Any, converted: Iterable[Converted], page: str, spider: Spider | None) -> None:
        """Count one item, and log what is new."""
        self.items += 1
        cls = cut(name_of_type(item))
        for path, description in converted:
            field = cut(path)
            key = (cls, _INDEX.sub("[]", field))
            if key in self._logged or len(self._logged) >= _KINDS:
                continue
            self._logged.add(key)
            logger.warning(
                "Item converted: %s: field %s: %s (page: %s). To convert it in another way, set "
                "ESTELA_SERIALIZER. Logged once for each class and field.",
                cls,
                field,
                cut(description),
                page,
                extra={"spider": spider},
            )


class UnkeyedLog:
    """Counts items that lack a field of their key, and logs each class and field once.

    They are published: the consumer makes a dead letter of each, where people can look at it.
    """

    def __init__(self) -> None:
        self.items = 0
        """How many there were."""
        self._logged: set[tuple[str, str]] = set()

    def add(self, item: Any, fields: Iterable[str], page: str, spider: Spider | None) -> None:
        """Count one item without these fields, and log what is new."""
        self.items += 1
        cls = cut(name_of_type(item))
        for field in map(cut, fields):
            if (cls, field) in self._logged or len(self._logged) >= _KINDS:
                continue
            self._logged.add((cls, field))
            logger.error(
                "Item without its key: %s: field %s is missing, null, empty, a list, an object or NaN "
                "(page: %s). It is published, and the consumer makes a dead letter of it. Logged once for "
                "each class and field, and counted in estela/items/unkeyed.",
                cls,
                field,
                page,
                extra={"spider": spider},
            )


def page_of(response: Response | None) -> str:
    """Where an item came from, for a log line."""
    return "none" if response is None else cut(response.url)


def cut(text: str) -> str:
    """Foreign text that is not too long for a log line."""
    return text if len(text) <= _MAX_CHARACTERS else f"{text[:_MAX_CHARACTERS]}..."


def _field_and_reason(error: BaseException) -> tuple[str, str, str]:
    """The field, the reason, and the reason without what is this message's alone."""
    error = error if isinstance(error, Unwritable) else Unwritable("", error)
    return cut(error.where), cut(error.reason), cut(error.kind)
