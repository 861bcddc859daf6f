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

from collections.abc import Iterable, Sequence
from typing import Any

import bson
from bson.datetime_ms import DatetimeMS
from bson.objectid import ObjectId

from estela_consumer.decoding.document import Document
from estela_consumer.decoding.escaping import escape_key
from estela_consumer.decoding.metadata import names_of
from estela_consumer.keyed.history import BEFORE, CHANGE_ID, Entry, History
from estela_consumer.keyed.plans import Changes, Plan, by_id, next_subdocument, seen
from estela_consumer.keyed.stored import NotKeyed, StoredDocument, decode, version_of, whole

REMEMBERED = 20
"""Versions that a document remembers."""
VERSIONS, FORGOTTEN, PENDING = "versions", "forgotten_until", "pending"
"""In `_estela`: the versions; the id of the newest that was forgotten; the `_id`s of changes that are perhaps
unwritten."""

_MAX_BYTES = 1024 * 1024  # of BSON that a document's versions take


def plan_track(stored: StoredDocument | None, documents: Sequence[Document]) -> Plan:
    """All versions entered, whatever their order. Raises NotKeyed.

    If it has changes to write, the document says so: it is pending. They are written next, and then the
    document once more, as `settled` says. Whoever finds it pending does both first. A change replaces one
    that was written at a lower revision of its document, and no other. So one that is written late, when the
    document has gone on, does no harm.
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
        _fill(subdocument, [*entries, Entry.of(newest, None)], forgotten)
        _forget_oldest(subdocument)
        plan.subdocument = subdocument
        return plan
    history = History(entries, has_earlier=bool(forgotten), content={} if stored is None else stored.content)
    for document in fresh:
        history.enter(document)
    _fill(subdocument, history.entries, forgotten)
    plan.changes = _documents(history.changed(), documents[0].id, subdocument, history.content)
    if plan.changes:
        subdocument[PENDING] = [ObjectId(identity) for identity in plan.changes]
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


def pending_changes(stored: StoredDocument, identity: Any) -> Changes:
    """Those that are perhaps unwritten. Raises NotKeyed."""
    given = stored.subdocument.get(PENDING)
    if not isinstance(given, list):
        raise NotKeyed("its _estela.pending was edited")
    pending = {one.binary for one in given if isinstance(one, ObjectId)}
    entries = [entry for entry in entries_of(stored) if entry.change_id in pending]
    return _documents(entries, identity, stored.subdocument, stored.content)


def expected_changes(stored: StoredDocument, identity: Any) -> dict[bytes, dict[str, Any] | None]:
    """What must be in the dataset of changes under these `_id`s for the versions that it remembers.

    None is nothing. Raises NotKeyed.
    """
    entries = entries_of(stored)
    nothing: dict[bytes, dict[str, Any] | None] = {entry.id: None for entry in entries}
    return nothing | _documents(entries, identity, stored.subdocument, stored.content)


def is_change(found: bytes, expected: dict[str, Any]) -> bool:
    """Whether a stored change is as expected. It may have been written at another revision.

    The key had the same values then, but not of the same types, perhaps.
    """
    its_own = {name: expected[name] for name in ("key", "revision")}
    try:
        return bson.encode({**decode(found), **its_own}) == bson.encode(expected)
    except bson.errors.BSONError:
        return False


def entries_of(stored: StoredDocument) -> list[Entry]:
    """The versions that it remembers, the oldest first. Raises NotKeyed."""
    if not stored.history:
        stored.history.extend(_entries(stored))
    return stored.history


def _entries(stored: StoredDocument) -> list[Entry]:
    given = stored.subdocument.get(VERSIONS)
    if given is not None:
        if not isinstance(given, list) or not given:
            raise NotKeyed("its _estela.versions was edited")
        return [Entry.from_fields(fields) for fields in given]
    fields = stored.subdocument
    parts = [fields.get(name) for name in ("job", "spider", "project")]
    jid = ".".join(map(str, parts)) if all(isinstance(part, str) for part in parts) else None
    return [Entry(stored.id, stored.last_seen, jid, None, None)]


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


def _documents(
    entries: Iterable[Entry], identity: Any, subdocument: dict[str, Any], content: dict[str, Any]
) -> Changes:
    """The changes among the versions of a document with this `_id`, `_estela` and content."""
    key = _key_of(subdocument, content)
    return {
        entry.change_id: {
            "_id": ObjectId(entry.change_id),
            "document": identity,
            "key": key,
            "version": ObjectId(entry.id),
            "at": DatetimeMS(entry.at),
            **names_of(entry.jid),
            "before": entry.change.before,
            "after": entry.change.after,
            "revision": subdocument["revision"],
        }
        for entry in entries
        if entry.change is not None and entry.change_id is not None
    }


def _key_of(subdocument: dict[str, Any], content: dict[str, Any]) -> dict[str, Any]:
    """The key's fields, by the names under which they are stored."""
    given = subdocument.get("key")
    names = [escape_key(name) for name in given if isinstance(name, str)] if isinstance(given, list) else []
    return {name: content[name] for name in names if name in content}


def _fill(subdocument: dict[str, Any], entries: list[Entry], forgotten: bytes) -> None:
    subdocument.pop(VERSIONS, None)
    subdocument[VERSIONS] = [entry.as_fields() for entry in entries]
    if forgotten:
        subdocument[FORGOTTEN] = ObjectId(forgotten)


def _forget_oldest(subdocument: dict[str, Any]) -> None:
    """Leave the latest versions, as many as are remembered."""
    versions: list[dict[str, Any]] = subdocument[VERSIONS]
    at = max(0, len(versions) - REMEMBERED)
    while at < len(versions) - 1 and _bytes_of(_kept(versions, at)) > _MAX_BYTES:
        at += 1
    if at:
        forgotten = versions[at - 1]["id"]
        subdocument[FORGOTTEN] = max(forgotten, subdocument.get(FORGOTTEN, forgotten))
        subdocument[VERSIONS] = _kept(versions, at)


def _kept(versions: list[dict[str, Any]], at: int) -> list[dict[str, Any]]:
    """Those from `at` on, and the change before them if it is stored under the id of one of them.

    For then it must be stored elsewhere if a late version divides its run.
    """
    change = next((fields for fields in reversed(versions[:at]) if BEFORE in fields), None)
    if change is not None and change.get(CHANGE_ID, change["id"]) >= versions[at]["id"]:
        return [change, *versions[at:]]
    return versions[at:]


def _bytes_of(versions: list[dict[str, Any]]) -> int:
    if not any(BEFORE in fields for fields in versions):
        return 0
    return len(bson.encode({VERSIONS: versions}))
