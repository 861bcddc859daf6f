"""Several writers at the same keys, whatever the order of their requests, whoever is killed in between."""

from __future__ import annotations

import random
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from bson.objectid import ObjectId
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from pymongo import MongoClient

from estela_consumer.stores import Store, StoreSettings, open_store
from estela_wire.dataset import Dataset
from tests.consumer.keyed.interleaving import Writer, requests_wait_for_their_turn, write_at_random
from tests.consumer.keyed.model import Expected, Scraped, expected
from tests.consumer.keyed.test_keyed_stores import stored_in, write


@pytest.fixture(scope="module")
def server(mongodb: str) -> Iterator[tuple[Store, str]]:
    store, database = open_store(StoreSettings(url=mongodb)), f"k{uuid.uuid4().hex[:12]}"
    yield store, database
    store.close()
    with MongoClient[Any](mongodb) as client:
        client.drop_database(database)


@given(seed=st.integers(0, 1 << 32))
@settings(max_examples=100, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
def test_no_order_of_requests_leaves_a_change_that_the_history_does_not_have(
    server: tuple[Store, str], seed: int
) -> None:
    chosen, found = written(server, random.Random(seed), ["track"])

    assert found == expected("track", chosen)


@given(seed=st.integers(0, 1 << 32))
@settings(max_examples=20, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
def test_a_writer_that_tracks_and_one_that_replaces_leave_the_newest(
    server: tuple[Store, str], seed: int
) -> None:
    """Which changes there are depends on who was first; no document is left pending."""
    chosen, found = written(server, random.Random(seed), ["track", "replace"])

    assert found.documents == expected("replace", chosen).documents


def test_a_pending_document_that_another_finishes_and_replaces_between_two_looks_is_read_again(
    server: tuple[Store, str],
) -> None:
    """Given a document whose tracking writer was killed before it wrote the changes."""
    store, database = server
    dataset = Dataset(database, uuid.uuid4().hex)
    versions = [Scraped(number, "a", {"price": number}) for number in range(4)]
    first, second = ([one.document(dataset, "track")] for one in versions[:2])
    third, fourth = ([one.document(dataset, "replace")] for one in versions[2:])
    write(store, dataset, first)

    with requests_wait_for_their_turn():
        tracking = Writer(lambda: write(store, dataset, second))
        for _ in range(3):  # it inserts in vain, reads, replaces
            tracking.go_on()
        tracking.kill()
        replacing = Writer(lambda: write(store, dataset, third))
        for _ in range(2):  # it inserts in vain, reads that the document is pending
            replacing.go_on()
        pending = store.find(dataset, [ObjectId(first[0].bson[9:21])])
        assert b"pending" in next(iter(pending))
        write(store, dataset, fourth)
        while not replacing.finished:
            replacing.go_on()

    assert stored_in(store, dataset).documents == expected("replace", versions).documents


def written(
    server: tuple[Store, str], chance: random.Random, modes: list[str]
) -> tuple[list[Scraped], Expected]:
    """Messages of one key or two, some delivered twice, and what has become of them."""
    store, database = server
    dataset, skus = Dataset(database, uuid.uuid4().hex), chance.choice(["a", "a", "a", "ab"])
    chosen = [  # with two prices alone, so that one version often says what another said
        Scraped(number, chance.choice(skus), {"price": chance.choice([1, 2])})
        for number in range(chance.randint(4, 8))
    ]
    order = chance.sample(chosen + chosen[::2], len(chosen) + len(chosen[::2]))
    chunks = []
    while order:
        size = chance.randint(1, 3)
        mode = chance.choice(modes)
        chunks.append([one.document(dataset, mode) for one in order[:size]])
        order = order[size:]
    write_at_random(
        chunks, lambda chunk: write(store, dataset, chunk), chance, writers=chance.choice([2, 3]), kills=4
    )
    return chosen, stored_in(store, dataset)
