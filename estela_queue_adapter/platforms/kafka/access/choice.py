"""Which access to kafka-python there is: the one with parts that are not public, if they are what we know."""

from __future__ import annotations

import functools

import kafka

from estela_queue_adapter.platforms.kafka.access.parts import changed_parts
from estela_queue_adapter.platforms.kafka.access.public import PublicAccess
from estela_queue_adapter.platforms.kafka.settings import KafkaSettings
from estela_terminal.printable import printable_logger

SERIES = "3.0"
"""The versions of kafka-python whose parts these are, as setup.cfg bounds it."""

_ADVICE = (
    "kafka-python %s is used by its public interface alone, which is slower and knows less of outages: %s. %s"
)

logger = printable_logger(__name__)


def access_to(settings: KafkaSettings) -> PublicAccess:
    """The access for these settings. If it is the public one, the log says so, once in a process."""
    return _access(settings.public_interface)


@functools.cache
def _access(public: bool) -> PublicAccess:
    why, what_to_do = why_public(kafka.__version__), f"Install kafka-python {SERIES}.*, or go on like this"
    if public:
        why, what_to_do = "QUEUE_PLATFORM_PUBLIC_INTERFACE is set", "Unset it when you have seen enough"
    if why:
        logger.warning(_ADVICE, kafka.__version__, why, f"{what_to_do}.")
        return PublicAccess()
    # Imported only now, as another series may have no such modules.
    from estela_queue_adapter.platforms.kafka.access.private import PrivateAccess

    return PrivateAccess()


def why_public(version: str) -> str:
    """Why the parts that are not public cannot be used with this version; empty if they can."""
    if version != SERIES and not version.startswith(f"{SERIES}."):
        return f"its parts are known in the series {SERIES} alone"
    if changed := changed_parts():
        return f"parts of it have changed: {'; '.join(changed)}"
    return ""
