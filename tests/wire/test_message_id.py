"""The ids of one stream: ascending whatever the clock does, and of one nonce."""

from __future__ import annotations

import threading

from bson.objectid import ObjectId
from hypothesis import given
from hypothesis import strategies as st

from estela_wire import message_id as ids
from estela_wire.message_id import IdRange, IdSource, nonce_of


def test_an_id_is_an_object_id_of_the_second_with_a_nonce_and_a_count() -> None:
    source = IdSource(clock=lambda: 1_700_000_000.9)

    made = [ObjectId(source.next().decode()) for _ in range(300)]

    assert {one.generation_time.timestamp() for one in made} == {1_700_000_000}
    assert len({nonce_of(one.binary) for one in made}) == 1
    assert [int.from_bytes(one.binary[9:], "big") for one in made] == list(range(300))


@given(st.lists(st.floats(0, 2**32 - 1), min_size=1, max_size=50), st.integers(1, 40))
def test_ids_ascend_by_one_whatever_the_clock_says(readings: list[float], count: int) -> None:
    now = iter(readings)
    last = readings[-1]
    source = IdSource(clock=lambda: next(now, last))

    made = [bytes.fromhex(source.next().decode()) for _ in range(count)]

    assert made == sorted(set(made))
    assert [int.from_bytes(one[9:], "big") for one in made] == list(range(count))
    assert all(IdRange(made[0], made[-1]).holds(one) for one in made)
    assert (source.first, source.last) == (made[0].hex(), made[-1].hex())


def test_when_the_count_is_used_up_a_later_second_begins() -> None:
    source = IdSource(clock=lambda: 100.0)
    first = source.next()
    source._count = ids._LAST_COUNT - 1

    last_of_second, wrapped, after = (source.next() for _ in range(3))

    assert [one[:8] for one in (first, last_of_second, wrapped, after)] == [
        b"00000064", b"00000064", b"00000065", b"00000065",
    ]  # fmt: skip
    assert [one[-6:] for one in (last_of_second, wrapped, after)] == [b"ffffff", b"000000", b"000001"]


def test_two_sources_share_no_nonce_and_before_the_first_id_there_is_none() -> None:
    one, other = IdSource(), IdSource()

    assert (one.first, one.last) == ("", "")
    assert one.next()[8:18] != other.next()[8:18]


def test_threads_get_each_their_own() -> None:
    source = IdSource()
    made: list[list[bytes]] = [[] for _ in range(4)]

    def take(mine: list[bytes]) -> None:
        mine.extend(source.next() for _ in range(5_000))

    threads = [threading.Thread(target=take, args=(mine,)) for mine in made]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len({one for mine in made for one in mine}) == 20_000
    assert all(mine == sorted(mine) for mine in made)
