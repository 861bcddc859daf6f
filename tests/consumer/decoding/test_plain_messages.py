"""Plain messages are decoded and gathered by columns: what comes out is what one by one gives."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from estela_consumer.decoding.decoder import decode_all
from estela_consumer.decoding.document import Document
from estela_consumer.decoding.drafts import MOST_TOGETHER
from estela_consumer.errors import BadMessage
from estela_consumer.pipeline.batch import Batch, ChunkLimits
from estela_queue_adapter import Message

IDS = [
    "0123456789abcdef01234567",
    "0" * 24,
    "0A " * 8,
    "0" * 22 + "  ",
    " " + "a" * 23,
    "\uff10" * 24,
    "0" * 23,
    "g" * 24,
]
VALUES = st.one_of(
    st.integers(-(2**70), 2**70), st.text(max_size=5), st.just("\ud800"), st.just([{"a.b": 1}])
)
KEYS = st.sampled_from(["a", "b", "a.b", "_id", "_estela", "\\u002e", "\u00e9"])
PLAIN = st.builds(
    lambda payload, jid, given: json.dumps(
        {"jid": jid, "unique": "False", "id": given, "payload": payload}
    ).encode(),
    st.dictionaries(KEYS, VALUES, max_size=3) | st.just({"n": 1}),
    st.sampled_from(["1.s.p"] * 5 + ["2.s.p", "no jid"]),
    st.sampled_from(IDS[:2] * 10 + IDS),
)
DEEP = json.dumps(
    {"jid": "1.s.p", "unique": "False", "id": IDS[0], "payload": json.loads('{"a":' * 301 + "1" + "}" * 301)}
).encode()


def messages_of(sent: Sequence[bytes | None], headers: Sequence[tuple[str, bytes]] = ()) -> list[Message]:
    return [
        Message("job_items", number % 3, number, 1e9, None, data, headers if number == 1 else ())
        for number, data in enumerate(sent)
    ]


def told(carried: Sequence[Document | BadMessage | None]) -> list[Any]:
    return [(one.reason, str(one)) if isinstance(one, BadMessage) else one for one in carried]


@given(st.lists(PLAIN | st.just(DEEP), min_size=1, max_size=MOST_TOGETHER - 1))
def test_they_become_what_they_do_beside_a_message_that_is_not_plain(sent: list[bytes]) -> None:
    assert told(decode_all(messages_of(sent))) == told(decode_all(messages_of([*sent, None])))[:-1]


@given(
    st.lists(PLAIN, min_size=1, max_size=MOST_TOGETHER),
    st.sampled_from([(), [("name", b"value")]]),
    st.integers(1, 5_000),
)
def test_a_batch_of_them_is_what_it_is_when_each_is_added_alone(
    sent: list[bytes], headers: Sequence[tuple[str, bytes]], most: int
) -> None:
    messages = messages_of(sent, headers)
    decoded = decode_all(messages)
    together, alone = (Batch(ChunkLimits(count=10, bytes=most), 0.0) for _ in range(2))

    together.add_all(messages, decoded)
    for message, carried in zip(messages, decoded, strict=True):
        alone.add(message, carried)

    assert together.chunks == alone.chunks
    assert [chunk.bytes for chunk in together.chunks.values()] == [
        chunk.bytes for chunk in alone.chunks.values()
    ]
    for fact in ("messages", "bytes", "full", "tombstones", "positions", "room"):
        assert getattr(together, fact) == getattr(alone, fact), fact
    assert [one.message for one in together.rejected] == [one.message for one in alone.rejected]


def test_only_documents_of_one_dataset_without_keys_and_headers_are_known_as_alike() -> None:
    one, other = (
        json.dumps({"jid": jid, "unique": "False", "id": IDS[0], "payload": {}}).encode()
        for jid in ("1.s.p", "2.s.p")
    )

    assert str(decode_all(messages_of([one, one])).dataset) == "p/s-1-job_items"
    assert decode_all(messages_of([one, one], [("name", b"")])).dataset is None
    assert decode_all(messages_of([one, other])).dataset is None
    assert decode_all(messages_of([one, None])).dataset is None
    keyed = [Message("job_items", 0, 0, 1e9, b"key", one, ())]
    assert decode_all(keyed).dataset is None
