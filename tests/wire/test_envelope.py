"""What the crawl writes around a payload is what the consumer reads."""

from __future__ import annotations

import json
from datetime import datetime

from hypothesis import example, given
from hypothesis import strategies as st

from estela_consumer.decoding.envelope import read_envelope, salvaged_envelope
from estela_wire.envelope import MAX_URL, Envelope, EnvelopeWriter, MetadataWriter
from estela_wire.jid import make_jid, parse_jid
from estela_wire.message_id import IdSource

TEXT = st.text(max_size=9)
NAMES = st.fixed_dictionaries({}, optional={"db_name": TEXT, "dataset_name": TEXT})
PART = st.text(min_size=1, max_size=9).filter(lambda text: "." not in text)


@given(TEXT, st.booleans(), NAMES, st.dictionaries(TEXT, st.integers(-5, 5), max_size=3))
def test_an_envelope_is_read_as_it_was_written(
    jid: str, unique: bool, names: dict[str, str], payload: dict[str, int]
) -> None:
    identity = IdSource().next()

    data = EnvelopeWriter(jid, unique=unique, names=names).write(identity, json.dumps(payload).encode())

    read = read_envelope(data)
    assert read == Envelope(payload, jid, str(unique), identity.decode(), **names)
    assert salvaged_envelope(data) == read


@given(TEXT, st.lists(TEXT, min_size=1, max_size=3, unique=True), st.sampled_from(["keep", "track"]), TEXT)
def test_an_envelope_with_a_key_and_metadata_is_json_that_says_both(
    jid: str, key: list[str], on_existing: str, url: str
) -> None:
    writer = EnvelopeWriter(jid, unique=False, names={}, key=key, on_existing=on_existing)
    metadata = MetadataWriter(lambda: 1_769_851_815.1239)

    data = writer.write(IdSource().next(), b"{}", metadata.write(url))

    read = json.loads(data)
    assert (read["key"], read["on_existing"], read["payload"]) == (key, on_existing, {})
    assert read["metadata"] == {"url": url, "scraped_at": "2026-01-31T09:30:15.123Z"}
    assert read_envelope(data).payload == {}


@given(st.lists(st.tuples(st.none() | TEXT | st.just("x" * 9_000), st.floats(0, 4e9)), max_size=9))
def test_metadata_have_the_page_and_the_time_of_each_message(
    messages: list[tuple[str | None, float]],
) -> None:
    times = iter([at for _, at in messages])
    writer = MetadataWriter(lambda: next(times))

    for url, at in messages:
        read = json.loads(writer.write(url))

        assert read.get("url") == (url if url is not None and len(url) <= MAX_URL else None)
        written = datetime.fromisoformat(read["scraped_at"].replace("Z", "+00:00"))
        assert 0 <= at - written.timestamp() < 0.0011


@given(TEXT, NAMES, st.integers(0, 30))
@example("payload", {"dataset_name": '"payload":'}, 0)
def test_an_envelope_whose_payload_was_cut_still_says_whose_it_is(
    jid: str, names: dict[str, str], kept: int
) -> None:
    identity = IdSource().next()
    head = EnvelopeWriter(jid, unique=False, names=names).write(identity, b"")[:-1]

    read = salvaged_envelope(head + b'{"name": "a very long one"'[:kept], whole=False)

    assert (read.jid, read.id) == (jid, identity.decode())


@given(PART, PART, PART)
def test_a_jid_has_the_parts_that_it_was_made_of(job: str, spider: str, project: str) -> None:
    assert parse_jid(make_jid(job, spider, project)) == (job, spider, project)
