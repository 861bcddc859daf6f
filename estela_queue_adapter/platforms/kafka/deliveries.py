"""What a producer was handed and has not decided yet, and what failed without a callback."""

from __future__ import annotations

import threading

from estela_queue_adapter.errors import ProducerClosed, QueueError
from estela_queue_adapter.lifecycle import interpreter_ended


class Deliveries:
    """The messages of one producer from `begin` to `decide`. Threads and signal handlers may share it."""

    def __init__(self, *, closed: bool = False) -> None:
        # Guards each change of what follows; `is_closed` and `given_up` look without it. It may be taken
        # again, as signal handlers may send in the middle of everything.
        self._lock = threading.RLock()
        self._settled = threading.Condition(self._lock)  # notified when nothing is in flight any more
        self._in_flight = 0
        self._failed: list[QueueError] = []
        self._closed = closed
        self._given_up = False

    @property
    def is_closed(self) -> bool:
        """Whether nothing more is taken."""
        return self._closed

    @property
    def given_up(self) -> bool:
        """Whether nobody waits any more for what is still in flight."""
        return self._given_up

    def check_open(self) -> None:
        """Raise ProducerClosed if nothing more is taken."""
        if self._closed or interpreter_ended():
            raise ProducerClosed("the producer is closed")

    def begin(self, count: int = 1) -> None:
        """So many more are in flight: from here on `close` waits for them. Raises ProducerClosed."""
        with self._lock:
            self.check_open()
            self._in_flight += count

    def cancel(self, count: int = 1) -> None:
        """So many were not handed over after all; `send` raises why."""
        with self._lock:
            self._in_flight -= count
            if not self._in_flight:
                self._settled.notify_all()

    def acknowledge(self, count: int) -> None:
        """So many were acknowledged."""
        self.cancel(count)

    def decide(self, error: QueueError | None, *, has_callback: bool) -> None:
        """One was acknowledged, or failed; the next flush raises what no callback gets."""
        with self._lock:
            # Those that were given up are in the error of `close`.
            if error is not None and not has_callback and not self._given_up:
                self._failed.append(error)
            self.cancel()

    def take_failed(self) -> list[QueueError]:
        """The errors that no callback got, once."""
        with self._lock:
            failed, self._failed = self._failed, []
            return failed

    def take_undelivered(self) -> int:
        """How many are in flight, or failed without a callback; the latter are counted once."""
        with self._lock:
            count, self._failed = self._in_flight + len(self._failed), []
            return count

    def are_settled(self, timeout: float) -> bool:
        """Whether nothing is in flight and no error is kept; else blocks for `timeout` seconds at most."""
        with self._lock:
            if self._in_flight or self._failed:
                self._settled.wait(timeout)
                return False
            return True

    def close(self) -> bool:
        """Take nothing more; whether that is new."""
        with self._lock:
            already, self._closed = self._closed, True
            return not already

    def give_up(self) -> None:
        """Nobody waits any more for what is in flight."""
        with self._lock:
            self._given_up = True
            self._settled.notify_all()

    def wait(self, timeout: float) -> None:
        """Block until nothing is in flight or it is given up, for `timeout` seconds at most."""
        with self._settled:
            self._settled.wait_for(lambda: not self._in_flight or self._given_up, timeout)
