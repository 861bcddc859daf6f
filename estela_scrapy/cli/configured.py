"""The extension's settings as a command has them: those of the environment win over the project's."""

from __future__ import annotations

from scrapy.settings import SETTINGS_PRIORITIES, Settings

from estela_config.configuration import Configuration
from estela_queue_adapter.files.values import SUFFIX
from estela_scrapy.settings import ExtensionSettings


def scrapy_settings(configuration: Configuration) -> Settings:
    """A copy of the project's, or Scrapy's own if there is no project."""
    return configuration.project.settings.copy() if configuration.project else Settings()


def extension_settings(configuration: Configuration) -> ExtensionSettings:
    """What a crawl with this configuration would have. Raises ConfigurationError.

    Other than in a crawl the environment wins over the project, as for every command.
    """
    settings = scrapy_settings(configuration)
    for name, value in configuration.environ.items():
        if not value or not name.startswith(("ESTELA_", "QUEUE_PLATFORM")):
            continue
        for other in (f"{name}{SUFFIX}", name.removesuffix(SUFFIX)):
            if other != name and other in settings:
                settings.delete(other, priority=SETTINGS_PRIORITIES["cmdline"])
        settings.set(name, value, priority="cmdline")
    return ExtensionSettings.from_scrapy(settings, configuration.environ)
