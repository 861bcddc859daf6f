"""What every store promises, as one suite."""

from __future__ import annotations

import datetime
import uuid
from typing import Any

import bson
import pytest
from bson.binary import Binary
from bson.datetime_ms import DatetimeMS
from bson.decimal128 import Decimal128
from bson.int64 import Int64
from bson.objectid import ObjectId
from bson.regex import Regex
from bson.timestamp import Timestamp

from estela_consumer.decoding.document import Document
from estela_consumer.errors import BadMessage, Reason, StoreUnreachable
from estela_consumer.stores import Outcome, Store, Verdict
from estela_queue_adapter import Message
from estela_wire.dataset import Dataset


def document(dataset: Dataset, payload: dict[str, Any], identity: ObjectId | str | None = None) -> Document:
    encoded = bson.encode({"_id": identity or ObjectId(), **payload})
    return Document(dataset, encoded, Message("t", 0, 0, 0.0, None, b"", ()))


def reasons(verdicts: list[Verdict]) -> list[Outcome | Reason | StoreUnreachable]:
    return [verdict.reason if isinstance(verdict, BadMessage) else verdict for verdict in verdicts]


class StoreContract:
    """What every store promises: a store's test class gives the fixture `store`, an open one."""

    @pytest.fixture
    def unique(self) -> str:
        """A database that no other test uses."""
        return f"t{uuid.uuid4().hex[:12]}"

    @pytest.fixture
    def dataset(self, unique: str) -> Dataset:
        return Dataset(unique, "spider-1-items")

    def test_documents_are_stored_and_read_back_in_the_order_of_their_ids(
        self, store: Store, dataset: Dataset
    ) -> None:
        documents = [document(dataset, {"n": n, "x": [{"y": None}, 1.5, "ü"]}) for n in range(1200)]

        verdicts = store.write(dataset, list(reversed(documents)))

        assert verdicts == [Outcome.STORED] * 1200
        assert [stored["n"] for stored in store.read(dataset)] == list(range(1200))
        assert [stored["n"] for stored in store.read(dataset, limit=3)] == [0, 1, 2]
        assert list(store.read(dataset, limit=0)) == []
        assert (dataset, 1200) in list(store.datasets())

    def test_of_documents_that_say_whose_they_are_those_of_one_job_can_be_read(
        self, store: Store, dataset: Dataset
    ) -> None:
        origins = [{"job": str(n % 3), "spider": "s", "project": "p"} for n in range(1200)]
        store.write(dataset, [document(dataset, {"n": n, "_estela": each}) for n, each in enumerate(origins)])
        store.write(dataset, [document(dataset, {"n": n}) for n in (-1, -2)])

        found = [each["n"] for each in store.read(dataset, origin={"job": "1"})]

        assert found == list(range(1, 1200, 3))
        assert [each["n"] for each in store.read(dataset, 2, origins[1])] == [1, 4]
        assert list(store.read(dataset, origin={"job": "1", "spider": "t"})) == []
        assert len(list(store.read(dataset, origin={}))) == 1202

    def test_written_twice_is_written_once(self, store: Store, dataset: Dataset) -> None:
        documents = [document(dataset, {"n": n}) for n in range(5)]
        store.write(dataset, documents[:3])

        verdicts = store.write(dataset, documents)

        assert verdicts == [Outcome.PRESENT] * 3 + [Outcome.STORED] * 2
        assert len(list(store.read(dataset))) == 5

    def test_twice_in_one_chunk_is_once_too(self, store: Store, dataset: Dataset) -> None:
        same = document(dataset, {"n": 1})

        assert store.write(dataset, [same, same]) == [Outcome.STORED, Outcome.PRESENT]

    def test_the_same_id_with_another_content_is_a_bad_message(self, store: Store, dataset: Dataset) -> None:
        first = document(dataset, {"n": 1})
        store.write(dataset, [first])

        verdicts = store.write(dataset, [document(dataset, {"n": 2}, first.id), document(dataset, {"n": 3})])

        assert reasons(verdicts) == [Reason.DUPLICATE_ID, Outcome.STORED]
        assert next(store.read(dataset))["n"] == 1

    def test_the_same_content_in_another_order_of_keys_is_the_same(
        self, store: Store, dataset: Dataset
    ) -> None:
        first = document(dataset, {"a": 1, "b": {"c": float("nan"), "d": 2}})
        store.write(dataset, [first])

        again = document(dataset, {"b": {"d": 2, "c": float("nan")}, "a": 1}, first.id)

        assert store.write(dataset, [again]) == [Outcome.PRESENT]

    def test_values_of_bsons_types_are_kept_and_compared(self, store: Store, dataset: Dataset) -> None:
        """Also dates that Python has no datetime for."""
        payload = {
            "date": datetime.datetime(2026, 1, 31, 9, 30, 0, 123_000),  # noqa: DTZ001
            "far": DatetimeMS(2**55),
            "decimal": Decimal128("1.10"),
            "binary": [b"\x00\xff", Binary(b"x" * 16, 4)],
            "of": {"id": ObjectId(), "long": Int64(5), "time": Timestamp(1, 2), "regex": Regex("a", "i")},
        }
        first = document(dataset, payload)
        changed: list[dict[str, Any]] = [
            {"date": "2026-01-31T09:30:00.123000"},
            {"far": DatetimeMS(2**55 + 1)},
            {"decimal": Decimal128("1.1")},
            {"decimal": "1.10"},
            {"binary": ["\x00ÿ", Binary(b"x" * 16, 3)]},
        ]

        stored = store.write(dataset, [first])
        again = store.write(dataset, [document(dataset, dict(reversed(payload.items())), first.id)])
        others = [store.write(dataset, [document(dataset, payload | one, first.id)]) for one in changed]

        assert (stored, again) == ([Outcome.STORED], [Outcome.PRESENT])
        assert [reasons(one) for one in others] == [[Reason.DUPLICATE_ID]] * len(changed)
        [read] = store.read(dataset)
        assert bson.encode(read) == first.bson

    def test_an_id_may_be_a_string(self, store: Store, dataset: Dataset) -> None:
        stats = document(dataset, {"n": 1}, "spider-1-job_stats")

        assert store.write(dataset, [stats]) == [Outcome.STORED]
        assert store.write(dataset, [stats]) == [Outcome.PRESENT]

    def test_stats_that_somebody_has_added_to_are_there_already_and_changed_ones_are_not(
        self, store: Store, dataset: Dataset
    ) -> None:
        payload: dict[str, Any] = {"item_scraped_count": 3, "nested": {"a": [1.5, None]}}

        def stats(topic: str, payload: dict[str, Any]) -> Document:
            made = document(dataset, payload, "s-1-job_stats")
            return made._replace(message=made.message._replace(topic=topic))

        store.write(dataset, [stats("job_stats", {"coverage": {"total_items": 3}, "more": 1, **payload})])
        changed = [
            {**payload, "item_scraped_count": 4},
            {**payload, "nested": {"a": [1.5]}},
            {**payload, "new": 1},
            {**payload, "nested": {**payload["nested"], "new": 1}},
        ]

        again = store.write(dataset, [stats("job_stats", payload)])
        of_a_part = store.write(dataset, [stats("job_stats", {**payload, "nested": {}})])
        of_another_topic = store.write(dataset, [stats("items", payload)])
        of_others = [reasons(store.write(dataset, [stats("job_stats", other)])) for other in changed]

        assert again == [Outcome.PRESENT]
        assert reasons(of_another_topic) == [Reason.DUPLICATE_ID]
        assert of_a_part == [Outcome.PRESENT]
        assert of_others == [[Reason.DUPLICATE_ID]] * 4

    def test_datasets_do_not_mix(self, store: Store, dataset: Dataset) -> None:
        other = Dataset(dataset.database, "other")
        one = document(dataset, {"n": 1})

        store.write(dataset, [one])
        store.write(other, [document(other, {"n": 2}, one.id)])

        assert [stored["n"] for stored in store.read(other)] == [2]

    def test_a_dataset_that_is_not_there_is_empty(self, store: Store, dataset: Dataset) -> None:
        assert list(store.read(dataset)) == []

    def test_the_ids_from_one_to_another_are_told_in_their_order(
        self, store: Store, dataset: Dataset
    ) -> None:
        documents = [document(dataset, {"n": n, "large": "x" * 2_000}) for n in range(1_300)]
        text = document(dataset, {"n": -1}, "spider-1-job_stats")
        store.write(dataset, [*reversed(documents), text])
        ids = [one.id for one in documents]

        assert list(store.ids(dataset, ids[0], ids[-1])) == ids
        assert list(store.ids(dataset, ids[3], ids[1005])) == ids[3:1006]
        assert list(store.ids(dataset, ids[7], ids[7])) == [ids[7]]
        assert list(store.ids(dataset, ObjectId(), ObjectId())) == []
        assert list(store.ids(dataset, text.id, text.id)) == [text.id]
        assert list(store.ids(dataset, "another", "another")) == []
        assert list(store.ids(Dataset(dataset.database, "other"), ids[0], ids[-1])) == []

    def test_it_describes_itself_and_answers(self, store: Store) -> None:
        store.check()
        assert store.describe()
