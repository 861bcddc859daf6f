"""The counters of a process that may run for months."""

from __future__ import annotations

import gc
import json
import tracemalloc

import pytest

from estela_consumer.cli.summary import summary, summary_json
from estela_consumer.decoding.decoder import decode
from estela_consumer.decoding.document import Document
from estela_consumer.pipeline.drain import DrainReport
from estela_consumer.pipeline.progress import COUNTS, KINDS, Progress
from estela_consumer.pipeline.writers import WriteResult
from estela_consumer.stores import StoreSettings, open_store
from estela_consumer.stores.mongodb import MongoStore
from estela_queue_adapter import Message
from estela_terminal.exit_codes import ExitCode
from estela_terminal.output import DataTable
from estela_wire.dataset import Dataset

pytestmark = pytest.mark.processes


def written(number: int) -> WriteResult:
    one = WriteResult()
    one.stored[Dataset("d", f"c{number}")] += 2
    one.present[Dataset("d", f"c{number}")] += 1
    return one


def test_the_datasets_written_to_last_are_named_and_the_sum_is_the_total() -> None:
    progress = Progress(("t",))

    for number in [*range(3_000), 5]:
        progress.count_written("t", written(number))
    snapshot = progress.snapshot()

    assert len(snapshot.datasets) == 1_000
    assert {"d/c5", "d/c2999"} <= snapshot.datasets.keys()
    for kind in KINDS:
        named = sum(counts[kind] for counts in snapshot.datasets.values())
        assert named + snapshot.other_datasets[kind] == snapshot.total[kind]
    table = next(part for part in summary(snapshot, ExitCode.OK)[1:] if isinstance(part, DataTable))
    assert [str(cell) for cell in table.columns[0].cells][-2:] == ["and 980 more", "written to earlier"]


def test_few_datasets_are_all_named_and_exact() -> None:
    progress = Progress(("t",))

    for number in [0, 1, 0]:
        progress.count_written("t", written(number))
    as_json = summary_json(progress.snapshot(), ExitCode.OK)

    assert as_json["datasets"]["d/c0"] == {"stored": 4, "present": 2, "superseded": 0, "dead_lettered": 0}
    assert set(as_json["other_datasets"].values()) == {0}
    assert set(as_json["topics"]["t"]) == set(COUNTS)


def test_twenty_thousand_datasets_cost_less_than_two_megabytes() -> None:
    progress = Progress(("t",))
    store = open_store(StoreSettings(url="mongodb://127.0.0.1:1/"))
    assert isinstance(store, MongoStore)

    def pass_through(number: int) -> None:
        """All that keeps something of a dataset: what decodes, what writes, what counts."""
        envelope = {"jid": f"{number}.spider.project", "payload": {"n": number}}
        document = decode(Message("t", 0, number, 0.0, None, json.dumps(envelope).encode(), ()))
        assert isinstance(document, Document)
        counts = WriteResult()
        counts.stored[document.dataset] += 1
        progress.count_written("t", counts)
        store._collection(document.dataset)
        store._clustered.written(document.dataset, None)

    pass_through(0)
    tracemalloc.start()
    for number in range(20_000):
        pass_through(number)
    gc.collect()
    grown, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    store.close()

    assert grown < 2_000_000


def test_what_a_drain_did_not_do_is_there_for_machines_and_for_people() -> None:
    progress = Progress(("t",))
    report = DrainReport(
        drained=False,
        remaining={3: 70, 1: 5},
        gone={2: 9},
        committed_beyond_end=frozenset({0}),
        open_transactions=frozenset({1, 3}),
    )

    progress.set_outcome({"t": report}, stopped=True)
    snapshot = progress.snapshot()

    as_json = summary_json(snapshot, ExitCode.MESSAGES_GONE)
    assert as_json["drain"] == {
        "drained": False,
        "remaining": {"t": {3: 70, 1: 5}},
        "messages_gone": {"t": {2: 9}},
        "committed_beyond_end": {"t": [0]},
        "open_transaction": {"t": [1, 3]},
    }
    assert as_json["stopped"] is True
    lines = [str(part) for part in summary(snapshot, ExitCode.MESSAGES_GONE)]
    assert "t partition 2: 9 messages were gone before they were read" in lines
    assert "t: not drained, up to 75 messages remain in partitions 1, 3" in lines
    assert "t partitions 1, 3: a transaction is still open" in lines
    assert any("t partition 0: the group's position lay beyond the end" in line for line in lines)
