"""librdkafka's log lines, through logging."""

from __future__ import annotations

import logging

from estela_terminal.printable import printable_logger

# About brokers that cannot be reached, which our errors tell, once, and with what to do; or tried again.
_OURS = ("FAIL", "ERROR", "GETPID", "METADATAUPDATE")

_logger = printable_logger("librdkafka")


class LogLines:
    """What confluent-kafka takes for a logger; called by the thread that polls. Never raises."""

    def log(self, level: int, form: str, *arguments: str) -> None:
        """One line: facility, name of the client, text."""
        if arguments and arguments[0] in _OURS:
            level = logging.DEBUG
        _logger.log(level, form, *arguments)
