"""The envelope: what a message says around its payload, as it is written and as it is read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from estela_queue_adapter.serialization import serialize
from estela_wire.typed_values import ExtendedJson


class Envelope(msgspec.Struct, gc=False):
    """The fields that decide where a payload goes, and as what. Any other is ignored.

    Foreign data: only the payload is known to be what it should be. None is what is missing.
    """

    payload: dict[str, Any]
    jid: Any = None
    """`<job>.<spider>.<project>`."""
    unique: Any = None
    """Whether equal payloads are one document: the text `True` or `False`, as estela writes it."""
    id: Any = None
    """The message's id, 24 hex digits; estela's own messages have none."""
    db_name: Any = None
    """The database, instead of the jid's project."""
    dataset_name: Any = None
    """The collection, instead of one named after the jid and the topic."""
    types: Any = None
    """`bson` if the payload is MongoDB's Extended JSON."""


class EnvelopeWriter:
    """Writes the envelopes of one stream: everything but `id` and `payload` is the same in each."""

    def __init__(self, jid: str, *, unique: bool, names: Mapping[str, str]) -> None:
        """`names` are `db_name` and `dataset_name`, as far as they are given."""
        self._head = serialize({"jid": jid, "unique": str(unique), **names})[:-1]

    def write(self, identity: bytes, payload: bytes) -> bytes:
        """The envelope around a payload that is JSON already; `identity` is 24 hex digits.

        It says so if the payload is Extended JSON.
        """
        if type(payload) is ExtendedJson:
            return b'%b,"id":"%b","types":"bson","payload":%b}' % (self._head, identity, payload)
        return b'%b,"id":"%b","payload":%b}' % (self._head, identity, payload)
