"""Documents of messages that say more than their payload: where it was scraped, and what its key is."""

from __future__ import annotations

from estela_consumer.decoding.drafts import Draft, draft_of
from estela_consumer.decoding.identity import identity_of, is_unique, message_id_of
from estela_consumer.decoding.metadata import keyed_subdocument, metadata_of, page_of, plain_subdocument
from estela_consumer.decoding.version import document_id, make_version, seen_at, stream_of
from estela_queue_adapter import Message
from estela_wire.dataset import Dataset
from estela_wire.envelope import Envelope
from estela_wire.keys import OnExisting, changes_of


def described_draft(message: Message, envelope: Envelope, dataset: Dataset) -> Draft:
    """The document of a message with metadata or a key, with its `_estela`. Raises BadMessage and BadName."""
    if envelope.key is None:
        # A unique document stands for all messages with its payload, which are from no one page.
        unique = is_unique(envelope)
        ours = b"" if unique else plain_subdocument(metadata_of(envelope.jid, envelope.metadata))
        return draft_of(message, envelope.payload, dataset, identity_of(message, envelope), ours)
    names, key, mode, jid, elements = stream_of(envelope)
    if mode is OnExisting.TRACK:
        changes_of(dataset)
    identity = message_id_of(message, envelope)
    url, scraped_at = page_of(envelope.metadata)
    at = seen_at(scraped_at, identity)
    ours = keyed_subdocument(elements, url, scraped_at, identity, at)
    version = make_version((identity, key, mode, jid, at, 0))
    return draft_of(message, envelope.payload, dataset, document_id(names, envelope.payload), ours, version)
