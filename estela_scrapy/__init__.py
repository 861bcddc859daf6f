"""The Scrapy side: an extension that publishes what a crawl brings."""

from estela_terminal.python_version import check_python

check_python()  # before anything is imported that an old one cannot read

from estela_queue_adapter.conflicts import check_alone  # noqa: E402

check_alone()  # before anything is imported that may be somebody else's

from estela_scrapy.compat import check_scrapy  # noqa: E402

check_scrapy()  # before anything is imported that an old one does not have

from estela_scrapy.addon import Addon  # noqa: E402
from estela_scrapy.extensions import QueueExtension  # noqa: E402

__all__ = ["Addon", "QueueExtension"]
