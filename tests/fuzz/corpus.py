"""Hostile fields: for every field of a record, what somebody might put there."""

from __future__ import annotations

import json
import random
from typing import Any

from bson.objectid import ObjectId

Header = tuple[bytes, "bytes | None"]

_SIZES = (0, 1, 63, 64, 300, 9_000)
_DEEP = b'{"jid":"1.s.p","payload":' + b'{"a":' * 950 + b"1" + b"}" * 950 + b"}"
_BYTES = [
    *(b"", b"\x00", b"\xff\xfe", b"null", b"[]", b'"text"', b"7", b"NaN", b"{}", b'{"jid":', b" " * 300),
    *(b"\xef\xbb\xbf{}", b"9" * 6_000, b"[" * 100_000, _DEEP, b'{"payload":{}}'),
    b'{"jid":null,"payload":{}}',
    b'{"jid":"1.s.p","payload":{"n":1e999}}',
    b'{"jid":"1.s.p","payload":{"a":"\\ud800"}}',
    b'{"jid":"1.s.p","payload":{"a\\u0000b":1}}',
]
_VALUES: list[Any] = [
    *(None, True, 0, -1, 2**63, 2**64, 1.5, float("nan"), float("inf"), [], {}),
    *("", "x" * 2_000, "\x1b[2J[red]", "\u202e", "\x00", ["\\", {"\\": "\\"}]),
    *({"a": {"b.c": 1}}, [[{"x.y": {"$z": None}}]], {"": ""}, {"_id": {"_id": 1}}, {"\\u002e": 1, ".": 2}),
    *({"$ref": "c", "$id": 1}, {"$date": "x"}, {"$oid": 7}),
]
# Under `types` these are values, or lies.
_WRAPPERS: list[Any] = [
    *({"$date": "2026-01-31T09:30:00Z"}, {"$date": {"$numberLong": str(2**60)}}, {"$date": {"$date": {}}}),
    *({"$date": "9999-12-31T23:59:59-14:00"}, {"$date": 2**63}, {"$date": "\ud800"}, {"$date": None}),
    *({"$numberDecimal": "1.10"}, {"$numberDecimal": "1E6145"}, {"$numberDecimal": "9" * 9_000}),
    *({"$oid": "0" * 24}, {"$oid": "zz"}, {"$uuid": "7"}, {"$binary": {"base64": "=", "subType": "04"}}),
    *({"$numberLong": "9" * 30}, {"$numberDouble": "1e999"}, {"$minKey": 1}, {"$regularExpression": {}}),
    *({"$$date": "x"}, {"$": 1}, {"$date": "2026-01-31T09:30:00Z", "x": 1}, [[{"$set": {"$oid": []}}]]),
]
_NAMES: list[Any] = [
    *(None, "", 7, [], {}, "admin", "config", "../up", "a$b", "d" * 300, "a\x00b", "system.x", ".", "x..y"),
    *("1.2.3", "\x1b[31m", "a.b.c.d"),
]
_HEADER_NAMES = [
    *(b"", b"traceparent", b"soci\xe9t\xe9", b"\xff", b"\x00", b"\xed\xa0\x80", "é".encode(), b"n" * 2_000),
    *(b"estela-", b"estela-key", b"estela-own-x", b"estela-topic", b"estela-truncated"),
    b"estela-unreadable-from",
]
_CLAIMS = [
    *(b"", b"0", b"-1", b"1", b"99999999999999999999", b"9" * 6_000, b"1_0", "٣".encode(), b"\xff"),
    *(b"nan", b"inf", b"1e400", b"0.5"),
]
TIMES = [0, 1, -1, -2, 1_700_000_000_000, 2**31, 2**63 - 1, -(2**63), 2**62]


