"""Several writers at the same keys, whatever the order of their requests, whoever is killed in between."""

from __future__ import annotations

import random
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from pymongo import MongoClient

from estela_consumer.stores import Store, StoreSettings, open_store
from estela_wire.dataset import Dataset
from tests.consumer.keyed.interleaving import write_at_random
from tests.consumer.keyed.model import Scraped, expected
from tests.consumer.keyed.test_keyed_stores import stored_in, write

prices = st.lists(st.integers(1, 3), min_size=3, max_size=8)  # so that they often come to be the same


@pytest.fixture(scope="module")
def server(mongodb: str) -> Iterator[tuple[Store, str]]:
    store, database = open_store(StoreSettings(url=mongodb)), f"k{uuid.uuid4().hex[:12]}"
    yield store, database
    store.close()
    with MongoClient[Any](mongodb) as client:
        client.drop_database(database)


@given(prices=prices, seed=st.integers(0, 1 << 32))
@settings(max_examples=60, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
def test_no_order_of_requests_leaves_a_change_that_the_history_does_not_have(
    server: tuple[Store, str], prices: list[int], seed: int
) -> None:
    store, database = server
    dataset, chance = Dataset(database, uuid.uuid4().hex), random.Random(seed)
    chosen = [Scraped(number, chance.choice("aaab"), {"price": price}) for number, price in enumerate(prices)]
    order = chance.sample(chosen + chosen[::2], len(chosen) + len(chosen[::2]))
    chunks = []
    while order:
        size = chance.randint(1, 3)
        chunks.append([one.document(dataset, "track") for one in order[:size]])
        order = order[size:]

    write_at_random(
        chunks, lambda chunk: write(store, dataset, chunk), chance, writers=chance.choice([2, 3]), kills=4
    )

    assert stored_in(store, dataset) == expected("track", chosen)
