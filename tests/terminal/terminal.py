"""A terminal with a command in it."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import termios

from tests.consumer.commands import command


def in_a_terminal(columns: int, name: str, *arguments: str, **environ: str) -> str:
    """What comes out at the terminal of a command that ends by itself."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    process = subprocess.Popen(
        [*command(name), *arguments],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, "TERM": "dumb", **environ},
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
