"""The commands in a terminal, a narrow one: the tests of the commands themselves read files."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import termios

import pytest

from tests.consumer.commands import command, envelope, publish


def in_a_terminal(columns: int, name: str, *arguments: str) -> str:
    """What a person sees of a command that ends by itself."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    process = subprocess.Popen(
        [*command(name), *arguments],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, "TERM": "dumb"},
    )
    os.close(theirs)
    seen = b""
    try:
        while piece := os.read(ours, 65536):
            seen += piece
    except OSError:  # how a terminal says that its last user is gone
        pass
    finally:
        os.close(ours)
        process.wait(30)
    return seen.decode()


@pytest.mark.usefixtures("workdir")
def test_a_line_of_the_log_has_its_level_once() -> None:
    publish("topic", [envelope({"n": 1})])

    seen = in_a_terminal(120, "estela-consume", "topic", "--drain")

    assert seen.count("WARNING") == 2  # the queue's file and the store's
    assert "estela_consumer." not in seen


@pytest.mark.usefixtures("workdir")
def test_a_dataset_is_named_whole_however_narrow_the_terminal_is() -> None:
    collection = "a-collection-with-a-name-that-is-longer-than-the-terminal-is-wide"
    publish("topic", [envelope({"n": 1}, dataset_name=collection)])
    in_a_terminal(50, "estela-consume", "topic", "--drain")

    seen = in_a_terminal(50, "estela-data", "list")

    assert f"project/{collection}" in "".join(line.split(" ")[0] for line in seen.splitlines())
