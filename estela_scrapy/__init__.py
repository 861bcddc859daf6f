"""The Scrapy side: an extension that publishes what a crawl brings."""

from estela_scrapy.addon import Addon
from estela_scrapy.extensions import QueueExtension

__all__ = ["Addon", "QueueExtension"]
