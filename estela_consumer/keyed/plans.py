"""Plans: what a store has to write so that a document takes in further versions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from bson.datetime_ms import DatetimeMS

from estela_consumer.decoding.document import Document
from estela_consumer.keyed.stored import StoredDocument, subdocument_of, version_of

Changes: TypeAlias = "dict[bytes, dict[str, Any]]"
"""Documents of the dataset of changes, by `_id`."""


@dataclass(slots=True)
class Plan:
    """What to write for one key. Nothing is to be written if it has neither of the first two."""

    document: bytes | None = None
    """The whole document, instead of what is there."""
    subdocument: dict[str, Any] | None = None
    """`_estela` alone, beside the content that is there; with `document`, the one that this has."""
    stored: frozenset[bytes] = frozenset()
    """The ids of the versions that have a part in what is written, now or before."""
    present: frozenset[bytes] = frozenset()
    """The ids of those that had it before."""
    changes: Changes = field(default_factory=dict)
    """What must be in the dataset of changes, in place of what was written there at lower revisions."""

    @property
    def writes(self) -> bool:
        """Whether there is something to write."""
        return self.document is not None or self.subdocument is not None


def seen(stored: StoredDocument | None, documents: Sequence[Document]) -> tuple[int, int]:
    """When a version was seen first, and when last: milliseconds since 1970."""
    times = [version_of(document).seen_at for document in documents]
    if stored is not None:
        times += [stored.first_seen, stored.last_seen]
    return min(times), max(times)


def next_subdocument(
    stored: StoredDocument | None, newest: Document | None, times: tuple[int, int]
) -> dict[str, Any]:
    """The `_estela` of `newest`, or of what is stored if that is newer, as the next revision of it."""
    if newest is not None:
        fields = subdocument_of(newest)
    else:
        assert stored is not None
        fields = dict(stored.subdocument)
    first_seen, last_seen = times
    return {
        **fields,
        "first_seen": DatetimeMS(first_seen),
        "last_seen": DatetimeMS(last_seen),
        "revision": 1 if stored is None else stored.revision + 1,
    }


def by_id(documents: Sequence[Document]) -> Iterator[Document]:
    """The documents in the order of their versions; of several with one id the first."""
    last = None
    for document in sorted(documents, key=lambda document: version_of(document).id):
        identity = version_of(document).id
        if identity != last:
            yield document
        last = identity
