"""KEEP and REPLACE: the document is that of one message, the oldest or the newest."""

from __future__ import annotations

from collections.abc import Sequence

from estela_consumer.decoding.document import Document
from estela_consumer.decoding.metadata import with_marks
from estela_consumer.keyed.plans import Plan, next_subdocument, seen
from estela_consumer.keyed.stored import StoredDocument, version_of


def plan_keep(stored: StoredDocument | None, documents: Sequence[Document]) -> Plan:
    """The document of the oldest message. What comes later does not touch it."""
    oldest = min(documents, key=lambda document: version_of(document).id)
    version = version_of(oldest)
    if stored is not None and stored.id <= version.id:
        return Plan(present=frozenset([stored.id]))
    revision = 1 if stored is None else stored.revision + 1
    return Plan(
        document=with_marks(oldest.bson, version.seen_at, version.seen_at, revision),
        stored=frozenset([version.id]),
    )


def plan_replace(stored: StoredDocument | None, documents: Sequence[Document]) -> Plan:
    """The document of the newest message, and when the first and the last were seen."""
    newest = max(documents, key=lambda document: version_of(document).id)
    version, times = version_of(newest), seen(stored, documents)
    if stored is None or version.id > stored.id:
        revision = 1 if stored is None else stored.revision + 1
        return Plan(document=with_marks(newest.bson, *times, revision), stored=frozenset([version.id]))
    present = frozenset([stored.id])
    if times == (stored.first_seen, stored.last_seen):
        return Plan(present=present)
    return Plan(subdocument=next_subdocument(stored, None, times), present=present)
