"""The add-on: one line that sets everything up."""

from __future__ import annotations

import os

from scrapy.settings import BaseSettings

from estela_scrapy.compat import add_extension
from estela_scrapy.extensions import QueueExtension
from estela_wire.topics import LOGS_TOPIC, STATS_TOPIC

_TOPICS = {"ESTELA_STATS_TOPIC": STATS_TOPIC, "ESTELA_LOGS_TOPIC": LOGS_TOPIC}


class Addon:
    """Adds the extension, with all four streams: stats and logs too, on the topics that estela names.

    What the project or the environment sets itself wins.
    """

    def update_settings(self, settings: BaseSettings) -> None:
        """Scrapy's way in."""
        add_extension(settings, QueueExtension, 500)
        for name, topic in _TOPICS.items():
            settings.set(name, os.environ.get(name, topic), "addon")
