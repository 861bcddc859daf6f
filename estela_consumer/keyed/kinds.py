"""What kind of documents a dataset holds: with which key, or without one. All are of one kind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from bson.objectid import ObjectId

from estela_consumer.decoding.metadata import SUBDOCUMENT
from estela_consumer.errors import BadMessage, Reason
from estela_wire.dataset import Dataset


class Kind(NamedTuple):
    """Of the documents in a dataset."""

    key: tuple[str, ...] | None
    """The names of the key's fields, sorted; None for documents without a key."""

    def __str__(self) -> str:
        return "without a key" if self.key is None else f"with the key {', '.join(self.key)}"


def kind_of(document: Mapping[str, Any]) -> Kind:
    """The kind of a stored document."""
    found = document.get(SUBDOCUMENT)
    if not isinstance(found, dict) or not isinstance(found.get("id"), ObjectId):
        return Kind(None)
    key = found.get("key")
    return Kind(tuple(map(str, key)) if isinstance(key, list) else ())


def mismatch(dataset: Dataset, found: Kind, wanted: Kind) -> BadMessage:
    """The dead letter for a message whose dataset holds documents of another kind."""
    if wanted.key:
        advice = (
            f"`estela-data rekey {dataset} NEW --key {','.join(wanted.key)}` makes a dataset with this key "
            "of it. Name that one in the crawl, and replay the dead letters"
        )
    else:
        advice = "Name another dataset in the crawl; one dataset has documents of one kind"
    return BadMessage(
        Reason.KEY_MISMATCH,
        f"{dataset} holds documents {found}, and the message is one {wanted}. {advice}",
    )
