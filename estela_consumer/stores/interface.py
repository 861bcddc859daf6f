"""The contract of every store."""

from __future__ import annotations

import enum
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

from bson.objectid import ObjectId

from estela_consumer.decoding.document import Document
from estela_consumer.errors import BadMessage, Reason, StoreUnreachable
from estela_wire.dataset import Dataset


class Outcome(enum.Enum):
    """What became of one document that was not refused."""

    STORED = "stored"  # it is stored now, safely
    PRESENT = "present"  # it was stored before, safely and with the same content
    SUPERSEDED = (
        "superseded"  # its key's document, safely stored, is that of another message, as it should be
    )
    RETRY = "retry"  # not yet: write it again


Verdict: TypeAlias = Outcome | BadMessage | StoreUnreachable
"""What became of one document, or why it is to be written again: a StoreUnreachable until it works, an
UnknownRefusal for a while. Any other BadMessage is final."""


class Summary(NamedTuple):
    """A dataset and how many documents it holds."""

    dataset: Dataset
    documents: int


@dataclass(frozen=True, slots=True)
class StoreAccess:
    """What a login may do with a store, as far as it tells without being written to."""

    user: str = ""
    """Who is logged in; empty: nobody, or the store knows no logins."""
    databases: tuple[str, ...] | None = None
    """Where documents may be written; None: anywhere."""
    exists: bool = True
    """Whether there is something already; False: the first document creates it."""


class Store(ABC):
    """Keeps documents. `write` may be called from several threads.

    Guaranteed: a document reported as STORED or PRESENT outlives the loss of any one server (a
    majority has it), and of the store's process; a document written twice is stored once.

    Third parties register theirs by URL scheme as entry points of `estela.stores`: a callable that
    takes the StoreSettings and raises UsageError for what is wrong with them; it connects to nothing.
    """

    @abstractmethod
    def describe(self) -> str:
        """Where it is, for people, without secrets."""

    @abstractmethod
    def check(self) -> None:
        """Check that the store answers. Blocks for some seconds at most; raises StoreUnreachable."""

    def examine(self) -> StoreAccess:
        """Check that it answers, and what we may do with it. Writes and creates nothing.

        Blocks for some seconds at most; raises StoreUnreachable.
        """
        self.check()
        return StoreAccess()

    @abstractmethod
    def write(self, dataset: Dataset, documents: Sequence[Document]) -> list[Verdict]:
        """Write all that can be written; one verdict for each document, in order. Blocks.

        Raises StoreUnreachable when nothing is known of any of them; write them again then.
        """

    def write_keyed(self, dataset: Dataset, documents: Sequence[Document]) -> list[Verdict]:
        """The same for documents with a key, which have a `version`. A store may do without.

        What becomes of a document that is there is what `estela_consumer.keyed.planning.make_plan` says of
        it; it is the same in whatever order and however often they are written, by several writers too.
        """
        text = f"{self.describe()} has no keyed writes: it cannot store messages with a key"
        return [BadMessage(Reason.REFUSED, text) for _ in documents]

    def find(self, dataset: Dataset, identities: Collection[ObjectId]) -> Iterator[bytes]:
        """The documents with these `_id`s in BSON, as far as they are there, in any order.

        Only what outlives the loss of any one server. A store needs it for the verification of keyed jobs
        alone: without it none of their documents is found. Raises StoreUnreachable.
        """
        return iter(())

    @abstractmethod
    def datasets(self) -> Iterator[Summary]:
        """Every dataset, ordered by name. Raises StoreUnreachable."""

    @abstractmethod
    def read(
        self, dataset: Dataset, limit: int | None = None, origin: Mapping[str, str] | None = None
    ) -> Iterator[dict[str, Any]]:
        """The documents of a dataset by ascending `_id`, keys as they are stored. Raises StoreUnreachable.

        With `origin` only those whose metadata have these values: of `job`, `spider` and `project`, say.
        """

    @abstractmethod
    def ids(self, dataset: Dataset, first: ObjectId | str, last: ObjectId | str) -> Iterator[ObjectId | str]:
        """The `_id` of each document of a dataset from `first` to `last`, ascending; nothing else is read.

        Only those that outlive the loss of any one server. Raises StoreUnreachable.
        """

    @abstractmethod
    def close(self) -> None:
        """Close connections and files."""
