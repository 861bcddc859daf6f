"""One chunk of documents with a key, from reading what is there to the last write."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from bson.objectid import ObjectId
from pymongo import ReadPreference, ReplaceOne, UpdateOne
from pymongo.collection import Collection

from estela_consumer.decoding.document import Document
from estela_consumer.decoding.metadata import SUBDOCUMENT
from estela_consumer.errors import BadMessage, Reason, StoreUnreachable
from estela_consumer.keyed.planning import NEEDS_CONTENT, make_plan
from estela_consumer.keyed.plans import Changes, Plan
from estela_consumer.keyed.stored import NotKeyed, StoredDocument, version_of
from estela_consumer.keyed.tracking import PENDING, entries_of, is_pending, pending_changes, settled
from estela_consumer.stores.interface import Outcome, Verdict
from estela_consumer.stores.mongodb.bulk import Failure, Operation, Taken, insert_all, write_all
from estela_consumer.stores.mongodb.changes import ChangesCollection
from estela_consumer.stores.mongodb.encoded import Encoded
from estela_wire.dataset import Dataset
from estela_wire.keys import OnExisting

_MAX_VERSIONS = 100  # of one document that one write takes in
_MAX_BYTES = 2 * 1024 * 1024  # of BSON that these may have
_ATTEMPTS = 10  # in which no document is finished, until others get their turn
_PAUSE, _LONGEST_PAUSE = 0.005, 0.2  # seconds before another attempt; they double
_REVISION = f"{SUBDOCUMENT}.revision"
# All that KEEP and REPLACE look at.
_MARKS = {f"{SUBDOCUMENT}.{name}": 1 for name in ("id", "revision", "first_seen", "last_seen", PENDING)}


@dataclass(frozen=True, slots=True)
class ChunkCollections:
    """Where a chunk's documents go."""

    dataset: Dataset
    documents: Collection[Any]
    changes: ChangesCollection


@dataclass(slots=True)
class _Group:
    """The documents of one key that are not finished."""

    key: bytes
    documents: list[Document] = field(default_factory=list)
    one_by_one: bool = False
    """Whether they were refused together, and each is to be refused alone."""

    def batch(self) -> list[Document]:
        """Those that one write takes in."""
        if len(self.documents) == 1:
            return self.documents[:]
        size, count = 0, 0
        for document in self.documents[: 1 if self.one_by_one else _MAX_VERSIONS]:
            size, count = size + len(document.bson), count + 1
            if size >= _MAX_BYTES:
                break
        return self.documents[:count]


@dataclass(frozen=True, slots=True)
class _Step:
    """What is about to be written for a key."""

    group: _Group
    batch: list[Document]
    stored: StoredDocument | None
    plan: Plan


