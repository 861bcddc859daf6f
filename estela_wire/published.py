"""Which topics a crawl publishes its data to, as its settings say."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from estela_queue_adapter.errors import ConfigurationError
from estela_queue_adapter.settings import Source, as_text, first_given, setting, settings_of
from estela_queue_adapter.topic_names import is_topic
from estela_terminal.printable import shown
from estela_wire.topics import ITEMS_TOPIC, LOGS_TOPIC, REQUESTS_TOPIC, STATS_TOPIC

PREFIX = "ESTELA"
ITEMS = f"{PREFIX}_ITEMS"
"""What is otherwise for some items, such as their topic."""


def topic(name: str, given: Any) -> str:
    """A topic's name; empty, False or None, also as such words, switches its stream off.

    Raises ConfigurationError, as each kind of a setting does.
    """
    if given is None:
        return ""
    try:
        text = as_text(given)
    except ValueError as error:
        raise ConfigurationError(f"{name}={shown(given)} is not a topic") from error
    if text.lower() in ("false", "none"):
        return ""
    if text.lower() == "true":
        raise ConfigurationError(f"{name}={text} is not a topic; name one")
    if text and not is_topic(text):
        raise ConfigurationError(
            f"{name}={shown(text)} is no topic: letters, digits, dots, underscores and dashes make one, "
            "249 at most; empty, False or None switches the stream off"
        )
    return text


def topic_setting(default: str) -> dict[str, Any]:
    """The metadata of a field that names a topic; an empty one is a choice, not a missing value."""
    return setting(topic, default, empty_counts=True)


ADDON_TOPICS = {"ESTELA_STATS_TOPIC": STATS_TOPIC, "ESTELA_LOGS_TOPIC": LOGS_TOPIC}
"""What a project has that names the add-on and does not set these itself."""


@dataclass(frozen=True, slots=True)
class DataTopics:
    """The streams whose messages a consumer stores. Field `<x>` is the setting `ESTELA_<X>`; empty: none."""

    items_topic: str = field(metadata=topic_setting(ITEMS_TOPIC))
    requests_topic: str = field(metadata=topic_setting(REQUESTS_TOPIC))
    stats_topic: str = field(metadata=topic_setting(""))
    logs_topic: str = field(metadata=topic_setting(""))


class PublishedTopic(NamedTuple):
    """A topic that a crawl with these settings publishes data to."""

    topic: str
    name: str
    """The setting that says so."""
    origin: str
    """Where that is set, for people; empty: it is the default."""


def published_topics(
    sources: Sequence[Source], entries: Any = None, entries_origin: str = ""
) -> list[PublishedTopic]:
    """The topics to consume, in the order of their settings; none if all streams are switched off.

    `sources` are asked as for any setting: the first that has it counts. `entries` is ESTELA_ITEMS, which no
    variable may be able to say, and `entries_origin` where that is set. Raises ConfigurationError.
    """
    found: dict[str, PublishedTopic] = {}
    for field_name, each in settings_of(DataTopics).items():
        given = first_given(each, sources)
        value = each.metadata["default"] if given is None else given.value
        name = f"{PREFIX}_{field_name.upper()}"
        named = topic(name, value)
        if named:
            found.setdefault(named, PublishedTopic(named, name, given.origin if given else ""))
    for named in _topics_of(entries):
        found.setdefault(named, PublishedTopic(named, ITEMS, entries_origin))
    return list(found.values())


def _topics_of(entries: Any) -> Iterator[str]:
    """Those that the entries of ESTELA_ITEMS name. What else is wrong with them is told by the crawl."""
    if isinstance(entries, str) and entries:
        try:
            entries = json.loads(entries)
        except ValueError as error:
            raise ConfigurationError(f"{ITEMS}={shown(entries)} is not JSON: {error}") from error
    if not isinstance(entries, Mapping):
        return
    for options in entries.values():
        if isinstance(options, Mapping) and (named := topic(f"{ITEMS}: topic", options.get("topic"))):
            yield named
