"""kafka-python with parts of it that are not public. `parts` lists them; nothing else touches any."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

from kafka import KafkaProducer, TopicPartition
from kafka import errors as kafka_errors

from estela_queue_adapter.messages import Headers, Message
from estela_queue_adapter.platforms.kafka.connections.brokers import Brokers, address
from estela_queue_adapter.platforms.kafka.connections.connections import network
from estela_queue_adapter.platforms.kafka.interface.public import PublicInterface, PublicReader
from estela_queue_adapter.platforms.kafka.records.fetches import read_as_messages
from estela_queue_adapter.platforms.kafka.records.headers import sendable


class PrivateReader(PublicReader):
    """Our own messages out of the client's fetches, and positions put back where they are kept."""

    def __init__(self, client: Any, committed: Callable[[TopicPartition], int] | None = None) -> None:
        super().__init__(client, committed)
        read_as_messages(client)

    def poll(self, timeout: float, max_messages: int | None = None) -> list[Message]:
        with _undone_by_interrupts(self._client):
            fetched: Mapping[TopicPartition, list[Message]] = self._client.poll(
                timeout_ms=int(timeout * 1000), max_records=max_messages
            )
            messages = list(chain.from_iterable(fetched.values()))
        self._resume_join()
        return messages

    def assigned(self, partitions: Collection[TopicPartition]) -> None:
        pass

    def revoked(self, partitions: Collection[TopicPartition]) -> None:
        for partition in partitions:
            if (state := self._client._subscription.assignment.get(partition)) is not None:
                state._position = None  # it would go on behind what it has handed out

    def is_stuck(self) -> bool:
        return False

    def is_denied(self, topic: str) -> bool:
        cluster = self._client._cluster
        if topic not in cluster.unauthorized_topics:
            return False
        cluster.request_update()  # so that it is seen when we are let in
        return True

    def needed_addresses(self) -> set[str] | None:
        """Those of its partitions' leaders and of its coordinator."""
        client = self._client
        cluster, coordinator = client._cluster, client._coordinator.coordinator_id
        nodes = {cluster.leader_for_partition(partition) for partition in client.assignment()} | {coordinator}
        found = [cluster.broker_metadata(node) for node in nodes]
        if coordinator is None:  # any broker can say who it is
            found += [node for node in cluster.brokers() if not client._client.connected(node.node_id)]
        return {address(node.host, node.port) for node in found if node is not None}

    def _resume_join(self) -> None:
        """Have the next poll go on with a join of the group that this one began and did not see the end of.

        Where a change of the topic's partitions was the reason to join, kafka-python 3.0 forgets that it is
        joining as soon as it has made its plan: it neither reads nor sends heartbeats then, for ever.
        """
        coordinator = self._client._coordinator
        if coordinator.rejoining and not coordinator.need_rejoin():
            coordinator.request_rejoin()


class PrivateInterface(PublicInterface):
    """Each gap of the public interface filled."""

    can_await_topics = True

    def look_for_brokers(self, listeners: Sequence[str], brokers: Brokers) -> None:
        """Its connections say why they failed, and are closed then."""

    def network(self, brokers: Brokers, attempts: list[Any]) -> dict[str, Any]:
        return {"kafka_client": network(brokers, attempts)}

    def prepare_reader(self, client: Any) -> None:
        # kafka-python 3.0 does not hand the option on.
        client._cluster.config["allow_auto_create_topics"] = False

    def reader(self, client: Any, committed: Callable[[TopicPartition], int] | None = None) -> PublicReader:
        return PrivateReader(client, committed)

    def learn(self, client: Any, partitions: Collection[TopicPartition]) -> None:
        """It does: it was asked for them."""

    def partitions(self, client: Any, topic: str, timeout: float) -> set[int] | None:
        """kafka-python would ask for all topics there are, and wait without an end."""
        client._cluster.add_topic(topic)
        answer = client._cluster.request_update()
        try:
            client._net.run(client._manager.wait_for, answer, int(timeout * 1000))
        except (kafka_errors.UnknownTopicOrPartitionError, kafka_errors.TopicAuthorizationFailedError):
            return set()
        return client._cluster.partitions_for_topic(topic) or set()

    def known_partitions(self, client: Any, topic: str) -> set[int] | None:
        known: set[int] | None = client._cluster.partitions_for_topic(topic)
        return known

    def topic_id(self, client: Any, topic: str) -> object:
        return client._cluster.topic_id(topic)

    @property
    def producer_class(self) -> type[KafkaProducer]:
        return KafkaProducer  # type: ignore[no-any-return]  # kafka-python has no types

    def prepare_producer(self, client: Any) -> None:
        client._unregister_cleanup()  # it would close after a second, before other `atexit` handlers send
        _ask_once_for_metadata(client._metadata)

    def abandon(self, client: Any) -> None:
        client._unregister_cleanup()
        client._closed = True  # or it would flush, when it is dropped, by a thread that is not here

    def close_producer(self, client: Any, timeout: float) -> None:
        try:
            client.close(timeout=timeout)
        except kafka_errors.KafkaTimeoutError:  # then it leaves its thread running, for ever
            client._sender.force_close()

    def broker_addresses(self, client: Any) -> set[str] | None:
        return {address(broker.host, broker.port) for broker in client._metadata.brokers()}

    def sendable(self, headers: Headers) -> list[tuple[str, bytes]]:
        return sendable(headers)


def _ask_once_for_metadata(cluster: Any) -> None:
    """Have a producer's client ask for new metadata once, and not again while the answer is pending.

    Where a partition has no leader, as in an outage, kafka-python's loop asks at every turn, and to ask wakes
    it for the next: it takes a whole core then, and the interpreter's lock from every other thread.
    """
    ask = cluster.request_update

    def request_update() -> Any:
        pending = cluster._future
        return ask() if pending is None or pending.is_done or not cluster.need_update else pending

    cluster.request_update = request_update


@contextlib.contextmanager
def _undone_by_interrupts(client: Any) -> Iterator[None]:
    """A poll that a signal handler ends with an exception (Ctrl-C) has moved no position.

    Else what it was about to return would be skipped, by a consumer that is used on.
    """
    before = {tp: state.position for tp, state in client._subscription.assignment.items()}
    try:
        yield
    except Exception:
        raise
    except BaseException:
        client._fetcher._next_partition_records = None  # half read, it would be read for ever
        for tp, state in client._subscription.assignment.items():
            if before.get(tp) is None:
                state._position = None  # then it goes on at what is committed
            elif state.position != before[tp]:
                state.seek(before[tp])
        raise
