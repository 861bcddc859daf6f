"""Where the extension's settings come from, and which names there nobody reads."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from fnmatch import fnmatchcase
from typing import Any

from scrapy.settings import SETTINGS_PRIORITIES, BaseSettings

from estela_queue_adapter.errors import ConfigurationError
from estela_queue_adapter.registry import queue_variables as known_queue_variables
from estela_queue_adapter.settings import PREFIX as QUEUE_PREFIX
from estela_queue_adapter.settings import Field, Given, unread_settings, variable
from estela_scrapy.setting_kinds import variable_text
from estela_terminal.printable import shown
from estela_wire.typed_values import JSON

PREFIX = "ESTELA"

# Variables of the same prefix that others read: estela itself, and estela-consume and its sisters.
ESTELAS = (
    "ESTELA_SPIDER_*",
    "ESTELA_API_*",
    "ESTELA_AUTH_TOKEN",
    "ESTELA_COLLECTION",
    "ESTELA_UNIQUE_COLLECTION",
    "ESTELA_PROXY_*",
    "ESTELA_PROXIES_*",
)
READ_BESIDE = ("ESTELA_SPIDER_JOB", "ESTELA_COLLECTION", "ESTELA_UNIQUE_COLLECTION")
"""Those of estela's that a crawl of ours reads."""
CONSUMERS = (
    "ESTELA_DRAIN",
    "ESTELA_CHUNK_COUNT",
    "ESTELA_CHUNK_BYTES",
    "ESTELA_CHUNK_AGE",
    "ESTELA_WRITERS",
    "ESTELA_RATE",
    "ESTELA_MAX_WAIT",
    "ESTELA_GRACE",
    "ESTELA_AUTH_MAX_WAIT",
    "ESTELA_LOG_INTERVAL",
    "ESTELA_RETENTION",
    "ESTELA_LISTEN",
    "ESTELA_LISTEN_NAMES",
    "ESTELA_LOG_FORMAT",
    "ESTELA_JSON",
    "ESTELA_VERBOSE",
)


class ScrapySettings:
    """Scrapy's settings, each as set at its highest priority."""

    def __init__(self, settings: BaseSettings) -> None:
        self._settings = settings

    def find(self, field: Field) -> Given | None:
        name = variable(field.name, PREFIX)
        value = self._settings.get(name)
        if value is None and not (field.metadata["empty_counts"] and name in self._settings):
            return None
        return Given(name, value)


class EstelasUnique:
    """ESTELA_UNIQUE_COLLECTION, by which estela asks for `unique`: the word True or False."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ

    def find(self, field: Field) -> Given | None:
        name = "ESTELA_UNIQUE_COLLECTION"
        value = self._environ.get(name)
        if field.name != "unique" or not value:
            return None
        if value not in ("True", "False"):
            raise ConfigurationError(f"{name}={shown(value)}: the valid choices are True and False")
        return Given(name, value)


class EstelasTypes:
    """Plain JSON for a job of estela's, whose readers expect it."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ

    def find(self, field: Field) -> Given | None:
        if field.name != "types" or not is_estelas_job(self._environ):
            return None
        return Given(variable(field.name, PREFIX), JSON)


def is_estelas_job(environ: Mapping[str, str]) -> bool:
    """Whether estela's variables of a job are set, any of those that a crawl of ours reads."""
    return any(environ.get(name) for name in READ_BESIDE)


def is_set_by_operator(name: str, settings: BaseSettings, environ: Mapping[str, str]) -> bool:
    """Whether the command line or the environment sets it, rather than the project or a spider."""
    priority = settings.getpriority(name) or 0
    return priority >= SETTINGS_PRIORITIES["cmdline"] or bool(environ.get(name))


def queue_variables(settings: BaseSettings) -> dict[str, str]:
    """Scrapy's QUEUE_PLATFORM* settings, as the environment would have them. Raises ConfigurationError."""
    given: dict[str, Any] = {name: settings[name] for name in settings if name.startswith(QUEUE_PREFIX)}
    return {name: variable_text(name, value) for name, value in given.items() if value not in (None, "")}


def misspelt_names(known: Collection[str], settings: BaseSettings, environ: Mapping[str, str]) -> list[str]:
    """What to say of each ESTELA_* name that is not `known`, nor estela's or the consumer's.

    Also of each of Scrapy's settings that is almost called like one of the queue's; those that begin as the
    queue's do, and the environment's, are told by whoever opens the queue.
    """
    given = {
        name
        for name in (*settings, *environ)
        if not any(fnmatchcase(name, pattern) for pattern in (*ESTELAS, *CONSUMERS))
    }
    scrapys = {name for name in settings if not name.startswith(QUEUE_PREFIX)}
    return [
        *unread_settings(given, variable("", PREFIX), known, lambda: {*known, *READ_BESIDE}),
        *unread_settings(scrapys, variable(""), (), known_queue_variables),
    ]
