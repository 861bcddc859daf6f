"""The Scrapy side: an extension that publishes what a crawl brings."""

from estela_queue_adapter.conflicts import check_alone

check_alone()  # before anything is imported that may be somebody else's

from estela_scrapy.compat import check_scrapy  # noqa: E402

check_scrapy()  # before anything is imported that an old one does not have

from estela_scrapy.addon import Addon  # noqa: E402
from estela_scrapy.extensions import QueueExtension  # noqa: E402

__all__ = ["Addon", "QueueExtension"]
