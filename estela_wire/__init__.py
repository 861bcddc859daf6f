"""What crawl and consumer must agree on, each in one place.

The ids of messages, jids, topics, datasets, headers, the envelope and the closing record.
"""

from estela_terminal.python_version import check_python

check_python()  # before anything is imported that an old one cannot read
