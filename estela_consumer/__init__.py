"""The consumer side: from the queue into the store."""

from estela_terminal.python_version import check_python

check_python()  # before anything is imported that an old one cannot read
