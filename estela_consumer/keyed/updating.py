"""UPDATE: each field of the top level has the value of the newest message that carried it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bson.objectid import ObjectId

from estela_consumer.decoding.document import Document
from estela_consumer.keyed.differences import same_value
from estela_consumer.keyed.plans import Plan, by_id, next_subdocument, seen
from estela_consumer.keyed.stored import NotKeyed, StoredDocument, content_of, version_of, whole

FIELDS = "fields"
"""In `_estela`: the ids of the messages that the fields are of, without those of the document's own id."""


def plan_update(stored: StoredDocument | None, documents: Sequence[Document]) -> Plan:
    """All versions merged, whatever their order. Raises NotKeyed."""
    ordered = list(by_id(documents))
    if stored is None and len(ordered) == 1 and len(documents) == 1:
        return Plan(document=ordered[0].bson, stored=frozenset([version_of(ordered[0]).id]))
    content: dict[str, Any] = {} if stored is None else stored.content
    ids = {} if stored is None else field_ids(stored)
    known = dict(ids)
    before = frozenset(ids.values()) | (frozenset() if stored is None else frozenset([stored.id]))
    changed = stored is None
    for document in ordered:
        identity = version_of(document).id
        for name, value in content_of(document).items():
            if name in ids and identity <= ids[name]:
                continue
            ids[name] = identity
            if name not in content or not same_value(content[name], value):
                content[name], changed = value, True
    newest = ordered[-1] if stored is None or version_of(ordered[-1]).id > stored.id else None
    identity = stored.id if newest is None and stored is not None else version_of(ordered[-1]).id
    after, times = frozenset(ids.values()) | frozenset([identity]), seen(stored, documents)
    plan = Plan(stored=after - before, present=before)
    if stored is not None and ids == known and times == (stored.first_seen, stored.last_seen):
        return plan
    subdocument = next_subdocument(stored, newest, times)
    others = {name: ObjectId(of) for name, of in ids.items() if of != identity and name in content}
    subdocument.pop(FIELDS, None)
    if others:
        subdocument[FIELDS] = others
    if changed:
        plan.document = whole(ordered[0].id, content, subdocument)
    else:
        plan.subdocument = subdocument
    return plan


def field_ids(stored: StoredDocument) -> dict[str, bytes]:
    """The id of the message that each field is of. A field that nobody names is of the document's.

    Raises NotKeyed.
    """
    given = stored.subdocument.get(FIELDS, {})
    if not isinstance(given, dict) or not all(isinstance(of, ObjectId) for of in given.values()):
        raise NotKeyed("its _estela.fields was edited")
    return {name: given[name].binary if name in given else stored.id for name in stored.content}
