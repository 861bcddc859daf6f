"""Log lines for machines: one JSON object each."""

from __future__ import annotations

import json
import logging
import traceback
from datetime import datetime, timezone
from typing import Any

PLACE = ("topic", "partition", "offset", "offsets")
"""What a record's `extra` may say of where it happened; `offsets` has the next one of each partition."""


class JsonFormatter(logging.Formatter):
    """`time` (UTC), `level`, `logger`, `message`, what there is of `PLACE`, and `exception` if there is one.

    ASCII alone: so what came from outside can neither drive a terminal nor break a line, and any encoding
    takes it.
    """

    def format(self, record: logging.LogRecord) -> str:
        """The record in one line."""
        time = datetime.fromtimestamp(record.created, timezone.utc).isoformat(timespec="milliseconds")
        line: dict[str, Any] = {
            "time": time.replace("+00:00", "Z"),
            "level": record.levelname,
            "logger": record.name,
            "message": _message_of(record),
        }
        line |= {name: value for name in PLACE if (value := getattr(record, name, None)) is not None}
        if record.exc_info and record.exc_info[1] is not None:
            line["exception"] = "".join(traceback.format_exception(record.exc_info[1]))
        return json.dumps(line, default=str)


def _message_of(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception:  # noqa: BLE001  (whoever logs must not fail for it)
        return f"{record.msg!r} {record.args!r}"
