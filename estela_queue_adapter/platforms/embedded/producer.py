"""Publishing to the embedded queue."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

from estela_queue_adapter.errors import ProducerClosed, QueueError
from estela_queue_adapter.interfaces import OnDelivery, Producer
from estela_queue_adapter.lifecycle import interpreter_ended, watch
from estela_queue_adapter.messages import Headers, Outgoing
from estela_queue_adapter.platforms.embedded.inherited import keep_inherited
from estela_queue_adapter.platforms.embedded.log import EmbeddedLog
from estela_queue_adapter.serialization import serialize
from estela_queue_adapter.topic_names import checked_topic


class EmbeddedProducer(Producer):
    """Appends at once: a message is acknowledged when `send` returns, safe from power cuts after `flush`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        # Guards what follows; `send` looks first without it. It may be taken again, as signal handlers may
        # send in the middle of everything.
        self._lock = threading.RLock()
        self._closed = False
        self._log: EmbeddedLog | None = None
        watch(self)

    def get_connection(self) -> bool:
        self._open()
        return True

    def send(
        self,
        topic: str,
        data: Any,
        *,
        key: bytes | None = None,
        headers: Headers = (),
        on_delivery: OnDelivery | None = None,
    ) -> None:
        self._check_open()
        checked_topic(topic)
        value = serialize(data)
        try:
            with self._lock:  # so that nobody closes the log meanwhile
                self._open().append([Outgoing(topic, value, key, headers)])
        except ProducerClosed:
            raise
        except QueueError as error:
            if on_delivery is None:
                raise
            on_delivery(error)
        else:
            if on_delivery is not None:
                on_delivery(None)

    def flush(self, timeout: float | None = None) -> None:
        with self._lock:
            if self._log is not None:
                self._log.sync()

    def close(self, timeout: float = 30.0) -> None:
        with self._lock:
            self._closed = True
            log, self._log = self._log, None
            if log is not None:
                log.sync()
                log.close()

    def end(self, timeout: float) -> None:
        self.close(timeout)

    def forked(self) -> None:
        self._lock = threading.RLock()  # another thread of the parent may have held it
        if self._log is not None:
            keep_inherited(self._log)
            self._log = None

    def _check_open(self) -> None:
        if self._closed or interpreter_ended():
            raise ProducerClosed("the producer is closed")

    def _open(self) -> EmbeddedLog:
        with self._lock:
            self._check_open()
            if self._log is None:
                self._log = EmbeddedLog(self._path)
            return self._log
