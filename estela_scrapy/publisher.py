"""The threads between the reactor and the queue.

The sender hands what waits to the producer, in bursts, so that an item wakes no thread. The spooler moves
what waits in memory to the outbox while the queue is away or slower than the crawl: the sender may be waiting
for the network then.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from functools import partial

from estela_queue_adapter import Producer
from estela_queue_adapter.errors import (
    MessageRejected,
    PermanentError,
    QueueError,
    QueueUnreachable,
    TopicDenied,
    TopicMissing,
)
from estela_queue_adapter.printable import printable_logger
from estela_scrapy.outbox import Letter, Outbox, OutboxError
from estela_scrapy.spool import BURST, Left, Mode, Spool

_BURST_INTERVAL = 0.05  # seconds between two bursts
_SILENCE = 5.0  # seconds without an acknowledgement after which the queue counts as away
_ASK_AGAIN = 60.0  # seconds until a topic that was missing or denied is tried again
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 10.0  # seconds between tries while the queue is away
_FLUSH_STEP = 0.5  # seconds
_END_TIMEOUT = 2.0  # seconds for a thread to end; one that waits for the network is left behind

logger = printable_logger(__name__)


class Publisher:
    """Takes messages from any thread, without ever waiting, and sees to it that they reach the queue.

    A message is kept until the queue has acknowledged it: in memory, `buffer_bytes` at most, or in the
    outbox. One that the queue refuses for good stays in the outbox with the reason. `close` ends it.
    """

    def __init__(
        self,
        open_producer: Callable[[], Producer],
        outbox: Outbox,
        *,
        buffer_bytes: int,
        mode: Mode = Mode.OVERFLOW,
        interval: float = 0.1,
    ) -> None:
        self._open_producer = open_producer
        self._session = outbox.session
        self._spool = Spool(outbox, buffer_bytes, mode)
        self._mode = mode
        self._interval = interval
        self._lock = threading.Lock()  # guards the counters
        self._settling = threading.Lock()  # held from when a refusal leaves the spool until it is counted
        self.published: Counter[str] = Counter()
        self.bytes: Counter[str] = Counter()
        self.rejected: Counter[str] = Counter()
        self.answered = 0
        """Messages that the queue has taken or refused, whichever session's they are."""
        self.spilled = 0
        self._away_since: float | None = None
        self._heard_at = time.monotonic()
        self._unacknowledged: QueueError | None = None
        """What the producer said last of messages that are in flight."""
        self._tries = 0
        self._closed_topics: dict[str, tuple[QueueError, float]] = {}
        self._troubled = False
        self._ended = threading.Event()
        self._threads = [
            threading.Thread(target=work, name=f"estela-publisher-{name}", daemon=True)
            for name, work in (("sender", self._send_all), ("spooler", self._spool_all))
        ]
        for thread in self._threads:
            thread.start()

    def put(self, stream: str, topic: str, data: bytes) -> None:
        """Take a message. Never blocks and never refuses; see `full`."""
        self._spool.put(stream, topic, data)

    @property
    def full(self) -> bool:
        """Whether memory holds all that it may."""
        return self._spool.full

    @property
    def accepted(self) -> Counter[str]:
        """How many messages were put, by stream."""
        return self._spool.accepted

    def wait(self, timeout: float) -> bool:
        """Block until all is answered and counted, `timeout` seconds at most; whether it is."""
        deadline = time.monotonic() + timeout
        while not self._idle(deadline):
            if time.monotonic() > deadline or self._ended.wait(_BURST_INTERVAL / 2):
                return self._idle(deadline)
        return True

    def _idle(self, deadline: float) -> bool:
        """Whether nothing is left to send or to count."""
        if not self._settling.acquire(timeout=max(0.0, deadline - time.monotonic())):
            return False
        try:
            return self._spool.idle
        finally:
            self._settling.release()

    def close(self) -> Left:
        """End; what is not acknowledged is kept in the outbox. Blocks for some seconds at most.

        What is put afterwards is kept by the next call.
        """
        self._ended.set()
        for thread in self._threads:
            thread.join(_END_TIMEOUT)
        return self._spool.save()

    def _spool_all(self) -> None:
        while True:
            try:
                self._spool.open_file()
                if self._away_since is not None:
                    self._spool.keep_flights()
                if self._mode is Mode.ALWAYS or self._away_since is not None or self._spool.half_full:
                    self.spilled += self._spool.spill()
                self._spool.through_file = self._mode is Mode.ALWAYS
                self._troubled = False
            except OutboxError as error:
                self._spool.through_file = False
                self._say_trouble(error)
            except Exception:  # noqa: BLE001  (without this thread the crawl would wait for ever)
                self._say_fault()
            if self._ended.wait(self._interval):
                return

    def _send_all(self) -> None:
        producer = self._open_producer()
        while not self._ended.is_set():
            try:
                sent = self._turn(producer)
            except OutboxError as error:
                self._say_trouble(error)
                sent = 0
            except Exception:  # noqa: BLE001  (as above: a platform may have faults of its own)
                self._say_fault()
                sent = 0
            if sent < BURST:
                self._ended.wait(_BURST_INTERVAL)
        try:
            producer.close(0.0)
        except QueueError as error:
            logger.debug("closing the producer: %s", error)

    def _turn(self, producer: Producer) -> int:
        """One burst; how many were sent, or a full burst's number where it is time for the next."""
        self._settle()
        if self._spool.any_returned:
            self._begin_again(producer)
            return 0
        letters = self._spool.take()
        more = self._spool.flight_full  # there may be: what is taken is bounded by what may be in flight
        for number, letter in enumerate(letters):
            if not self._send(producer, letter):
                for behind in letters[number + 1 :]:
                    self._spool.give_back(behind)
                break
        if not letters and self._spool.flying:
            self._flush(producer)
        self._listen()
        return BURST if more else len(letters)

    def _send(self, producer: Producer, letter: Letter) -> bool:
        """Hand one message over; False where the queue takes none now."""
        error, until = self._closed_topics.get(letter.topic, (None, 0.0))
        if error is None or time.monotonic() > until:
            try:
                producer.send(letter.topic, letter.data, on_delivery=partial(self._answered, letter))
                return True
            except QueueError as refused:
                self._answered(letter, error := refused)
        else:
            self._report(letter, error)
        return _is_refusal(error)

    def _begin_again(self, producer: Producer) -> None:
        """Wait until nothing is in flight, then a little longer, and go on at the first that did not land."""
        while self._spool.flying:
            self._flush(producer)
            if self._ended.is_set():
                return
        self._spool.restore()
        self._tries += 1
        pause = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0 ** min(self._tries, 30))
        self._ended.wait(pause * random.uniform(0.5, 1.0))

    def _flush(self, producer: Producer) -> None:
        try:
            producer.flush(_FLUSH_STEP)
        except QueueError as error:
            self._unacknowledged = error
        self._listen()

    def _settle(self) -> None:
        with self._settling:
            refused = [(one, self._count_refusal(one.letter)) for one in self._spool.settle()]
        for (letter, reason), told in refused:
            if told & (told - 1) == 0:  # the 1st, 2nd, 4th, 8th, ...
                logger.error(
                    "The queue refuses a message for %s (%d so far); it is kept in the outbox: %s",
                    letter.topic,
                    told,
                    reason,
                )

    def _count_refusal(self, letter: Letter) -> int:
        with self._lock:
            self.answered += 1
            self.rejected[letter.stream] += 1
            return self.rejected[letter.stream]

    def _answered(self, letter: Letter, error: QueueError | None) -> None:
        """What the queue says of a message; called once for each that was sent, from any thread."""
        if isinstance(error, (TopicDenied, TopicMissing)):
            self._closed_topics[letter.topic] = error, time.monotonic() + _ASK_AGAIN
        self._report(letter, error)

    def _report(self, letter: Letter, error: QueueError | None) -> None:
        if error is None:
            with self._lock:  # before it leaves the spool: who finds that idle reads the counters
                self.answered += 1
                if letter.session == self._session:
                    self.published[letter.stream] += 1
                    self.bytes[letter.stream] += len(letter.data)
            self._spool.acknowledge(letter)
            self._say_back()
        elif _is_refusal(error):
            self._spool.refuse(letter, str(error))
        else:
            self._spool.give_back(letter)
            self._say_away(error)

    def _listen(self) -> None:
        """Notice a queue that takes messages and acknowledges none."""
        now = time.monotonic()
        if not self._spool.flying:
            self._heard_at = now
        elif now - self._heard_at > _SILENCE:
            why = f" ({self._unacknowledged})" if self._unacknowledged else ""
            self._say_away(QueueUnreachable(f"it has acknowledged nothing for {_SILENCE:.0f} s{why}"))

    def _say_away(self, error: QueueError) -> None:
        with self._lock:
            first, self._away_since = self._away_since is None, self._away_since or time.monotonic()
        if first and not self._ended.is_set():
            logger.warning("The queue is away: %s. The crawl goes on; what it brings waits.", error)

    def _say_back(self) -> None:
        self._heard_at = time.monotonic()
        self._tries = 0
        if self._away_since is not None:
            with self._lock:
                since, self._away_since = self._away_since, None
            if since is not None:
                logger.warning("The queue is back after %.1f s.", time.monotonic() - since)

    def _say_trouble(self, error: OutboxError) -> None:
        if not self._troubled:
            self._troubled = True
            logger.error(
                "%s. What the queue does not take waits in memory, and where that is full, the crawl waits.",
                error,
            )

    def _say_fault(self) -> None:
        """With its traceback, as it is none that is expected; seldom, as it may come again at once."""
        logger.exception("The publisher failed, and tries again in %.0f s.", _LONGEST_PAUSE)
        self._ended.wait(_LONGEST_PAUSE)


def _is_refusal(error: QueueError) -> bool:
    """Whether the queue will never take this message, or none for its topic."""
    return isinstance(error, (MessageRejected, TopicDenied, TopicMissing)) or type(error) is PermanentError
