"""Targets: the topic and the dataset of each stream of a job, and whether they can be told apart."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

from estela_queue_adapter.errors import BadName, ConfigurationError
from estela_scrapy.job.identity import Job
from estela_scrapy.routing.layout import CLASS, Layout
from estela_scrapy.routing.route import Route
from estela_terminal.printable import shown
from estela_wire.dataset import Dataset, dataset_of
from estela_wire.jid import as_jid_part
from estela_wire.keys import OnExisting, changes_of
from estela_wire.topics import STATS_TOPIC, dead_letter_topic

REQUEST_CLASS = "Request"
"""What {class} stands for in the dataset of request records."""
REQUESTS, STATS, LOGS, JOBS = "requests", "stats", "logs", "jobs"

_ANY_CLASS = "Item"  # in the place of a class that is not known yet
_SHOWN = {REQUESTS: "request records", STATS: "stats", LOGS: "log lines", JOBS: "closing records"}
_TOPIC_SETTINGS = {
    REQUESTS: "ESTELA_REQUESTS_TOPIC",
    STATS: "ESTELA_STATS_TOPIC",
    LOGS: "ESTELA_LOGS_TOPIC",
    JOBS: "ESTELA_JOBS_TOPIC",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where the messages of one stream go, and what they say of their documents."""

    topic: str
    """Empty: nowhere."""
    jid: str
    db_name: str = ""
    """Empty: as the consumer names it."""
    dataset_name: str = ""
    unique: bool = False
    key: tuple[str, ...] = ()
    on_existing: str = ""
    metadata: bool = False

    @property
    def names(self) -> dict[str, str]:
        """The names that its envelopes carry."""
        named = {"db_name": self.db_name, "dataset_name": self.dataset_name}
        return {field: name for field, name in named.items() if name}

    @property
    def dataset(self) -> Dataset:
        """Where the consumer stores it. Raises BadName."""
        return dataset_of(self.topic, self.jid, self.db_name or None, self.dataset_name or None)

    @property
    def datasets(self) -> tuple[Dataset, ...]:
        """The same, with that of its changes if they are tracked. Raises BadName."""
        dataset = self.dataset
        return (dataset, changes_of(dataset)) if self.on_existing == OnExisting.TRACK.value else (dataset,)


class _Published(NamedTuple):
    """A stream that has a topic."""

    shown: str
    target: Target
    route: Route | None
    """Of items alone."""
    topic_setting: str = "ESTELA_ITEMS_TOPIC"


