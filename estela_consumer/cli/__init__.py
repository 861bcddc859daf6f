"""The commands: arguments, a docstring and one call each."""

import sys

_USAGE = 2  # ExitCode.USAGE, which may be somebody else's or missing here

# An error of one line, before a module that is somebody else's is imported in the place of ours.
try:
    from estela_queue_adapter.conflicts import PackageConflict, check_alone

    try:
        check_alone()
        from estela_queue_adapter import Message  # noqa: F401  (theirs has none)
    except PackageConflict as error:
        sys.stderr.write(f"Error: {error}\n")
        sys.exit(_USAGE)
except ImportError as error:
    sys.stderr.write(
        "Error: the installation is not whole. Install estela-scrapy, or estela-consumer if it is that, "
        f"again with --force-reinstall: {error}\n"
    )
    sys.exit(_USAGE)
