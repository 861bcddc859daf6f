"""What is written as changes while versions come late: by itself, on the store that needs no server."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from estela_consumer.keyed.tracking import REMEMBERED
from estela_consumer.stores import Outcome, Store, StoreSettings, open_store
from estela_wire.dataset import Dataset
from tests.consumer.keyed.model import Scraped, expected, found_in

# Each version's price, and how many newer ones come before it.
versions = st.lists(
    st.tuples(st.integers(1, 2), st.integers(0, REMEMBERED - 1)), min_size=1, max_size=3 * REMEMBERED
)
# A run whose newest version comes first, so that its change has the id of that. When its first version would
# be forgotten, another comes before the newest, which so becomes a change itself.
_DIVIDED = [
    (1, 0),
    *((2, REMEMBERED - 1 - number) for number in range(1, REMEMBERED - 1)),
    (1, 3),
    *[(2, 0)] * 3,
]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    store = open_store(StoreSettings(url=f"sqlite:///{tmp_path_factory.mktemp('histories')}/store.db"))
    yield store
    store.close()


@given(versions=versions, size=st.integers(1, 4))
@settings(max_examples=150, deadline=None)
@example(versions=_DIVIDED, size=1)
def test_a_change_never_goes_away_and_their_order_is_that_of_their_versions(
    store: Store, versions: list[tuple[int, int]], size: int
) -> None:
    dataset = Dataset("histories", uuid.uuid4().hex)
    beside = Dataset(dataset.database, f"{dataset.collection}_changes")
    chosen = [Scraped(number, "a", {"price": price}) for number, (price, _) in enumerate(versions)]
    come: list[Scraped] = []
    for one in reversed(chosen):
        come.insert(versions[one.number][1], one)
    ids: set[object] = set()

    for at in range(0, len(come), size):
        store.write_keyed(dataset, [one.document(dataset, "track") for one in come[at : at + size]])
        changes = list(store.read(beside))  # in the order of `_id`
        assert ids <= {change["_id"] for change in changes}
        assert changes == sorted(changes, key=lambda change: change["version"])
        ids = {change["_id"] for change in changes}

    again = store.write_keyed(dataset, [one.document(dataset, "track") for one in chosen])
    assert set(again) <= {Outcome.PRESENT, Outcome.SUPERSEDED}
    assert found_in(store.read(dataset), store.read(beside)) == expected("track", chosen)


def test_what_is_forgotten_is_not_entered_again_though_a_change_before_it_is_remembered(store: Store) -> None:
    dataset = Dataset("histories", uuid.uuid4().hex)
    chosen = [Scraped(number, "a", {"price": price}) for number, (price, _) in enumerate(_DIVIDED, 1)]
    come = [one.document(dataset, "track") for one in (chosen[0], *reversed(chosen[1:21]), *chosen[21:])]
    for document in come:
        store.write_keyed(dataset, [document])
    oldest = Scraped(0, "a", {}).document(dataset, "track")
    assert oldest.version is not None
    long_ago = oldest._replace(version=oldest.version._replace(seen_at=0))  # so that `first_seen` is written

    verdicts = store.write_keyed(dataset, [long_ago]) + store.write_keyed(dataset, come)

    assert set(verdicts) == {Outcome.SUPERSEDED, Outcome.PRESENT}
