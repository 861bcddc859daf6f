"""The extension's settings: Scrapy's, or environment variables of the same names."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scrapy.settings import BaseSettings

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
from estela_scrapy.routing.entries import Entry, read_entries
from estela_scrapy.routing.layout import Layout
from estela_scrapy.routing.loading import load_serializer
from estela_scrapy.routing.route import Route, check_on_existing, default_route, routes_of
from estela_scrapy.routing.target import JOBS, LOGS, REQUESTS, STATS, Targets
from estela_scrapy.setting_sources import (
    PREFIX,
    EstelasTypes,
    EstelasUnique,
    ScrapySettings,
    misspelt_names,
    queue_variables,
)
from estela_wire.published import DataTopics, topic_setting
from estela_wire.topics import JOBS_TOPIC
from estela_wire.typed_values import BSON, JSON

_OUTBOX_MAX_BYTES = 1024 * 1024 * 1024
_BUFFER_BYTES = 32 * 1024 * 1024

_TOPICS = settings_of(DataTopics)


def _mode(name: str, given: Any) -> Mode:
    return Mode(kinds.one_of(*(mode.value for mode in Mode))(name, given))


def _layout(name: str, given: Any) -> Layout | None:
    choices = kinds.one_of(*(layout.value for layout in Layout))
    return None if given is None or given == "" else Layout(choices(name, given))


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
    """Where the closing record and the heartbeats go."""
    heartbeat: float = field(metadata=setting(kinds.number_or_zero, 30.0))
    """Seconds between two heartbeats; 0: none."""
    logs_level: int = field(metadata=setting(kinds.log_level, "INFO"))
    """Log lines below it are not published."""
    database: str = field(metadata=setting(kinds.template(*kinds.PLACEHOLDERS), ""))
    """Template of `db_name`; empty: the consumer names the database after the project."""
    dataset: str = field(metadata=setting(kinds.template(*kinds.DATASET_PLACEHOLDERS), ""))
    """Template of `dataset_name` of items and request records; empty: as the layout has it."""
    layout: Layout = field(metadata=setting(_layout, ""))
    """Which collections there are if no template says so."""
    items: tuple[Entry, ...] = field(metadata=setting(read_entries, None))
    """What is otherwise for some items."""
    key: tuple[str, ...] = field(metadata=setting(kinds.key, None))
    """The fields that tell documents apart; none: each item is a document."""
    on_existing: str | None = field(metadata=setting(kinds.unless_unset(kinds.on_existing), None))
    """What becomes of a document that is there; None: `replace` if there is a key."""
    metadata: bool | None = field(metadata=setting(kinds.unless_unset(kinds.boolean), None))
    """Whether messages say from which page and when; None: if several jobs share a collection."""
    unique: bool = field(metadata=setting(kinds.boolean, False))
    """Whether equal items are stored once."""
    serializer: Callable[[Any], Any] | None = field(metadata=setting(load_serializer, None))
    """What the user has for values that JSON has no word for."""
    types: str = field(metadata=setting(kinds.one_of(BSON, JSON), BSON))
    """Whether items keep the types that BSON has, such as dates, or become plain JSON."""
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
    default_route: Route
    """The way of items that no entry of `items` takes."""
    routes: tuple[Route, ...]
    """Those of the entries."""
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
        values["layout"] = values["layout"] or Layout.default(environ)
        _add_routes(values)
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

    def targets(self, job: Job) -> Targets:
        """Where the streams of this job go."""
        return Targets(
            job=job,
            layout=self.layout,
            default=self.default_route,
            routes=self.routes,
            topics={
                REQUESTS: self.requests_topic,
                STATS: self.stats_topic,
                LOGS: self.logs_topic,
                JOBS: self.jobs_topic,
            },
            metadata=self.layout.is_shared if self.metadata is None else self.metadata,
        )


def _sources(settings: BaseSettings, environ: Mapping[str, str]) -> tuple[Source, ...]:
    return ScrapySettings(settings), Variables(environ, PREFIX), EstelasUnique(environ), EstelasTypes(environ)


def _add_routes(values: dict[str, Any]) -> None:
    """Add what follows from several settings together. Raises ConfigurationError."""
    metadata, is_shared = values["metadata"], values["layout"].is_shared
    default = default_route(
        topic=values["items_topic"],
        database=values["database"],
        dataset=values["dataset"],
        key=values["key"],
        on_existing=values["on_existing"],
        unique=values["unique"],
        metadata=metadata,
        is_shared=is_shared,
    )
    routes = routes_of(
        values["items"], default, on_existing=values["on_existing"], metadata=metadata, is_shared=is_shared
    )
    check_on_existing(values["on_existing"], default, routes)
    values.update(default_route=default, routes=routes)
