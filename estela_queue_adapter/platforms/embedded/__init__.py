"""A queue in one file, for one machine: development, small crawls, tests."""

from estela_queue_adapter.platforms.embedded.platform import EmbeddedPlatform

__all__ = ["EmbeddedPlatform"]
