"""The add-on: one line that sets everything up."""

from __future__ import annotations

import contextlib
import os

from scrapy.settings import BaseSettings
from scrapy.utils.misc import load_object

from estela_scrapy.compat import add_extension
from estela_scrapy.extensions import QueueExtension
from estela_wire.published import ADDON_TOPICS


def enabled_by(settings: BaseSettings) -> str:
    """Which setting of a project names the extension, EXTENSIONS or ADDONS; empty if neither does.

    What cannot be imported is passed over: Scrapy says so when it crawls.
    """
    for name, wanted in (("EXTENSIONS", QueueExtension), ("ADDONS", Addon)):
        for component, order in settings.getdict(name).items():
            with contextlib.suppress(ImportError, NameError, ValueError, AttributeError):
                if order is not None and load_object(component) is wanted:
                    return name
    return ""


class Addon:
    """Adds the extension, with all four streams: stats and logs too, on the topics that estela names.

    What the project or the environment sets itself wins.
    """

    def update_settings(self, settings: BaseSettings) -> None:
        """Scrapy's way in."""
        add_extension(settings, QueueExtension, 500)
        for name, topic in ADDON_TOPICS.items():
            settings.set(name, os.environ.get(name, topic), "addon")
