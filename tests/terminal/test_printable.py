"""What came from outside is shown and never obeyed."""

from __future__ import annotations

import json
import logging
import unicodedata
from io import StringIO

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from estela_terminal.printable import (
    printable,
    printable_json,
    printable_lines,
    printable_logger,
    printable_record,
)

HOSTILE = (
    "\x1b[31mred\x1b[0m",  # colours
    "\x1b]0;title\x07",  # the window's title
    "\x9b31m\x9d0;title\x9c",  # the same in the upper control characters
    "\x00\x07\x08\x7f\x85\xad",
    "line\r\nline\tcell\x0b\x0c",
    "\u202eevil\u202c \u2066x\u2069 \u200e\u200f\u061c",  # turns the direction of writing
    "a\u200bb\u200cc\u200dd\u2060e\ufefff\u115fg\u3164h\ufe01i\U000e0041",  # takes no room
    "\u2028\u2029",  # ends lines
    "\ud800\udfff \udc80",  # halves of characters; a byte of a file's name that is no text
    "[red]markup[/red] [/x] :key: [link=file:///]",
)
text = st.text(st.characters(exclude_categories=()), max_size=60) | st.sampled_from(HOSTILE)


def is_harmless(shown: str) -> bool:
    """Whether a terminal only shows it, and a person sees all of it."""
    kinds = {unicodedata.category(character) for character in shown}
    return not kinds & {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


@given(text)
@example("".join(HOSTILE))
def test_nothing_that_a_terminal_obeys_is_in_it(value: str) -> None:
    assert is_harmless(printable(value))
    assert is_harmless(printable_lines(value).replace("\n", ""))


@given(text)
@example("".join(HOSTILE))
def test_nothing_is_left_out(value: str) -> None:
    rest = printable(value)

    for character in value:
        shown = character if rest.startswith(character) else character.encode("unicode_escape").decode()
        assert rest.startswith(shown)
        rest = rest[len(shown) :]

    assert rest == ""


@given(text)
def test_what_is_printable_already_stays_as_it_is(value: str) -> None:
    assert printable(printable(value)) == printable(value)


@pytest.mark.parametrize(
    "word", ["Café 中文 日本語", "C:\\new\\x1b", "a\u00a0b\u3000c", "❤️ 🎉", "[red]:key:[/x]"]
)
def test_words_of_any_language_stay_as_they_are(word: str) -> None:
    assert printable(word) == word


@given(st.recursive(text | st.integers() | st.none(), lambda inner: st.dictionaries(text, st.lists(inner))))
@example({"".join(HOSTILE): ["".join(HOSTILE)]})
def test_json_stays_the_same_value(value: object) -> None:
    written = json.dumps(value, ensure_ascii=False, indent=1)

    shown = printable_json(written)
    ascii_only = printable_json(written, ascii_only=True)

    # Two halves of a character side by side are the character to whoever reads JSON.
    assert json.loads(shown) == json.loads(ascii_only) == json.loads(json.dumps(value))
    assert is_harmless(shown.replace("\n", ""))
    assert ascii_only.isascii()
    shown.encode()  # it is UTF-8


@given(text, text)
def test_a_record_is_one_line_whoever_writes_it(message: str, name: str) -> None:
    out = StringIO()
    logger = printable_logger("tests.printable")
    handler = logging.StreamHandler(out)
    logger.addHandler(handler)
    try:
        logger.error("%s: %s", name, message)
    finally:
        logger.removeHandler(handler)

    assert out.getvalue() == f"{printable(name)}: {printable(message)}\n"


def test_no_line_of_a_traceback_looks_like_one_of_the_log() -> None:
    out = StringIO()
    handler = logging.StreamHandler(out)
    handler.addFilter(printable_record)
    logger = logging.getLogger("tests.traceback")
    logger.addHandler(handler)

    try:
        raise ValueError("\x1b[31m\n2026-01-01 INFO all is stored")
    except ValueError:
        logger.exception("It failed.")
    logger.removeHandler(handler)

    first, *traceback = out.getvalue().rstrip("\n").split("\n")
    assert first == "It failed."
    assert all(line.startswith("    ") and is_harmless(line) for line in traceback)
    assert "ValueError: \\x1b[31m" in out.getvalue()


def test_a_record_with_wrong_arguments_is_left_to_its_handler() -> None:
    record = logging.LogRecord("name", logging.INFO, "", 1, "%s %s", ("one",), None)

    assert printable_record(record)
    assert record.args == ("one",)
