"""The commands: arguments, a docstring and one call each."""

import sys

_USAGE = 2  # ExitCode.USAGE, which may be somebody else's or missing here

# An error of one line, before a module that is somebody else's is imported in the place of ours.
try:
    from estela_queue_adapter.conflicts import check_alone

    check_alone()
    from estela_queue_adapter import Message  # noqa: F401  (theirs has none)
except ImportError as error:
    if type(error).__name__ == "PackageConflict":  # by its name: what failed may be the import of its module
        sys.stderr.write(f"Error: {error}\n")
    else:
        sys.stderr.write(
            "Error: the installation is not whole. Install estela-scrapy, or estela-consumer if it is that, "
            f"again with --force-reinstall: {error}\n"
        )
    sys.exit(_USAGE)
