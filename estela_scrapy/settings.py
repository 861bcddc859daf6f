"""The extension's settings, from Scrapy's."""

from __future__ import annotations

import os
import string
from collections.abc import Mapping
from dataclasses import dataclass, field

from scrapy.settings import BaseSettings

from estela_queue_adapter.errors import ConfigurationError
from estela_queue_adapter.settings import PREFIX
from estela_scrapy.identity import Job

ITEMS_TOPIC = "items_topic"
REQUESTS_TOPIC = "requests_topic"
BUFFER_BYTES = 16 * 1024 * 1024
CLOSE_TIMEOUT = 30.0  # seconds
PLACEHOLDERS = ("spider", "job", "project", "topic")


@dataclass(frozen=True, slots=True)
class ExtensionSettings:
    """What the extension publishes, and where to."""

    items_topic: str
    """Empty: items are not published."""
    requests_topic: str
    """Empty: requests are not published."""
    database: str
    """Template of `db_name`; empty: the consumer names the database after the project."""
    dataset: str
    """Template of `dataset_name`; empty: the consumer names the collection after spider, job and topic."""
    unique: bool
    """Whether equal items are stored once."""
    buffer_bytes: int
    """Bytes that may wait for the queue's acknowledgement before the spider is held back."""
    close_timeout: float
    """Seconds that the end of a crawl waits for the queue."""
    environ: Mapping[str, str] = field(repr=False)
    """The environment of the queue adapter, with Scrapy's QUEUE_PLATFORM settings on top."""

    @classmethod
    def from_scrapy(
        cls, settings: BaseSettings, environ: Mapping[str, str] | None = None
    ) -> ExtensionSettings:
        """Read and check them; raises ConfigurationError."""
        environ = os.environ if environ is None else environ
        own = {name: str(settings[name]) for name in settings if name.startswith(PREFIX) and settings[name]}
        return cls(
            items_topic=settings.get("ESTELA_ITEMS_TOPIC", ITEMS_TOPIC) or "",
            requests_topic=settings.get("ESTELA_REQUESTS_TOPIC", REQUESTS_TOPIC) or "",
            database=_template(settings, "ESTELA_DATABASE"),
            dataset=_template(settings, "ESTELA_DATASET"),
            unique=_boolean(settings, "ESTELA_UNIQUE", environ.get("ESTELA_UNIQUE_COLLECTION", "")),
            buffer_bytes=int(_positive(settings, "ESTELA_BUFFER_BYTES", BUFFER_BYTES)),
            close_timeout=_positive(settings, "ESTELA_CLOSE_TIMEOUT", CLOSE_TIMEOUT),
            environ={**environ, **own},
        )

    def names(self, job: Job, topic: str) -> dict[str, str]:
        """The envelope's `db_name` and `dataset_name`, where they are set."""
        values = {"spider": job.spider, "job": job.job, "project": job.project, "topic": topic}
        named = {"db_name": self.database, "dataset_name": self.dataset}
        return {name: template.format_map(values) for name, template in named.items() if template}


def _template(settings: BaseSettings, name: str) -> str:
    template = str(settings.get(name) or "")
    try:
        used = [field for _, field, _, _ in string.Formatter().parse(template) if field is not None]
    except ValueError as error:
        raise ConfigurationError(f"{name}={template} is not a template: {error}") from error
    for placeholder in used:
        if placeholder not in PLACEHOLDERS:
            choices = ", ".join(f"{{{known}}}" for known in PLACEHOLDERS)
            raise ConfigurationError(f"{name}: {{{placeholder}}} is not known; the valid ones are {choices}")
    return template


def _boolean(settings: BaseSettings, name: str, estelas: str) -> bool:
    if settings.get(name) is None:
        return estelas == "True"
    try:
        return settings.getbool(name)
    except ValueError as error:
        raise ConfigurationError(f"{name}={settings[name]} is not True or False") from error


def _positive(settings: BaseSettings, name: str, default: float) -> float:
    try:
        value = settings.getfloat(name, default)
    except (TypeError, ValueError):
        value = -1.0
    if value <= 0:
        raise ConfigurationError(f"{name}={settings[name]} is not a positive number")
    return value
