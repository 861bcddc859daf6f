"""How much of a topic remains when its consumer ends."""

from __future__ import annotations

import logging

from estela_queue_adapter import Platform, Subscription
from estela_queue_adapter.errors import QueueError

logger = logging.getLogger(__name__)


def final_lag(platform: Platform, subscription: Subscription) -> int | None:
    """The offsets between what the group has committed and the topic's end; None if the queue does not tell.

    What was delivered and not committed counts, as does what an open transaction hides. To be asked once the
    group's own member has left. Blocks.
    """
    consumer = platform.consumer(subscription)  # it never polls, so it joins no group
    try:
        committed = {at.partition: at.offset for at in consumer.positions()}
        ends = consumer.log_end_positions()
        return sum(max(0, end.offset - committed.get(end.partition, end.offset)) for end in ends)
    except QueueError as error:
        logger.debug("%s: lag not known at the end: %s", subscription.topic, error)
        return None
    finally:
        try:
            consumer.close()
        except QueueError as error:
            logger.debug("%s: %s", subscription.topic, error)
