"""The publisher: what it does when the queue refuses, fails, or is silent.

A scripted producer stands for the queue, for faults that a real one shows only by luck.
"""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from devservers.ports import wait_until
from estela_queue_adapter.errors import (
    AccessDenied,
    MessageRejected,
    QueueError,
    QueueUnreachable,
    TopicDenied,
    TopicMissing,
)
from estela_scrapy.delivery.buffer import Mode, Undelivered
from estela_scrapy.delivery.outbox import Outbox
from estela_scrapy.delivery.publisher import Publisher
from tests.scrapy_side.delivery.scripted_producer import ScriptedProducer

MB = 1024 * 1024


@pytest.fixture
def queue() -> ScriptedProducer:
    return ScriptedProducer()


@pytest.fixture
def outbox(tmp_path: Path) -> Outbox:
    return Outbox(tmp_path / "outbox.db", MB)


@pytest.fixture
def publisher(queue: ScriptedProducer, outbox: Outbox) -> Iterator[Publisher]:
    publisher = Publisher(lambda: queue, outbox, buffer_bytes=MB, interval=0.01)
    publisher.start()
    yield publisher
    publisher.close()


def put(publisher: Publisher, *numbers: int, topic: str = "t") -> None:
    for number in numbers:
        publisher.put("items", topic, b"%d" % number)


def numbers(*numbers: int) -> list[bytes]:
    return [b"%d" % number for number in numbers]


def test_what_is_put_reaches_the_queue_in_order_and_touches_no_file(
    publisher: Publisher, queue: ScriptedProducer, outbox: Outbox
) -> None:
    put(publisher, *range(1_000))

    assert publisher.wait(10)
    assert queue.taken == numbers(*range(1_000))
    assert publisher.counts.published["items"] == publisher.accepted("items") == 1_000
    assert publisher.counts.bytes["items"] == sum(map(len, queue.taken))
    assert publisher.close() == Undelivered(0, 0)
    assert not outbox.exists()


@pytest.mark.parametrize("raises", [True, False])
@pytest.mark.parametrize("error", [QueueUnreachable("gone"), AccessDenied("wrong password")])
def test_a_queue_that_is_unavailable_gets_everything_in_order_when_it_is_back(
    publisher: Publisher,
    queue: ScriptedProducer,
    outbox: Outbox,
    caplog: pytest.LogCaptureFixture,
    raises: bool,
    error: QueueError,
) -> None:
    queue.raises, unavailable = raises, threading.Event()
    queue.script = lambda topic, data: error if unavailable.is_set() else None
    put(publisher, 0)
    wait_until(lambda: queue.taken == [b"0"], "the first message")

    unavailable.set()
    put(publisher, *range(1, 50))
    wait_until(outbox.exists, "the outbox")
    put(publisher, *range(50, 100))
    unavailable.clear()

    assert publisher.wait(30)
    assert queue.taken == numbers(*range(100))
    assert outbox.pending() == 0
    assert [
        record.message.split(" after")[0] for record in caplog.records if "available" in record.message
    ] == [
        f"Queue unavailable: {error}. The crawl goes on; its messages wait.",
        "Queue available again",
    ]


def test_what_a_slow_queue_leaves_in_memory_for_seconds_is_moved_to_the_outbox(
    publisher: Publisher, queue: ScriptedProducer, outbox: Outbox
) -> None:
    queue.silent = True
    put(publisher, *range(2_010))  # less than half of the memory, and more than may be in flight
    wait_until(lambda: queue.asked == 2_000, "all that may be in flight")

    wait_until(lambda: publisher.counts.spilled > 0, "the outbox")

    assert publisher.counts.spilled == 10
    assert publisher.close() == Undelivered(2_010, 0)


def test_a_message_that_the_queue_refuses_is_kept_with_the_reason_and_costs_only_itself(
    publisher: Publisher, queue: ScriptedProducer, outbox: Outbox, caplog: pytest.LogCaptureFixture
) -> None:
    queue.script = lambda topic, data: MessageRejected("too large") if data == b"1" else None
    put(publisher, 0, 1, 2)

    assert publisher.wait(10)
    assert queue.taken == numbers(0, 2)
    assert publisher.counts.rejected["items"] == 1
    assert publisher.close() == Undelivered(0, 0)
    [kept] = outbox.everything()
    assert (kept.message.data, kept.reason) == (b"1", "too large")
    assert "refuses a message for t (1 so far); it is kept in the outbox: too large" in caplog.text


