"""Kafka as its operator sees it, by kafka-python's admin client."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from kafka import KafkaAdminClient, OffsetAndMetadata, OffsetSpec, TopicPartition
from kafka import errors as kafka_errors

from estela_queue_adapter.administration import Administration, Group, PartitionRange, Topic
from estela_queue_adapter.errors import ConfigurationError, GroupInUse, QueueUnreachable, TopicMissing
from estela_queue_adapter.messages import Position
from estela_queue_adapter.platforms.kafka.connections.brokers import Brokers
from estela_queue_adapter.platforms.kafka.connections.clients import connect
from estela_queue_adapter.platforms.kafka.errors import translate, translated
from estela_queue_adapter.platforms.kafka.settings import KafkaSettings
from estela_queue_adapter.platforms.kafka.topics import denied
from estela_queue_adapter.topic_names import checked_topic

_CLASSIC = ("classic", "")  # the groups whose members a broker describes by the request that we have
# What a broker says to positions of a group that has members.
_IN_USE = (
    kafka_errors.UnknownMemberIdError,
    kafka_errors.RebalanceInProgressError,
    kafka_errors.IllegalGenerationError,
    kafka_errors.NonEmptyGroupError,
    kafka_errors.GroupSubscribedToTopicError,
)
_LATEST_MOMENT = 2**63 // 1000 - 1  # seconds


class KafkaAdministration(Administration):
    """Each question is one or two requests; the client is connected at the first."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._brokers = Brokers(settings)
        self._connected: KafkaAdminClient | None = None

    @property
    def own_retention(self) -> str:
        return (
            "Kafka removes messages by itself: set the topic's retention.ms or retention.bytes "
            "(kafka-configs.sh --alter --entity-type topics)"
        )

    def topics(self, names: Collection[str] | None = None) -> Sequence[Topic]:
        wanted = None if names is None else [checked_topic(name) for name in names]
        if wanted == []:
            return []
        with self._answered() as client:
            described = [each for each in client.describe_topics(wanted) if not each["is_internal"]]
            if wanted is not None:
                self._check_there(described)
            partitions = [
                TopicPartition(each["name"], partition["partition_index"])
                for each in described
                for partition in each["partitions"]
            ]
            beginnings = _offsets(client, dict.fromkeys(partitions, OffsetSpec.EARLIEST))
            ends = _offsets(client, dict.fromkeys(partitions, OffsetSpec.LATEST))
        return [
            Topic(
                each["name"],
                tuple(
                    PartitionRange(at.partition, beginnings[at], ends[at])
                    for at in sorted(partitions)
                    if at.topic == each["name"]
                ),
            )
            for each in sorted(described, key=lambda each: str(each["name"]))
        ]

    def groups(self, names: Collection[str] | None = None) -> Sequence[Group]:
        with self._answered() as client:
            listed = [each for each in client.list_groups() if names is None or each["group_id"] in names]
            if names is not None:
                self._check_shown(client, set(names) - {each["group_id"] for each in listed})
            classic = [each["group_id"] for each in listed if each.get("group_type", "") in _CLASSIC]
            described = client.describe_groups(classic) if classic else {}
        return [_group(each, described) for each in sorted(listed, key=lambda each: str(each["group_id"]))]

    def committed(self, group: str) -> Sequence[Position]:
        with self._answered() as client:
            found = client.list_group_offsets({group: None})[group]
        return [Position(at.topic, at.partition, found[at].offset) for at in sorted(found)]

    def first_since(self, topic: str, moment: float) -> Sequence[Position]:
        [found] = self.topics([topic])
        ends = {each.partition: each.end for each in found.partitions}
        # A negative time is a question of another kind to Kafka, and 0 is before all that it holds.
        milliseconds = int(max(0.0, min(moment, float(_LATEST_MOMENT))) * 1000)
        with self._answered() as client:
            since = _offsets(
                client, {TopicPartition(topic, each.partition): milliseconds for each in found.partitions}
            )
        return [
            Position(topic, at.partition, ends[at.partition] if offset < 0 else offset)
            for at, offset in sorted(since.items())
        ]

    def set_committed(self, group: str, positions: Sequence[Position]) -> None:
        offsets = {TopicPartition(*at[:2]): OffsetAndMetadata(at.offset, "", None) for at in positions}
        with self._answered() as client:
            results = client.alter_group_offsets(group, offsets)
        for at, error in sorted(results.items()):
            self._check(error, f"{group} on partition {at.partition} of {at.topic}", group)

    def remove_group(self, group: str) -> None:
        with self._answered() as client:
            [result] = client.delete_groups([group]).values()
        if result != "OK":
            self._check(getattr(kafka_errors, result), group, group)

    def close(self) -> None:
        connected, self._connected = self._connected, None
        if connected is not None:
            connected.close()

    @contextlib.contextmanager
    def _answered(self) -> Iterator[KafkaAdminClient]:
        if self._connected is None:
            self._connected = connect(KafkaAdminClient, self._settings, self._brokers)
        try:
            with translated(self._brokers):
                yield self._connected
        except kafka_errors.IncompatibleBrokerVersion as error:
            raise ConfigurationError(f"Kafka at {self._brokers} is too old for this: {error}") from error

    def _check_there(self, described: Sequence[Mapping[str, Any]]) -> None:
        for each in described:
            code, name = each["error_code"], each["name"]
            if code == kafka_errors.TopicAuthorizationFailedError.errno:
                raise denied(name, self._brokers)
            if code == kafka_errors.UnknownTopicOrPartitionError.errno:
                raise TopicMissing(f"there is no topic {name} on Kafka at {self._brokers}")
            if code:
                raise translate(kafka_errors.for_code(code)(name), self._brokers)

    def _check_shown(self, client: KafkaAdminClient, absent: Collection[str]) -> None:
        """Raise for a group that a broker does not list only because this login may not see it."""
        for name, described in client.describe_groups(list(absent)).items() if absent else ():
            if kafka_errors.GroupAuthorizationFailedError.__name__ in (described["error"] or ""):
                raise translate(kafka_errors.GroupAuthorizationFailedError(name), self._brokers)

    def _check(self, error: Any, told: str, group: str) -> None:
        """Raise for an error that a broker has answered for one part of a request."""
        if error is kafka_errors.NoError:
            return
        if issubclass(error, _IN_USE):
            raise GroupInUse(f"the group {group} has members now; stop them first")
        if issubclass(error, kafka_errors.GroupIdNotFoundError):
            raise QueueUnreachable(f"Kafka at {self._brokers} has no group {group} any more; look again")
        raise translate(error(told), self._brokers)


def _offsets(client: KafkaAdminClient, specs: Mapping[TopicPartition, Any]) -> dict[TopicPartition, int]:
    found = client.list_partition_offsets(dict(specs)) if specs else {}
    return {at: int(each.offset) for at, each in found.items()}


def _group(listed: Mapping[str, Any], described: Mapping[str, Any]) -> Group:
    name = listed["group_id"]
    more = described.get(name) or {}
    is_known = bool(more) and not more.get("error")
    state = listed.get("group_state") or (more.get("group_state") if is_known else "") or "Unknown"
    return Group(
        name,
        str(state),
        len(more["members"]) if is_known else None,
        str(listed.get("protocol_type") or ""),
    )
