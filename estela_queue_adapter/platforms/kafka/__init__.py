"""Apache Kafka, through kafka-python. Nothing outside this package imports it."""

from estela_queue_adapter.platforms.kafka.platform import KafkaPlatform

__all__ = ["KafkaPlatform"]
