"""The versions of one document in the order of their ids, with what each changed.

A run is a version that changed something, and those after it with the same content. Its change is stored
under the id of one of its versions: of the first that was known as a change. A version that is entered makes
a run longer, divides one, or is a run of its own. It never takes one away. So under an id under which there
was a change there is one for ever, though it may be that of an earlier version of the run. Nothing is removed
from the dataset of changes, and what must be there under an id follows from the document alone.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from bson.datetime_ms import DatetimeMS
from bson.objectid import ObjectId

from estela_consumer.decoding.document import Document
from estela_consumer.keyed.differences import Difference, difference, undone
from estela_consumer.keyed.stored import NotKeyed, content_of, version_of

BEFORE, CHANGE_ID = "before", "change_id"


@dataclass(frozen=True, slots=True)
class Entry:
    """A version that a document remembers."""

    id: bytes
    at: int
    jid: str | None
    change: Difference | None
    """What it changed."""
    change_id: bytes | None
    """The `_id` of that change."""

    @classmethod
    def of(cls, document: Document, change: Difference | None) -> Entry:
        """That of a message."""
        version = version_of(document)
        return cls(version.id, version.seen_at, version.jid, change, None if change is None else version.id)

    def as_fields(self) -> dict[str, Any]:
        """As it is stored."""
        fields: dict[str, Any] = {"id": ObjectId(self.id), "at": DatetimeMS(self.at)}
        if self.jid is not None:
            fields["jid"] = self.jid
        if self.change is not None:
            fields |= {BEFORE: self.change.before, "after": self.change.after}
            if self.change_id != self.id:
                fields[CHANGE_ID] = ObjectId(self.change_id)
        return fields

    @classmethod
    def from_fields(cls, fields: Any) -> Entry:
        """Read one. Raises NotKeyed."""
        if not isinstance(fields, dict):
            raise NotKeyed("its _estela.versions was edited")
        identity, at, jid = fields.get("id"), fields.get("at"), fields.get("jid")
        before, after = fields.get(BEFORE), fields.get("after")
        change_id = fields.get(CHANGE_ID, identity)
        if not (
            isinstance(identity, ObjectId)
            and isinstance(change_id, ObjectId)
            and isinstance(at, DatetimeMS)
            and isinstance(jid, (str, type(None)))
        ):
            raise NotKeyed("its _estela.versions was edited")
        if not (isinstance(before, dict) and isinstance(after, dict)):
            return cls(identity.binary, int(at), jid, None, None)
        return cls(identity.binary, int(at), jid, Difference(before, after), change_id.binary)


class History:
    """The versions of one document while others are entered."""

    def __init__(self, entries: Sequence[Entry], *, has_earlier: bool, content: dict[str, Any]) -> None:
        self.entries = list(entries)
        self.content = content
        """Of the newest."""
        self.content_changed = False
        self._had = {entry.id: entry for entry in entries}
        self._has_earlier = has_earlier  # whether there were versions before the first entry

    def enter(self, document: Document) -> None:
        """Put it where it belongs, and see what it changes, and what the one behind it changes now."""
        content = content_of(document)
        at = bisect.bisect_left([entry.id for entry in self.entries], version_of(document).id)
        before, after = self._content_before(at), self._content_after(at)
        entry = Entry.of(document, None if before is None else difference(before, content))
        if before is None or entry.change is not None:  # if not, it only makes a run longer
            if after is None:
                self.content, self.content_changed = content, True
            else:
                entry = self._put_before(at, entry, difference(content, after))
        self.entries.insert(at, entry)

    def changed(self) -> Iterator[Entry]:
        """The changes that are new, or other ones than before, or stored elsewhere."""
        for entry in self.entries:
            if entry.change is not None and self._had.get(entry.id) is not entry:
                yield entry

    def _put_before(self, at: int, entry: Entry, change: Difference | None) -> Entry:
        """Have the entry `at` be the given change, now that another comes before it; that other one."""
        follower = self.entries[at]
        if change is None:
            if entry.change is None:
                return entry
            # The same content, only sooner: the change is the new version's.
            self.entries[at] = replace(follower, change=None, change_id=None)
            return replace(entry, change_id=follower.change_id or entry.id)
        self.entries[at] = replace(
            follower, change=change, change_id=follower.change_id or self._divide_run(at)
        )
        return entry

    def _divide_run(self, at: int) -> bytes:
        """The `_id` for the change of the second part of a run, which begins with the entry `at`."""
        begin = self.entries[at].id
        for index in reversed(range(at)):
            first = self.entries[index]
            if first.change_id is not None:
                if first.change_id < begin:
                    break
                self.entries[index] = replace(first, change_id=first.id)
                return first.change_id
        return begin

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
