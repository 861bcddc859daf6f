"""Values to bytes and back, whatever the values are."""

from estela_queue_adapter.serialization.codec import deserialize, serialize

__all__ = ["deserialize", "serialize"]