class KeyedChunk:
    """The work of one call. Belongs to the thread that made it."""

    def __init__(
        self,
        collections: ChunkCollections,
        mode: OnExisting,
        documents: Sequence[Document],
        sleep: Callable[[float], None],
    ) -> None:
        self._to = collections
        self._mode = mode
        self._sleep = sleep
        self._documents = documents
        self._groups: dict[bytes, _Group] = {}
        self._asked = self._found = 0  # keys of the first attempt, and those of them that were there
        self._verdicts: dict[int, Verdict] = {}
        self._written: set[int] = set()  # documents of which a write of ours may have been the first

    @property
    def share_found(self) -> float:
        """The share of the keys that were there already, of those that the first attempt was about."""
        return self._found / max(1, self._asked)

    def write(self, *, look_first: bool) -> dict[int, Verdict]:
        """The verdict for each document, by its `id()`. Blocks. Raises the driver's errors."""
        self._group(self._documents if look_first else self._insert_lone())
        in_vain, first = 0, look_first
        while self._groups and in_vain < _ATTEMPTS:
            if in_vain:
                self._sleep(min(_PAUSE * 2 ** (in_vain - 1), _LONGEST_PAUSE))
            before = len(self._verdicts)
            groups = list(self._groups.values())
            stored = self._read(groups, whole=self._mode in NEEDS_CONTENT)
            if first:
                self._asked, self._found = len(groups), len(stored)
            self._write_round(groups, stored)
            first = False
            in_vain = 0 if len(self._verdicts) > before else in_vain + 1
        for group in list(self._groups.values()):
            self._finish(group, group.documents, Outcome.RETRY)
        return self._verdicts

    def _insert_lone(self) -> Sequence[Document]:
        """Insert each document that is alone with its key, as it came: if the key is new, that is all.

        The others, and those that fail, are returned: more has to be known of them.
        """
        lone, others = self._documents, []
        keys = [document.bson[9:21] for document in lone]  # as `_key_of`, in half the time
        if len(set(keys)) < len(keys):
            count = Counter(keys)
            lone = [document for document in self._documents if count[_key_of(document)] == 1]
            others = [document for document in self._documents if count[_key_of(document)] > 1]
        if not lone:
            return others
        self._asked = len(lone)
        failures = insert_all(self._to.documents, [document.bson for document in lone])
        self._verdicts = dict.fromkeys(map(id, lone), Outcome.STORED)
        for index, failure in failures.items():
            self._found += isinstance(failure, Taken)
            del self._verdicts[id(lone[index])]
            others.append(lone[index])
        return others

    def _group(self, documents: Iterable[Document]) -> None:
        for document in documents:
            key = _key_of(document)
            group = self._groups.get(key)
            if group is None:
                group = self._groups[key] = _Group(key)
            group.documents.append(document)

    def _write_round(self, groups: list[_Group], stored: dict[bytes, StoredDocument]) -> None:
        pending = self._finish_pending(stored)
        steps = [
            step
            for group in groups
            if group.key in self._groups and group.key not in pending
            for step in self._plan(group, stored.get(group.key))
        ]
        done: list[_Step] = []
        if inserts := [step for step in steps if step.stored is None]:
            failures = insert_all(self._to.documents, [step.plan.document or b"" for step in inserts])
            done += self._sort_out(inserts, failures)
        if others := [step for step in steps if step.stored is not None]:
            failures, matched = write_all(self._to.documents, [_operation(step) for step in others])
            written = self._sort_out(others, failures)
            done += written if matched == len(written) else self._took_effect(written)
        self._write_changes(done)

    def _took_effect(self, steps: list[_Step]) -> list[_Step]:
        """Those whose document is as it was written; the others have met another writer, and are read again.

        If another writer wrote the same at the same moment, it is all the same whose write it was.
        """
        whole = self._mode in NEEDS_CONTENT
        found = self._read((step.group for step in steps), whole=whole)
        return [step for step in steps if _has(found.get(step.group.key), step.plan, whole=whole)]

    def _plan(self, group: _Group, stored: StoredDocument | None) -> Iterable[_Step]:
        """What to write next for the key; nothing if all is there, or cannot be."""
        batch = group.batch()
        try:
            plan = make_plan(self._mode, stored, batch)
        except NotKeyed as error:
            self._finish(group, batch, self._not_ours(group.key, error))
        except BadMessage as error:
            self._refuse(group, batch, error)
        else:
            if plan.writes:
                first = {version_of(document).id: id(document) for document in reversed(batch)}
                self._written.update(of for identity, of in first.items() if identity in plan.stored)
                yield _Step(group, batch, stored, plan)
            else:
                self._finish_by(plan, group, batch)

    def _sort_out(self, steps: list[_Step], failures: dict[int, Failure]) -> list[_Step]:
        """Those that did not fail. What is refused is refused; what is taken is tried again."""
        for index, failure in failures.items():
            step = steps[index]
            if isinstance(failure, StoreUnreachable):
                self._finish(step.group, step.batch, failure)
            elif not isinstance(failure, Taken):
                self._refuse(step.group, step.batch, failure)
        return [step for index, step in enumerate(steps) if index not in failures]

    def _refuse(self, group: _Group, batch: list[Document], refusal: BadMessage) -> None:
        if len(batch) > 1:
            group.one_by_one = True  # it may be the fault of one alone
        else:
            self._finish(group, batch, refusal)

    def _write_changes(self, steps: list[_Step]) -> None:
        """Write the changes of the documents that have some now, and have these say so no more."""
        tracked = {
            step.group.key: (step.plan.subdocument, step.plan.changes)
            for step in steps
            if step.plan.subdocument is not None and step.plan.changes
        }
        failures = self._project(tracked)
        for step in steps:
            if step.group.key in failures:
                self._finish(step.group, step.batch, failures[step.group.key])
            else:
                self._finish_by(step.plan, step.group, step.batch)

    def _finish_pending(self, stored: dict[bytes, StoredDocument]) -> set[bytes]:
        """Do the same for documents whose writer was killed before it did, or is about to.

        Returns their keys; they must be read again.
        """
        keys = {key for key, one in stored.items() if key in self._groups and is_pending(one)}
        if keys and self._mode not in NEEDS_CONTENT:
            stored = self._read([self._groups[key] for key in keys], whole=True)
        pending: dict[bytes, tuple[dict[str, Any], Changes]] = {}
        for key, one in stored.items():
            if key not in keys or not is_pending(one):
                continue
            try:
                pending[key] = one.subdocument, pending_changes(one, ObjectId(key))
            except NotKeyed as error:
                self._finish(self._groups[key], self._groups[key].documents, self._not_ours(key, error))
        for key, failure in self._project(pending).items():
            self._finish(self._groups[key], self._groups[key].batch(), failure)
        return keys

    def _project(
        self, documents: dict[bytes, tuple[dict[str, Any], Changes]]
    ) -> dict[bytes, BadMessage | StoreUnreachable]:
        """Write changes of documents with these `_estela`s, and then that they are not pending; the failures.

        If a document is not as it was read, another writer has done so meanwhile, and it is all the same.
        """
        if not documents:
            return {}
        failures = self._to.changes.write({key: changes for key, (_, changes) in documents.items()})
        written = [key for key in documents if key not in failures]
        if written:
            refused, _ = write_all(self._to.documents, [_settle(key, documents[key][0]) for key in written])
            for index, failure in refused.items():
                assert not isinstance(failure, Taken)  # it inserts nothing
                failures[written[index]] = failure
        return failures

    def _read(self, groups: Iterable[_Group], *, whole: bool) -> dict[bytes, StoredDocument]:
        """What is stored on a majority, from the primary; documents that are not ours end their groups."""
        by_key = {group.key: group for group in groups}
        collection = self._to.documents.with_options(read_preference=ReadPreference.PRIMARY)
        ids = [ObjectId(key) for key in by_key]
        found: dict[bytes, StoredDocument] = {}
        for document in collection.find({"_id": {"$in": ids}}, None if whole else _MARKS):
            raw = bytes(document.raw)  # of a large one pymongo gives a view
            key = raw[9:21]  # of its `_id`, an ObjectId as those that were asked for
            try:
                found[key] = StoredDocument.from_bson(raw)
                if self._mode is OnExisting.TRACK:
                    entries_of(found[key])
            except NotKeyed as error:
                found.pop(key, None)
                self._finish(by_key[key], by_key[key].documents, self._not_ours(key, error))
        return found

    def _not_ours(self, key: bytes, error: NotKeyed) -> BadMessage:
        return BadMessage(
            Reason.KEY_MISMATCH,
            f"the document {ObjectId(key)} of {self._to.dataset} cannot take a further version: {error}. "
            "Remove it, and replay the dead letters",
        )

    # The end of documents

    def _finish_by(self, plan: Plan, group: _Group, batch: list[Document]) -> None:
        """Each has its verdict: the plan is carried out, or had nothing to do."""
        there = plan.stored | plan.present
        for document in batch:
            if version_of(document).id not in there:
                verdict = Outcome.SUPERSEDED
            else:
                verdict = Outcome.STORED if id(document) in self._written else Outcome.PRESENT
            self._verdicts[id(document)] = verdict
        self._drop(group, batch)

    def _finish(self, group: _Group, batch: list[Document], verdict: Verdict) -> None:
        for document in batch:
            self._verdicts[id(document)] = verdict
        self._drop(group, batch)

    def _drop(self, group: _Group, batch: list[Document]) -> None:
        del group.documents[: len(batch)]
        if not group.documents:
            self._groups.pop(group.key, None)