class Corpus:
    """Picks from it by chance."""

    def __init__(self, chance: random.Random, database: str) -> None:
        self._chance = chance
        self._database = database

    def key(self) -> bytes | None:
        """A record's key."""
        return self._chance.choice([None, None, b"", b"k", b"\xff\x00", self._noise(), b"k" * 70_000])

    def value(self) -> bytes | None:
        """A record's value: an envelope, nearly one, or nothing like it."""
        kind = self._chance.random()
        if kind < 0.1:
            return None
        if kind < 0.13:
            return self._deep()
        if kind < 0.3:
            return self._chance.choice(_BYTES)
        if kind < 0.4:
            return self._noise()
        encoded = json.dumps(self._envelope(), ensure_ascii=self._chance.random() < 0.5).encode(
            errors="replace"
        )
        return self._spoiled(encoded) if kind < 0.6 else encoded

    def headers(self, topic: str) -> list[Header]:
        """A record's headers; now and then thousands, or a claim to come from elsewhere."""
        kind = self._chance.random()
        if kind < 0.4:
            return []
        if kind < 0.6:
            return [*self._claim(topic), *self._some_headers(2)]
        return self._some_headers(4_000 if kind > 0.99 else 4)

    def timestamp(self) -> int:
        """Milliseconds since the epoch, or not."""
        return self._chance.choice(TIMES)

    def _some_headers(self, count: int) -> list[Header]:
        names, values = _HEADER_NAMES, [None, None, b"", b"v", b"\xff", b"v" * 500]
        return [(self._chance.choice(names), self._chance.choice(values)) for _ in range(count)]

    def _claim(self, topic: str) -> list[Header]:
        topics = [topic.encode(), topic.encode(), b"another", b""]
        claims = [self._chance.choice(topics), *(self._chance.choice(_CLAIMS) for _ in range(4))]
        names = ("topic", "partition", "offset", "timestamp", "replays")
        return [(f"estela-{name}".encode(), claim) for name, claim in zip(names, claims, strict=True)]

    def _envelope(self) -> dict[str, Any]:
        some = self._chance.choice
        envelope: dict[str, Any] = {
            "jid": f"1.s.{self._database}",
            "payload": {f"k{number}": some(_VALUES) for number in range(some([0, 1, 3]))},
            "unique": some(["False", "False", "True", True, None, 7, []]),
        }
        if self._chance.random() < 0.3:
            envelope["types"] = some(["bson", "bson", "bson", None, "xml", 7, []])
            envelope["payload"] |= {f"t{number}": some([*_WRAPPERS, *_VALUES]) for number in range(3)}
        if self._chance.random() < 0.3:
            envelope["id"] = some([str(ObjectId()), "0" * 24, "f" * 24, "", 7, None, "0" * 23, "٣" * 24])
        if self._chance.random() < 0.3:
            envelope[some(["jid", "db_name", "dataset_name", "payload"])] = some([*_NAMES, *_VALUES])
        if self._chance.random() < 0.1:
            envelope["payload"] = some([*_VALUES, {"text": "x" * 400_000}])
        return envelope

    def _deep(self) -> bytes:
        """An envelope with one field nested about as deeply as parsers follow."""
        depth = self._chance.choice([150, 250, 350, self._chance.randrange(850, 1_010), 20_000])
        opened, closed = self._chance.choice([(b"[", b"]"), (b'{"a":', b"}")])
        fields = {b"jid": b'"1.s.%b"' % self._database.encode(), b"payload": b"{}"}
        fields[self._chance.choice([b"jid", b"id", b"payload", b"db_name", b"unique", b"other"])] = (
            opened * depth + b"1" + closed * depth
        )
        return b"{" + b",".join(b'"%b":%b' % field for field in fields.items()) + b"}"

    def _spoiled(self, data: bytes) -> bytes:
        spoiled = bytearray(data)
        for _ in range(self._chance.choice([1, 1, 5])):
            at = self._chance.randrange(len(spoiled))
            spoiled[at : at + self._chance.choice([0, 1, 1, 20])] = self._noise()[:5]
            spoiled = spoiled or bytearray(b"{")
        return bytes(spoiled)

    def _noise(self) -> bytes:
        return self._chance.randbytes(self._chance.choice(_SIZES))
