"""Indexes of a dataset, which are the user's, and which of them would turn messages into dead letters."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import NamedTuple

from estela_consumer.errors import UsageError
from estela_wire.dataset import Dataset
from estela_wire.shown import shown

ASCENDING, DESCENDING = 1, -1


class Index(NamedTuple):
    """What an index is made of."""

    fields: tuple[tuple[str, int], ...]
    """Each a path of names with dots between them, and ASCENDING or DESCENDING."""
    unique: bool = False
    expire_after: int | None = None
    """Seconds after the date in its one field at which a document is deleted; None: never."""
    name: str = ""

    @property
    def paths(self) -> tuple[str, ...]:
        """Its fields without their direction."""
        return tuple(path for path, _ in self.fields)

    def is_like(self, other: Index) -> bool:
        """Whether the two are the same but for their names."""
        return self._replace(name="") == other._replace(name="")


class Indexes(ABC):
    """The indexes of one dataset. Every method blocks and raises StoreUnreachable."""

    @property
    @abstractmethod
    def dataset(self) -> Dataset:
        """Whose they are."""

    @abstractmethod
    def __iter__(self) -> Iterator[Index]:
        """Those that there are; none if there is no such dataset."""

    @abstractmethod
    def create(self, index: Index) -> None:
        """Create it; returns when it is complete. Raises UsageError if the server refuses."""

    @abstractmethod
    def drop(self, name: str) -> None:
        """Drop the index of that name. Raises UsageError if the server refuses."""

    @abstractmethod
    def key(self) -> tuple[str, ...]:
        """The fields that tell the dataset's documents apart; none if each message has one of its own."""

    @abstractmethod
    def holds(self, path: str, kind: str) -> bool:
        """Whether some document has a value of that kind there: `array`, `date` or `decimal`."""


def check(indexes: Indexes, index: Index) -> None:
    """Raise UsageError, with the reason, if the index would turn messages into dead letters or do nothing."""
    for path in index.paths:
        _check_path(path)
    if len(set(index.paths)) < len(index.fields):
        raise UsageError("--on names a field twice")
    if index.unique:
        _check_unique(indexes, index)
    if index.expire_after is not None:
        _check_expiry(indexes, index)
    if len(index.fields) > 1:
        lists = [path for path in index.paths if indexes.holds(path, "array")]
        if len(lists) > 1:
            raise UsageError(
                f"{' and '.join(map(shown, lists[:2]))} hold lists, and MongoDB refuses a document with two "
                "lists in one index: messages would be dead letters. Index each alone"
            )


def _check_path(path: str) -> None:
    names = path.split(".")
    if not all(names) or "\0" in path or any(name.startswith("$") for name in names):
        raise UsageError(f"{shown(path)} is no field that an index can be on")
    if path == "_id":
        raise UsageError("every dataset has an index on _id")
    if any(name.isdecimal() for name in names):
        raise UsageError(
            f"{shown(path)} names a place in a list: MongoDB refuses documents in which that is ambiguous, "
            "so messages could become dead letters. Index the list itself"
        )


def _check_unique(indexes: Indexes, index: Index) -> None:
    key = indexes.key()
    if not key or not set(key) <= set(index.paths):
        has = f"its documents are told apart by {', '.join(key)}" if key else "each message has a document"
        raise UsageError(
            f"a unique index on {', '.join(index.paths)} would turn messages into dead letters: in "
            f"{indexes.dataset} {has}, and MongoDB refuses one whose values there are taken. To have one "
            "document for each value, set ESTELA_KEY; to find documents fast, leave --unique out"
        )
    for field in key:
        if indexes.holds(field, "decimal"):
            raise UsageError(
                f"{shown(field)} holds decimals, of which 7.0 and 7.00 are two keys and one value there: "
                "a unique index could turn messages into dead letters. Leave --unique out"
            )


def _check_expiry(indexes: Indexes, index: Index) -> None:
    [path] = index.paths
    if not indexes.holds(path, "date"):
        raise UsageError(
            f"no document of {indexes.dataset} has a date in {shown(path)}, so none would ever expire; "
            "_estela.scraped_at is one if the documents have metadata"
        )
