"""TRACK: as REPLACE, and each change of content is a document of its own.

The model: each message is a version of its key's document. Its history is the versions in the order of their
ids, and a change is a version whose content differs from the one before it. So a version that comes late
may move a change, make one, or undo one.

The document remembers its latest versions, with what each changed. That is enough to find the content behind
each of them, going back from the present one, and so to place a late version exactly. A version that changed
nothing can be forgotten without an effect on the changes there are. What is forgotten first is the oldest; a
version that is older than all that was forgotten is not entered any more.
"""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import bson
from bson.datetime_ms import DatetimeMS
from bson.objectid import ObjectId

from estela_consumer.decoding.document import Document
from estela_consumer.decoding.escaping import escape_key
from estela_consumer.decoding.metadata import names_of
from estela_consumer.keyed.differences import Difference, difference, undone
from estela_consumer.keyed.plans import ChangeWrites, Plan, by_id, next_subdocument, seen
from estela_consumer.keyed.stored import (
    NotKeyed,
    StoredDocument,
    content_of,
    version_of,
    whole,
)

REMEMBERED = 20
"""Versions that a document remembers."""
VERSIONS, FORGOTTEN, PENDING = "versions", "forgotten_until", "pending"
"""In `_estela`: the versions; the id of the newest that was forgotten; whether changes may be unwritten."""

_MAX_BYTES = 1024 * 1024  # of BSON that a document's versions take


@dataclass(frozen=True, slots=True)
class _Entry:
    """A version that a document remembers."""

    id: bytes
    at: int
    jid: str | None
    change: Difference | None
    """What it changed."""

    def as_fields(self) -> dict[str, Any]:
        fields: dict[str, Any] = {"id": ObjectId(self.id), "at": DatetimeMS(self.at)}
        if self.jid is not None:
            fields["jid"] = self.jid
        if self.change is not None:
            fields |= {"before": self.change.before, "after": self.change.after}
        return fields

    @classmethod
    def from_fields(cls, fields: Any) -> _Entry:
        """Read one. Raises NotKeyed."""
        if not isinstance(fields, dict):
            raise NotKeyed("its _estela.versions was edited")
        identity, at, jid = fields.get("id"), fields.get("at"), fields.get("jid")
        before, after = fields.get("before"), fields.get("after")
        if not (isinstance(identity, ObjectId) and isinstance(at, DatetimeMS)) or not isinstance(
            jid, (str, type(None))
        ):
            raise NotKeyed("its _estela.versions was edited")
        change = Difference(before, after) if isinstance(before, dict) and isinstance(after, dict) else None
        return cls(identity.binary, int(at), jid, change)


def plan_track(stored: StoredDocument | None, documents: Sequence[Document]) -> Plan:
    """All versions entered, whatever their order. Raises NotKeyed.

    If it has changes to write, the document says that it is pending. They are written next, and then the
    document once more, as `settled` says. Whoever finds it pending does both first.
    """
    if stored is None and len(documents) == 1:  # it needs no list of versions yet
        return Plan(document=documents[0].bson, stored=frozenset([version_of(documents[0]).id]))
    entries = [] if stored is None else entries_of(stored)
    forgotten = b"" if stored is None else _forgotten(stored)
    known = {entry.id for entry in entries}
    fresh = [
        document
        for document in by_id(documents)
        if version_of(document).id not in known and version_of(document).id > forgotten
    ]
    times, ids = seen(stored, documents), frozenset(version_of(document).id for document in fresh)
    plan = Plan(stored=ids, present=frozenset(known))
    if not fresh and stored is not None and times == (stored.first_seen, stored.last_seen):
        return plan
    newest = fresh[-1] if fresh and (not entries or version_of(fresh[-1]).id > entries[-1].id) else None
    subdocument = next_subdocument(stored, newest, times)
    if newest is not None and stored is not None and len(fresh) == 1 and stored.has_content_of(newest):
        _fill(subdocument, [*entries, _entry_of(newest, None)], forgotten)
        _forget_oldest(subdocument)
        plan.subdocument = subdocument
        return plan
    history = _History(entries, has_earlier=bool(forgotten), content={} if stored is None else stored.content)
    for document in fresh:
        history.enter(document)
    _fill(subdocument, history.entries, forgotten)
    if history.changed_entries(entries, plan.changes, documents[0], _key_of(subdocument, history.content)):
        subdocument[PENDING] = True
    else:
        _forget_oldest(subdocument)
    plan.subdocument = subdocument
    if history.content_changed:
        plan.document = whole(documents[0].id, history.content, subdocument)
    return plan


def is_pending(stored: StoredDocument) -> bool:
    """Whether its changes may be unwritten."""
    return PENDING in stored.subdocument


def settled(subdocument: dict[str, Any]) -> dict[str, Any]:
    """The `_estela` that follows a pending one whose changes are written."""
    after = {**subdocument, "revision": subdocument["revision"] + 1}
    after.pop(PENDING, None)
    _forget_oldest(after)
    return after


def all_changes(stored: StoredDocument, identity: Any) -> ChangeWrites:
    """What must be, and must not be, in the dataset of changes for the versions that it remembers.

    Raises NotKeyed.
    """
    key = _key_of(stored.subdocument, stored.content)
    found = ChangeWrites()
    for entry in entries_of(stored):
        _put(found, entry, identity, key)
    return found


