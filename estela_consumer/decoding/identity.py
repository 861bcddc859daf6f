"""The `_id` of a message's document.

It is decided by the message alone, so that a message that is delivered again meets itself.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import Any

from estela_consumer.errors import BadMessage, Reason
from estela_queue_adapter import Message
from estela_wire.canonical import canonical
from estela_wire.dataset import stats_id
from estela_wire.envelope import Envelope
from estela_wire.headers import origin_of
from estela_wire.message_id import id_bytes, make_id
from estela_wire.shown import shown
from estela_wire.topics import STATS_TOPIC


def identity_of(message: Message, envelope: Envelope) -> bytes | str:
    """The `_id`: 12 bytes are an ObjectId's. Raises BadMessage, or BadName for a jid that is none.

    It is made of the jid for a job's stats, of the content if equal payloads are one document, and else of
    the envelope's id. A message without an id, as estela's are, has that of its place in the topic.
    """
    if message.topic == STATS_TOPIC:
        return stats_id(envelope.jid)
    if is_unique(envelope):
        return content_id(envelope.payload)
    return message_id_of(message, envelope)


def is_unique(envelope: Envelope) -> bool:
    """Whether equal payloads are one document."""
    return envelope.unique in ("True", True)


def message_id_of(message: Message, envelope: Envelope) -> bytes:
    """The 12 bytes of the envelope's id, or of the message's place if it has none. Raises BadMessage."""
    given = envelope.id
    if given is None:
        return position_id(message)
    identity = id_bytes(given)
    if identity is None:
        raise BadMessage(Reason.BAD_ENVELOPE, f"the envelope's id is not 24 hex digits: {shown(given)}")
    return identity


def content_id(payload: dict[str, Any]) -> bytes:
    """The 12 bytes of `_id` in a unique dataset, whose equal payloads are one document."""
    return hashlib.sha256(canonical(payload)).digest()[:12]


def position_id(message: Message) -> bytes:
    """The 12 bytes of `_id` that the place in the topic gives, the same one after a replay."""
    origin = origin_of(message)
    return make_id(int(origin.timestamp), _partition_digest(origin.topic, origin.partition), origin.offset)


@lru_cache(maxsize=1024)
def _partition_digest(topic: str, partition: int) -> bytes:
    return hashlib.sha256(f"{topic}/{partition}".encode()).digest()[:5]
