"""Documents of messages that say more than their payload: where it was scraped, and what its key is."""

from __future__ import annotations

from estela_consumer.decoding.document import Document, document_of, make_document
from estela_consumer.decoding.identity import identity_of, is_unique, message_id_of
from estela_consumer.decoding.metadata import keyed_subdocument, metadata_of, plain_subdocument
from estela_consumer.decoding.version import document_id, key_and_mode, make_version, seen_at
from estela_queue_adapter import Message
from estela_wire.dataset import Dataset
from estela_wire.envelope import Envelope
from estela_wire.keys import OnExisting, changes_of


def described_document(message: Message, envelope: Envelope, dataset: Dataset) -> Document:
    """The document of a message with metadata or a key, with its `_estela`. Raises BadMessage and BadName."""
    metadata = metadata_of(envelope.jid, envelope.metadata)
    if envelope.key is None:
        # A unique document stands for all messages with its payload, which are from no one page.
        ours = b"" if is_unique(envelope) else plain_subdocument(metadata)
        return document_of(message, envelope, dataset, identity_of(message, envelope), ours)
    names, key, mode = key_and_mode(envelope)
    if mode is OnExisting.TRACK:
        changes_of(dataset)
    identity = message_id_of(message, envelope)
    at = seen_at(metadata, identity)
    ours = keyed_subdocument(metadata, key, identity, at)
    plain = document_of(message, envelope, dataset, document_id(names, envelope.payload), ours)
    encoded = plain.bson
    version = make_version((identity, key, mode, metadata.jid, at, len(encoded) - len(ours) - 1))
    return make_document((dataset, encoded, message, version))
