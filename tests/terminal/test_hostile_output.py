"""Whatever was scraped, sent or set, each command shows it, and no output of a command drives a terminal."""

from __future__ import annotations

import json
import os
import re
import unicodedata
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from bson import json_util
from hypothesis import given, settings
from hypothesis import strategies as st

from estela_terminal.printable import printable
from tests.consumer.commands import envelope, publish
from tests.terminal import hostile_world as world
from tests.terminal.hostile_world import evil, invoke
from tests.terminal.terminal import in_a_terminal

pytestmark = pytest.mark.processes

# What rich itself may write on a terminal: colours, and the ways to draw a line again.
_STYLES = re.compile(r"\x1b\[(?:[0-9;]*m|[0-9]*[AK])|\r")


@pytest.fixture(scope="module", autouse=True)
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder of an evil name with all parts in it, drained once."""
    folder = tmp_path_factory.mktemp("hostile") / world.FOLDER
    folder.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for name in [name for name in os.environ if name.startswith(("QUEUE_PLATFORM", "ESTELA_", "DB_"))]:
            patch.delenv(name)
        patch.setenv("QUEUE_PLATFORM", "embedded")
        patch.setenv("DB_CONNECTION", f"sqlite:///{evil('store')}.db".replace("[/x]", "[x]"))
        patch.setenv("COLUMNS", "9999")  # nothing is folded
        world.fill()
        code, _ = invoke("estela-consume", world.TOPIC, "--drain")
        assert code == 3
        yield folder


def drives_no_terminal(out: bytes) -> bool:
    """Whether each character is one that is seen; ends of lines aside."""
    text = out.decode("utf-8").replace("\n", "")
    return not {unicodedata.category(c) for c in text} & {"Cc", "Cf", "Cs", "Zl", "Zp"}


SHOWN = [
    ("estela-consume", [world.TOPIC, "--drain", "--group", evil("GROUP")], 3,
     [world.TOPIC, world.STORED, world.FOLDER]),
    ("estela-data", ["list"], 0, [world.STORED]),
    ("estela-data", ["show", world.STORED], 0, [world.KEY, world.VALUE[:50]]),
    ("estela-data", ["show", evil("no/such")], 2, [evil("no/such")]),
    ("estela-data", ["show", evil("noslash")], 2, ["noslash", "DATABASE/COLLECTION"]),
    ("estela-data", ["--store", "sqlite:///empty.db", "list"], 0, [world.FOLDER]),
    ("estela-dead-letters", ["list", world.TOPIC], 0, ["bad_name", "undecodable"]),
    ("estela-dead-letters", ["show", world.TOPIC, "0:2"], 0, [world.TOPIC, f"header {world.HEADER_NAME}",
     world.HEADER_VALUE, world.MESSAGE_KEY, world.VALUE]),
    ("estela-dead-letters", ["list", evil("other")], 2, ["not a name for a topic"]),
    ("estela-dead-letters", ["show", world.TOPIC, evil("place")], 2, ["place", "PARTITION:OFFSET"]),
    ("estela-dead-letters", ["list", f"{evil('x')}_dead_letters"], 2, [evil("x")]),
    ("estela-outbox", ["list"], 0, [world.TOPIC, world.REFUSED]),
    ("estela-outbox", ["--path", evil("file"), "list"], 2, [evil("file")]),
    ("estela-verify", [world.JOB], 14, [world.TOPIC, world.JOB, world.VALUE]),
    ("estela-verify", [evil("nojob")], 8, [evil("nojob")]),
    ("estela-consume", [evil("--option")], 2, ["--option"]),
    ("estela-data", [evil("verb")], 2, ["verb"]),
]  # fmt: skip


def _first_time(arguments: list[str]) -> list[str]:
    """The arguments with a group that has consumed nothing yet."""
    return [argument.replace("GROUP", uuid.uuid4().hex) for argument in arguments]


@pytest.mark.parametrize(("command", "arguments", "code", "shown"), SHOWN)
def test_what_people_see_is_printable_and_whole(
    command: str, arguments: list[str], code: int, shown: list[str]
) -> None:
    ended, out = invoke(command, *_first_time(arguments))

    assert ended == code, out
    assert drives_no_terminal(out)
    for text in shown:
        assert printable(text) in out.decode()
    assert not [line for line in out.decode().splitlines() if line.startswith("2026-01-01 INFO")]


JSON = [
    ("estela-consume", [world.TOPIC, "--drain", "--json", "--group", "again"], [world.TOPIC, world.STORED]),
    ("estela-data", ["list", "--json"], [world.DATASET]),
    ("estela-data", ["export", world.STORED], [world.KEY, world.VALUE]),
    ("estela-data", ["export", "--raw", world.STORED], [world.KEY, world.VALUE]),
    ("estela-dead-letters", ["list", "--json", world.TOPIC], ["bad_name"]),
    ("estela-dead-letters", ["export", world.TOPIC],
     [world.TOPIC, world.HEADER_NAME, f"no json {world.VALUE}"]),
    ("estela-outbox", ["list", "--json"], [world.TOPIC, world.REFUSED]),
    ("estela-outbox", ["export"], [world.TOPIC, world.REFUSED, world.VALUE]),
    ("estela-verify", [world.JOB, "--json"], [world.TOPIC, f"{world.JOB}.{evil('spider')}.project"]),
    ("estela-verify", [evil("nojob"), "--json"], [evil("nojob")]),
]  # fmt: skip


@pytest.mark.parametrize(("command", "arguments", "held"), JSON)
def test_json_is_printable_and_holds_the_same_text(
    command: str, arguments: list[str], held: list[str]
) -> None:
    _, out = invoke(command, *arguments)

    lines = [line for line in out.decode().splitlines() if line.startswith("{")]
    assert lines
    assert drives_no_terminal(out)
    strings = [text for line in lines for text in _strings(json.loads(line))]
    for text in held:
        assert text in strings


def _strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield key
            yield from _strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _strings(inner)


@pytest.mark.parametrize(
    "variable",
    ["QUEUE_PLATFORM", "QUEUE_PLATFORM_PATH", "ESTELA_CHUNK_COUNT", "ESTELA_WRITERS", "BATCH_SIZE_THRESHOLD",
     "DB_ENGINE", "DB_CONNECTION", "ESTELA_MAX_WAIT", "ESTELA_DRAIN"],
)  # fmt: skip
def test_a_wrong_variable_is_quoted_and_not_obeyed(variable: str) -> None:
    value = evil("/proc/no/such")

    given = {"ESTELA_DRAIN": "1", "ESTELA_MAX_WAIT": "0", variable: value}

    code, out = invoke("estela-consume", world.TOPIC, **given)

    assert code in (2, 4, 5), out
    assert drives_no_terminal(out)
    assert "/proc/no/such" in out.decode() or variable in out.decode()


@pytest.mark.parametrize("term", ["dumb", "xterm-256color"])
@pytest.mark.parametrize(("command", "arguments", "code", "shown"), SHOWN[:2] + SHOWN[7:8] + SHOWN[11:14:2])
def test_a_terminal_gets_nothing_but_our_own_colours(
    term: str, command: str, arguments: list[str], code: int, shown: list[str]
) -> None:
    out = in_a_terminal(2000, command, *_first_time(arguments), TERM=term, COLUMNS="2000")

    out = out.replace("\r\n", "\n")
    rest = out if term == "dumb" else _STYLES.sub("", out)
    assert drives_no_terminal(rest.encode())
    for text in shown:
        assert printable(text) in rest


text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40)


@settings(max_examples=5, deadline=None)
@given(
    st.lists(
        st.tuples(text.filter(bool), text | st.floats() | st.dictionaries(text, text)),
        min_size=1,
        max_size=12,
    )
)
def test_any_scraped_document_is_shown_and_exported_whole(documents: list[tuple[str, object]]) -> None:
    topic = f"any-{uuid.uuid4().hex}"
    payloads = [{key: value} for key, value in documents]
    publish(topic, [envelope(payload, dataset_name=topic, db_name="any") for payload in payloads])
    invoke("estela-consume", topic, "--drain")

    _, shown = invoke("estela-data", "show", f"any/{topic}", "-n", "999")
    _, exported = invoke("estela-data", "export", f"any/{topic}")

    assert drives_no_terminal(shown + exported)
    assert [key for payload in payloads for key in payload if printable(key) not in shown.decode()] == []
    lines = exported.decode().splitlines()
    assert sorted(repr(json_util.loads(line)) for line in lines) == sorted(map(repr, payloads))


@pytest.mark.parametrize("columns", ["20", "80"])
def test_a_document_with_more_fields_than_fit_side_by_side_is_shown_whole(columns: str) -> None:
    topic = f"wide-{uuid.uuid4().hex}"
    payload = {f"field{n}": f"value{n}" for n in range(40)}
    publish(topic, [envelope(payload, dataset_name=topic, db_name="wide")])
    invoke("estela-consume", topic, "--drain")

    _, out = invoke("estela-data", "show", f"wide/{topic}", COLUMNS=columns)

    words = out.decode().split()
    assert [word for pair in payload.items() for word in pair if word not in words] == []


@pytest.mark.parametrize(
    ("command", "arguments"),
    [
        ("estela-consume", ["\udcff", "--drain"]),
        ("estela-consume", ["topic", "--drain", "--group", "\udcff"]),
        ("estela-data", ["export", "a/\udcff"]),
        ("estela-dead-letters", ["replay", "\udcff"]),
        ("estela-verify", ["\udcff"]),
    ],
)
def test_a_name_that_is_no_text_is_a_usage_error(command: str, arguments: list[str]) -> None:
    code, out = invoke(command, *arguments)

    assert code == 2
    assert b"'\\udcff" in out or b"\\udcff' is not UTF-8" in out
    assert drives_no_terminal(out)


@pytest.mark.parametrize(
    "inside", ["[" * depth + "]" * depth for depth in (200, 400, 900, 9000)] + ["9" * 5000, "1e999", "NaN"]
)
def test_a_letter_is_shown_whole_however_deep_or_large(inside: str) -> None:
    topic = f"deep-{uuid.uuid4().hex}"
    message = f'{{"jid": "no jid", "payload": {{"a": {inside}}}}}'
    publish(topic, [message.encode()])
    invoke("estela-consume", topic, "--drain")

    code, out = invoke("estela-dead-letters", "show", topic, "0:0")

    assert code == 0, out
    shown = out.decode().replace(" ", "").replace("\n", "")
    assert inside in shown or "$numberDouble" in shown
