"""Messages of every kind that only a dead letter can hold."""

from __future__ import annotations

from typing import Any

Bad = tuple[str, Any]
"""The reason, and the value that is sent: bytes as they are, anything else as JSON."""

_DEEP = b'{"jid": "1.s.p", "payload": {"a": ' + b"[" * 1000 + b"]" * 1000 + b"}}"


def bad_anywhere(database: str) -> list[Bad]:
    """Those that are bad on every store."""
    jid = f"1.s.{database}"
    names = [
        {"db_name": "admin"},
        {"db_name": "config"},
        {"db_name": "local"},
        {"db_name": "../up"},
        {"db_name": "a$b"},
        {"db_name": "a\x00b"},
        {"db_name": "d" * 64},
        {"dataset_name": "system.users"},
        {"dataset_name": "a$b"},
        {"dataset_name": "a\x00b"},
        {"dataset_name": "c" * 255},
    ]
    return [
        ("undecodable", b"\xff\xfe"),
        ("undecodable", b'{"jid": '),
        ("undecodable", b""),
        ("bad_envelope", b"[]"),
        ("bad_envelope", b'"text"'),
        ("bad_envelope", b"null"),
        ("bad_envelope", {"jid": jid}),
        ("bad_envelope", {"jid": jid, "payload": [1]}),
        ("bad_envelope", {"jid": jid, "payload": None}),
        ("bad_envelope", {"jid": jid, "payload": {"n": 1}, "id": "short"}),
        ("bad_name", {"payload": {"n": 1}}),
        ("bad_name", {"jid": "only.two", "payload": {"n": 1}}),
        ("bad_name", {"jid": 7, "payload": {"n": 1}}),
        *(("bad_name", {"jid": jid, "payload": {"n": 1}, **name}) for name in names),
        ("bad_value", {"jid": jid, "payload": {"n": 2**64}}),
        ("bad_value", {"jid": jid, "payload": {"a\x00b": 1}}),
        ("bad_value", _DEEP),
    ]


def bad_on_mongodb(database: str) -> list[Bad]:
    """Those that the server refuses; its collection is the one that `prepare` made."""
    jid = f"1.s.{database}"
    nested: Any = {}
    for _ in range(190):
        nested = {"a": nested}
    return [
        ("duplicate_id", {"jid": jid, "payload": {"other": 1}, "id": TAKEN_ID, "dataset_name": STRICT}),
        ("duplicate_key", {"jid": jid, "payload": {"unique": 1}, "dataset_name": STRICT}),
        ("invalid", {"jid": jid, "payload": {"refused": 1}, "dataset_name": STRICT}),
        ("bad_value", {"jid": jid, "payload": nested}),
    ]


STRICT = "strict"
TAKEN_ID = "0" * 24
