"""What becomes a dead letter."""

from __future__ import annotations

from typing import NamedTuple

from estela_consumer.errors import BadMessage
from estela_queue_adapter import Message


class RejectedMessage(NamedTuple):
    """A message that cannot be stored, and why."""

    message: Message
    error: BadMessage
