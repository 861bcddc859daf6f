"""The streams of a job, over all of its runs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from estela_queue_adapter.errors import BadName
from estela_wire.closing_record import ClosingRecord, StreamRecord
from estela_wire.dataset import Dataset, dataset_of, stats_id
from estela_wire.message_id import IdRange
from estela_wire.topics import STATS_TOPIC


@dataclass(frozen=True, slots=True)
class StreamRuns:
    """The records of one stream over all runs of the job."""

    records: list[StreamRecord]
    scraped: list[int | None]
    """How many of the items that Scrapy counted are those of each."""

    @property
    def first(self) -> StreamRecord:
        """What names the stream: all records have the same names."""
        return self.records[0]

    @property
    def published(self) -> int:
        return sum(record.published for record in self.records)

    @property
    def differences(self) -> list[int]:
        """Of each run, how many more items were scraped than are accounted for."""
        return [
            scraped - record.accounted
            for record, scraped in zip(self.records, self.scraped, strict=True)
            if scraped is not None
        ]

    @property
    def ranges(self) -> list[IdRange]:
        return [record.ids for record in self.records if record.ids is not None]

    @property
    def dataset(self) -> Dataset | None:
        record = self.first
        try:
            if record.topic == STATS_TOPIC:
                stats_id(record.jid)  # which is made of the jid alone
            return dataset_of(record.topic, record.jid, record.db_name or None, record.dataset_name or None)
        except BadName:  # every message of the stream is a dead letter
            return None


def by_stream(records: Iterable[ClosingRecord]) -> list[StreamRuns]:
    """The records of each stream together, in the order in which the streams first appear."""
    found: dict[tuple[Any, ...], StreamRuns] = {}
    for run in records:
        for record in run.streams:
            key = (
                record.stream, record.topic, record.jid, record.db_name, record.dataset_name, record.unique,
                record.key, record.on_existing,
            )  # fmt: skip
            stream = found.setdefault(key, StreamRuns([], []))
            stream.records.append(record)
            stream.scraped.append(run.scraped_of(record))
    return list(found.values())
