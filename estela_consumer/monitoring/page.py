"""The page of a consumer: what it knows of itself, and what it finds out about its group for who looks."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from itertools import starmap
from typing import Any

import estela_queue_adapter
from estela_consumer.monitoring.health import stalled
from estela_consumer.monitoring.history import History
from estela_consumer.monitoring.observation import Observation, TopicObservation
from estela_consumer.pipeline.progress import KINDS
from estela_consumer.status.collector import StatusCollector
from estela_consumer.status.model import (
    DatasetStatus,
    OutageStatus,
    PartitionStatus,
    Sample,
    Status,
    TopicStatus,
)
from estela_consumer.status.page import StatusPage
from estela_consumer.stores import Store
from estela_pages.response import Response
from estela_queue_adapter import Platform

_INTERVAL = 10.0  # seconds between two looks at the group
_WATCHED = 60.0  # seconds after a request during which somebody counts as looking
_DATASETS = 20

logger = logging.getLogger(__name__)


class ConsumerPage:
    """Renders it. `response` is called on the server's thread, and waits for nobody.

    Members, dead letters and jobs are asked for on a thread and connections of its own, from the first
    request on, and only while there are requests: whoever is not looked at does not work for it.
    """

    def __init__(
        self,
        observe: Callable[[], Observation],
        history: History,
        settings: Mapping[str, Any],
        jobs_topic: str,
        group: str,
    ) -> None:
        self._observe = observe
        self._history = history
        self._settings = settings
        self._jobs_topic = jobs_topic
        self._group = group
        self._page = StatusPage()
        self._parts: tuple[Platform, Store] | None = None
        self._of_group: Status | None = None
        self._looked_at = 0.0
        self._thread: threading.Thread | None = None
        self._closed = threading.Event()

    def open(self, platform: Platform, store: Store) -> None:
        """Let it ask these from now on."""
        self._parts = (platform, store)

    def close(self) -> None:
        """Ask no more. The thread ends when its last question is answered; it is not waited for."""
        self._closed.set()

    def response(self) -> Response:
        """The page as it is now."""
        self._looked_at = time.monotonic()
        if self._thread is None and self._parts is not None and not self._closed.is_set():
            self._thread = threading.Thread(
                target=self._watch, args=self._parts, name="estela-status", daemon=True
            )
            self._thread.start()
        return self._page.response(self._status(self._observe()))

    def _watch(self, platform: Platform, store: Store) -> None:
        observation = self._observe()
        collector = StatusCollector(
            platform, store, list(observation.topics), jobs_topic=self._jobs_topic, group=self._group
        )
        try:
            while not self._closed.is_set():
                if time.monotonic() - self._looked_at < _WATCHED:
                    self._of_group = collector.collect()
                self._closed.wait(_INTERVAL)
        except Exception:
            logger.exception("The page of the consumer has a fault. Consuming goes on. Please report this:")
        finally:
            collector.close()

    def _status(self, now: Observation) -> Status:
        group = self._of_group or Status(
            time=now.time,
            version="",
            queue="",
            store="",
            unknown=("Dead letters and jobs were not looked at yet",),
        )
        known = {each.topic: each for each in group.topics}
        return replace(
            group,
            time=now.time,
            version=estela_queue_adapter.__version__,
            queue=now.queue,
            store=now.store,
            store_answers=now.store_checked,
            consumer=_of_itself(now),
            topics=tuple(
                self._topic(name, each, known.get(name)) for name, each in now.topics.items()
            ),
            outages=tuple(_outages(now)),
            past_outages=tuple(
                OutageStatus(
                    part=_part(each.part), topic=each.topic, began=each.began, ended=each.ended,
                    refused=each.refused, error=each.error,
                )
                for each in reversed(self._history.outages)
            ),
            gone=sum(each.counts["gone"] for each in now.topics.values()),
            datasets=tuple(
                DatasetStatus(dataset=name, documents=sum(now.progress.datasets[name].values()))
                for name in now.progress.recent_datasets[:_DATASETS]
            ),
            datasets_of="messages of this consumer, the latest write first",
            settings={name: _text(value) for name, value in self._settings.items() if value is not None},
        )  # fmt: skip

    def _topic(self, name: str, now: TopicObservation, of_group: TopicStatus | None) -> TopicStatus:
        """What the group's own watch knows, with the longer history of this consumer."""
        samples = tuple(Sample(each.time, each.rate, each.lag) for each in self._history.samples(name))
        if of_group is not None and of_group.exists:
            rate = self._history.rate(name) if of_group.rate is None else of_group.rate
            return replace(of_group, rate=rate, samples=samples)
        lag = now.lag
        return TopicStatus(
            topic=name,
            group=now.group,
            exists=None if lag is None else True,
            partitions=() if lag is None else tuple(starmap(PartitionStatus, sorted(lag.partitions.items()))),
            asked_at=None if lag is None else lag.asked_at,
            rate=self._history.rate(name),
            samples=samples,
        )  # fmt: skip


def _outages(now: Observation) -> Iterator[OutageStatus]:
    for each in now.outages:
        if each.elapsed is not None:
            yield OutageStatus(
                part=_part(each.part), topic=each.topic, began=now.time - each.elapsed, refused=each.refused,
                error=each.error,
            )  # fmt: skip


def _of_itself(now: Observation) -> str:
    """What this consumer has done since its start."""
    total = now.progress.total
    counted = ", ".join(f"{total[name]:,} {name.replace('_', '-')}" for name in KINDS if total[name])
    stuck = " Stalled: " + "; ".join(stalled(now)) if stalled(now) else ""
    return f"this consumer: {total['read']:,} messages read{', ' if counted else ''}{counted}.{stuck}"


def _part(part: str) -> str:
    return part.replace("_", " ")


def _text(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
