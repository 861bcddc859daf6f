"""A queue that does what a test says, for faults that a real one shows only by luck."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from estela_queue_adapter.errors import QueueError
from estela_queue_adapter.interfaces import OnDelivery, Producer
from estela_queue_adapter.messages import Headers


class ScriptedProducer(Producer):
    """Asks `script` what becomes of each message: None, an error to raise, or an error to report later."""

    def __init__(self) -> None:
        self.script: Callable[[str, bytes], QueueError | None] = lambda topic, data: None
        self.raises = False
        self.silent = False
        self.taken: list[bytes] = []
        self.asked = 0
        self.held: list[OnDelivery] = []

    def get_connection(self) -> bool:
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
        assert on_delivery is not None
        self.asked += 1
        if self.silent:
            self.held.append(on_delivery)
            return
        error = self.script(topic, data)
        if error is not None and self.raises:
            raise error
        if error is None:
            self.taken.append(data)
        on_delivery(error)

    def flush(self, timeout: float | None = None) -> None:
        pass

    def close(self, timeout: float = 30.0) -> None:
        pass
