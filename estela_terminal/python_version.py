"""The versions of Python that this runs on.

Older ones, from 3.6 on, can read this file and those that are imported before it is called.
"""

import os
import sys

LOWEST = (3, 10)
"""As `python_requires` of setup.cfg has it, which pip may have been told to ignore."""

_USAGE = 2  # ExitCode.USAGE, whose module an old Python cannot read


def check_python() -> None:
    """Raise ImportError if this Python is too old. One of our own commands ends instead, with one line."""
    if sys.version_info >= LOWEST:
        return
    lowest, ours = (".".join(map(str, version)) for version in (LOWEST, sys.version_info[:3]))
    line = (
        f"estela-scrapy needs Python {lowest} or later, and this is Python {ours} at {sys.executable}; "
        "install it with a newer one"
    )
    program = os.path.basename((getattr(sys, "argv", None) or [""])[0])
    if program.startswith("estela-") or program == "consumer.py":
        sys.stderr.write(f"Error: {line}\n")
        sys.exit(_USAGE)
    raise ImportError(line)
