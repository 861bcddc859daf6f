"""Which brokers librdkafka has trouble with, and why, in our words."""

from __future__ import annotations

import contextlib
import copy
import re
import time
from collections.abc import Callable

from confluent_kafka import KafkaError

from estela_queue_adapter.errors import QueueError
from estela_queue_adapter.platforms.kafka.connections.brokers import Brokers
from estela_queue_adapter.platforms.kafka.connections.clients import connect_reader
from estela_queue_adapter.platforms.kafka.settings import KafkaSettings

# "sasl_ssl://[::1]:9093/1: Connect to ... failed", or "GroupCoordinator: host:9093: ..."
_ADDRESS = re.compile(r"(\[[0-9A-Fa-f:.%]+\]|[^\s/:\[\]]+):(\d+)(?:/\w+)?: ")
_PROBE_AGAIN = 2.0  # seconds


class Health:
    """Notes the brokers that librdkafka complains of, and finds out why when it is asked.

    librdkafka says that a connection failed in words of its own, and never that it is well again. So an
    address that it names is tried with kafka-python, whose connections note in `brokers` what they meet.
    """

    def __init__(
        self, settings: KafkaSettings, brokers: Brokers, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._settings = settings
        self._brokers = brokers
        self._clock = clock
        self._suspects: set[str] = set()
        self._probed_at = float("-inf")

    def note(self, error: KafkaError) -> None:
        """librdkafka's `error_cb`; from the thread that polls it."""
        found = _ADDRESS.search(error.str())
        if found:
            self._suspects.add(f"{found[1]}:{found[2]}")

    def outage(self) -> QueueError | None:
        """What to raise while a broker that librdkafka needs cannot be reached. Blocks, 5 s for each."""
        if self._suspects and self._clock() >= self._probed_at + _PROBE_AGAIN:
            for address in list(self._suspects):
                self._probe(address)
            self._probed_at = self._clock()
        return self._brokers.outage(self._suspects) if self._suspects else None

    def _probe(self, address: str) -> None:
        settings = copy.copy(self._settings)  # with the same source of tokens
        object.__setattr__(settings, "listeners", address)
        with contextlib.suppress(QueueError):
            connect_reader(settings, self._brokers, None).close(autocommit=False, timeout_ms=1000)
            self._suspects.discard(address)
