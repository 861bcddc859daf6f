"""The extension's settings: Scrapy's, or environment variables of the same names."""

from __future__ import annotations

import logging
import os
import re
import string
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scrapy.settings import BaseSettings

from estela_queue_adapter.closing import JOBS_TOPIC
from estela_queue_adapter.errors import ConfigurationError
from estela_queue_adapter.settings import PREFIX
from estela_scrapy.identity import Job
from estela_scrapy.payloads import load_serializer
from estela_scrapy.spool import Mode

ITEMS_TOPIC = "items_topic"
REQUESTS_TOPIC = "requests_topic"
LOGS_LEVEL = "INFO"
BUFFER_BYTES = 4 * 1024 * 1024
CLOSE_TIMEOUT = 30.0  # seconds
OUTBOX = Mode.OVERFLOW.value
OUTBOX_PATH = ".estela/outbox.db"
OUTBOX_MAX_BYTES = 1024 * 1024 * 1024
OUTBOX_INTERVAL = 0.1  # seconds
PLACEHOLDERS = ("spider", "job", "project", "topic")

_TOPIC = re.compile(r"[A-Za-z0-9._-]{1,249}")  # what Kafka takes
_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


@dataclass(frozen=True, slots=True)
class ExtensionSettings:
    """What the extension publishes, and where to."""

    items_topic: str
    """Empty: items are not published. The same holds for the other topics."""
    requests_topic: str
    stats_topic: str
    logs_topic: str
    jobs_topic: str
    """Where the closing record goes."""
    logs_level: int
    """Log lines below it are not published."""
    database: str
    """Template of `db_name`; empty: the consumer names the database after the project."""
    dataset: str
    """Template of `dataset_name`; empty: the consumer names the collection after spider, job and topic."""
    unique: bool
    """Whether equal items are stored once."""
    serializer: Callable[[Any], Any] | None
    """What the user has for values that JSON has no word for."""
    buffer_bytes: int
    """Bytes that memory may hold of what the queue has not acknowledged; never more than the outbox may."""
    close_timeout: float
    """Seconds that the end of a crawl waits for the queue."""
    outbox: Mode
    outbox_path: Path
    outbox_max_bytes: int
    """Bytes that may wait in the outbox before the spider is held back."""
    outbox_interval: float
    """Seconds between two looks at what should move to the outbox."""
    environ: Mapping[str, str] = field(repr=False)
    """The environment of the queue adapter, with Scrapy's QUEUE_PLATFORM settings on top."""

    @classmethod
    def from_scrapy(
        cls, settings: BaseSettings, environ: Mapping[str, str] | None = None
    ) -> ExtensionSettings:
        """Read and check them; raises ConfigurationError."""
        environ = os.environ if environ is None else environ
        own = {name: str(settings[name]) for name in settings if name.startswith(PREFIX) and settings[name]}
        read = _Reader(settings, environ)
        outbox_max_bytes = int(read.positive("ESTELA_OUTBOX_MAX_BYTES", OUTBOX_MAX_BYTES))
        return cls(
            items_topic=read.topic("ESTELA_ITEMS_TOPIC", ITEMS_TOPIC),
            requests_topic=read.topic("ESTELA_REQUESTS_TOPIC", REQUESTS_TOPIC),
            stats_topic=read.topic("ESTELA_STATS_TOPIC", ""),
            logs_topic=read.topic("ESTELA_LOGS_TOPIC", ""),
            jobs_topic=read.topic("ESTELA_JOBS_TOPIC", JOBS_TOPIC),
            logs_level=getattr(logging, read.choice("ESTELA_LOGS_LEVEL", LOGS_LEVEL, _LEVELS)),
            database=read.template("ESTELA_DATABASE"),
            dataset=read.template("ESTELA_DATASET"),
            unique=read.boolean("ESTELA_UNIQUE", environ.get("ESTELA_UNIQUE_COLLECTION") == "True"),
            serializer=load_serializer("ESTELA_SERIALIZER", read.given("ESTELA_SERIALIZER", None)),
            buffer_bytes=min(int(read.positive("ESTELA_BUFFER_BYTES", BUFFER_BYTES)), outbox_max_bytes),
            close_timeout=read.positive("ESTELA_CLOSE_TIMEOUT", CLOSE_TIMEOUT),
            outbox=Mode(read.choice("ESTELA_OUTBOX", OUTBOX, tuple(mode.value for mode in Mode))),
            outbox_path=read.file("ESTELA_OUTBOX_PATH", OUTBOX_PATH),
            outbox_max_bytes=outbox_max_bytes,
            outbox_interval=read.positive("ESTELA_OUTBOX_INTERVAL", OUTBOX_INTERVAL),
            environ={**environ, **own},
        )

    def names(self, job: Job, topic: str) -> dict[str, str]:
        """The `db_name` and `dataset_name` of items or requests, where they are set."""
        named = self.database_name(job, topic)
        if self.dataset:
            named["dataset_name"] = self.dataset.format_map(_values(job, topic))
        return named

    def database_name(self, job: Job, topic: str) -> dict[str, str]:
        """The `db_name` of any stream, where it is set."""
        return {"db_name": self.database.format_map(_values(job, topic))} if self.database else {}


