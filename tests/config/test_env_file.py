"""A `.env` file is read whole, or refused in one line that quotes no value."""

from __future__ import annotations

import os
import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from estela_config.env_file import read_env_file
from estela_queue_adapter.errors import ConfigurationError

SECRET = "hunter2"
NAMES = st.sampled_from(["QUEUE_PLATFORM_LISTENERS", "ESTELA_ITEMS_TOPIC", "DB_CONNECTION"])
# What may stand between single quotes as it is.
PLAIN = st.text(
    st.characters(exclude_characters="'\\\0\r", exclude_categories=["Cs"]), min_size=1, max_size=20
)


def write(path: Path, content: bytes, mode: int = 0o600) -> str:
    path.write_bytes(content)
    path.chmod(mode)
    return str(path)


def test_names_of_ours_are_read_and_others_are_passed_over(tmp_path: Path) -> None:
    text = (
        "\ufeff# comment\n\nexport QUEUE_PLATFORM=kafka\nQUEUE_PLATFORM_LISTENERS = 'a,b'  # two\n"
        'ESTELA_ITEMS_TOPIC="items"\nPATH=/nowhere\nDB_CONNECTION=mongodb://h/?a=${HOME}\nESTELA_RATE=\n'
    )

    values, warnings = read_env_file(write(tmp_path / ".env", text.encode()))

    assert values == {
        "QUEUE_PLATFORM": "kafka",
        "QUEUE_PLATFORM_LISTENERS": "a,b",
        "ESTELA_ITEMS_TOPIC": "items",
        "DB_CONNECTION": "mongodb://h/?a=${HOME}",
        "ESTELA_RATE": "",
    }
    assert warnings == []


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"ESTELA_RATE=1\nQUEUE_PLATFORM_SASL_PASSWORD 'hunter2'\n", "line 2 "),
        (b"ESTELA_RATE=1\n\n\nQUEUE_PLATFORM_SASL_PASSWORD='hunter2\n", "line 4 "),
        (b"hunter2\n", "line 1 "),
        (b"=hunter2\n", "line 1 "),
        (b"DB_CONNECTION=hunter2\xff\n", "not UTF-8"),
        (b"DB_CONNECTION=hunter2\0\n", "line 1 "),
        (b"#" * (1024 * 1024 + 1), "too large"),
    ],
)
def test_what_cannot_be_read_is_one_line_without_a_value(tmp_path: Path, content: bytes, told: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read_env_file(write(tmp_path / ".env", content))

    assert told in str(caught.value)
    assert "\n" not in str(caught.value)
    assert SECRET not in str(caught.value)


def test_an_empty_name_is_told_as_what_it_is() -> None:
    with pytest.raises(ConfigurationError, match="its value is empty"):
        read_env_file("")


@pytest.mark.parametrize("name", ["missing", "", "a\0b", "/proc/1/mem", "folder"])
def test_a_file_that_is_none_is_told(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()

    with pytest.raises(ConfigurationError, match="--env-file"):
        read_env_file(name)


@pytest.mark.skipif(os.name == "nt", reason="Windows knows no such permissions")
@pytest.mark.parametrize(
    ("line", "mode", "warned"),
    [
        ("QUEUE_PLATFORM_SASL_PASSWORD=hunter2", 0o644, True),
        ("DB_CONNECTION=mongodb://me:hunter2@host/", 0o604, True),
        ("DB_CONNECTION=mongodb://host/", 0o644, False),
        ("QUEUE_PLATFORM_SASL_PASSWORD=hunter2", 0o640, False),
        ("QUEUE_PLATFORM_SASL_PASSWORD_FILE=/run/secrets/x", 0o644, False),
        ("OTHERS_PASSWORD=hunter2", 0o644, False),
    ],
)
def test_a_secret_that_everybody_may_read_is_warned_of(
    tmp_path: Path, line: str, mode: int, warned: bool
) -> None:
    _, warnings = read_env_file(write(tmp_path / ".env", line.encode(), mode))

    assert bool(warnings) is warned
    assert all("chmod 600" in warning and SECRET not in warning for warning in warnings)


@given(st.binary(max_size=300) | st.text(string.printable, max_size=300).map(str.encode))
def test_any_file_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = write(tmp_path_factory.mktemp("env") / ".env", content)
    try:
        values, told = read_env_file(path)[0], ""
    except ConfigurationError as error:
        values, told = {}, str(error)
    assert "\n" not in told
    assert all("\0" not in value for value in values.values())


@given(st.dictionaries(NAMES, PLAIN))
def test_what_is_written_in_quotes_is_read_as_it_is(
    tmp_path_factory: pytest.TempPathFactory, values: dict[str, str]
) -> None:
    content = "".join(f"{name}='{value}'\n" for name, value in values.items())

    read, _ = read_env_file(write(tmp_path_factory.mktemp("env") / ".env", content.encode()))

    assert read == values
