"""The extension's settings: Scrapy's, or environment variables of the same names."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from itertools import combinations
from pathlib import Path
from typing import Any

from scrapy.settings import BaseSettings

from estela_queue_adapter.errors import BadName, ConfigurationError
from estela_scrapy.delivery.buffer import Mode
from estela_scrapy.job.identity import Job
from estela_scrapy.job.stats import Goal
from estela_scrapy.payloads import load_serializer
from estela_scrapy.setting_reader import OWN_PREFIX, PLACEHOLDERS, SettingReader, told
from estela_wire.dataset import Dataset, dataset_of
from estela_wire.topics import ITEMS_TOPIC, JOBS_TOPIC, REQUESTS_TOPIC

LOGS_LEVEL = "INFO"
BUFFER_BYTES = 4 * 1024 * 1024
CLOSE_TIMEOUT = 30.0  # seconds
OUTBOX = Mode.OVERFLOW.value
OUTBOX_PATH = ".estela/outbox.db"
OUTBOX_MAX_BYTES = 1024 * 1024 * 1024
OUTBOX_INTERVAL = 0.1  # seconds
ENABLED = True

_TOPIC_SETTINGS = {
    "items": "ESTELA_ITEMS_TOPIC",
    "request records": "ESTELA_REQUESTS_TOPIC",
    "stats": "ESTELA_STATS_TOPIC",
    "log lines": "ESTELA_LOGS_TOPIC",
}


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
    goal: Goal
    """What the job's stats measure it by."""
    environ: Mapping[str, str] = field(repr=False)
    """The environment of the queue adapter, with Scrapy's QUEUE_PLATFORM settings on top."""

    @classmethod
    def from_scrapy(
        cls, settings: BaseSettings, environ: Mapping[str, str] | None = None
    ) -> ExtensionSettings:
        """Read and check them; raises ConfigurationError."""
        environ = os.environ if environ is None else environ
        read = SettingReader(settings, environ)
        outbox_max_bytes = read.whole_number("ESTELA_OUTBOX_MAX_BYTES", OUTBOX_MAX_BYTES)
        return cls(
            items_topic=read.topic("ESTELA_ITEMS_TOPIC", ITEMS_TOPIC),
            requests_topic=read.topic("ESTELA_REQUESTS_TOPIC", REQUESTS_TOPIC),
            stats_topic=read.topic("ESTELA_STATS_TOPIC", ""),
            logs_topic=read.topic("ESTELA_LOGS_TOPIC", ""),
            jobs_topic=read.topic("ESTELA_JOBS_TOPIC", JOBS_TOPIC),
            logs_level=read.level("ESTELA_LOGS_LEVEL", LOGS_LEVEL),
            database=read.template("ESTELA_DATABASE"),
            dataset=read.template("ESTELA_DATASET"),
            unique=read.boolean("ESTELA_UNIQUE", environ.get("ESTELA_UNIQUE_COLLECTION") == "True"),
            serializer=load_serializer("ESTELA_SERIALIZER", read.given("ESTELA_SERIALIZER", None)),
            buffer_bytes=min(read.whole_number("ESTELA_BUFFER_BYTES", BUFFER_BYTES), outbox_max_bytes),
            close_timeout=read.positive("ESTELA_CLOSE_TIMEOUT", CLOSE_TIMEOUT),
            outbox=Mode(read.choice("ESTELA_OUTBOX", OUTBOX, tuple(mode.value for mode in Mode))),
            outbox_path=read.file("ESTELA_OUTBOX_PATH", OUTBOX_PATH),
            outbox_max_bytes=outbox_max_bytes,
            outbox_interval=read.positive("ESTELA_OUTBOX_INTERVAL", OUTBOX_INTERVAL),
            goal=Goal.from_environ(environ),
            environ={**environ, **read.queue_variables()},
        )

    @classmethod
    def misspelt(cls, settings: BaseSettings, environ: Mapping[str, str] | None = None) -> list[str]:
        """What to say of each ESTELA_* name, in Scrapy's settings or the environment, that nobody reads."""
        return SettingReader(settings, os.environ if environ is None else environ).misspelt(cls.variables())

    @classmethod
    def variables(cls) -> set[str]:
        """The name of every setting of the extension."""
        named = {field.name for field in fields(cls)} - {"goal", "environ"} | {"enabled"}
        return {f"{OWN_PREFIX}{name.upper()}" for name in named}

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
                f"Nothing could be stored: {error}. The names of job {told(job.jid)} come from BOT_NAME and "
                "the spider's name or from ESTELA_SPIDER_JOB, or from ESTELA_DATABASE and ESTELA_DATASET"
            ) from error
        for (one, at), (other, too) in combinations(datasets.items(), 2):
            if at == too:
                raise ConfigurationError(
                    f"{one} and {other} would share the collection {at}: name topics of their own in "
                    f"{_TOPIC_SETTINGS[one]} and {_TOPIC_SETTINGS[other]}, and give {{topic}} a place in "
                    "ESTELA_DATASET"
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


def _values(job: Job, topic: str) -> dict[str, str]:
    return dict(zip(PLACEHOLDERS, (job.spider, job.job, job.project, topic), strict=True))
