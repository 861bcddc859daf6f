"""Times as people type them."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from estela_terminal.times import UNITS, moment_of, seconds_of, shown_duration, shown_moment, time_of_iso

NOW = 1_793_491_200.0  # 2026-11-01T00:00Z


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("1h", NOW - 3_600),
        ("-1h", NOW - 3_600),
        (" -2d ", NOW - 172_800),
        ("2026-11-01", NOW),
        ("2026-11-01T00:00Z", NOW),
        ("2026-11-01 00:00", NOW),
        ("2026-10-31T22:00:00-02:00", NOW),
        ("2026-11-01T02:00+02:00", NOW),
        ("2026-10-31T23:59:59.5Z", NOW - 0.5),
        ("0001-01-01", -62_135_596_800.0),
        ("-9999999999w", NOW - 9_999_999_999 * 604_800),
    ],
)
def test_a_moment_is_understood_in_the_past(text: str, moment: float) -> None:
    assert moment_of(text, NOW) == moment
    assert shown_moment(moment)


@pytest.mark.parametrize(
    "text",
    [
        "", "-", "h", "0h", "--1h", "+1h", "1 h", "1.5h", "1H", "1y", "99999999999h", "\u0661h", "yesterday",
        "now",
        "2026-13-01", "2026-02-30", "2026-11-01T25:00", "2026-11-01T00:00+99:00", "2026-11-01T00:00 UTC",
        "20261101", "2026-W44-7", "2026-11-01T00:00:00.1234567Z", "\x1b[31m", "1h\n1h",
        "2026-11-01T00:00:01Z", "2027-01-01", "9999-12-31T23:59:59Z",
    ],
)  # fmt: skip
def test_what_is_no_moment_of_the_past_is_told(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a time|is in the future|is not a duration"):
        moment_of(text, NOW)


@given(st.text() | st.from_regex(r"-?[0-9]{1,12}[smhdw]|[0-9T:Z+. -]{1,30}", fullmatch=True))
def test_any_text_is_a_finite_moment_that_has_been_or_an_error(text: str) -> None:
    try:
        moment = moment_of(text, NOW)
    except ValueError:
        return
    assert math.isfinite(moment)
    assert moment <= NOW
    assert shown_moment(moment)


@given(st.integers(1, 9_999_999_999), st.sampled_from(sorted(UNITS)))
def test_a_duration_is_shown_as_one_that_is_equal(count: int, unit: str) -> None:
    seconds = seconds_of(f"{count}{unit}")

    assert seconds == count * UNITS[unit]
    shown = shown_duration(seconds).replace(",", "")
    assert int(shown[:-1]) * UNITS[shown[-1]] == seconds


def test_what_a_program_wrote_is_a_time_or_none() -> None:
    assert time_of_iso("2026-11-01T00:00:00.000+00:00") == NOW
    assert time_of_iso("") is None
    assert time_of_iso("soon") is None
