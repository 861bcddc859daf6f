"""Worlds in which somebody takes messages or documents away, and the books know which."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Collection
from typing import Any

from kafka import KafkaAdminClient, TopicPartition

from devservers.ports import wait_until
from estela_terminal.exit_codes import ExitCode
from tests.consumer.commands import command
from tests.faults.outcome import Outcome
from tests.faults.world import World

_BYTES = 24_000_000  # of a row's messages: more than a consumer has in its buffers when retention comes
_DRAIN_SECONDS = 10.0  # for the half of the messages that is there at the start
_END = 120.0  # seconds


class DroppedWorld(World):
    """Its database is dropped: what was produced before is not promised any more."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._first_promised = 0

    def drop_database(self) -> None:
        """Drop it, while the consumer writes."""
        with self._client() as client:
            client.drop_database(self.topic)
        self._first_promised = self._good

    def promised(self) -> Collection[int]:
        return range(self._first_promised, self._good)

    def not_promised(self) -> int:
        return self._first_promised


class RetentionWorld(World):
    """Retention overtakes its drain: what that calls gone must be exactly what is missing."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._removed: set[int] = set()
        self._called_gone = 0

    def _text(self) -> str:
        return "x" * max(200, _BYTES // self.messages)

    def overtaken_drain(self) -> None:
        """A drain under which most of what it has not read yet is removed. Before anything else is read."""
        wait_until(lambda: self._acknowledged >= self.messages // 2, "half of the messages", _END)
        rate = max(10.0, self.messages / 2 / _DRAIN_SECONDS)
        with (self.folder / "drain.log").open("ab") as log:
            process = subprocess.Popen(
                [*command("estela-consume"), self.topic, "--drain", "--json", "--rate", str(rate)],
                env=self.environ,
                stdout=subprocess.PIPE,
                stderr=log,
            )
        before = self._stored()
        wait_until(lambda: self._stored() > before, "the drain's first batch", _END)
        self._remove_most_of_what_is_unread()
        out, _ = process.communicate(timeout=_END)
        summary = json.loads(out)
        if process.returncode != ExitCode.MESSAGES_GONE:
            raise AssertionError(f"the drain ended with {process.returncode}: {summary}")
        gone = summary["drain"]["messages_gone"][self.topic]
        self._called_gone = sum(gone.values())

    def _remove_most_of_what_is_unread(self) -> None:
        """As retention does, up to some offset in each partition."""
        unread = {at.partition: at.offset for at in self._positions()}
        upto: dict[int, int] = {}
        numbers: dict[tuple[int, int], int] = {}
        for message in self._platform.read(self.topic):
            numbers[message.partition, message.offset] = json.loads(message.data or b"")["payload"]["n"]
            begin, end = unread.get(message.partition, 0), message.offset
            upto[message.partition] = end - (end - begin) // 10
        admin = KafkaAdminClient(bootstrap_servers=self.servers.kafka.bootstrap_servers)
        try:
            admin.delete_records({TopicPartition(self.topic, part): offset for part, offset in upto.items()})
        finally:
            admin.close()
        self._removed = {number for (part, offset), number in numbers.items() if offset < upto[part]}

    def promised(self) -> Collection[int]:
        return set(range(self._good)) - self._never_stored()

    def not_promised(self) -> int:
        return len(self._never_stored())

    def balance(self, recovered: float) -> Outcome:
        missing = len(self._never_stored())
        if missing != self._called_gone or not missing:
            raise AssertionError(f"{missing} removed messages are missing, {self._called_gone} were told")
        return super().balance(recovered)

    def _never_stored(self) -> set[int]:
        with self._client() as client:
            stored = client[self.topic][f"s-1-{self.topic}"].distinct("n")
        return self._removed.difference(stored)
