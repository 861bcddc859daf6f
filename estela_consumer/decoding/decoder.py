"""From the bytes of messages to documents: one walk for each, and one encode for all together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain, repeat

from msgspec.structs import astuple

from estela_consumer.decoding.dataset import destination_of, remembered_dataset
from estela_consumer.decoding.described import described_draft
from estela_consumer.decoding.document import MAX_DOCUMENT_BYTES, Document
from estela_consumer.decoding.drafts import MOST_TOGETHER, Draft, documents_of, draft_of
from estela_consumer.decoding.envelope import (
    MAY_BE_DEEP,
    NOT_READ,
    check_depth,
    parse_envelope,
    read_envelope,
)
from estela_consumer.decoding.identity import identity_of
from estela_consumer.decoding.plain import plain_documents
from estela_consumer.decoding.typed_payload import read_types
from estela_consumer.errors import BadMessage, Reason
from estela_queue_adapter import Message, Unreadable
from estela_queue_adapter.errors import BadName
from estela_wire.dataset import Dataset
from estela_wire.envelope import Envelope
from estela_wire.message_id import id_bytes
from estela_wire.topics import STATS_TOPIC

_MAX_JSON_BYTES = 6 * MAX_DOCUMENT_BYTES  # of a document: a character of it is six at most, as \\u0001


class Decoded(list["Document | BadMessage | None"]):
    """What each message carries: a document, a reason against it, or nothing if it is a tombstone."""

    __slots__ = ("dataset",)

    def __init__(
        self, carried: Iterable[Document | BadMessage | None], dataset: Dataset | None = None
    ) -> None:
        super().__init__(carried)
        self.dataset = dataset
        """That of all, if they are documents of one and no message has a key or headers; it may be None."""


def decode_all(messages: Sequence[Message]) -> Decoded:
    """What each message carries.

    For messages that take little memory together: they are all held as Python's objects at once.
    """
    if 0 < len(messages) <= MOST_TOGETHER:
        return _decoded_together(messages)
    slices = (messages[first : first + MOST_TOGETHER] for first in range(0, len(messages), MOST_TOGETHER))
    return Decoded(chain.from_iterable(map(_decoded_together, slices)))


def decode(message: Message) -> Document | None:
    """The document that the message carries; None for a tombstone. Raises BadMessage."""
    (decoded,) = decode_all((message,))
    if isinstance(decoded, BadMessage):
        raise decoded
    return decoded


def _decoded_together(messages: Sequence[Message]) -> Decoded:
    """What each of MOST_TOGETHER messages at most carries."""
    envelopes = _envelopes(messages)
    if envelopes is not None and (plain := plain_documents(messages, envelopes)) is not None:
        return Decoded(*plain)
    decoded: list[Document | BadMessage | None] = [None] * len(messages)
    drafts: list[Draft] = []
    places: list[int] = []
    for place, (message, envelope) in enumerate(zip(messages, envelopes or repeat(None), strict=False)):
        try:
            draft = _draft(message, envelope)
        except BadMessage as error:
            decoded[place] = error
            continue
        if draft is not None:
            drafts.append(draft)
            places.append(place)
    for place, document in zip(places, documents_of(drafts), strict=True):
        decoded[place] = document
    return Decoded(decoded)


def _envelopes(messages: Sequence[Message]) -> list[Envelope] | None:
    """Those of messages that all have one, in standard JSON and in bytes that are not too many."""
    texts = [message[5] for message in messages]
    if {*map(type, texts)} != {bytes} or max(map(len, texts)) > _MAX_JSON_BYTES:  # type: ignore[arg-type]
        return None
    try:
        return [*map(parse_envelope, texts)]  # type: ignore[arg-type]
    except NOT_READ:
        return None


def _draft(message: Message, envelope: Envelope | None) -> Draft | None:
    """The message's document as far as it is known before its payload is encoded. Raises BadMessage.

    The envelope is given if it was read already.
    """
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
        envelope = envelope or read_envelope(data)
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
