"""Writers whose every request to MongoDB waits for its turn, which a test gives out.

The requests are real, and so is the server. A bulk is a request for each of its operations, as mongod does
not execute it at once either. A writer that is killed sends nothing more, but what it had sent may still be
executed, at any time: its operations are late.
"""

from __future__ import annotations

import contextlib
import functools
import random
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeAlias

import pytest
from pymongo.collection import Collection
from pymongo.errors import BulkWriteError
from pymongo.results import BulkWriteResult

from estela_consumer.stores.mongodb import bulk, encoded

_PATIENCE = 60.0  # seconds for one request, on a machine with much else to do

Operation: TypeAlias = Callable[[], Any]


class Killed(BaseException):
    """The writer's process is dead."""


class Writer:
    """A thread that does its work request by request, as far as it is let."""

    def __init__(self, work: Callable[[], None]) -> None:
        self.finished = False
        self._work = work
        self._in_flight: list[Operation] = []
        self._killed = False
        self._error: BaseException | None = None
        self._turn, self._arrived = threading.Semaphore(0), threading.Semaphore(0)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        self._wait()

    def go_on(self) -> None:
        """Have it send one request and get the answer. Blocks until it is about to send the next."""
        self._turn.release()
        self._wait()

    def kill(self) -> list[Operation]:
        """End it; what it has sent, but nobody has executed."""
        self._killed = True
        self.go_on()
        return self._in_flight

    def turn(self, in_flight: Sequence[Operation]) -> None:
        """Wait for it, in the thread itself."""
        self._in_flight = list(in_flight)
        self._arrived.release()
        self._turn.acquire()
        if self._killed:
            raise Killed

    def _wait(self) -> None:
        assert self._arrived.acquire(timeout=_PATIENCE), "a request hangs"
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        _current.writer = self
        try:
            self._work()
        except Killed:
            pass
        except BaseException as error:  # noqa: BLE001  (for the test, which is in another thread)
            self._error = error
        self.finished = True
        self._arrived.release()


_current = threading.local()


@contextlib.contextmanager
def requests_wait_for_their_turn() -> Iterator[None]:
    """Those of threads that belong to a Writer."""
    bulk_write, find = Collection.bulk_write, Collection.find

    def executed(collection: Any, operations: Sequence[Any], execute: Callable[..., Any]) -> int:
        in_flight = [functools.partial(execute, collection, [one]) for one in operations]
        matched, errors = 0, []
        for index, one in enumerate(in_flight):
            _current.writer.turn(in_flight[index:])
            try:
                result = one()
            except BulkWriteError as error:
                errors += [{**found, "index": index} for found in error.details["writeErrors"]]
            else:
                matched += getattr(result, "matched_count", 0)
        if errors:
            raise BulkWriteError({"writeErrors": errors, "writeConcernErrors": [], "nMatched": matched})
        return matched

    def one_by_one(collection: Any, operations: Sequence[Any], ordered: bool = True) -> Any:
        if not hasattr(_current, "writer"):
            return bulk_write(collection, operations, ordered=ordered)
        matched = executed(collection, operations, functools.partial(bulk_write, ordered=False))
        return BulkWriteResult({"nMatched": matched}, acknowledged=True)

    def inserted_one_by_one(collection: Any, documents: Sequence[bytes]) -> None:
        if not hasattr(_current, "writer"):
            insert(collection, documents)
        else:
            executed(collection, documents, insert)

    def found(collection: Any, *arguments: Any, **options: Any) -> Any:
        if hasattr(_current, "writer"):
            _current.writer.turn([])
        return find(collection, *arguments, **options)

    insert = encoded.insert
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Collection, "bulk_write", one_by_one)
        patch.setattr(bulk, "insert", inserted_one_by_one)
        patch.setattr(Collection, "find", found)
        yield


def write_at_random(
    chunks: Sequence[Any],
    write: Callable[[Any], None],
    chance: random.Random,
    *,
    writers: int,
    kills: int,
) -> None:
    """Write all chunks with several writers, of which some are killed; all are done in the end.

    A chunk whose writer was killed is delivered again. What is late is executed at any time, perhaps last.
    """
    waiting = list(chunks)
    working: dict[Writer, Any] = {}
    late: list[list[Operation]] = []
    with requests_wait_for_their_turn():
        while waiting or working:
            while waiting and len(working) < writers:
                chunk = waiting.pop(0)
                working[Writer(functools.partial(write, chunk))] = chunk
            if late and chance.random() < 0.03:
                _execute_next(late, chance)
            writer = chance.choice(list(working))
            if kills and not writer.finished and chance.random() < 0.15:
                kills -= 1
                late.append(writer.kill())
                waiting.insert(chance.randint(0, len(waiting)), working.pop(writer))
                continue
            for _ in range(chance.choice([1, 1, 2, 5])):
                if writer.finished:
                    del working[writer]
                    break
                writer.go_on()
        while any(late):
            _execute_next(late, chance)


def _execute_next(late: list[list[Operation]], chance: random.Random) -> None:
    some = chance.choice(late)
    if not some:
        late.remove(some)
        return
    with contextlib.suppress(BulkWriteError):  # nobody hears of it
        some.pop(0)()
