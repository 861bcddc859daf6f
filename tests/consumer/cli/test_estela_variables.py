"""The variables of estela's consumer, as its chart sets them."""

from __future__ import annotations

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from estela_consumer.cli import estela_variables
from estela_consumer.errors import UsageError


@pytest.mark.parametrize(
    ("given", "pool", "expected"),
    [
        (None, "10", 10),
        (None, " 10 ", 10),
        (None, "32", 32),
        (None, "33", 32),
        (None, "1" + "0" * 30, 32),
        (None, "", None),
        (7, "100", 7),
        (7, "nonsense", 7),  # not looked at
    ],
)
def test_a_worker_pool_is_as_many_writers_and_32_at_most(
    given: int | None, pool: str, expected: int | None, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        assert estela_variables.writers(given, {"WORKER_POOL": pool}) == expected

    assert ("WORKER_POOL is taken as 32" in caplog.text) is (expected == 32 and pool != "32")


@given(st.text() | st.sampled_from(["9" * 5_000, "-1", "0x10", "1e3", "\N{SUPERSCRIPT TWO}", "inf", "1_000"]))
def test_any_text_is_a_number_or_a_usage_error_in_a_line(text: str) -> None:
    for read, name in (
        (estela_variables.writers, "WORKER_POOL"),
        (estela_variables.chunk_bytes, "BATCH_SIZE_THRESHOLD"),
    ):
        told = ""
        try:
            number = read(None, {name: text})
        except UsageError as error:
            told = str(error)
        assert told.startswith(f"{name}={text[:30]}") if told else (number is None) is (text == "")
        assert len(told) < 120


@pytest.mark.parametrize(
    ("engine", "url"),
    [
        ("", "mongodb://h"),
        ("mongodb", "mongodb://h"),
        ("MongoDB", "mongodb+srv://h"),
        ("mongodb+srv", "mongodb+srv://h"),
        ("sqlite", ""),
        ("sqlite", "sqlite:///file"),
    ],
)
def test_an_engine_that_agrees_with_the_url_is_fine(engine: str, url: str) -> None:
    estela_variables.check_engine({"DB_ENGINE": engine}, url)


@pytest.mark.parametrize(
    ("engine", "url", "told"),
    [
        ("mongodb", "", "DB_ENGINE=mongodb, but DB_CONNECTION (or --store) is not set"),
        ("mongodb", "sqlite:///file", "is a sqlite:// URL"),
        ("sqlserver", "mongodb://h", "set DB_ENGINE=mongodb and DB_CONNECTION=mongodb://"),
        ("sqlserver", "", "Keep estela's own consumer"),
        ("m", "mongodb://h", "DB_ENGINE=m,"),
    ],
)
def test_an_engine_that_does_not_says_what_to_do(engine: str, url: str, told: str) -> None:
    with pytest.raises(UsageError) as caught:
        estela_variables.check_engine({"DB_ENGINE": engine}, url)

    assert told in str(caught.value)
