"""Finding a topic's partitions, or why it is not shown to us."""

from __future__ import annotations

from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition
from kafka import errors as kafka_errors

from estela_queue_adapter.errors import QueueUnreachable, TopicDenied, TopicMissing
from estela_queue_adapter.platforms.kafka.clients import connect
from estela_queue_adapter.platforms.kafka.errors import translated
from estela_queue_adapter.platforms.kafka.settings import KafkaSettings


def partitions_of(client: KafkaConsumer, settings: KafkaSettings, topic: str) -> list[TopicPartition]:
    """The topic's partitions, in their order. Blocks; raises TopicMissing, TopicDenied, QueueUnreachable."""
    with translated(",".join(settings.bootstrap_servers)):
        numbers = client.partitions_for_topic(topic)
    if not numbers:
        raise absence(settings, topic) or QueueUnreachable(
            f"the topic {topic} has only just appeared; try again"
        )
    return [TopicPartition(topic, number) for number in sorted(numbers)]


def absence(settings: KafkaSettings, topic: str) -> TopicMissing | TopicDenied | None:
    """What to raise for a topic that a client of ours does not see; None where the brokers do show it.

    Consumers and producers are told nothing about a topic that they have no permission for. Blocks; raises
    QueueError.
    """
    where = ",".join(settings.bootstrap_servers)
    admin = connect(KafkaAdminClient, settings)
    try:
        with translated(where):
            [told] = admin.describe_topics([topic])
    finally:
        admin.close()
    if told["error_code"] == kafka_errors.TopicAuthorizationFailedError.errno:
        return denied(topic, where)
    if told["error_code"] == kafka_errors.UnknownTopicOrPartitionError.errno:
        return TopicMissing(f"there is no topic {topic} on Kafka at {where}")
    return None


def denied(topic: str, where: str) -> TopicDenied:
    """What to raise for a topic that we have no permission for."""
    return TopicDenied(f"Kafka at {where}: no permission for the topic {topic}")
