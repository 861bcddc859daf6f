"""Where a message's payload belongs."""

from __future__ import annotations

import functools

from estela_queue_adapter import Message
from estela_queue_adapter.errors import BadName
from estela_wire.dataset import Dataset, dataset_of
from estela_wire.envelope import Envelope

remembered_dataset = functools.lru_cache(maxsize=2048)(dataset_of)
"""`dataset_of` for names of any kind that can be hashed: a topic's messages share a few datasets."""


def destination_of(message: Message, envelope: Envelope) -> Dataset:
    """The dataset of the payload. Raises BadName."""
    database, collection = envelope.db_name, envelope.dataset_name
    # With both names the jid decides nothing, and it may be of any kind and size.
    jid = None if database and collection else envelope.jid
    try:
        return remembered_dataset(message.topic, jid, database, collection)
    except TypeError as error:  # a list or an object in the place of a name
        raise BadName(f"a name is not a string: {error}") from error