def entries_of(stored: StoredDocument) -> list[_Entry]:
    """The versions that it remembers, the oldest first. Raises NotKeyed."""
    if not stored.history:
        stored.history.extend(_entries(stored))
    return stored.history


def _entries(stored: StoredDocument) -> list[_Entry]:
    given = stored.subdocument.get(VERSIONS)
    if given is not None:
        if not isinstance(given, list) or not given:
            raise NotKeyed("its _estela.versions was edited")
        return [_Entry.from_fields(fields) for fields in given]
    fields = stored.subdocument
    parts = [fields.get(name) for name in ("job", "spider", "project")]
    jid = ".".join(map(str, parts)) if all(isinstance(part, str) for part in parts) else None
    return [_Entry(stored.id, stored.last_seen, jid, None)]


def _forgotten(stored: StoredDocument) -> bytes:
    """The id of the newest version that was forgotten; empty if none was."""
    given = stored.subdocument.get(FORGOTTEN)
    if given is None:
        # Written by another mode, which remembers nothing of what was before.
        only_this = VERSIONS in stored.subdocument or stored.has_one_version
        return b"" if only_this else stored.id
    if not isinstance(given, ObjectId):
        raise NotKeyed("its _estela.forgotten_until was edited")
    return given.binary


def _entry_of(document: Document, change: Difference | None) -> _Entry:
    version = version_of(document)
    return _Entry(version.id, version.seen_at, version.jid, change)


class _History:
    """The versions of one document while others are entered."""

    def __init__(self, entries: list[_Entry], *, has_earlier: bool, content: dict[str, Any]) -> None:
        self.entries = list(entries)
        self.content = content
        """Of the newest."""
        self.content_changed = False
        self._has_earlier = has_earlier  # whether there were versions before the first entry

    def enter(self, document: Document) -> None:
        """Put it where it belongs, and see what it changes, and what the one behind it changes now."""
        content = content_of(document)
        at = bisect.bisect_left([entry.id for entry in self.entries], version_of(document).id)
        before, after = self._content_before(at), self._content_after(at)
        change = None if before is None else difference(before, content)
        self.entries.insert(at, _entry_of(document, change))
        if after is not None:
            follower = self.entries[at + 1]
            self.entries[at + 1] = _Entry(follower.id, follower.at, follower.jid, difference(content, after))
        elif before is None or change is not None:
            self.content, self.content_changed = content, True

    def _content_before(self, at: int) -> dict[str, Any] | None:
        """The content of the version before the entry `at`; None if that is the first of all."""
        if at == 0 and not (self._has_earlier and self.entries):
            return None
        content = self.content
        for entry in reversed(self.entries[at:]):
            content = content if entry.change is None else undone(content, entry.change)
        return content

    def _content_after(self, at: int) -> dict[str, Any] | None:
        """The content of the entry `at`; None if there is none."""
        if at == len(self.entries):
            return None
        content = self.content
        for entry in reversed(self.entries[at + 1 :]):
            content = content if entry.change is None else undone(content, entry.change)
        return content

    def changed_entries(
        self, before: list[_Entry], writes: ChangeWrites, document: Document, key: dict[str, Any]
    ) -> bool:
        """Collect what differs from the entries before; whether there is anything."""
        known = {entry.id: entry.change for entry in before}
        for entry in self.entries:
            if entry.id not in known:
                if entry.change is not None:
                    _put(writes, entry, document.id, key)
            elif known[entry.id] is not entry.change:
                _put(writes, entry, document.id, key)
        return bool(writes)


def _put(writes: ChangeWrites, entry: _Entry, identity: Any, key: dict[str, Any]) -> None:
    if entry.change is None:
        writes.removed.add(entry.id)
        return
    writes.put[entry.id] = {
        "_id": ObjectId(entry.id),
        "document": identity,
        "key": key,
        "at": DatetimeMS(entry.at),
        **names_of(entry.jid),
        "before": entry.change.before,
        "after": entry.change.after,
    }


def _key_of(subdocument: dict[str, Any], content: dict[str, Any]) -> dict[str, Any]:
    """The key's fields, by the names under which they are stored."""
    given = subdocument.get("key")
    names = [escape_key(name) for name in given if isinstance(name, str)] if isinstance(given, list) else []
    return {name: content[name] for name in names if name in content}


def _fill(subdocument: dict[str, Any], entries: list[_Entry], forgotten: bytes) -> None:
    subdocument.pop(VERSIONS, None)
    subdocument[VERSIONS] = [entry.as_fields() for entry in entries]
    if forgotten:
        subdocument[FORGOTTEN] = ObjectId(forgotten)


def _forget_oldest(subdocument: dict[str, Any]) -> None:
    """Leave the latest versions, as many as are remembered."""
    versions: list[dict[str, Any]] = subdocument[VERSIONS]
    kept = versions[-REMEMBERED:]
    while len(kept) > 1 and _bytes_of(kept) > _MAX_BYTES:
        kept = kept[1:]
    if len(kept) < len(versions):
        subdocument[FORGOTTEN] = versions[len(versions) - len(kept) - 1]["id"]
        subdocument[VERSIONS] = kept


def _bytes_of(versions: list[dict[str, Any]]) -> int:
    if not any("before" in fields for fields in versions):
        return 0
    return len(bson.encode({VERSIONS: versions}))
