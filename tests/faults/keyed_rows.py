"""Messages with a key, each key five times, each message twice, over all partitions in any order."""

from __future__ import annotations

import itertools
import json
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

from bson.objectid import ObjectId

from estela_consumer.dead_letters.replay import DeadLetterReader
from estela_queue_adapter.errors import QueueError
from tests.faults.bad_messages import Bad
from tests.faults.fault import Fault
from tests.faults.outcome import Outcome
from tests.faults.world import World

_VERSIONS = 5  # of each key
_PRICES = 3  # so that a version often has the content of the one before it
_DATASET = "shop"


class KeyedWorld(World):
    """Its messages are versions of a fifth as many documents; `mode` says what becomes of what is there."""

    mode = "replace"

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._versions = self.messages - self.messages % _VERSIONS
        prices = [self.chance.randrange(_PRICES) for _ in range(self._versions)]
        self._payloads: list[dict[str, Any]] = [
            {"sku": f"sku {number // _VERSIONS}", "price": price, "text": "x" * 200}
            for number, price in enumerate(prices)
        ]
        order = [*range(self._versions), *range(self._versions)]
        self.chance.shuffle(order)
        self._order = itertools.cycle(order)  # what is fed for longer is delivered again
        self.messages = len(order)

    def _id(self, number: int) -> ObjectId:
        return ObjectId(int(1_767_225_600 + number).to_bytes(4, "big") + b"nonce" + bytes(3))

    def _next(self, bad: Sequence[Bad], bad_share: float) -> bytes:
        number, self._good = next(self._order), self._good + 1
        return json.dumps({
            "jid": f"1.s.{self.topic}",
            "dataset_name": _DATASET,
            "id": str(self._id(number)),
            "key": ["sku"],
            "on_existing": self.mode,
            "metadata": {"url": "http://shop.example/", "scraped_at": "2026-01-31T09:30:00.000Z"},
            "payload": self._payloads[number],
        }).encode()  # fmt: skip

    def _stored(self) -> int:
        """How far the consumers are: the count of documents stands still once every key is there."""
        try:
            return sum(at.offset for at in self._positions())
        except QueueError:  # a topic that has only just appeared, say
            return 0

    def balance(self, recovered: float) -> Outcome:
        with self._client() as client:
            documents = list(client[self.topic][_DATASET].find())
            changes = list(client[self.topic][f"{_DATASET}_changes"].find())
        right = self._keys_with_the_newest(documents)
        if self.mode == "track":
            right &= self._keys_with_all_changes(documents, changes)
        letters = Counter(letter.reason for letter in DeadLetterReader(self._platform, self.topic).letters())
        stored = _VERSIONS * len(right)
        return Outcome(
            produced=self._versions,
            not_promised=0,
            stored=stored,
            missing=self._versions - stored,
            twice=len(documents) - len({document["sku"] for document in documents}),
            dead_letters_expected=0,
            dead_letters_found=letters.total(),
            reasons_right=not letters,
            seconds_to_recover=round(recovered, 1),
            reactor_pause=None,
        )

    def _keys_with_the_newest(self, documents: list[dict[str, Any]]) -> set[str]:
        newest = self._payloads[_VERSIONS - 1 :: _VERSIONS]
        content = {payload["sku"]: payload for payload in newest}
        return {
            document["sku"]
            for document in documents
            if {name: document[name] for name in document if name not in ("_id", "_estela")}
            == content.get(document["sku"])
        }

    def _keys_with_all_changes(
        self, documents: list[dict[str, Any]], changes: list[dict[str, Any]]
    ) -> set[str]:
        """Those of which exactly the changes of the model are there."""
        found: dict[Any, list[tuple[ObjectId, Any, Any]]] = {}
        for change in changes:
            found.setdefault(change["document"], []).append((
                change["version"], change["before"], change["after"]
            ))  # fmt: skip
        expected: dict[str, list[tuple[ObjectId, Any, Any]]] = {}
        for number, payload in enumerate(self._payloads):
            of_key = expected.setdefault(payload["sku"], [])
            before = self._payloads[number - 1]
            if before["sku"] == payload["sku"] and before["price"] != payload["price"]:
                of_key.append((self._id(number), {"price": before["price"]}, {"price": payload["price"]}))
        return {
            document["sku"]
            for document in documents
            if sorted(found.get(document["_id"], ()), key=lambda change: change[0])
            == expected[document["sku"]]
        }


class TrackedWorld(KeyedWorld):
    """The same, and each change of content is a document too."""

    mode = "track"


def consumers_killed(world: KeyedWorld) -> None:
    """kill -9 of one of the two, at random moments while they work."""
    for _ in range(world.times(10)):
        world.progress()
        time.sleep(world.chance.uniform(0, 1.5))
        world.end_consumer(world.chance.choice(world.consumers), kill=True)
        world.start_consumer()


_TOLD = "each key five times, shuffled, delivered twice; two consumers, killed with -9, 10 times"
KEYED_FAULTS = {
    "keyed": Fault(f"`replace`: {_TOLD}", consumers_killed, KeyedWorld, consumers=2, expected_seconds=60),
    "keyed-tracked": Fault(
        f"`track`: {_TOLD}", consumers_killed, TrackedWorld, consumers=2, expected_seconds=60
    ),
}
