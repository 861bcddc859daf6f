"""Messages that do not fit are cut, and say so."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from estela_consumer.dead_letters.cutting import Parts, cut
from estela_wire.headers import headers_bytes

BYTES = st.binary(max_size=400)
PARTS = st.tuples(
    BYTES, st.none() | BYTES, st.lists(st.tuples(st.text(max_size=40), st.none() | BYTES), max_size=6)
).map(lambda parts: Parts(*parts))


@given(PARTS, st.integers(0, 900))
def test_what_is_left_fits_is_a_beginning_and_tells_the_whole_size_of_what_was_cut(
    whole: Parts, budget: int
) -> None:
    left = cut(whole, budget)

    assert len(left.data) + len(left.key or b"") + headers_bytes(list(left.headers)) <= budget
    assert whole.data.startswith(left.data)
    assert (whole.key is None) == (left.key is None)
    assert (whole.key or b"").startswith(left.key or b"")
    assert [name for name, _ in left.headers] == [name for name, _ in whole.headers[: len(left.headers)]]
    assert left.truncated == (len(whole.data) if left.data != whole.data else None)
    assert left.truncated_key == (len(whole.key or b"") if left.key != whole.key else None)
    assert (left.truncated_headers is None) == (left.headers == whole.headers)


@given(PARTS)
def test_what_fits_is_not_cut(whole: Parts) -> None:
    size = len(whole.data) + len(whole.key or b"") + headers_bytes(list(whole.headers))

    assert cut(whole, size) == whole


def test_the_value_is_cut_first_then_the_key_then_the_headers() -> None:
    def sizes(data: int, key: int, header: int, budget: int) -> Sequence[int]:
        parts = cut(Parts(b"d" * data, b"k" * key, [("", b"h" * header)]), budget)
        return len(parts.data), len(parts.key or b""), sum(len(value or b"") for _, value in parts.headers)

    assert sizes(500, 100, 96, 600) == (400, 100, 96)
    assert sizes(500, 400, 96, 600) == (300, 200, 96)
    assert sizes(5, 1_000, 96, 600) == (5, 495, 96)
    assert sizes(5, 5, 1_000, 600) == (5, 5, 586)
