"""Messages of every kind through a dead letter and back."""

from __future__ import annotations

import json
from datetime import datetime, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devservers.kafka import create_topic
from estela_consumer.dead_letters.cutting import Parts
from estela_consumer.dead_letters.publisher import letter_headers, letter_key
from estela_consumer.dead_letters.rejected_message import RejectedMessage
from estela_consumer.dead_letters.replay import DeadLetter
from estela_consumer.errors import BadMessage, Reason
from estela_queue_adapter import Message, Unreadable, get_producer_interface, open_platform
from estela_queue_adapter.messages import Headers
from estela_wire.headers import escaped, own_headers
from estela_wire.topics import dead_letter_topic
from tests.consumer.commands import drain, envelope, exported, publish, run
from tests.fuzz.raw_batches import CODECS, Record, batch_of, now_ms
from tests.fuzz.wire import RawProducer
from tests.wire.test_headers import HEADERS

pytestmark = pytest.mark.processes

NOW = datetime(2026, 1, 1, tzinfo=timezone.utc)
ODD: Headers = [
    ("traceparent", None),
    (b"soci\xe9t\xe9".decode(errors="surrogateescape"), b"\xff"),
    ("twice", b"1"),
    ("twice", b"2"),
    ("estela-topic", b"another"),
    ("estela-truncated", b"7"),
    ("estela-own-x", b""),
]


def letter_of(message: Message, text: str = "why") -> DeadLetter:
    """The letter of a message, as it is read back."""
    parts = Parts(bytes(message.data or b""), message.key, escaped(own_headers(message)))
    headers = letter_headers(
        RejectedMessage(message, BadMessage(Reason.UNDECODABLE, text)), parts, NOW, 2_000
    )
    letter = DeadLetter.of(Message("letters", 0, 5, 0.0, letter_key(message), parts.data, headers))
    assert letter is not None
    return letter


@given(st.binary(), st.none() | st.binary(), HEADERS, st.integers(-(2**63), 2**63 - 1), st.text())
def test_a_letter_brings_back_its_message_whole(
    data: bytes, key: bytes | None, headers: Headers, milliseconds: int, text: str
) -> None:
    message = Message("t", 1, 42, milliseconds / 1000, key, data, headers)

    letter = letter_of(message, text)
    back, settled = letter.replayed()

    assert letter.not_whole == ""
    assert (back.topic, back.partition, back.key, back.data) == ("t", 1, key, data)
    assert back.headers[5:] == own_headers(message)
    assert settled.key == letter_key(message)
    json.dumps(letter.as_json())


@given(st.binary(min_size=1), HEADERS)
def test_what_was_never_a_letter_is_none(data: bytes, headers: Headers) -> None:
    foreign = [(name, value) for name, value in headers if name != "estela-offset"]

    assert DeadLetter.of(Message("letters", 0, 0, 0.0, None, data, foreign)) is None


def test_messages_that_claim_the_same_origin_do_not_share_a_letter() -> None:
    claim = [(f"estela-{name}", value) for name, value in CLAIM]

    keys = {letter_key(Message("t", 0, offset, 0.0, None, b"%d" % offset, claim)) for offset in (7, 8)}

    assert len(keys) == 2


CLAIM = [("topic", b"t"), ("partition", b"0"), ("offset", b"1"), ("timestamp", b"1.0"), ("replays", b"1")]


def test_a_letter_of_what_is_no_message_says_so_and_is_not_sent_back() -> None:
    letter = letter_of(Message("t", 0, 9, 0.0, None, Unreadable(b"raw", 5, "why"), ()))

    assert (letter.unreadable_from, letter.place, letter.data) == (5, "0:9", b"raw")
    assert letter.not_whole == "holds bytes that are no message"


def test_the_error_of_a_letter_is_cut_when_the_store_says_too_much() -> None:
    error = BadMessage(Reason.REFUSED, "x" * 100_000)
    headers = letter_headers(
        RejectedMessage(Message("t", 0, 0, 0.0, None, b"", ()), error), Parts(b"", None, ()), NOW, 2_000
    )

    assert len(dict(headers)["estela-error"] or b"") == 2_003


@pytest.mark.parametrize("length", [1, 236, 237, 249])
def test_every_topic_has_a_dead_letter_topic_that_a_broker_takes_and_shares_it_with_no_other(
    length: int,
) -> None:
    one, other = dead_letter_topic("a" * length), dead_letter_topic("a" * (length - 1) + "b")

    assert max(len(one), len(other)) <= 249
    assert one != other
    assert one.endswith("_dead_letters")
    assert one == dead_letter_topic("a" * length)


