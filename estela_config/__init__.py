"""Where the commands' settings come from: options, environment, `.env` file, Scrapy project."""

from estela_terminal.python_version import check_python

check_python()  # before anything is imported that an old one cannot read
