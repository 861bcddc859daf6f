"""What the crawl writes around a payload is what the consumer reads."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from estela_consumer.decoding.envelope import read_envelope, salvaged_envelope
from estela_wire.envelope import Envelope, EnvelopeWriter
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


@given(TEXT, NAMES, st.integers(0, 30))
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
