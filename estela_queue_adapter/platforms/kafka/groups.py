"""What the brokers know of a consumer group."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kafka import KafkaAdminClient

from estela_queue_adapter.errors import AccessDenied, QueueUnreachable
from estela_queue_adapter.members import GroupMember
from estela_queue_adapter.platforms.kafka.connections.brokers import Brokers
from estela_queue_adapter.platforms.kafka.connections.clients import connect
from estela_queue_adapter.platforms.kafka.errors import translated
from estela_queue_adapter.platforms.kafka.settings import KafkaSettings

_NO_GROUP = "Dead"  # as brokers call it, from some version on with an error besides


def members_of(settings: KafkaSettings, group_id: str, topic: str) -> list[GroupMember]:
    """Those that read the topic, also if they have no partition. Blocks; raises QueueError."""
    brokers = Brokers(settings)
    admin = connect(KafkaAdminClient, settings, brokers)
    try:
        with translated(brokers):
            found = admin.describe_groups([group_id])[group_id]
    finally:
        admin.close()
    if error := found["error"]:
        if found["group_state"] == _NO_GROUP:
            return []
        kind = AccessDenied if "Authorization" in error else QueueUnreachable
        raise kind(f"Kafka at {brokers} does not tell the members of the group {group_id}: {error}")
    return [
        GroupMember(
            each["client_id"] or "", (each["client_host"] or "").lstrip("/"), _partitions(each, topic)
        )
        for each in found["members"]
        if topic in _topics(each)
    ]


def _partitions(member: Mapping[str, Any], topic: str) -> tuple[int, ...]:
    """Those that it has been given; none if it has only joined, or speaks another protocol."""
    assignment = member["member_assignment"]
    given = assignment.get("assigned_partitions", ()) if isinstance(assignment, Mapping) else ()
    return tuple(sorted(number for each in given if each["topic"] == topic for number in each["partitions"]))


def _topics(member: Mapping[str, Any]) -> set[str]:
    metadata = member["member_metadata"]
    return set(metadata.get("topics", ())) if isinstance(metadata, Mapping) else set()