@dataclass(frozen=True, slots=True, kw_only=True)
class Targets:
    """The target of each stream of a job."""

    job: Job
    layout: Layout
    default: Route
    """The way of items that no other route takes."""
    routes: tuple[Route, ...]
    topics: Mapping[str, str]
    """Of the streams beside items."""
    metadata: bool
    """Whether request records and log lines have them."""

    def items(self, route: Route, item_class: str) -> Target:
        """That of the items of one route; `item_class` is what {class} stands for."""
        template = route.dataset or self.layout.items(item_class)
        return Target(
            topic=route.topic,
            jid=self.job.items_jid or self.job.jid,
            db_name=self._named(route.database, route.topic),
            dataset_name=self._named(template, route.topic, item_class),
            unique=route.unique,
            key=route.key,
            on_existing=route.on_existing,
            metadata=route.metadata,
        )

    def beside_items(self, stream: str) -> Target:
        """That of `requests`, `stats`, `logs` or `jobs`."""
        topic = self.topics[stream]
        template = self.default.dataset if stream == REQUESTS else ""
        if stream != JOBS:
            template = template or self.layout.beside_items(stream, topic)
        return Target(
            topic=topic,
            jid=self.job.jid,
            db_name=self._named(self.default.database, topic),
            dataset_name=self._named(template, topic, REQUEST_CLASS),
            metadata=self.metadata and stream in (REQUESTS, LOGS),
        )

    def is_by_class(self, route: Route) -> bool:
        """Whether the items of the route go to as many collections as they have classes."""
        return CLASS in (route.dataset or self.layout.items(_ANY_CLASS))

    def check(self) -> None:
        """Raise ConfigurationError if what this job publishes could not be stored under its names.

        The consumer would make a dead letter of each message, or mix items with something else.
        """
        self._check_topics()
        for route in self.routes:
            if self.is_by_class(route) and route.item_class is None:
                raise ConfigurationError(
                    f"{route.shown} takes items of any class, so their collection cannot be named after one: "
                    "give it a dataset"
                )
        published = list(self._published())
        try:
            datasets = [set(each.target.datasets) for each in published]
        except BadName as error:
            raise ConfigurationError(
                f"Nothing could be stored: {error}. The names of job {shown(self.job.jid)} come from "
                "BOT_NAME and the spider's name or from ESTELA_SPIDER_JOB, or from ESTELA_DATABASE, "
                "ESTELA_DATASET and ESTELA_ITEMS"
            ) from error
        for (one, ones), (other, others) in combinations(zip(published, datasets, strict=True), 2):
            for dataset in ones & others:
                _check_shared(one, other, dataset)

    def conflict(self, target: Target) -> str:
        """Why items that no entry takes cannot go where `target` says; empty if they can."""
        try:
            own = set(target.datasets)
        except BadName as error:
            return str(error)
        for other in self._published():
            if other.route is None or not other.route.is_default:
                for dataset in own & set(other.target.datasets):
                    if other.route is None or other.route.keeps != self.default.keeps:
                        return (
                            "no entry of ESTELA_ITEMS takes it, and its collection "
                            f"{shown(dataset)} is that of {other.shown}: give one of them another dataset"
                        )
        return ""

    def _check_topics(self) -> None:
        items = {route.topic: route.shown for route in (*self.routes, self.default) if route.topic}
        beside = {topic: _SHOWN[name] for name, topic in self.topics.items() if topic and name != JOBS}
        jobs = self.topics[JOBS]
        if jobs in {*items, *beside}:
            raise ConfigurationError(
                f"ESTELA_JOBS_TOPIC={jobs} is the topic of another stream; closing records need one of "
                "their own"
            )
        for topic, name in {
            **items,
            **{self.topics[name]: _SHOWN[name] for name in (REQUESTS, LOGS)},
        }.items():
            if topic == STATS_TOPIC:
                raise ConfigurationError(
                    f"{topic} is the topic of stats, which are one document a job: {name} need another"
                )
        every = {*items, *beside, *filter(None, [jobs])}
        for topic in sorted(every):
            if (letters := dead_letter_topic(topic)) in every:
                raise ConfigurationError(
                    f"{letters} is where the dead letters of {topic} go; name another topic"
                )

    def _published(self) -> Iterator[_Published]:
        """Each stream that has a topic."""
        for route in (self.default, *self.routes):
            if route.topic:
                yield _Published(route.shown, self.items(route, class_of(route)), route)
        for stream, topic in self.topics.items():
            if topic and stream != JOBS:
                yield _Published(_SHOWN[stream], self.beside_items(stream), None, _TOPIC_SETTINGS[stream])

    def _named(self, template: str, topic: str, item_class: str = "") -> str:
        job = self.job
        return template.format_map({
            "spider": job.spider, "job": job.job, "project": job.project, "topic": topic, "class": item_class,
        })  # fmt: skip


def class_of(route: Route) -> str:
    """What {class} stands for in the names of a route that is not the default."""
    return as_jid_part(route.item_class.__name__) if route.item_class else _ANY_CLASS


def _check_shared(one: _Published, other: _Published, dataset: Dataset) -> None:
    """Two streams share a dataset: fine for routes that say the same of its documents, and for no others.

    Items that no entry takes may never come. If no setting says how to tell them apart, whether they could be
    stored is looked at when they do.
    """
    if one.route is None or other.route is None:
        raise ConfigurationError(
            f"{one.shown} and {other.shown} would share the collection {shown(dataset)}: name topics of "
            f"their own in {one.topic_setting} and {other.topic_setting}, and give {{topic}} a place in "
            "ESTELA_DATASET"
        )
    if one.route.keeps == other.route.keeps:
        return
    default = next((route for route in (one.route, other.route) if route.is_default), None)
    if default is not None and not (default.key or default.unique):
        return
    raise ConfigurationError(
        f"{one.shown} and {other.shown} would share the collection {shown(dataset)}, but not what tells its "
        "documents apart: give both the same key, on_existing and unique, or one of them another dataset"
    )
