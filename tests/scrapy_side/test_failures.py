"""What the log says of items that could not be published, or not as they were."""

from __future__ import annotations

import logging

import pytest

from estela_queue_adapter.serialization.writing import Converted, Unwritable
from estela_scrapy.failures import ConversionLog, FailureLog


def lines(caplog: pytest.LogCaptureFixture, level: int = logging.ERROR) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= level]


def test_what_is_alike_but_for_an_index_or_a_value_is_one_kind(caplog: pytest.LogCaptureFixture) -> None:
    log = FailureLog()

    for n in range(50):
        log.add("Item", {}, Unwritable(f"prices[{n}].amount", ValueError(f"no number: {n}")), "a", None)
    log.log_summary(None)

    *single, last = lines(caplog)
    assert len(single) == 20
    assert single[7] == "Item not published: dict: field prices[7].amount: ValueError: no number: 7 (page: a)"
    assert single[19].endswith("; further ones of this kind are counted, and logged at level DEBUG")
    assert last == (
        "50 message(s) could not be published, and are counted in estela/<stream>/failed: "
        "50 x dict: field prices[].amount: ValueError"
    )


def test_fields_without_end_do_not_flood_the_log(caplog: pytest.LogCaptureFixture) -> None:
    failures, conversions = FailureLog(), ConversionLog()

    for n in range(5_000):
        failures.add("Item", {}, Unwritable(f"field-{n}", ValueError()), "a", None)
        conversions.add({}, [Converted(f"field-{n}", "a value is written as its str()")], "a", None)
    failures.log_summary(None)

    assert len(lines(caplog)) == 100 + 20 + 1
    assert "5,000 message(s) could not be published" in lines(caplog)[-1]
    assert "4,900 x of other kinds" in lines(caplog)[-1]
    assert "91 more kinds" in lines(caplog)[-1]
    assert sum("Item converted" in line for line in lines(caplog, logging.WARNING)) == 100
    assert conversions.items == 5_000


def test_foreign_text_is_one_line_of_a_bounded_length(caplog: pytest.LogCaptureFixture) -> None:
    log = FailureLog()

    log.add("Item", {}, Unwritable("x" * 10_000, ValueError("\x1b[2J\n" * 10_000)), "data:," + "y", None)

    [line] = lines(caplog)
    assert len(line) < 2_500
    assert line.isprintable()


def test_without_failures_the_end_is_silent(caplog: pytest.LogCaptureFixture) -> None:
    FailureLog().log_summary(None)

    assert lines(caplog, logging.DEBUG) == []
