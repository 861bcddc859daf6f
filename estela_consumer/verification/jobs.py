"""Jobs, put together of what they have said of themselves."""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import dataclass, field

from estela_consumer.errors import UsageError
from estela_consumer.verification.jobs_topic import Alive, Closed, JobsTopicReader
from estela_queue_adapter import Platform
from estela_wire.closing_record import ClosingRecord
from estela_wire.heartbeat import Heartbeat
from estela_wire.jid import time_of_job

_CLOCKS_DIFFER = 86_400.0  # seconds by which those of a crawl and of the queue may, for what is looked up


@dataclass(slots=True)
class JobHistory:
    """What is known of one job."""

    jid: str
    closed: dict[str, ClosingRecord] = field(default_factory=dict)
    """By what copies of one record share."""
    heartbeat: Heartbeat | None = None
    """The latest."""

    def add(self, told: Closed | Alive) -> None:
        """Take what was said. A copy counts once, and the order does not matter."""
        if isinstance(told, Closed):
            self.closed.setdefault(told.identity, told.record)
        elif self.heartbeat is None or told.heartbeat.sent > self.heartbeat.sent:
            self.heartbeat = told.heartbeat

    @property
    def records(self) -> list[ClosingRecord]:
        """The closing records, one for each run that has ended."""
        return list(self.closed.values())

    @property
    def open_heartbeat(self) -> Heartbeat | None:
        """The latest heartbeat, if it is of a run that has not ended."""
        ended = max((record.closed for record in self.closed.values()), default=None)
        if self.heartbeat is None or (ended is not None and self.heartbeat.sent <= ended):
            return None
        return self.heartbeat

    @property
    def time(self) -> float:
        """Of the latest that is known, in seconds since the epoch."""
        times = [record.closed for record in self.closed.values()]
        times += [self.heartbeat.sent] if self.heartbeat else []
        return max(moment.timestamp() for moment in times)


class Jobs:
    """Looks up jobs on their topic. Nothing is kept in between."""

    def __init__(self, platform: Platform, topic: str) -> None:
        self._platform = platform
        self._topic = topic

    def of(self, job: str) -> JobHistory | None:
        """The job that `job` names by its jid or by its first part; None if there is none.

        Reads the topic from the time on that is in the name of the job, if it has one, else the whole of it.
        Raises UsageError if several jobs have that first part, and QueueError.
        """
        found = {
            jid: each
            for jid, each in self._histories([job], _earliest([job])).items()
            if job in (jid, jid.partition(".")[0])
        }
        if len(found) > 1:
            raise UsageError(f"{job} is the name of {len(found)} jobs; name one: {', '.join(sorted(found))}")
        return next(iter(found.values()), None)

    def since(self, moment: float) -> list[JobHistory]:
        """Those of which something is known since then, whole, the latest first. Raises QueueError."""
        recent = self._histories((), moment - _CLOCKS_DIFFER)
        recent = {jid: each for jid, each in recent.items() if each.time >= moment}
        old = [jid for jid in recent if not began_since(jid, moment - _CLOCKS_DIFFER)]
        for jid, before in self.whole(old).items():
            recent[jid].closed = before.closed | recent[jid].closed
        return sorted(recent.values(), key=lambda each: each.time, reverse=True)

    def whole(self, jids: Collection[str]) -> dict[str, JobHistory]:
        """The closing records of these jobs, all that are on the topic, in one reading. Raises QueueError."""
        if not jids:
            return {}
        found = self._histories(jids, _earliest(jids), heartbeats=False)
        return {jid: found[jid] for jid in jids if jid in found}

    def _histories(
        self, jobs: Collection[str], since: float, *, heartbeats: bool = True
    ) -> dict[str, JobHistory]:
        found: dict[str, JobHistory] = {}
        reader = JobsTopicReader(self._platform, self._topic, since)
        try:
            for told in reader.read_on(jobs, heartbeats=heartbeats):
                jid = told.jid if isinstance(told, Alive) else told.record.jid
                found.setdefault(jid, JobHistory(jid)).add(told)
        finally:
            reader.close()
        return found


def began_since(jid: str, moment: float) -> bool:
    """Whether the job's name tells that it began then or later: so nothing was said of it before."""
    began = time_of_job(jid.partition(".")[0])
    return began is not None and began <= time.time() and began >= moment


def _earliest(jobs: Collection[str]) -> float:
    """When the first of them can have said something, in seconds since the epoch; 0 if that is not known.

    A job's records may lie far apart, if it is paused and resumed: its name tells when it began, if the name
    was made by a crawl.
    """
    times = [time_of_job(job.partition(".")[0]) for job in jobs]
    known = [moment for moment in times if moment is not None and moment < time.time()]
    return max(0.0, min(known) - _CLOCKS_DIFFER) if len(known) == len(times) else 0.0