def _key_of(document: Document) -> bytes:
    return document.bson[9:21]


def _has(found: StoredDocument | None, plan: Plan, *, whole: bool) -> bool:
    """Whether a document is as the plan has it, and nobody has written to it since.

    The id does not tell: another writer may have had the same newest message, and other ones with it. All of
    `_estela` does, or the marks of it if these are all that was read.
    """
    if found is None:
        return False
    wanted = plan.subdocument
    if wanted is None:
        wanted = StoredDocument.from_bson(plan.document or b"").subdocument
    if whole:
        return found.subdocument == wanted
    return all(wanted.get(name) == value for name, value in found.subdocument.items())


def _operation(step: _Step) -> Operation:
    """Takes effect only if the document has still the revision that was read."""
    stored, plan = step.stored, step.plan
    assert stored is not None
    condition = {"_id": ObjectId(step.group.key), _REVISION: stored.revision}
    if plan.document is not None:
        return ReplaceOne(condition, Encoded(plan.document))
    return UpdateOne(condition, _update(stored.subdocument, plan.subdocument or {}))


def _settle(key: bytes, pending: dict[str, Any]) -> Operation:
    condition = {"_id": ObjectId(key), _REVISION: pending["revision"]}
    return UpdateOne(condition, _update(pending, settled(pending)))


def _update(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    """What makes `_estela` of one the other."""
    found: dict[str, Any] = {
        "$set": {
            f"{SUBDOCUMENT}.{name}": value
            for name, value in after.items()
            if name not in before or before[name] != value
        }
    }
    if removed := {f"{SUBDOCUMENT}.{name}": "" for name in before if name not in after}:
        found["$unset"] = removed
    return found
