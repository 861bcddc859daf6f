"""What keyed messages should come to, said as plainly as can be: all of them at once, sorted by id."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta, timezone
from typing import Any, NamedTuple

from bson.objectid import ObjectId

from estela_consumer.decoding.decoder import decode
from estela_consumer.decoding.document import Document
from estela_queue_adapter import Message
from estela_wire.dataset import Dataset

EPOCH = datetime(2026, 1, 1, tzinfo=timezone.utc)


class Scraped(NamedTuple):
    """A message: its id is its number."""

    number: int
    sku: str
    fields: Mapping[str, Any]

    @property
    def id(self) -> ObjectId:
        return ObjectId((1_767_225_600 + self.number).to_bytes(4, "big") + b"nonce" + b"\x00\x00\x01")

    @property
    def at(self) -> datetime:
        # Neither in the order of the ids, nor without ties.
        return EPOCH + timedelta(minutes=self.number * 7 % 13)

    @property
    def content(self) -> dict[str, Any]:
        return {"sku": self.sku, **self.fields}

    @property
    def job(self) -> str:
        return f"job{self.number % 3}"

    def envelope(self, dataset: Dataset, mode: str) -> dict[str, Any]:
        return {
            "jid": f"{self.job}.spider.{dataset.database}",
            "dataset_name": dataset.collection,
            "id": str(self.id),
            "key": ["sku"],
            "on_existing": mode,
            "metadata": {"url": f"http://shop/{self.number}", "scraped_at": self.at.isoformat()},
            "payload": self.content,
        }

    def document(self, dataset: Dataset, mode: str) -> Document:
        data = json.dumps(self.envelope(dataset, mode)).encode()
        decoded = decode(Message("items", 0, self.number, 0.0, None, data, ()))
        assert decoded is not None
        return decoded


class Expected(NamedTuple):
    """What is stored in the end."""

    documents: dict[str, dict[str, Any]]
    """The content by sku, with `seen`: first and last."""
    changes: dict[ObjectId, tuple[str, dict[str, Any], dict[str, Any]]]
    """By the message's id: the job, the fields before, the fields after."""


def expected(mode: str, messages: Iterable[Scraped]) -> Expected:
    """The model: of each key the versions in the order of their ids."""
    by_key: dict[str, list[Scraped]] = {}
    for message in sorted({one.number: one for one in messages}.values()):
        by_key.setdefault(message.sku, []).append(message)
    found = Expected({}, {})
    for sku, versions in by_key.items():
        chosen = {
            "keep": dict(versions[0].content),
            "update": {name: value for one in versions for name, value in one.content.items()},
        }.get(mode, dict(versions[-1].content))
        seen = versions[:1] if mode == "keep" else versions
        of = versions[0] if mode == "keep" else versions[-1]
        found.documents[sku] = {
            **chosen,
            "id": of.id,
            "job": of.job,
            "url": f"http://shop/{of.number}",
            "first_seen": min(one.at for one in seen),
            "last_seen": max(one.at for one in seen),
        }
        if mode == "track":
            for one, other in itertools.pairwise(versions):
                if one.content != other.content:
                    found.changes[other.id] = (other.job, *_difference(one.content, other.content))
    return found


def _difference(before: dict[str, Any], after: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    return (
        {name: value for name, value in before.items() if name not in after or after[name] != value},
        {name: value for name, value in after.items() if name not in before or before[name] != value},
    )


def found_in(documents: Iterable[dict[str, Any]], changes: Iterable[dict[str, Any]]) -> Expected:
    """What a store holds, in the model's form. Each change names its document and its key."""
    found = Expected({}, {})
    ids = {}
    for document in documents:
        ours = document.pop("_estela")
        ids[document.pop("_id")] = document["sku"]
        assert document["sku"] not in found.documents
        assert "pending" not in ours
        times = {name: ours[name].replace(tzinfo=timezone.utc) for name in ("first_seen", "last_seen")}
        found.documents[document["sku"]] = {
            **document, "id": ours["id"], "job": ours["job"], "url": ours["url"], **times
        }  # fmt: skip
    for change in changes:
        assert change["key"] == {"sku": ids[change["document"]]}
        assert change["version"] not in found.changes
        found.changes[change["version"]] = (change["job"], change["before"], change["after"])
    return found
