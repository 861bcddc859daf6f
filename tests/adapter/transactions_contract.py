"""What every platform promises of reading a topic from end to end, and of transactions, as one suite."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections import Counter
from typing import Any

import pytest

from devservers.ports import wait_until
from estela_queue_adapter import Outgoing, Platform, Subscription
from estela_queue_adapter.errors import ConfigurationError, MessageRejected, QueueError, TopicMissing
from estela_queue_adapter.messages import Headers

_NO_NAMES = ["", "a/b", ".", "é", "x" * 300, 5, None, ["t"]]  # of topics


class TransactionsContract:
    """Part of the platforms' contract, which gives the fixtures."""

    def travelled(self, headers: Headers) -> list[tuple[str, bytes | None]]:
        """What is read where these headers were sent: the same."""
        return list(headers)

    def test_a_topic_is_read_from_end_to_end_outside_every_group(
        self, platform: Platform, unique: str
    ) -> None:
        with platform.producer() as producer:
            for number in range(1200):
                producer.send(unique, number, key=b"%d" % number)
            producer.flush()

        for _ in range(2):
            assert sorted(message.value for message in platform.read(unique)) == list(range(1200))

    def test_a_topic_that_does_not_exist_cannot_be_read(self, platform: Platform, unique: str) -> None:
        with pytest.raises(TopicMissing, match=unique):
            list(platform.read(unique))

    @pytest.mark.parametrize("name", _NO_NAMES)
    def test_what_is_no_name_of_a_topic_is_refused_by_every_way_in(
        self, platform: Platform, name: Any
    ) -> None:
        with (
            platform.producer() as producer,
            pytest.raises(ConfigurationError, match="not a name for a topic"),
        ):
            producer.send(name, 1)
        with pytest.raises(ConfigurationError, match="not a name for a topic"):
            platform.consumer(Subscription(topic=name))
        with pytest.raises(ConfigurationError, match="not a name for a topic"):
            list(platform.read(name))

    @pytest.mark.parametrize("name", _NO_NAMES)
    def test_what_is_no_name_of_a_topic_is_refused_by_a_transaction(
        self, transactional: Platform, name: Any, unique: str
    ) -> None:
        with (
            transactional.transactions(f"tx-{unique}") as transactions,
            pytest.raises(ConfigurationError, match="not a name for a topic"),
        ):
            transactions.publish([Outgoing(unique, b"1"), Outgoing(name, b"2")])

    def test_a_tombstone_without_a_key_is_refused_with_all_of_its_group(
        self, transactional: Platform, unique: str
    ) -> None:
        with transactional.transactions(f"tx-{unique}") as transactions:
            with pytest.raises(MessageRejected, match=f"a message to {unique} has neither data nor a key"):
                transactions.publish([Outgoing(unique, b"0"), Outgoing(unique, None)])
            transactions.publish([Outgoing(unique, b"1"), Outgoing(unique, None, b"")])

        assert Counter(message.data for message in transactional.read(unique)) == {b"1": 1, None: 1}

    def test_a_transaction_is_published_whole_and_a_reader_gets_past_it(
        self, transactional: Platform, unique: str
    ) -> None:
        with transactional.transactions(f"tx-{unique}") as transactions:
            for number in range(3):
                transactions.publish(
                    [
                        Outgoing(unique, b"%d" % number, b"key", [("h", b"v"), ("\udce9", None)], 0),
                        Outgoing(f"{unique}_b", None, b"key"),
                    ]
                )

        messages = list(transactional.read(unique))
        assert [message.data for message in messages] == [b"0", b"1", b"2"]
        headers = self.travelled([("h", b"v"), ("\udce9", None)])
        assert all(list(message.headers) == headers for message in messages)
        [first, *_] = transactional.read(f"{unique}_b")
        assert (first.key, first.data, first.value) == (b"key", None, None)
        with transactional.consumer(Subscription(topic=unique)) as consumer:
            ends = set(consumer.end_positions())
            wait_until(
                lambda: not consumer.poll(0.2, 10) and set(consumer.positions()) == ends,
                "the reader at the end",
            )
            assert consumer.lag() == 0

    def test_who_opens_a_name_later_ends_who_had_it(self, transactional: Platform, unique: str) -> None:
        first = transactional.transactions(f"tx-{unique}")
        first.publish([Outgoing(unique, b"1")])
        with transactional.transactions(f"tx-{unique}") as second:
            with pytest.raises(QueueError):
                first.publish([Outgoing(unique, b"2")])
            second.publish([Outgoing(unique, b"3")])
        first.close()

        assert {message.data for message in transactional.read(unique)} == {b"1", b"3"}

    def test_a_process_killed_in_the_middle_leaves_nothing_half_published(
        self, transactional: Platform, unique: str, elsewhere: dict[str, Any]
    ) -> None:
        program = textwrap.dedent(f"""
            from estela_queue_adapter import Outgoing, open_platform
            transactions = open_platform(**{elsewhere!r}).transactions("tx-{unique}")
            number = 0
            while True:
                transactions.publish([Outgoing({unique!r}, b"%d" % number) for _ in range(50)])
                print(number, flush=True)
                number += 1
        """)
        process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
        assert process.stdout is not None
        while process.stdout.readline() != b"5\n":
            pass
        process.kill()
        process.wait()
        process.stdout.close()

        transactional.transactions(f"tx-{unique}").close()  # undoes what was left open
        counts: dict[bytes, int] = {}
        for message in transactional.read(unique):
            counts[message.data or b""] = counts.get(message.data or b"", 0) + 1

        assert set(counts.values()) == {50}
        assert {b"%d" % number for number in range(6)} <= set(counts)
