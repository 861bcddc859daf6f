"""From a platform's name to producers and consumers: the functions that estela's code imports."""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping
from importlib.metadata import entry_points
from typing import Any

from estela_queue_adapter.errors import ConfigurationError
from estela_queue_adapter.interfaces import Consumer, PartitionListener, Platform, Producer
from estela_queue_adapter.settings import (
    PREFIX,
    read,
    refuse_unknown,
    unread_settings,
    variable,
    variables_of,
)
from estela_queue_adapter.subscription import Subscription
from estela_terminal.printable import printable_logger

ENTRY_POINTS = "estela.queue_platforms"

logger = printable_logger(__name__)


def open_platform(
    platform: str | None = None, *, environ: Mapping[str, str] | None = None, **arguments: Any
) -> Platform:
    """The configured platform; connects to nothing yet.

    `platform` or the variable QUEUE_PLATFORM names it, `arguments` are its settings and win over the
    variables QUEUE_PLATFORM_<ARGUMENT>. Raises ConfigurationError.
    """
    environ = os.environ if environ is None else environ
    name = platform or environ.get(PREFIX) or ""
    cls = platform_class(name or "embedded")
    refuse_unknown(arguments, cls.settings_class)
    set_names = [name for name, value in environ.items() if value]
    for told in unread_settings(
        set_names, variable(""), variables_of(cls.settings_class, Subscription), queue_variables
    ):
        logger.warning("%s", told)
    opened = cls(read(cls.settings_class, environ, arguments))
    if not name:
        _tell_default(opened.describe())
    return opened


@functools.cache
def _tell_default(described: str) -> None:
    """Once in a process for each queue, however often it is opened."""
    logger.info(
        "%s is not set: using the embedded queue, %s. Set %s=kafka for Kafka.", PREFIX, described, PREFIX
    )


def get_producer_interface(
    platform: str | None = None, *, environ: Mapping[str, str] | None = None, **arguments: Any
) -> Producer:
    """A producer for the configured platform; see `open_platform` and `Producer`."""
    return open_platform(platform, environ=environ, **arguments).producer()


def get_consumer_interface(
    platform: str | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    listener: PartitionListener | None = None,
    topic: str | None = None,
    group: str | None = None,
    max_timeout: float | None = None,
    idle_timeout: float | None = None,
    **arguments: Any,
) -> Consumer:
    """A consumer of `topic` for the configured platform; see `open_platform` and `Consumer`."""
    environ = os.environ if environ is None else environ
    given = {"topic": topic, "group": group, "max_timeout": max_timeout, "idle_timeout": idle_timeout}
    subscription = read(Subscription, environ, given)
    return open_platform(platform, environ=environ, **arguments).consumer(subscription, listener)


def platform_class(name: str) -> type[Platform]:
    """The platform that is registered under the name. Raises ConfigurationError."""
    registered = {point.name: point for point in entry_points(group=ENTRY_POINTS)}
    if name not in registered:
        choices = ", ".join(sorted(registered)) or "none: is estela-scrapy or estela-consumer installed?"
        raise ConfigurationError(f"{PREFIX}={name} is not a known platform; the valid choices are: {choices}")
    loaded: type[Platform] = registered[name].load()
    return loaded


@functools.cache
def queue_variables() -> frozenset[str]:
    """Every QUEUE_PLATFORM* variable that some registered platform reads. Imports each platform."""
    classes: list[type[Any]] = [Subscription]
    for point in entry_points(group=ENTRY_POINTS):
        try:
            classes.append(point.load().settings_class)
        except Exception as error:  # noqa: BLE001  (another's package, which is not the one that is used)
            logger.debug("The platform %s cannot be loaded: %s", point.name, error)
    return frozenset(variables_of(*classes))
