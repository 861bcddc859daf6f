"""How kafka-python is used: with parts that are not public, if they are what we know."""

from __future__ import annotations

import functools

import kafka

from estela_queue_adapter.platforms.kafka.interface.parts import changed_parts
from estela_queue_adapter.platforms.kafka.interface.public import PublicInterface
from estela_queue_adapter.platforms.kafka.settings import KafkaSettings
from estela_terminal.printable import printable_logger

SERIES = "3.0"
"""The versions of kafka-python whose parts these are, as setup.cfg bounds it."""

_ADVICE = (
    "kafka-python %s is used by its public interface alone, which is slower and knows less of outages: %s. %s"
)

logger = printable_logger(__name__)


def interface_for(settings: KafkaSettings) -> PublicInterface:
    """How kafka-python is used with these settings. The public way is told in the log, once in a process."""
    return _interface(settings.public_interface)


@functools.cache
def _interface(public: bool) -> PublicInterface:
    why, what_to_do = why_public(kafka.__version__), f"Install kafka-python {SERIES}.*, or go on like this"
    if public:
        why, what_to_do = "QUEUE_PLATFORM_PUBLIC_INTERFACE is set", "Unset it when you have seen enough"
    if why:
        logger.warning(_ADVICE, kafka.__version__, why, f"{what_to_do}.")
        return PublicInterface()
    # Imported only now, as another series may have no such modules.
    from estela_queue_adapter.platforms.kafka.interface.private import PrivateInterface

    return PrivateInterface()


def why_public(version: str) -> str:
    """Why the parts that are not public cannot be used with this version; empty if they can."""
    if version != SERIES and not version.startswith(f"{SERIES}."):
        return f"its parts are known in the series {SERIES} alone"
    if changed := changed_parts():
        return f"parts of it have changed: {'; '.join(changed)}"
    return ""
