from __future__ import annotations

import resource
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Collection
from pathlib import Path
from typing import Any

import pytest

from estela_queue_adapter import (
    Outgoing,
    PartitionListener,
    Platform,
    get_consumer_interface,
    get_producer_interface,
    open_platform,
)
from estela_queue_adapter.errors import CommitRefused, ConfigurationError, PermanentError, QueueUnreachable
from estela_queue_adapter.platforms.embedded.log import EmbeddedLog
from tests.adapter.contract import PlatformContract, take

pytestmark = pytest.mark.processes


@pytest.fixture
def arguments(tmp_path: Path) -> dict[str, Any]:
    return {"platform": "embedded", "path": str(tmp_path / "folder" / "queue.db")}


@pytest.fixture
def platform(arguments: dict[str, Any]) -> Platform:
    return open_platform(**arguments)


class TestEmbedded(PlatformContract):
    def test_closing_and_opening_keeps_everything(self, arguments: dict[str, Any]) -> None:
        with get_producer_interface(**arguments) as producer:
            producer.send("topic", 1)

        with get_producer_interface(**arguments) as producer:
            producer.send("topic", 2)

        messages = list(get_consumer_interface(topic="topic", idle_timeout=0.1, **arguments))
        assert [(message.offset, message.value) for message in messages] == [(0, 1), (1, 2)]

    def test_a_full_disk_is_told_and_passes(self, arguments: dict[str, Any]) -> None:
        """The system's limit on the size of a file stands in for the disk's."""
        log = EmbeddedLog(Path(arguments["path"]))
        log.append([Outgoing("topic", b"first")])
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (Path(f"{arguments['path']}-wal").stat().st_size, hard))
        try:
            for _ in range(2):
                with pytest.raises(QueueUnreachable, match=r"disk"):
                    log.append([Outgoing("topic", b"second")])
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

        log.append([Outgoing("topic", b"second")])

        assert [message.data for message in log.read("topic", 0, 10)] == [b"first", b"second"]
        log.close()

    def test_several_processes_write_at_once_and_each_keeps_its_order(
        self, arguments: dict[str, Any]
    ) -> None:
        program = textwrap.dedent(f"""
            import sys
            from estela_queue_adapter import get_producer_interface
            with get_producer_interface(**{arguments!r}) as producer:
                for number in range(500):
                    producer.send("topic", [sys.argv[1], number])
        """)
        writers = [subprocess.Popen([sys.executable, "-c", program, name]) for name in "abcd"]
        assert [writer.wait(60) for writer in writers] == [0, 0, 0, 0]

        messages = list(get_consumer_interface(topic="topic", idle_timeout=0.1, **arguments))

        assert [message.offset for message in messages] == list(range(2000))
        for name in "abcd":
            numbers = [message.value[1] for message in messages if message.value[0] == name]
            assert numbers == list(range(500))

    def test_a_killed_writer_leaves_the_log_whole(self, arguments: dict[str, Any]) -> None:
        program = textwrap.dedent(f"""
            from estela_queue_adapter import get_producer_interface
            producer = get_producer_interface(**{arguments!r})
            for number in range(1_000_000):
                producer.send("topic", number)
                if number == 200:
                    print("on its way", flush=True)
        """)
        writer = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
        assert writer.stdout is not None
        writer.stdout.readline()
        writer.kill()
        writer.wait()
        writer.stdout.close()

        with get_producer_interface(**arguments) as producer:
            producer.send("topic", "after")

        messages = list(get_consumer_interface(topic="topic", idle_timeout=0.1, **arguments))
        assert len(messages) > 200
        assert [message.offset for message in messages] == list(range(len(messages)))
        assert messages[-1].value == "after"

    def test_two_readers_of_a_group_do_not_read_at_once(self, arguments: dict[str, Any]) -> None:
        with get_producer_interface(**arguments) as producer:
            producer.send("topic", 1)
        with (
            get_consumer_interface(topic="topic", **arguments) as first,
            get_consumer_interface(topic="topic", **arguments) as second,
        ):
            assert len(first.poll(1.0, 10)) == 1

            assert len(second.poll(0.2, 10)) == 0

    def test_a_reader_whose_lock_is_removed_commits_nothing_beside_the_next(
        self, arguments: dict[str, Any]
    ) -> None:
        with get_producer_interface(**arguments) as producer:
            for number in range(3):
                producer.send("topic", number)
        lost: list[str] = []

        class Listener(PartitionListener):
            def partitions_lost(self, partitions: Collection[int]) -> None:
                lost.append("lost")

        with (
            get_consumer_interface(topic="topic", listener=Listener(), **arguments) as first,
            get_consumer_interface(topic="topic", **arguments) as second,
        ):
            [message, *_] = first.poll(1.0, 3)
            for lock in Path(arguments["path"]).parent.glob("*.lock"):
                lock.unlink()
            read = second.poll(1.0, 3)

            with pytest.raises(CommitRefused):
                first.commit([message.next])
            assert first.poll(0.1, 3) == []

            second.commit([read[-1].next])
        assert [one.value for one in read] == [0, 1, 2]
        assert lost == ["lost"]

    def test_a_reader_begins_anew_in_a_file_that_took_the_place_of_its_own(
        self, arguments: dict[str, Any]
    ) -> None:
        with get_producer_interface(**arguments) as producer:
            for number in range(5):
                producer.send("topic", number)
        told: list[Any] = []

        class Listener(PartitionListener):
            def partitions_lost(self, partitions: Collection[int]) -> None:
                told.append("lost")

            def messages_gone(self, partition: int, position: int, resumed: int) -> None:
                told.append((position, resumed))

        with get_consumer_interface(topic="topic", listener=Listener(), **arguments) as consumer:
            old = consumer.poll(1.0, 10)
            shutil.rmtree(Path(arguments["path"]).parent)
            with get_producer_interface(**arguments) as producer:
                for number in range(10, 13):
                    producer.send("topic", number)

            with pytest.raises(CommitRefused):
                consumer.commit([old[-1].next])
            new = take(consumer, 3)
            consumer.commit([new[-1].next])

        assert [message.value for message in new] == [10, 11, 12]
        assert told == ["lost", (5, 0)]
        with get_consumer_interface(topic="topic", **arguments) as consumer:
            assert consumer.poll(0.1, 10) == []

    def test_transactions_of_a_file_that_is_gone_are_over(
        self, platform: Platform, arguments: dict[str, Any]
    ) -> None:
        with platform.transactions("name") as transactions:
            transactions.publish([Outgoing("topic", b"1")])
            shutil.rmtree(Path(arguments["path"]).parent)

            with pytest.raises(PermanentError, match="name"):
                transactions.publish([Outgoing("topic", b"2")])

    def test_a_poll_is_bounded_in_bytes(self, arguments: dict[str, Any]) -> None:
        with get_producer_interface(**arguments) as producer:
            for _ in range(5):
                producer.send("topic", "x" * 5_000_000)

        with get_consumer_interface(topic="topic", **arguments) as consumer:
            sizes = [len(consumer.poll(1.0, 1000)) for _ in range(3)]

        assert max(sizes) < 5
        assert sum(sizes) == 5

    def test_a_path_that_is_a_directory_is_a_wrong_setting(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigurationError, match="QUEUE_PLATFORM_PATH"):
            open_platform("embedded", path=str(tmp_path))

    def test_a_file_that_is_no_queue_is_unreachable_and_left_alone(self, tmp_path: Path) -> None:
        file = tmp_path / "notes"
        file.write_text("somebody's notes, long enough to be taken for a header of a file")
        producer = get_producer_interface("embedded", path=str(file))

        with pytest.raises(QueueUnreachable, match="notes"):
            producer.get_connection()
        with pytest.raises(QueueUnreachable, match="notes"):
            producer.send("topic", 1)
        assert get_consumer_interface("embedded", topic="topic", path=str(file)).get_connection() is False
        assert file.read_text().startswith("somebody's notes")

    def test_a_folder_that_cannot_be_made_is_told(self) -> None:
        with pytest.raises(QueueUnreachable, match="/proc/no"):
            get_producer_interface("embedded", path="/proc/no/queue.db").send("topic", 1)
