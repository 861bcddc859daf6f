"""From the reactor to the queue: a message is kept, in memory or on disk, until the queue has it."""

from estela_scrapy.delivery.buffer import Mode, Undelivered
from estela_scrapy.delivery.outbox import Outbox, OutboxError
from estela_scrapy.delivery.publisher import Publisher

__all__ = ["Mode", "Outbox", "OutboxError", "Publisher", "Undelivered"]
