"""The commands in a terminal, a narrow one: the tests of the commands themselves read files."""

from __future__ import annotations

import pytest

from tests.consumer.commands import envelope, publish
from tests.terminal.terminal import in_a_terminal

pytestmark = pytest.mark.processes


@pytest.mark.usefixtures("workdir")
def test_a_line_of_the_log_has_its_level_once() -> None:
    publish("topic", [envelope({"n": 1})])

    seen = in_a_terminal(120, "estela-consume", "topic", "--drain")

    assert seen.count(" INFO ") == 4 + seen.count("pruned")  # both defaults, where it consumes from, counts
    assert "WARNING" not in seen
    assert "estela_consumer." not in seen


@pytest.mark.usefixtures("workdir")
def test_a_dataset_is_named_whole_however_narrow_the_terminal_is() -> None:
    collection = "a-collection-with-a-name-that-is-longer-than-the-terminal-is-wide"
    publish("topic", [envelope({"n": 1}, dataset_name=collection)])
    in_a_terminal(50, "estela-consume", "topic", "--drain")

    seen = in_a_terminal(50, "estela-data", "list")

    assert f"project/{collection}" in "".join(line.split(" ")[0] for line in seen.splitlines())