def _values(job: Job, topic: str) -> dict[str, str]:
    return dict(zip(PLACEHOLDERS, (job.spider, job.job, job.project, topic), strict=True))


class _Reader:
    """One setting at a time, Scrapy's first; each method raises ConfigurationError for what does not fit."""

    def __init__(self, settings: BaseSettings, environ: Mapping[str, str]) -> None:
        self._settings = settings
        self._environ = environ

    def given(self, name: str, default: Any) -> Any:
        value = self._settings.get(name)
        if value is None:
            value = self._environ.get(name) or None  # an empty variable counts as unset
        return default if value is None else value

    def topic(self, name: str, default: str) -> str:
        topic = str(self.given(name, default))
        if topic and (topic in (".", "..") or not _TOPIC.fullmatch(topic)):
            raise ConfigurationError(
                f"{name}={topic} is no topic: letters, digits, dots, underscores and dashes make one, "
                "249 at most; empty switches the stream off"
            )
        return topic

    def choice(self, name: str, default: str, choices: tuple[str, ...]) -> str:
        value = str(self.given(name, default))
        if value not in choices:
            raise ConfigurationError(f"{name}={value}: the valid choices are {', '.join(choices)}")
        return value

    def file(self, name: str, default: str) -> Path:
        path = Path(str(self.given(name, default) or default)).expanduser().absolute()
        if path.is_dir():
            raise ConfigurationError(f"{name}={path} is a directory; it names a file")
        return path

    def template(self, name: str) -> str:
        template = str(self.given(name, ""))
        try:
            used = [field for _, field, _, _ in string.Formatter().parse(template) if field is not None]
        except ValueError as error:
            raise ConfigurationError(f"{name}={template} is not a template: {error}") from error
        for placeholder in used:
            if placeholder not in PLACEHOLDERS:
                choices = ", ".join(f"{{{known}}}" for known in PLACEHOLDERS)
                raise ConfigurationError(
                    f"{name}: {{{placeholder}}} is not known; the valid ones are {choices}"
                )
        return template

    def boolean(self, name: str, default: bool) -> bool:
        value = self.given(name, default)
        try:
            return BaseSettings({name: value}).getbool(name)
        except ValueError as error:
            raise ConfigurationError(f"{name}={value} is not True or False") from error

    def positive(self, name: str, default: float) -> float:
        given = self.given(name, default)
        try:
            value = float(given)
        except (TypeError, ValueError):
            value = -1.0
        if not 0 < value < float("inf"):
            raise ConfigurationError(f"{name}={given} is not a positive number")
        return value
