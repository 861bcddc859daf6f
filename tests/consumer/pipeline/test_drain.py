"""A drain ends where it should, and says what it did not do."""

from __future__ import annotations

import contextlib
import json
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, OffsetAndMetadata, TopicPartition

from devservers.kafka import create_topic
from devservers.ports import wait_until
from estela_consumer.pipeline.drain import Drain
from estela_queue_adapter import Position
from tests.consumer.background import background
from tests.consumer.commands import drain, envelope, exported, publish


def at(*offsets: int) -> list[Position]:
    """Positions in the partitions 0, 1, ..."""
    return [Position("t", partition, offset) for partition, offset in enumerate(offsets)]


class TestOver:
    def test_when_every_partition_has_passed_its_end(self) -> None:
        drain = Drain()
        assert not drain.done

        drain.begin(at(0, 0, 0), at(5, 0, 3))
        drain.advance(at(4))
        assert not drain.done
        drain.advance([*at(5), Position("t", 2, 7), Position("t", 9, 1)])

        assert drain.done
        assert drain.report().drained

    def test_at_once_when_the_group_is_at_the_ends_already(self) -> None:
        drain = Drain()

        drain.begin(at(5, 0), at(5, 0))

        assert drain.done

    def test_a_position_beyond_the_end_counts_only_after_reading_has_begun_anew(self) -> None:
        drain = Drain()

        drain.begin(at(1000), at(200))
        drain.advance(at(1000))
        assert not drain.done
        drain.add_cut_short(0)
        drain.advance(at(0))
        assert not drain.done
        drain.advance(at(200))

        assert drain.done
        assert drain.report().committed_beyond_end == {0}

    def test_a_partition_that_is_cut_short_meanwhile_is_drained_at_its_new_end(self) -> None:
        drain = Drain()
        drain.begin(at(0), at(200))
        drain.advance(at(120))

        drain.compare(at(120), at(120), now=0.0)
        drain.advance(at(120))

        assert drain.done
        assert drain.report().committed_beyond_end == {0}

    def test_what_was_read_before_a_partition_was_recreated_counts_for_nothing(self) -> None:
        drain = Drain()
        drain.begin(at(0), at(200))
        drain.advance(at(120))

        drain.compare(at(10), at(10), now=0.0)
        drain.advance(at(150))  # a batch that was under way
        assert drain.report().remaining == {0: 10}
        drain.add_cut_short(0)
        drain.advance(at(0))
        assert not drain.done
        drain.advance(at(10))

        assert drain.done


@given(st.data())
def test_over_exactly_when_the_group_has_passed_every_end_of_the_start(data: st.DataObject) -> None:
    ends = data.draw(st.lists(st.integers(0, 6), min_size=1, max_size=4))
    group = [data.draw(st.integers(0, end)) for end in ends]
    log, drain = list(ends), Drain()

    drain.begin(at(*group), at(*log))
    for _ in range(data.draw(st.integers(0, 30))):
        assert drain.done == all(offset >= end for offset, end in zip(group, ends, strict=True))
        partition = data.draw(st.integers(0, len(ends) - 1))
        if data.draw(st.booleans()):
            log[partition] += data.draw(st.integers(1, 3))  # others go on producing
        else:
            group[partition] = data.draw(st.integers(group[partition], log[partition]))
            drain.advance([Position("t", partition, group[partition])])
        drain.compare(at(*log), at(*log), now=0.0)

    assert drain.blocked_for(99.0) is None
    assert not drain.report().committed_beyond_end


class TestAnOpenTransaction:
    def test_blocks_once_all_that_may_be_read_is_read(self) -> None:
        drain = Drain()
        drain.begin(at(0, 0), at(10, 10))

        drain.advance(at(5, 3))
        drain.compare(at(10, 10), at(5, 10), now=1.0)
        assert drain.blocked_for(50.0) is None  # the other partition is being read still
        drain.advance([Position("t", 1, 10)])
        drain.compare(at(10, 10), at(5, 10), now=7.0)

        assert drain.blocked_for(9.0) == 8.0
        assert "open transaction" in str(drain)

    def test_of_which_one_ends_and_the_next_begins_is_waited_for_anew(self) -> None:
        drain = Drain()
        drain.begin(at(0), at(10))

        for now, stable in ((1.0, 5), (2.0, 7)):
            drain.advance(at(stable))
            drain.compare(at(10), at(stable), now)

        assert drain.blocked_for(3.0) == 1.0


