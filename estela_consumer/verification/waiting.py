"""Verifying again until nothing is missing."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from estela_consumer.errors import StoreUnreachable
from estela_consumer.verification.verification import Verification
from estela_queue_adapter.errors import TransientError

_SHORTEST_PAUSE = 0.5  # seconds between two verifications; never shorter than one takes, to be no burden

logger = logging.getLogger(__name__)


def verify_until(
    verify: Callable[[], Verification | None],
    wait: float,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Verification | None:
    """What `verify` says once nothing is missing any more, or when `wait` seconds are over.

    A queue or store that is unavailable is asked again too. Raises its error when the time is over, and any
    other error at once.
    """
    deadline, logged = clock() + wait, ""
    while True:
        began = clock()
        try:
            found = verify()
        except (TransientError, StoreUnreachable) as error:
            if clock() >= deadline:
                raise
            waiting_for = f"what is unavailable: {error}"
        else:
            if clock() >= deadline or (found is not None and found.settled):
                return found
            waiting_for = "the consumer to store the rest" if found else "the closing record of the crawl"
        if waiting_for != logged:
            logger.info("estela-verify waits for %s.", waiting_for)
            logged = waiting_for
        now = clock()
        sleep(min(max(_SHORTEST_PAUSE, now - began), max(0.0, deadline - now)))