def test_who_has_waited_for_the_queue_finds_every_answer_counted(
    publisher: Publisher, queue: ScriptedProducer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Given refusals of which each is told at length, by a log that takes its time."""
    monkeypatch.setattr("estela_scrapy.delivery.publisher.logger.error", lambda *_: time.sleep(0.05))
    queue.script = lambda _topic, data: MessageRejected("no") if data < b"100" else None

    for number in range(50, 150):
        publisher.put("items", "t", b"%03d" % number)

    assert publisher.wait(30)
    assert (publisher.counts.rejected["items"], publisher.counts.published["items"]) == (50, 50)


def test_what_is_put_after_the_end_is_kept_by_the_next_and_the_count_goes_on(
    publisher: Publisher, queue: ScriptedProducer, outbox: Outbox
) -> None:
    queue.script = lambda _topic, _data: QueueUnreachable("no")
    put(publisher, 1, 2)

    assert publisher.close() == Undelivered(2, 0)
    put(publisher, 3)
    assert publisher.close() == Undelivered(3, 0)

    assert [kept.message.data for kept in outbox.everything()] == numbers(1, 2, 3)


@pytest.mark.parametrize("error", [TopicDenied("no permission"), TopicMissing("no such topic")])
@pytest.mark.parametrize("raises", [True, False])
def test_a_topic_that_is_closed_to_us_does_not_keep_the_others_waiting(
    publisher: Publisher, queue: ScriptedProducer, outbox: Outbox, error: QueueError, raises: bool
) -> None:
    queue.raises = raises
    queue.script = lambda topic, data: error if topic == "closed" else None
    for number in range(100):
        put(publisher, number, topic="closed" if number % 2 else "open")

    assert publisher.wait(10)
    assert queue.taken == numbers(*range(0, 100, 2))
    assert queue.asked == 51  # the closed one is asked once, and not again at once
    assert len([*outbox.everything()]) == 50


def test_a_queue_that_takes_and_never_answers_counts_as_unavailable_and_what_it_took_is_kept(
    publisher: Publisher, queue: ScriptedProducer, outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("estela_scrapy.delivery.health._SILENCE", 0.05)
    queue.silent = True
    put(publisher, 1)
    wait_until(lambda: queue.asked == 1, "the first message")
    wait_until(lambda: publisher._health.unavailable, "the silence")
    put(publisher, 2)

    assert not publisher.wait(0.2)
    assert publisher.close() == Undelivered(2, 0)
    queue.held[0](None)  # an answer that comes too late does no harm
    assert [kept.message.data for kept in outbox.everything()] == numbers(1, 2)


def test_what_is_left_by_one_is_sent_by_the_next_before_its_own(tmp_path: Path) -> None:
    path, queue = tmp_path / "outbox.db", ScriptedProducer()
    queue.silent = True
    first = Publisher(lambda: queue, Outbox(path, MB), buffer_bytes=MB, interval=0.01)
    first.start()
    put(first, 1, 2)
    assert first.close() == Undelivered(2, 0)

    queue = ScriptedProducer()
    second = Publisher(lambda: queue, Outbox(path, MB), buffer_bytes=MB, interval=0.01)
    second.start()
    assert second.wait(10)
    put(second, 3)

    assert second.wait(10)
    assert second.close() == Undelivered(0, 0)
    assert queue.taken == numbers(1, 2, 3)
    assert second.counts.published["items"] == 1  # the others were the first one's


def test_always_means_that_a_message_is_in_the_file_before_it_is_sent(
    queue: ScriptedProducer, outbox: Outbox
) -> None:
    seen: list[bool] = []

    def look(topic: str, data: bytes) -> None:
        seen.append(data in [kept.message.data for kept in outbox.everything()])

    queue.script = look
    publisher = Publisher(lambda: queue, outbox, buffer_bytes=MB, mode=Mode.ALWAYS, interval=0.01)
    publisher.start()
    put(publisher, *range(10))

    assert publisher.wait(10)
    assert seen == [True] * 10
    assert publisher.close() == Undelivered(0, 0)


def test_an_outbox_that_cannot_be_written_is_told_once_and_nothing_is_dropped_before_the_end(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("in the way")
    queue = ScriptedProducer()
    queue.script = lambda topic, data: QueueUnreachable("gone")
    publisher = Publisher(
        lambda: queue, Outbox(tmp_path / "file" / "o.db", MB), buffer_bytes=MB, interval=0.01
    )
    publisher.start()
    put(publisher, 1, 2)
    wait_until(lambda: "cannot be used" in caplog.text, "the complaint")

    queue.script = lambda topic, data: None

    assert publisher.wait(10)
    assert queue.taken == numbers(1, 2)
    assert caplog.text.count("cannot be used") == 1
    queue.silent = True
    put(publisher, 3)
    left = publisher.close()
    assert (left.waiting, left.lost) == (0, 1)  # neither the queue nor the file: said, not hidden
    assert "cannot be used" in left.why


def test_in_flight_and_memory_together_stay_below_the_bound(queue: ScriptedProducer, tmp_path: Path) -> None:
    queue.silent = True
    publisher = Publisher(lambda: queue, Outbox(tmp_path / "o.db", 10), buffer_bytes=10_000, interval=0.01)
    publisher.start()
    count = 0
    while not publisher.full:
        publisher.put("items", "t", b"x" * 100)
        count += 1
    wait_until(lambda: queue.asked > 0, "the first burst")

    assert count <= 10_000 // 100
    assert queue.asked <= count // 2 + 1  # half of the buffer may be in flight
    assert publisher.close() == Undelivered(count, 0)


def test_a_fault_of_the_platform_is_told_and_ends_neither_thread_nor_message(
    publisher: Publisher,
    queue: ScriptedProducer,
    outbox: Outbox,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fails_once(topic: str, data: bytes) -> None:
        if data == b"0":
            raise RuntimeError("no error of ours")

    monkeypatch.setattr("estela_scrapy.delivery.publisher.LONGEST_PAUSE", 0.01)
    queue.script = fails_once
    put(publisher, 0)
    wait_until(lambda: "RuntimeError: no error of ours" in caplog.text, "the fault")
    put(publisher, 1)
    wait_until(lambda: queue.taken == [b"1"], "the next message")

    assert publisher.close() == Undelivered(waiting=1, lost=0)
    assert [message.message.data for message in outbox.everything()] == [b"0"]


@pytest.mark.parametrize("mode", list(Mode))
def test_an_outbox_that_cannot_be_used_costs_nothing_while_the_queue_is_there(
    queue: ScriptedProducer, tmp_path: Path, mode: Mode
) -> None:
    file = tmp_path / "outbox.db"
    file.write_bytes(b"this is no database" * 100)
    publisher = Publisher(lambda: queue, Outbox(file, MB), buffer_bytes=MB, mode=mode, interval=0.01)
    publisher.start()
    put(publisher, *range(100))

    assert publisher.wait(10)
    assert publisher.close() == Undelivered(waiting=0, lost=0)
    assert queue.taken == numbers(*range(100))


@pytest.mark.parametrize("error", [None, MessageRejected("too large")])
def test_an_answer_that_comes_when_the_producer_is_closed_is_counted(
    publisher: Publisher,
    queue: ScriptedProducer,
    outbox: Outbox,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    error: QueueError | None,
) -> None:
    queue.silent = True
    put(publisher, 1)
    wait_until(lambda: queue.asked == 1, "the first message")
    monkeypatch.setattr(queue, "close", lambda timeout: queue.held[0](error))

    assert publisher.close() == Undelivered(0, 0)
    refused = error is not None
    assert publisher.counts.published["items"] == (not refused)
    assert publisher.counts.rejected["items"] == refused
    assert publisher.counts.answered == 1
    assert ("refuses a message for t (1 so far)" in caplog.text) == refused
    assert [kept.reason for kept in outbox.everything()] == ["too large"] * refused


def test_a_refused_message_that_no_file_can_keep_is_counted_as_lost(
    queue: ScriptedProducer, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    publisher = Publisher(lambda: queue, Outbox(tmp_path / "file" / "o.db", MB), buffer_bytes=MB)
    queue.script = lambda topic, data: MessageRejected("no") if data == b"1" else None
    put(publisher, 1, 2)
    publisher.start()
    wait_until(lambda: queue.taken == [b"2"], "the second message")

    undelivered = publisher.close()

    assert (undelivered.waiting, undelivered.lost) == (0, 1)
    assert publisher.counts.rejected.total() == 0
    assert publisher.close().lost == 1


# A signal's handler logs, as Scrapy's does, while its thread publishes items as fast as it can.
INTERRUPTED = """
import faulthandler, logging, signal, sys
from pathlib import Path
from types import SimpleNamespace
from estela_scrapy.delivery.outbox import Outbox
from estela_scrapy.delivery.publisher import Publisher
from estela_scrapy.job.logs import JobLogHandler
from estela_scrapy.routing.stream import Stream
from estela_scrapy.routing.target import Target
from tests.scrapy_side.delivery.scripted_producer import ScriptedProducer
faulthandler.dump_traceback_later(60, exit=True)
queue, count = ScriptedProducer(), 50_000
publisher = Publisher(lambda: queue, Outbox(Path(sys.argv[1]), 2**30), buffer_bytes=2**30)
publisher.start()
items, lines = (Stream(publisher, name, Target(topic="t", jid="1.a.b")) for name in ("items", "logs"))
crawler = type("Crawler", (), {"spider": None})()
handler = JobLogHandler(crawler, logging.INFO, 1_000)
handler.begin(lines.publish_unless_full)
handler.listen()
logger = logging.getLogger("crawl")
logger.setLevel(logging.INFO)
signal.signal(signal.SIGALRM, lambda *_: logger.info("a signal"))
signal.setitimer(signal.ITIMER_REAL, 0.0002, 0.0002)
for _ in range(count):
    items.publish(b"{}")
    publisher.full
signal.setitimer(signal.ITIMER_REAL, 0)
assert publisher.wait(50)
counts = publisher.counts.published
assert counts["items"] == publisher.accepted("items") == count, counts
assert counts["logs"] == publisher.accepted("logs") > 10, counts
assert len(set(queue.taken)) == len(queue.taken) == counts.total()
assert lines.failed == handler.failed == 0
publisher.close()
"""


def test_a_signal_whose_handler_logs_while_an_item_is_published_stops_nothing(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED, str(tmp_path / "outbox.db")],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