class Producing:
    """A real producer that chooses its partitions, and the messages of this file."""

    def __init__(self, kafka: str, topic: str, partitions: int = 1) -> None:
        create_topic(kafka, topic, partitions)
        self.topic = topic
        self._kafka = kafka
        self._producer = KafkaProducer(bootstrap_servers=kafka)
        self._count = 0

    def send(self, count: int, partition: int = 0) -> None:
        for _ in range(count):
            value = json.dumps(envelope({"n": self._count}, jid=f"1.s.{self.topic}")).encode()
            self._producer.send(self.topic, value, partition=partition)
            self._count += 1
        self._producer.flush()

    @contextlib.contextmanager
    def going_on(self, partition: int) -> Iterator[None]:
        """Some messages each 50 ms, until the block ends."""
        done = threading.Event()

        def work() -> None:
            while not done.wait(0.05):
                self.send(2, partition)

        thread = threading.Thread(target=work)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()

    def commit(self, offset: int) -> None:
        """As if the group had stood there before the partition was recreated."""
        partition = TopicPartition(self.topic, 0)
        consumer = KafkaConsumer(
            bootstrap_servers=self._kafka, group_id=f"group_{self.topic}", enable_auto_commit=False
        )
        consumer.assign([partition])
        consumer.commit({partition: OffsetAndMetadata(offset, "", -1)})
        consumer.close()

    def remove(self, before: int) -> None:
        """What retention does."""
        admin = KafkaAdminClient(bootstrap_servers=self._kafka)
        admin.delete_records({TopicPartition(self.topic, 0): before})
        admin.close()

    def stored(self) -> list[int]:
        return sorted(document["n"] for document in exported(f"{self.topic}/s-1-{self.topic}"))


@pytest.mark.usefixtures("on_servers")
class TestOnKafka:
    def test_others_go_on_producing_beside_an_idle_partition(self, kafka: str, unique: str) -> None:
        producing = Producing(kafka, unique, partitions=2)
        producing.send(100, partition=1)

        with producing.going_on(partition=1):
            result = drain(unique, ESTELA_CHUNK_AGE="3600")

        assert result.code == 0, result.err
        assert result.summary["drain"]["drained"]
        assert result.summary["topics"][unique]["stored"] >= 100

    def test_a_group_that_stands_beyond_the_end_reads_from_the_beginning_and_exit_10_says_so(
        self, kafka: str, unique: str
    ) -> None:
        producing = Producing(kafka, unique)
        producing.send(20)
        producing.commit(1000)

        result = drain(unique)
        again = drain(unique)

        assert (result.code, result.summary["exit"]) == (10, "COMMITTED_BEYOND_END"), result.err
        assert result.summary["drain"]["committed_beyond_end"] == {unique: [0]}
        assert result.summary["drain"]["drained"]
        assert producing.stored() == list(range(20))
        assert again.code == 0

    def test_messages_that_retention_removed_are_exit_11_before_dead_letters(
        self, kafka: str, unique: str
    ) -> None:
        producing = Producing(kafka, unique)
        producing.send(10)
        assert drain(unique).code == 0
        producing.send(90)
        publish(unique, [b"rubbish"])
        producing.remove(before=60)

        result = drain(unique)

        assert (result.code, result.summary["exit"]) == (11, "MESSAGES_GONE")
        assert result.summary["drain"]["messages_gone"] == {unique: {"0": 50}}
        assert result.summary["topics"][unique]["gone"] == 50
        assert result.summary["topics"][unique]["dead_lettered"] == 1
        assert producing.stored() == [*range(10), *range(60, 100)]

    def test_a_group_that_comes_after_retention_has_removed_all_is_told_so_once(
        self, kafka: str, unique: str
    ) -> None:
        producing = Producing(kafka, unique)
        producing.send(10)
        producing.remove(before=10)

        result = drain(unique)

        assert (result.code, result.summary["topics"][unique]["read"]) == (0, 0), result.err
        assert result.err.count("no position, and Kafka no longer has what was before offset 10.") == 1

    def test_a_transaction_that_stays_open_is_given_up_and_exit_12_says_so(
        self, kafka: str, unique: str
    ) -> None:
        producing = Producing(kafka, unique)
        producing.send(5)
        transaction = KafkaProducer(bootstrap_servers=kafka, transactional_id=unique)
        transaction.init_transactions()
        transaction.begin_transaction()
        transaction.send(unique, b"never decided")
        transaction.flush()
        producing.send(3)

        blocked = drain(unique, ESTELA_MAX_WAIT="1")
        transaction.abort_transaction()
        free = drain(unique)
        again = drain(unique, ESTELA_MAX_WAIT="5")

        assert (blocked.code, blocked.summary["exit"]) == (12, "OPEN_TRANSACTION"), blocked.err
        assert blocked.summary["drain"]["open_transaction"] == {unique: [0]}
        assert blocked.summary["drain"]["remaining"] == {unique: {"0": 4}}
        assert blocked.summary["topics"][unique]["stored"] == 5
        assert (free.code, free.summary["topics"][unique]["stored"]) == (0, 3)
        assert again.code == 0  # and the marker at the end is nothing to wait for
        transaction.close()

    def test_another_member_has_some_partitions_until_it_leaves(
        self, kafka: str, unique: str, tmp_path: Path
    ) -> None:
        producing = Producing(kafka, unique, partitions=2)
        for partition in (0, 1):
            producing.send(200, partition)

        with background(unique, tmp_path / "other", "--rate", "5", drain=False) as other:
            wait_until(other.has_stored, "the other to have work")
            with background(unique, tmp_path / "log") as draining:
                wait_until(draining.has_stored, "one partition for the drain")
                with pytest.raises(subprocess.TimeoutExpired):  # the other partition is not drained
                    draining.process.wait(3)
                other.process.terminate()
                out, _ = draining.process.communicate(timeout=60)

        assert draining.process.returncode == 0, (tmp_path / "log").read_text()
        assert json.loads(out)["drain"]["drained"]
        assert producing.stored() == list(range(400))
