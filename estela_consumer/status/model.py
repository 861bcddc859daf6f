"""The status: what is known at one moment, ready to be shown. Times are seconds since the epoch.

All text is data: names, errors and samples come from servers, messages and spiders.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from estela_queue_adapter.members import GroupMember


class Sample(NamedTuple):
    """One topic at one moment."""

    time: float
    rate: float | None
    """Messages a second that the group was done with, since the sample before."""
    lag: int | None
    """None: the queue did not tell."""


class PartitionStatus(NamedTuple):
    """One partition of a topic."""

    partition: int
    lag: int
    """Messages that the group has not committed."""
    committed: int | None = None
    """The offset that the group reads next; None: not known."""
    end: int | None = None

    @classmethod
    def between(cls, partition: int, committed: int, end: int) -> PartitionStatus:
        """One of which both offsets are known."""
        return cls(partition, max(0, end - committed), committed, end)


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicStatus:
    """One topic, and how far its group is."""

    topic: str
    group: str
    exists: bool | None = None
    """None: not known yet."""
    partitions: tuple[PartitionStatus, ...] = ()
    asked_at: float | None = None
    """When the queue told; None: it has not yet."""
    rate: float | None = None
    """Messages a second that the group is done with."""
    incoming: float | None = None
    """Messages a second that are published."""
    members: tuple[GroupMember, ...] | None = None
    """None: not known."""
    samples: tuple[Sample, ...] = ()
    """Of the last quarter of an hour, the oldest first."""

    @property
    def lag(self) -> int | None:
        """Of all partitions; None: not known."""
        return None if self.asked_at is None else sum(each.lag for each in self.partitions)

    @property
    def seconds_to_go(self) -> float | None:
        """How long the rest takes at the present rates; None if it does not become less, or is not known."""
        if not self.lag:
            return 0.0 if self.lag == 0 else None
        gain = (self.rate or 0.0) - (self.incoming or 0.0)
        return self.lag / gain if gain > 0 else None


@dataclass(frozen=True, slots=True, kw_only=True)
class OutageStatus:
    """A part that is or was unavailable."""

    part: str
    """`queue`, `store` or `dead letters`."""
    topic: str = ""
    began: float
    ended: float | None = None
    """None: it goes on."""
    refused: bool = False
    """Whether it is a refused login or a missing permission, which waiting alone does not change."""
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetterStatus:
    """The open dead letters of one topic and reason."""

    topic: str
    reason: str
    letters: int
    at_least: bool = False
    """Whether there may be more, as only so many are remembered."""
    latest: str = ""
    """When the latest became one, ISO 8601."""
    place: str = ""
    """`PARTITION:OFFSET` of the sample's message."""
    error: str = ""
    sample: str = ""
    """The beginning of one message."""
    replay: str = ""
    """The command that sends them back."""


class JobState(enum.Enum):
    """How a job stands."""

    RUNNING = "running"
    ARRIVING = "on its way"  # it has ended, and what is missing may be among what is still to be consumed
    SILENT = "silent"  # no heartbeat for three intervals, and no closing record
    COMPLETE = "complete"
    DEAD_LETTERS = "dead letters"  # nothing is missing, but some of it is set aside
    CUT_SHORT = "cut short"
    INCOMPLETE = "incomplete"
    ENDED = "ended"  # whether all of it is stored has not been looked at


TROUBLED = frozenset({JobState.SILENT, JobState.INCOMPLETE, JobState.CUT_SHORT, JobState.DEAD_LETTERS})
"""The states that somebody should look at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobStatus:
    """One job."""

    jid: str
    state: JobState
    time: float
    """When it was last heard of."""
    published: int
    scraped: int | None
    missing: int = 0
    told: str
    """What more there is to say, in one sentence; empty if it is complete."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetStatus:
    """One dataset that was written to lately."""

    dataset: str
    documents: int
    """Messages that went there: what `DatasetsOf` says of whom."""
    time: float | None = None
    """Of the last write, as far as it is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """Everything."""

    time: float
    version: str
    queue: str
    store: str
    store_answers: bool | None = None
    """None: it was not asked yet."""
    consumer: str = ""
    """What the consumer that shows this says of itself; empty if it is no consumer's page."""
    topics: tuple[TopicStatus, ...] = ()
    outages: tuple[OutageStatus, ...] = ()
    """Those of now."""
    past_outages: tuple[OutageStatus, ...] = ()
    """The last ten, the latest first."""
    dead_letters: tuple[DeadLetterStatus, ...] = ()
    gone: int = 0
    """Messages that the queue removed before they were read, as far as this process knows."""
    jobs: tuple[JobStatus, ...] = ()
    """What needs somebody first, then the latest."""
    jobs_not_shown: int = 0
    datasets: tuple[DatasetStatus, ...] = ()
    datasets_of: str = ""
    """Whose documents are counted there."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    unknown: tuple[str, ...] = ()
    """What was not looked at yet, or could not be: a sentence each."""
