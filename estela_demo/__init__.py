"""A shop's web site, a Scrapy project that crawls it, and the whole flow in one go."""

from estela_terminal.python_version import check_python

check_python()  # before anything is imported that an old one cannot read
