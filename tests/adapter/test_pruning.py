"""What is removed from the embedded queue: never what a group has not read."""

from __future__ import annotations

import contextlib
import sqlite3
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from estela_queue_adapter import Consumer, Subscription, open_platform
from estela_queue_adapter.administration import Administration
from estela_queue_adapter.platforms.embedded import EmbeddedPlatform

GROUPS = st.sampled_from(["one", "two", "\u202ethree\n"])
TOPIC = "topic"


class PrunedQueue(RuleBasedStateMachine):
    """Groups that come, read, are reset and go, crawls that send, and an operator who prunes all the time."""

    def __init__(self) -> None:
        super().__init__()
        self._stack = contextlib.ExitStack()
        folder = self._stack.enter_context(tempfile.TemporaryDirectory())
        self.platform = open_platform("embedded", path=f"{folder}/queue.db")
        self.producer = self._stack.enter_context(self.platform.producer())
        self.administration: Administration = self._stack.enter_context(
            contextlib.closing(self.platform.administration())
        )
        self.readers: dict[str, Consumer] = {}
        self.next: dict[str, int] = {}
        """Of each known group, the message that it has to get next."""
        self.first = self.sent = 0
        """The first message that is still there, as the model has it, and how many were sent."""

    def teardown(self) -> None:
        for reader in self.readers.values():
            reader.close()
        self._stack.close()

    @rule(count=st.integers(1, 40))
    def send(self, count: int) -> None:
        for _ in range(count):
            self.producer.send(TOPIC, self.sent)
            self.sent += 1

    @precondition(lambda self: self.sent)
    @rule(group=GROUPS, count=st.integers(1, 30), commits=st.booleans())
    def read(self, group: str, count: int, commits: bool) -> None:
        with self.platform.consumer(Subscription(topic=TOPIC, group=group)) as reader:
            expected = self.next.setdefault(group, self.first)
            messages = reader.poll(0, count)
            assert [message.value for message in messages] == list(
                range(expected, min(self.sent, expected + count))
            )
            if messages and commits:
                reader.commit([messages[-1].next])
                self.next[group] += len(messages)

    @precondition(lambda self: self.next)
    @rule(data=st.data())
    def reset(self, data: st.DataObject) -> None:
        group = data.draw(st.sampled_from(sorted(self.next)))
        self.administration.set_committed(group, self.administration.first_since(TOPIC, 0.0))
        self.next[group] = self.first

    @precondition(lambda self: self.next)
    @rule(data=st.data())
    def forget(self, data: st.DataObject) -> None:
        group = data.draw(st.sampled_from(sorted(self.next)))
        self.administration.remove_group(group)
        del self.next[group]

    @precondition(lambda self: self.sent)
    @rule()
    def prune(self) -> None:
        [plan] = self.administration.prunable([TOPIC])
        first = min(self.next.values(), default=self.first)
        assert plan.messages == max(0, first - self.first)
        assert dict(plan.behind) == {
            group: self.sent - at for group, at in self.next.items() if at < self.sent
        }
        assert self.administration.prune([TOPIC]).messages == plan.messages
        self.first = max(self.first, first)

    @precondition(lambda self: self.sent)
    @invariant()
    def what_is_not_read_by_all_is_there(self) -> None:
        assert [message.value for message in self.platform.read(TOPIC)] == list(range(self.first, self.sent))


TestPrunedQueue = PrunedQueue.TestCase
TestPrunedQueue.settings = settings(max_examples=10, stateful_step_count=20, deadline=None)


def _queue(folder: Path, messages: int) -> EmbeddedPlatform:
    platform = open_platform("embedded", path=str(folder / "queue.db"))
    with platform.producer() as producer:
        for number in range(messages):
            producer.send(TOPIC, {"n": number, "text": "x" * 1000})
    with platform.consumer(Subscription(topic=TOPIC)) as consumer:
        while messages_ := consumer.poll(0, 500):
            consumer.commit([messages_[-1].next])
    assert isinstance(platform, EmbeddedPlatform)
    return platform


def test_the_disk_is_given_back_also_of_a_file_that_did_not_provide_for_it(tmp_path: Path) -> None:
    platform = _queue(tmp_path, 2_500)
    with contextlib.closing(sqlite3.connect(tmp_path / "queue.db")) as db:
        db.execute("PRAGMA journal_mode = DELETE")
        db.execute("PRAGMA auto_vacuum = NONE")
        db.execute("VACUUM")
        assert db.execute("PRAGMA auto_vacuum").fetchone() == (0,)

    with contextlib.closing(platform.administration()) as administration:
        pruned = administration.prune([TOPIC])

    assert pruned.messages == 2_500
    assert pruned.bytes_before > 2_500_000
    assert pruned.bytes_after < 100_000
    assert (tmp_path / "queue.db").stat().st_size < 100_000


def test_a_reader_and_a_crawl_go_on_while_the_queue_is_pruned(tmp_path: Path) -> None:
    platform = _queue(tmp_path, 3_000)

    with (
        platform.producer() as producer,
        platform.consumer(Subscription(topic=TOPIC)) as consumer,
        contextlib.closing(platform.administration()) as administration,
    ):
        assert consumer.poll(0, 1) == []
        whole = platform.read(TOPIC)
        assert next(whole).value["n"] == 0
        administration.prune([TOPIC])
        producer.send(TOPIC, {"n": 3_000})
        [message] = consumer.poll(1, 10)

        assert (message.offset, message.value) == (3_000, {"n": 3_000})
        assert [each.offset for each in whole] == list(range(1, 500))  # what it had in hand, and no error
        assert consumer.lag() == 0


@pytest.mark.parametrize("moment", [None, 0.0])
def test_what_no_group_has_ever_read_is_removed_only_if_that_is_asked_for(
    tmp_path: Path, moment: float | None
) -> None:
    platform: Any = open_platform("embedded", path=str(tmp_path / "queue.db"))
    with platform.producer() as producer:
        producer.send("letters", 1)

    with contextlib.closing(platform.administration()) as administration:
        assert administration.prune(["letters"], moment).messages == 0
        assert [message.value for message in platform.read("letters")] == [1]
        assert administration.prune(["letters"], moment, without_group=True).messages == (moment is None)
