"""The monitoring of one run of the consumer: what it watches, and the server that tells it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable
from functools import partial

import estela_queue_adapter
from estela_consumer.monitoring.closed_jobs import ClosedJobsWatch
from estela_consumer.monitoring.collector import CONTENT_TYPE, exposition
from estela_consumer.monitoring.history import INTERVAL, History
from estela_consumer.monitoring.lag import LagWatch
from estela_consumer.monitoring.observation import Observer
from estela_consumer.monitoring.page import ConsumerPage
from estela_consumer.monitoring.pages import Pages
from estela_consumer.monitoring.settings import MonitoringSettings
from estela_consumer.monitoring.status import status
from estela_consumer.monitoring.store_watch import StoreWatch
from estela_consumer.retry import RetryPolicy
from estela_consumer.stores import Store
from estela_pages.server import PageServer, bind
from estela_queue_adapter import Platform, Subscription

logger = logging.getLogger(__name__)


class Monitor:
    """Listens from its making on, answers from `start` to `close`.

    Whoever makes it tells `observer` what only it knows. Raises ListenError if it cannot listen there.
    """

    def __init__(self, settings: MonitoringSettings, observer: Observer) -> None:
        self.observer = observer
        self._jobs_topic = settings.jobs_topic
        self._closed_jobs_watch: ClosedJobsWatch | None = None
        self._history = History()
        version = estela_queue_adapter.__version__
        self._page = ConsumerPage(
            observer.observe, self._history, settings.shown, settings.jobs_topic, settings.group
        )
        pages = Pages(
            observer.observe,
            exposition(observer.observe, version),
            CONTENT_TYPE,
            partial(status, history=self._history, settings=settings.shown, version=version),
            self._page.response,
        )
        self._server = PageServer(bind(settings.address), settings.address, pages.by_path)
        self._closed = threading.Event()

    @property
    def url(self) -> str:
        """Where it is, for people."""
        return self._server.url

    def start(self) -> None:
        """Begin to answer. Call it once."""
        self._server.start()
        threading.Thread(target=self._sample, name="estela-monitoring", daemon=True).start()

    def watch_group(self, platform: Platform, store: Store) -> None:
        """Let the page ask these about the group, from now on and only if somebody looks at it."""
        self._page.open(platform, store)

    def watch_queue(self, platform: Platform, subscriptions: Iterable[Subscription]) -> None:
        """Ask for the lag of each, and for crawls that end, from now on. Call it once."""
        watches = {each.topic: LagWatch(platform, each) for each in subscriptions}
        self.observer.lag_watches = watches
        for watch in watches.values():
            watch.start()
        if self._jobs_topic:
            self._closed_jobs_watch = ClosedJobsWatch(platform, self._jobs_topic)
            self.observer.closed_jobs = self._closed_jobs_watch.latest
            self._closed_jobs_watch.start()

    def watch_store(self, store: Store, retry: RetryPolicy) -> None:
        """Ask whether it answers from now on, as it has answered once. Call it once."""
        self.observer.store_watch = StoreWatch(store, retry)
        self.observer.store_watch.start()

    def stop_watching(self) -> None:
        """Ask neither queue nor store any more, as both are about to be closed. Twice is fine."""
        if self.observer.store_watch:
            self.observer.store_watch.stop()
        if self._closed_jobs_watch:
            self._closed_jobs_watch.stop()
        for watch in self.observer.lag_watches.values():
            watch.stop()
        self._page.close()

    def close(self) -> None:
        """Answer no more. Blocks for a second at most; twice is fine."""
        self._closed.set()
        self.stop_watching()
        self._server.close()

    def _sample(self) -> None:
        while not self._closed.is_set():
            try:
                self._history.add(self.observer.observe())
            except Exception:
                logger.exception("The monitoring has a fault. Consuming goes on. Please report this:")
            self._closed.wait(INTERVAL)
