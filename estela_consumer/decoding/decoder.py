"""From the bytes of a message to a document: one walk, one step after the other."""

from __future__ import annotations

from estela_consumer.decoding.dataset import destination_of
from estela_consumer.decoding.described import described_document
from estela_consumer.decoding.document import MAX_DOCUMENT_BYTES, Document, document_of
from estela_consumer.decoding.envelope import MAY_BE_DEEP, check_depth, read_envelope
from estela_consumer.decoding.identity import identity_of
from estela_consumer.decoding.typed_payload import read_types
from estela_consumer.errors import BadMessage, Reason
from estela_queue_adapter import Message, Unreadable
from estela_queue_adapter.errors import BadName
from estela_wire.topics import STATS_TOPIC

_MAX_JSON_BYTES = 6 * MAX_DOCUMENT_BYTES  # of a document: a character of it is six at most, as \\u0001


def decode(message: Message) -> Document | None:
    """The document that the message carries; None for a tombstone. Raises BadMessage."""
    data = message.data
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
        dataset = destination_of(message, envelope)
        if size > MAY_BE_DEEP:
            check_depth(envelope.payload, data)
        if envelope.types is not None:
            read_types(envelope, data)
        if (envelope.key is not None or envelope.metadata is not None) and message.topic != STATS_TOPIC:
            return described_document(message, envelope, dataset)
        identity = identity_of(message, envelope)
        return document_of(message, envelope, dataset, identity)
    except BadName as error:
        raise BadMessage(Reason.BAD_NAME, str(error)) from error
    except RecursionError as error:  # the stack may end just behind the parser
        raise BadMessage(Reason.BAD_VALUE, "nested too deeply") from error
