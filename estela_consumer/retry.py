"""Trying again while a server is unavailable: for how long, and what the log says meanwhile."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TypeVar

from estela_consumer.errors import AccessRefused, StoreLoginRefused
from estela_queue_adapter.backoff import pause_before
from estela_queue_adapter.collector import collect_failed_connections
from estela_queue_adapter.errors import AccessDenied

T = TypeVar("T")

_REMINDER_INTERVAL = 60.0  # seconds between two lines about one outage

_REFUSAL_STANDS = 60.0  # seconds from the last refusal, through other errors

logger = logging.getLogger(__name__)


STORE, QUEUE, DEAD_LETTERS = "Store", "Queue", "dead letters"


@dataclass(frozen=True, slots=True)
class OutageSnapshot:
    """What is known of one server's outages at one moment; times are seconds."""

    server: str
    used_for: str
    elapsed: float | None
    """Since the present outage began; None if there is none."""
    error: str
    """What the latest failure says; empty if there is no outage."""
    refused: bool
    """Whether the present outage is a refused login, or a missing permission."""
    failures: int
    """Attempts that failed, of all outages."""
    total: float
    """Of all outages, the present one included."""


class _Refusal:
    """That a server refuses us: from a refusal on, until something else was the case for a while.

    A driver that was refused may fail in other ways for some attempts: no server is left then to use.
    """

    def __init__(self) -> None:
        self.since = 0.0
        self.text = ""
        self._last = 0.0

    @property
    def stands(self) -> bool:
        return bool(self.text)

    def update(self, error: Exception, now: float) -> None:
        """Note that an attempt failed."""
        if is_refusal(error):
            self.since = self.since if self.stands else now
            self.text, self._last = str(error), now
        elif now - self._last > _REFUSAL_STANDS:
            self.text = ""


class Outage:
    """Tells the log of one server's outages: when one begins, once a minute, and when it ends.

    What waiting alone does not change, a refused login or a missing permission, is told as an error. If it is
    `quiet`, all of it is for debugging only.
    Threads may share it: its lock is held for each change of what it remembers, and for the line about it.
    """

    def __init__(
        self, server: str, clock: Callable[[], float], used_for: str = "", *, quiet: bool = False
    ) -> None:
        self._server = server
        self._quiet = quiet
        self._used_for = used_for
        self._clock = clock
        self._lock = threading.Lock()
        self._began: float | None = None
        self._refusal = _Refusal()
        self._logged_at = 0.0
        self._error = ""
        self._failures = 0
        self._past_seconds = 0.0

    def failed(self, error: Exception) -> None:
        """Note that an attempt failed."""
        now, used_for = self._clock(), f" ({self._used_for})" if self._used_for else ""
        with self._lock:
            self._failures += 1
            was_refused = self._refusal.stands
            self._refusal.update(error, now)
            refused = self._refusal.stands
            self._error = self._refusal.text or str(error)
            level = self._level(refused)
            if self._began is None:
                self._began = self._logged_at = now
                logger.log(
                    level, "%s unavailable%s: %s. Waiting; nothing is lost.",
                    self._server, used_for, self._error, extra=self._place,
                )  # fmt: skip
            elif now - self._logged_at >= _REMINDER_INTERVAL or (refused and not was_refused):
                self._logged_at = now
                logger.log(
                    level, "%s still unavailable after %.0f s%s: %s",
                    self._server, now - self._began, used_for, self._error, extra=self._place,
                )  # fmt: skip

    def succeeded(self) -> None:
        """Note that an attempt succeeded."""
        if self._began is None:  # nearly always, and without the lock; it is looked at again inside
            return
        with self._lock:
            if self._began is not None:
                seconds = self._clock() - self._began
                self._began = None
                self._refusal = _Refusal()
                self._error = ""
                self._past_seconds += seconds
                used_for = f" ({self._used_for})" if self._used_for else ""
                logger.log(
                    self._level(refused=False),
                    "%s available again after %.1f s%s.", self._server, seconds, used_for, extra=self._place,
                )  # fmt: skip

    @property
    def _place(self) -> dict[str, str]:
        return {"topic": self._used_for} if self._used_for and self._used_for != DEAD_LETTERS else {}

    def _level(self, refused: bool) -> int:
        if self._quiet:
            return logging.DEBUG
        return logging.ERROR if refused else logging.WARNING

    @property
    def refused(self) -> tuple[float, str] | None:
        """For how many seconds we have been refused, and what was said; None if we are not."""
        with self._lock:
            return (self._clock() - self._refusal.since, self._refusal.text) if self._refusal.stands else None

    def snapshot(self) -> OutageSnapshot:
        """What is so now. Any thread may ask."""
        with self._lock:
            elapsed = None if self._began is None else self._clock() - self._began
            return OutageSnapshot(
                self._server,
                self._used_for,
                elapsed,
                self._error,
                self._refusal.stands,
                self._failures,
                self._past_seconds + (elapsed or 0.0),
            )


def is_refusal(error: BaseException) -> bool:
    """Whether it is a refused login or a missing permission, which waiting alone does not change."""
    refusals = (AccessDenied, StoreLoginRefused)
    return isinstance(error, refusals) or isinstance(error.__cause__, refusals)


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How long to try again; the pauses in between are the adapter's back-off. Threads may share it."""

    max_wait: float | None = None
    """Seconds after which it is given up, or sooner if the next attempt would take longer; None: never."""
    auth_max_wait: float | None = None
    """Seconds after which it is given up if a login or permission is refused all the time; None: never."""
    cancelled: threading.Event = field(default_factory=threading.Event)
    """Set to end every wait at once."""
    clock: Callable[[], float] = time.monotonic
    random: Callable[[], float] = random.random
    outages: list[Outage] = field(default_factory=list, repr=False)
    """Those that `outage` has made, here and of a copy."""

    def cancelled_by(self, event: threading.Event) -> RetryPolicy:
        """The same, ended by another event."""
        return replace(self, cancelled=event)

    def outage(self, server: str, used_for: str = "") -> Outage:
        """What `call` tells of failures: of which server, and what it is used for if that needs saying."""
        outage = Outage(server, self.clock, used_for)
        self.outages.append(outage)
        return outage

    def call(self, attempt: Callable[[], T], outage: Outage, *errors: type[Exception]) -> T:
        """What `attempt` returns, called again for as long as it raises one of `errors`. Blocks.

        Raises the last error when `max_wait` is over or `cancelled` is set, AccessRefused when
        `auth_max_wait` is over, and any other error at once.
        """
        began, attempts = self.clock(), 0
        while True:
            attempted_at = self.clock()
            try:
                result = attempt()
            except errors as error:
                if self.cancelled.is_set():  # and what it waited for may be closed
                    raise
                outage.failed(error)
                collect_failed_connections(everywhere=True)
                attempts += 1
                pause = pause_before(attempts, self.random)
                if self.max_wait is not None:
                    now = self.clock()
                    pause = min(pause, began + self.max_wait - now - (now - attempted_at))
                    if pause <= 0:
                        raise
                pause = self._within_auth_max_wait(pause, outage)
                if self.cancelled.wait(pause):
                    raise
            else:
                outage.succeeded()
                return result

    def _within_auth_max_wait(self, pause: float, outage: Outage) -> float:
        """The pause, or what remains of `auth_max_wait` if that is less. Raises AccessRefused if nothing."""
        refused = outage.refused
        if self.auth_max_wait is None or refused is None:
            return pause
        seconds, text = refused
        if seconds >= self.auth_max_wait:
            raise AccessRefused(text, seconds)
        return min(pause, self.auth_max_wait - seconds)
