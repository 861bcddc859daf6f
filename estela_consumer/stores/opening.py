"""From a URL to a store."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import entry_points

from estela_consumer.errors import UsageError
from estela_consumer.stores.interface import Store
from estela_queue_adapter.files.values import hidden

ENTRY_POINTS = "estela.stores"
DEFAULT_URL = "sqlite:///.estela/store.db"

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreSettings:
    """Which store, and how to reach it."""

    url: str = field(default="", repr=False)  # it may carry a password
    url_from_file: bool = False
    """Whether no error may quote the URL."""
    tls: bool = False
    """Insist on TLS, whatever the URL says."""
    tls_ca_file: str = ""


def open_store(settings: StoreSettings) -> Store:
    """The store for the URL's scheme; connects to nothing yet. Raises UsageError."""
    if not settings.url_from_file:
        return _open(settings)
    try:
        return _open(settings)
    except UsageError as error:
        raise UsageError(hidden(str(error), "DB_CONNECTION", settings.url)) from None


def _open(settings: StoreSettings) -> Store:
    scheme, separator, _ = (settings.url or DEFAULT_URL).partition("://")
    registered = {point.name: point for point in entry_points(group=ENTRY_POINTS)}
    if not separator or scheme not in registered:
        choices = (
            ", ".join(f"{name}://" for name in sorted(registered))
            or "none: is estela-scrapy or estela-consumer installed?"
        )
        raise UsageError(
            f"the store's URL (--store, DB_CONNECTION) must begin with one of: {choices}"
            + (f"; it begins with {scheme}://" if separator else "")
        )
    opener: Callable[[StoreSettings], Store] = registered[scheme].load()
    store = opener(settings)
    if not settings.url:
        _tell_default(store.describe())
    return store


@functools.cache
def _tell_default(described: str) -> None:
    """Once in a process for each store, however often it is opened."""
    logger.info(
        "DB_CONNECTION is not set: using the embedded store, %s. Set it to mongodb://... for MongoDB.",
        described,
    )
