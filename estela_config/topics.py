"""The topics that a command is about if none is named."""

from __future__ import annotations

import logging

from estela_config.configuration import Configuration
from estela_queue_adapter.errors import ConfigurationError
from estela_wire.published import ITEMS, PREFIX, published_topics

logger = logging.getLogger(__name__)


def topics_of_settings(configuration: Configuration, doing: str) -> tuple[str, ...]:
    """Those that the settings publish data to; the log says which, and what is done (`doing`) with them.

    Raises ConfigurationError if no setting says so, or if all streams are switched off.
    """
    published = published_topics(configuration.sources(PREFIX), *configuration.given(ITEMS))
    if not (configuration.project or any(each.origin for each in published)):
        raise ConfigurationError(
            "Missing argument 'TOPIC...': name a topic, set ESTELA_ITEMS_TOPIC, or run this in the folder of "
            "a Scrapy project, whose settings say what it publishes to"
        )
    if not published:
        raise ConfigurationError("the settings switch every stream off, so there is no topic; name one")
    told = (
        f"{topic} ({name}, from {origin})" if origin else f"{topic} (the default of {name})"
        for topic, name, origin in published
    )
    logger.info("No topic is named; %s those that the settings name: %s", doing, ", ".join(told))
    return tuple(each.topic for each in published)
