"""`estela-scrapy`: every command under the distribution's own name."""

import sys

from estela_terminal.python_version import check_python

check_python()  # before anything is imported that an old one cannot read

_USAGE = 2  # ExitCode.USAGE, which may be somebody else's or missing here

try:
    import estela_consumer.cli  # noqa: F401  (says in one line if another's packages are in the place of ours)
except ImportError as error:
    sys.stderr.write(f"Error: estela-scrapy is not whole, install it again with --force-reinstall: {error}\n")
    sys.exit(_USAGE)
