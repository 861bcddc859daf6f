"""From the bytes of messages to documents: one walk for each, and one encode for all together."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import astuple

from estela_consumer.decoding.dataset import destination_of, remembered_dataset
from estela_consumer.decoding.described import described_draft
from estela_consumer.decoding.document import MAX_DOCUMENT_BYTES, Document
from estela_consumer.decoding.drafts import MOST_TOGETHER, Draft, documents_of, draft_of
from estela_consumer.decoding.envelope import MAY_BE_DEEP, check_depth, read_envelope
from estela_consumer.decoding.identity import identity_of
from estela_consumer.decoding.typed_payload import read_types
from estela_consumer.errors import BadMessage, Reason
from estela_queue_adapter import Message, Unreadable
from estela_queue_adapter.errors import BadName
from estela_wire.message_id import id_bytes
from estela_wire.topics import STATS_TOPIC

_MAX_JSON_BYTES = 6 * MAX_DOCUMENT_BYTES  # of a document: a character of it is six at most, as \\u0001


def decode_all(messages: Sequence[Message]) -> list[Document | BadMessage | None]:
    """What each message carries: a document, a reason against it, or nothing if it is a tombstone.

    For messages that take little memory together: they are all held as Python's objects at once.
    """
    decoded: list[Document | BadMessage | None] = [None] * len(messages)
    for first in range(0, len(messages), MOST_TOGETHER):
        drafts: list[Draft] = []
        places: list[int] = []
        for place, message in enumerate(messages[first : first + MOST_TOGETHER], first):
            try:
                draft = _draft(message)
            except BadMessage as error:
                decoded[place] = error
                continue
            if draft is not None:
                drafts.append(draft)
                places.append(place)
        for place, document in zip(places, documents_of(drafts), strict=True):
            decoded[place] = document
    return decoded


def decode(message: Message) -> Document | None:
    """The document that the message carries; None for a tombstone. Raises BadMessage."""
    (decoded,) = decode_all((message,))
    if isinstance(decoded, BadMessage):
        raise decoded
    return decoded


def _draft(message: Message) -> Draft | None:
    """The message's document as far as it is known before its payload is encoded. Raises BadMessage."""
    topic, data = message.topic, message.data
    if type(data) is not bytes:
        if data is None:
            return None
        if isinstance(data, Unreadable):
            raise BadMessage(Reason.UNREADABLE, f"offsets {data.first} to {message.offset}: {data.reason}")
    size = len(data)
    if size > _MAX_JSON_BYTES:
        raise BadMessage(Reason.TOO_LARGE, f"{size:,} bytes of JSON, over {_MAX_JSON_BYTES:,}")
    try:
        envelope = read_envelope(data)
        payload, jid, unique, given, database, collection, types, key, _, metadata = astuple(envelope)
        if type(jid) is str and database is None and collection is None:
            dataset = remembered_dataset(topic, jid, None, None)
        else:
            dataset = destination_of(message, envelope)
        if size > MAY_BE_DEEP:
            check_depth(payload, data)
        if types is not None:
            read_types(envelope, data)
            payload = envelope.payload
        if topic == STATS_TOPIC:
            return draft_of(message, payload, dataset, identity_of(message, envelope))
        if key is not None or metadata is not None:
            return described_draft(message, envelope, dataset)
        identity = id_bytes(given) if unique == "False" else None
        return draft_of(message, payload, dataset, identity or identity_of(message, envelope))
    except BadName as error:
        raise BadMessage(Reason.BAD_NAME, str(error)) from error
    except RecursionError as error:  # the stack may end just behind the parser
        raise BadMessage(Reason.BAD_VALUE, "nested too deeply") from error
