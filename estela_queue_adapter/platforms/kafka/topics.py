"""Finding a topic's partitions, or why it is not shown to us."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition
from kafka import errors as kafka_errors

from estela_queue_adapter.access import CREATE, READ, WRITE, TopicAccess
from estela_queue_adapter.errors import QueueUnreachable, TopicDenied, TopicMissing
from estela_queue_adapter.platforms.kafka.connections.brokers import Brokers
from estela_queue_adapter.platforms.kafka.connections.clients import connect
from estela_queue_adapter.platforms.kafka.errors import translated
from estela_queue_adapter.platforms.kafka.interface.choice import interface_for
from estela_queue_adapter.platforms.kafka.settings import KafkaSettings

_ANSWER_TIMEOUT = 5.0  # seconds
_ATTEMPTS = 3


def partitions_of(
    client: KafkaConsumer, settings: KafkaSettings, brokers: Brokers, topic: str
) -> list[TopicPartition]:
    """The topic's partitions, in their order. Blocks; raises TopicMissing, TopicDenied, QueueUnreachable."""
    numbers = interface_for(settings).known_partitions(client, topic)
    for attempt in range(_ATTEMPTS):
        if numbers:
            break
        try:
            numbers = look_up(client, settings, brokers, topic)
            break
        except QueueUnreachable:  # the next one asks another broker
            if attempt == _ATTEMPTS - 1:
                raise
    if not numbers:
        raise absence(settings, brokers, topic) or QueueUnreachable(
            f"the topic {topic} has only just appeared; try again"
        )
    return [TopicPartition(topic, number) for number in sorted(numbers)]


def absence(settings: KafkaSettings, brokers: Brokers, topic: str) -> TopicMissing | TopicDenied | None:
    """What to raise for a topic that a client of ours does not see; None if the brokers do show it.

    Brokers show consumers and producers nothing of a topic that they have no permission for. Blocks; raises
    QueueError.
    """
    description = _describe(settings, brokers, topic)
    if description["error_code"] == kafka_errors.TopicAuthorizationFailedError.errno:
        return denied(topic, brokers)
    if description["error_code"] == kafka_errors.UnknownTopicOrPartitionError.errno:
        return TopicMissing(f"there is no topic {topic} on Kafka at {brokers}")
    return None


def access_to(settings: KafkaSettings, topics: Sequence[str]) -> list[TopicAccess]:
    """What the brokers say of these topics and of our permissions. Blocks; raises QueueError."""
    brokers = Brokers(settings)
    admin = connect(KafkaAdminClient, settings, brokers)
    try:
        with translated(brokers):
            of_cluster = set(admin.describe_cluster()["authorized_operations"] or ())
            described = {each["name"]: each for each in admin.describe_topics(list(topics))} if topics else {}
    finally:
        admin.close()
    return [_access(topic, described[topic], may_create="CREATE" in of_cluster) for topic in topics]


def _access(topic: str, described: Mapping[str, Any], *, may_create: bool) -> TopicAccess:
    if described["error_code"] == kafka_errors.TopicAuthorizationFailedError.errno:
        return TopicAccess(topic, 0, frozenset({CREATE} if may_create else ()))
    operations = described["authorized_operations"]
    if not operations:  # an old broker, which does not tell
        return TopicAccess(topic, len(described["partitions"]))
    known = {"READ": READ, "WRITE": WRITE, "CREATE": CREATE}
    permitted = {known[each] for each in operations if each in known} | ({CREATE} if may_create else set())
    return TopicAccess(topic, len(described["partitions"]), frozenset(permitted))


def denied(topic: str, brokers: Brokers) -> TopicDenied:
    """What to raise for a topic that we have no permission for."""
    return TopicDenied(f"Kafka at {brokers}: no permission for the topic {topic}")


def look_up(client: KafkaConsumer, settings: KafkaSettings, brokers: Brokers, topic: str) -> set[int]:
    """The topic's partitions as a broker says now; empty if it shows none. Blocks; raises QueueError."""
    with translated(brokers):
        numbers = interface_for(settings).partitions(client, topic, _ANSWER_TIMEOUT)
    if numbers is None:
        description = _describe(settings, brokers, topic)
        numbers = {partition["partition_index"] for partition in description["partitions"]}
    return numbers


def topic_id(client: KafkaConsumer, settings: KafkaSettings, brokers: Brokers, topic: str) -> object:
    """What tells a topic from another of the same name; None from brokers that know no such ids."""
    known = interface_for(settings).topic_id(client, topic)
    return _describe(settings, brokers, topic).get("topic_id") if known is None else known


def _describe(settings: KafkaSettings, brokers: Brokers, topic: str) -> dict[str, Any]:
    """What the brokers say of a topic, on a connection of its own; it is not created. Raises QueueError."""
    admin = connect(KafkaAdminClient, settings, brokers)
    try:
        with translated(brokers):
            [description] = admin.describe_topics([topic])
    finally:
        admin.close()
    return dict(description)