@pytest.mark.usefixtures("surroundings")
class TestEverywhere:
    def test_a_message_with_odd_headers_becomes_a_letter_and_is_replayed_as_it_was(self, unique: str) -> None:
        good = envelope({"n": 1}, jid=f"1.s.{unique}")
        with get_producer_interface() as producer:
            producer.send(unique, good, headers=ODD)
            producer.send(unique, b"not json", key=b"\xff", headers=ODD)

        first = drain(unique)
        [exported_letter] = map(json.loads, run("estela-dead-letters", "export", unique).out.splitlines())
        shown = run(
            "estela-dead-letters",
            "show",
            unique,
            f"{exported_letter['partition']}:{exported_letter['offset']}",
        )
        replayed = run("estela-dead-letters", "replay", unique)
        back = [message for message in open_platform().read(unique) if message.data == b"not json"]
        second = drain(unique)
        letters = run("estela-dead-letters", "export", unique).out.splitlines()

        assert (first.code, shown.code, replayed.code, second.code) == (3, 0, 0, 3), first.err
        assert exported_letter["headers"][0] == ["traceparent", None]
        assert len(exported(f"{unique}/s-1-{unique}")) == 1
        assert [list(message.headers)[-len(ODD) :] for message in back] == [ODD, ODD]
        assert {(message.partition, message.key) for message in back} == {(back[0].partition, b"\xff")}
        assert [json.loads(line)["replays"] for line in letters] == [1]
        assert json.loads(letters[0])["headers"] == exported_letter["headers"]


@pytest.mark.usefixtures("on_servers")
class TestOnServers:
    def test_every_codec_is_read_after_a_plain_install(self, unique: str, kafka: str) -> None:
        create_topic(kafka, unique, 1)
        with RawProducer(kafka) as producer:
            for codec in CODECS:
                value = json.dumps(envelope({"codec": codec}, jid=f"1.s.{unique}")).encode()
                batch = batch_of([Record(None, value)] * 3, codec=codec, timestamp=now_ms())
                assert producer.send(unique, 0, batch).error == 0

        result = drain(unique)

        assert (result.code, result.summary["topics"][unique]["stored"]) == (0, 3 * len(CODECS)), result
        stored = sorted(document["codec"] for document in exported(f"{unique}/s-1-{unique}"))
        assert stored == sorted([*CODECS] * 3)

    def test_messages_that_do_not_fit_into_their_letters_are_cut_and_say_what_was(self, unique: str) -> None:
        """Given one with a large value, one with a large key and one with large headers."""
        large = b"x" * 1_048_300
        publish(unique, [envelope({"n": 1}, jid=f"1.s.{unique}")])
        with get_producer_interface() as producer:
            producer.send(unique, large, key=b"k", headers=[("trace", None)])
            producer.send(unique, b"not json", key=large)
            producer.send(unique, b"not json", headers=[("trace", None), ("large", large)])

        result = drain(unique)
        letters = [json.loads(line) for line in run("estela-dead-letters", "export", unique).out.splitlines()]
        replayed = run("estela-dead-letters", "replay", unique)

        assert result.code == 3, result.err
        names = ("truncated", "truncated_key", "truncated_headers")
        cuts = [tuple(letter[name] for name in names) for letter in letters]
        value, key, headers = len(large), len(large), len(large) + len("trace") + len("large") + 8
        assert sorted(cuts, key=str) == sorted(
            [(value, None, None), (None, key, None), (None, None, headers)], key=str
        )
        assert all(letter["headers"][0][0] == "trace" for letter in letters if not letter["truncated_key"])
        assert replayed.code == 3
        assert replayed.err.count("holds only the beginning of its message's") == 3

    def test_a_dead_letter_topic_that_takes_no_letter_is_waited_for_and_then_has_it(
        self, unique: str, kafka: str
    ) -> None:
        """Given two with small limits: one takes the letter once it is cut, and the other not even then."""
        for topic, limit in ((f"{unique}-a", "2000"), (f"{unique}-b", "200")):
            create_topic(kafka, topic, 1)
            create_topic(kafka, dead_letter_topic(topic), 1, {"max.message.bytes": limit})
            with get_producer_interface() as producer:
                producer.send(topic, envelope({"n": 1}, jid=f"1.s.{unique}"))
                producer.send(topic, b"x" * 5_000, headers=[("traceparent", b"00-4bf9-01")])

        cut, waits = drain(f"{unique}-a"), drain(f"{unique}-b", ESTELA_MAX_WAIT="3")

        assert (cut.code, waits.code) == (3, 4), waits.err
        assert "Traceback" not in waits.err
        [letter] = map(json.loads, run("estela-dead-letters", "export", f"{unique}-a").out.splitlines())
        assert letter["truncated"] == 5_000
        assert 0 < len(letter["text"]) < 2_000
