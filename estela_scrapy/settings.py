"""The extension's settings: Scrapy's, or environment variables of the same names."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Any

from scrapy.settings import BaseSettings

from estela_queue_adapter.errors import BadName, ConfigurationError
from estela_queue_adapter.settings import (
    Source,
    Variables,
    overlaid,
    read_setting,
    setting,
    settings_of,
    variable,
)
from estela_scrapy import setting_kinds as kinds
from estela_scrapy.delivery.buffer import Mode
from estela_scrapy.job.identity import Job
from estela_scrapy.job.stats import Goal
from estela_scrapy.payloads import load_serializer
from estela_scrapy.setting_sources import (
    PREFIX,
    EstelasUnique,
    ScrapySettings,
    misspelt_names,
    queue_variables,
)
from estela_terminal.printable import shown
from estela_wire.dataset import Dataset, dataset_of
from estela_wire.published import DataTopics, topic_setting
from estela_wire.topics import JOBS_TOPIC

_OUTBOX_MAX_BYTES = 1024 * 1024 * 1024
_BUFFER_BYTES = 4 * 1024 * 1024

_TOPICS = settings_of(DataTopics)
_TOPIC_SETTINGS = {
    "items": "ESTELA_ITEMS_TOPIC",
    "request records": "ESTELA_REQUESTS_TOPIC",
    "stats": "ESTELA_STATS_TOPIC",
    "log lines": "ESTELA_LOGS_TOPIC",
}


def _mode(name: str, given: Any) -> Mode:
    return Mode(kinds.one_of(*(mode.value for mode in Mode))(name, given))


@dataclass(frozen=True, slots=True)
class ExtensionSettings:
    """What the extension publishes, and where to. Field `<x>` is the setting `ESTELA_<X>`."""

    enabled: bool = field(metadata=setting(kinds.boolean, True))
    items_topic: str = field(metadata=_TOPICS["items_topic"].metadata)
    """Empty: items are not published. The same holds for the other topics."""
    requests_topic: str = field(metadata=_TOPICS["requests_topic"].metadata)
    stats_topic: str = field(metadata=_TOPICS["stats_topic"].metadata)
    logs_topic: str = field(metadata=_TOPICS["logs_topic"].metadata)
    jobs_topic: str = field(metadata=topic_setting(JOBS_TOPIC))
    """Where the closing record goes."""
    logs_level: int = field(metadata=setting(kinds.log_level, "INFO"))
    """Log lines below it are not published."""
    database: str = field(metadata=setting(kinds.template, ""))
    """Template of `db_name`; empty: the consumer names the database after the project."""
    dataset: str = field(metadata=setting(kinds.template, ""))
    """Template of `dataset_name`; empty: the consumer names the collection after spider, job and topic."""
    unique: bool = field(metadata=setting(kinds.boolean, False))
    """Whether equal items are stored once."""
    serializer: Callable[[Any], Any] | None = field(metadata=setting(load_serializer, None))
    """What the user has for values that JSON has no word for."""
    buffer_bytes: int = field(metadata=setting(kinds.whole_number, _BUFFER_BYTES))
    """Bytes that memory may hold of what the queue has not acknowledged; never more than the outbox may."""
    close_timeout: float = field(metadata=setting(kinds.number, 30.0))
    """Seconds that the end of a crawl waits for the queue."""
    outbox: Mode = field(metadata=setting(_mode, Mode.OVERFLOW.value))
    outbox_path: Path = field(metadata=setting(kinds.file, ".estela/outbox.db"))
    outbox_max_bytes: int = field(metadata=setting(kinds.whole_number, _OUTBOX_MAX_BYTES))
    """Bytes that may wait in the outbox before the spider is held back."""
    outbox_interval: float = field(metadata=setting(kinds.number, 0.1))
    """Seconds between two looks at what should move to the outbox."""
    goal: Goal
    """What the job's stats measure it by."""
    environ: Mapping[str, str] = field(repr=False)
    """The environment of the queue adapter, with Scrapy's QUEUE_PLATFORM settings on top."""

    @classmethod
    def from_scrapy(
        cls, settings: BaseSettings, environ: Mapping[str, str] | None = None
    ) -> ExtensionSettings:
        """Read and check them: Scrapy's first, then the environment's. Raises ConfigurationError."""
        environ = os.environ if environ is None else environ
        sources = _sources(settings, environ)
        values = {name: read_setting(each, sources) for name, each in settings_of(cls).items()}
        values["buffer_bytes"] = min(values["buffer_bytes"], values["outbox_max_bytes"])
        return cls(
            **values,
            goal=Goal.from_environ(environ),
            environ=overlaid(environ, queue_variables(settings)),
        )

    @classmethod
    def is_enabled(cls, settings: BaseSettings, environ: Mapping[str, str] | None = None) -> bool:
        """ESTELA_ENABLED alone: the others need not be right if it is False. Raises ConfigurationError."""
        sources = _sources(settings, os.environ if environ is None else environ)
        return bool(read_setting(settings_of(cls)["enabled"], sources))

    @classmethod
    def misspelt(cls, settings: BaseSettings, environ: Mapping[str, str] | None = None) -> list[str]:
        """What to say of each ESTELA_* name, in Scrapy's settings or the environment, that nobody reads."""
        return misspelt_names(cls.variables(), settings, os.environ if environ is None else environ)

    @classmethod
    def variables(cls) -> set[str]:
        """The name of every setting of the extension."""
        return {variable(name, PREFIX) for name in settings_of(cls)}

    def names(self, job: Job, topic: str) -> dict[str, str]:
        """The `db_name` and `dataset_name` of items or requests, if they are set."""
        named = self.database_name(job, topic)
        if self.dataset:
            named["dataset_name"] = self.dataset.format_map(_values(job, topic))
        return named

    def database_name(self, job: Job, topic: str) -> dict[str, str]:
        """The `db_name` of any stream, if it is set."""
        return {"db_name": self.database.format_map(_values(job, topic))} if self.database else {}

    def check_names(self, job: Job) -> None:
        """Raise ConfigurationError if what this job publishes could not be stored under its names.

        The consumer would make a dead letter of each message, or mix items with something else.
        """
        topics = [self.items_topic, self.requests_topic, self.stats_topic, self.logs_topic]
        if self.jobs_topic in filter(None, topics):
            raise ConfigurationError(
                f"ESTELA_JOBS_TOPIC={self.jobs_topic} is the topic of another stream; closing records need "
                "one of their own"
            )
        try:
            datasets = dict(self._datasets(job))
        except BadName as error:
            raise ConfigurationError(
                f"Nothing could be stored: {error}. The names of job {shown(job.jid)} come from "
                "BOT_NAME and the spider's name or from ESTELA_SPIDER_JOB, or from ESTELA_DATABASE and "
                "ESTELA_DATASET"
            ) from error
        for (one, dataset), (other, others_dataset) in combinations(datasets.items(), 2):
            if dataset == others_dataset:
                raise ConfigurationError(
                    f"{one} and {other} would share the collection {shown(str(dataset))}: name topics "
                    f"of their own in {_TOPIC_SETTINGS[one]} and {_TOPIC_SETTINGS[other]}, and give "
                    "{topic} a place in ESTELA_DATASET"
                )

    def _datasets(self, job: Job) -> Iterator[tuple[str, Dataset]]:
        """Where each stream is to be stored; raises BadName."""
        for stream, topic, jid, names in (
            ("items", self.items_topic, job.items_jid or job.jid, self.names),
            ("request records", self.requests_topic, job.jid, self.names),
            ("stats", self.stats_topic, job.jid, self.database_name),
            ("log lines", self.logs_topic, job.jid, self.database_name),
        ):
            if topic:
                named = names(job, topic)
                yield stream, dataset_of(topic, jid, named.get("db_name"), named.get("dataset_name"))


def _sources(settings: BaseSettings, environ: Mapping[str, str]) -> tuple[Source, ...]:
    return ScrapySettings(settings), Variables(environ, PREFIX), EstelasUnique(environ)


def _values(job: Job, topic: str) -> dict[str, str]:
    return dict(zip(kinds.PLACEHOLDERS, (job.spider, job.job, job.project, topic), strict=True))
