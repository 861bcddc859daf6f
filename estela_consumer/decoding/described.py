"""Documents of messages that say more than their payload: where it was scraped, and what its key is."""

from __future__ import annotations

from estela_consumer.decoding.document import MAX_DOCUMENT_BYTES, Document, document_of, too_large
from estela_consumer.decoding.identity import identity_of, message_id_of
from estela_consumer.decoding.metadata import (
    keyed_subdocument,
    metadata_of,
    plain_subdocument,
    with_element,
)
from estela_consumer.decoding.version import Version, document_id, key_and_mode, seen_at, sorted_names
from estela_queue_adapter import Message
from estela_wire.dataset import Dataset
from estela_wire.envelope import Envelope
from estela_wire.keys import OnExisting, changes_of


def described_document(message: Message, envelope: Envelope, dataset: Dataset) -> Document:
    """The document of a message with metadata or a key, with its `_estela`. Raises BadMessage and BadName."""
    metadata = metadata_of(envelope.jid, envelope.metadata)
    if envelope.key is None:
        plain = document_of(message, envelope, dataset, identity_of(message, envelope))
        return plain._replace(bson=_checked(with_element(plain.bson, plain_subdocument(metadata))))
    names, mode = key_and_mode(envelope)
    if mode is OnExisting.TRACK:
        changes_of(dataset)
    identity = message_id_of(message, envelope)
    at, key = seen_at(metadata, identity), sorted_names(names)
    plain = document_of(message, envelope, dataset, document_id(names, envelope.payload))
    encoded = with_element(plain.bson, keyed_subdocument(metadata, key, identity, at))
    version = Version(identity, key, mode, metadata.jid, at, len(plain.bson) - 1)
    return Document(dataset, _checked(encoded), message, version)


def _checked(encoded: bytes) -> bytes:
    if len(encoded) > MAX_DOCUMENT_BYTES:
        raise too_large(len(encoded))
    return encoded
