"""Where the commands' tests run: those of the consumer's."""

from tests.consumer.conftest import on_servers, surroundings

__all__ = ["on_servers", "surroundings"]
