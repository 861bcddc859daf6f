"""One door to the queue, whatever the queue is."""

# ruff: noqa: E402
from estela_terminal.python_version import check_python

check_python()  # before anything is imported that an old one cannot read

from estela_queue_adapter.conflicts import check_alone
from estela_queue_adapter.interfaces import (
    Consumer,
    PartitionListener,
    Platform,
    Producer,
    Transactions,
)
from estela_queue_adapter.messages import Message, Outgoing, Position, Unreadable
from estela_queue_adapter.registry import get_consumer_interface, get_producer_interface, open_platform
from estela_queue_adapter.settings import get_queue_env_vars
from estela_queue_adapter.subscription import Subscription

check_alone()

__version__ = "0.2.0.dev0"

# Loggers that estela's entrypoint silences, so that logging about the queue does not go to the queue.
queue_noisy_libraries = ["kafka", "librdkafka"]

__all__ = [
    "Consumer",
    "Message",
    "Outgoing",
    "PartitionListener",
    "Platform",
    "Position",
    "Producer",
    "Subscription",
    "Transactions",
    "Unreadable",
    "get_consumer_interface",
    "get_producer_interface",
    "get_queue_env_vars",
    "open_platform",
    "queue_noisy_libraries",
]
