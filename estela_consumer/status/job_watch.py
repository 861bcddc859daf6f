"""The jobs of the last day, read on from their topic, with the verdict on each that has ended."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from estela_consumer.status.model import DatasetStatus, JobState, JobStatus
from estela_consumer.status.sentence import duration
from estela_consumer.stores import Store
from estela_consumer.verification.jobs import JobHistory, began_since
from estela_consumer.verification.jobs_topic import Alive, JobsTopicReader
from estela_consumer.verification.report import sentence
from estela_consumer.verification.stream_runs import by_stream
from estela_consumer.verification.verification import Verification
from estela_consumer.verification.verifier import Verifier
from estela_queue_adapter import Platform
from estela_terminal.exit_codes import ExitCode

DAY = 86_400.0  # seconds
MOST_JOBS = 1_000  # that are remembered
SHOWN = 50
_VERIFY_AGAIN = 60.0  # seconds: a verdict that is not final is looked at again
_STATES = {
    ExitCode.OK: JobState.COMPLETE,
    ExitCode.DEAD_LETTERS: JobState.DEAD_LETTERS,
    ExitCode.CUT_SHORT: JobState.CUT_SHORT,
    ExitCode.INCOMPLETE: JobState.INCOMPLETE,
}
_FIRST = (
    JobState.INCOMPLETE,
    JobState.SILENT,
    JobState.CUT_SHORT,
    JobState.DEAD_LETTERS,
    JobState.RUNNING,
    JobState.ARRIVING,
)


class JobWatch:
    """What is known of the jobs of the last day, the latest thousand at most. Belongs to one thread.

    The verdict on an ended job is that of `estela-verify`. It is not given for jobs whose items share
    documents, as it takes a reading of their whole topic.
    """

    def __init__(
        self,
        platform: Platform,
        store: Store,
        *,
        jobs_topic: str,
        group: str = "",
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`clock` tells seconds since the epoch."""
        self._platform = platform
        self._topic = jobs_topic
        self._verifier = Verifier(platform, store, jobs_topic=jobs_topic, group=group)
        self._clock = clock
        self._since = clock() - DAY
        self._reader = JobsTopicReader(platform, jobs_topic, self._since)
        self._begun_again = 0
        self._jobs: dict[str, JobHistory] = {}
        self._verdicts: dict[str, tuple[int, Verification]] = {}  # with the number of records it is of
        self._verified_at = 0.0

    def read_on(self) -> None:
        """Take what has come since the last time. Blocks; raises QueueError."""
        for told in self._reader.read_on():
            self._forget_another_topic()
            jid = told.jid if isinstance(told, Alive) else told.record.jid
            self._jobs.setdefault(jid, JobHistory(jid)).add(told)
        self._forget_another_topic()
        oldest = self._clock() - DAY
        latest = sorted(self._jobs.values(), key=lambda job: job.time, reverse=True)[:MOST_JOBS]
        self._jobs = {job.jid: job for job in latest if job.time >= oldest}
        self._verdicts = {jid: each for jid, each in self._verdicts.items() if jid in self._jobs}

    def verify(self) -> None:
        """Look whether what is new, or was not complete, is stored by now. Blocks.

        Raises QueueError and StoreUnreachable.
        """
        now = self._clock()
        ended = [job for job in self._latest() if job.records and job.open_heartbeat is None]
        new = [job for job in ended if len(job.records) != self._verdicts.get(job.jid, (0,))[0]]
        if not new and now - self._verified_at < _VERIFY_AGAIN:
            return
        self._verified_at = now
        countable = [job for job in ended if not self._is_final(job) and _has_documents_of_its_own(job)]
        earlier = [job.jid for job in countable if not began_since(job.jid, self._since)]
        whole = self._verifier.jobs.whole(earlier)
        histories = [whole.get(job.jid, job) for job in countable]
        for job, verdict in zip(countable, self._verifier.verify_all(histories), strict=True):
            self._verdicts[job.jid] = (len(job.records), verdict)

    def status(self) -> list[JobStatus]:
        """The latest, those first that somebody should look at."""
        found = [self._status(job) for job in self._latest()]
        return sorted(found, key=lambda job: (_rank(job.state), -job.time))

    @property
    def not_shown(self) -> int:
        """How many others there are of the last day."""
        return max(0, len(self._jobs) - SHOWN)

    def datasets(self) -> list[DatasetStatus]:
        """Where jobs that have ended published to, the latest first."""
        found: dict[str, DatasetStatus] = {}
        for job in sorted(self._jobs.values(), key=lambda job: job.time, reverse=True):
            for runs in by_stream(job.records):
                name = str(runs.dataset or "")
                if name and runs.published:
                    before = found.setdefault(name, DatasetStatus(dataset=name, documents=0, time=job.time))
                    found[name] = DatasetStatus(
                        dataset=name, documents=before.documents + runs.published, time=before.time
                    )
        return list(found.values())[:SHOWN]

    def close(self) -> None:
        """Release what is held."""
        self._reader.close()

    def _forget_another_topic(self) -> None:
        if self._reader.begun_again != self._begun_again:
            self._begun_again = self._reader.begun_again
            self._jobs.clear()
            self._verdicts.clear()

    def _latest(self) -> list[JobHistory]:
        return sorted(self._jobs.values(), key=lambda job: job.time, reverse=True)[:SHOWN]

    def _is_final(self, job: JobHistory) -> bool:
        records, verdict = self._verdicts.get(job.jid, (0, None))
        return verdict is not None and records == len(job.records) and verdict.code is ExitCode.OK

    def _status(self, job: JobHistory) -> JobStatus:
        if (heartbeat := job.open_heartbeat) is not None:
            now = self._clock()
            late = heartbeat.is_late(now)
            ago = duration(now - heartbeat.sent.timestamp())
            since = duration((heartbeat.sent - heartbeat.opened).total_seconds())
            return JobStatus(
                jid=job.jid,
                state=JobState.SILENT if late else JobState.RUNNING,
                time=job.time,
                published=heartbeat.published,
                scraped=heartbeat.scraped,
                told=f"no heartbeat for {ago}: killed, or cut off from the queue" if late else f"for {since}",
            )
        published = sum(stream.published for record in job.records for stream in record.streams)
        scraped = _sum(record.item_scraped_count for record in job.records)
        _, verdict = self._verdicts.get(job.jid, (0, None))
        if verdict is None:
            told = f"not looked at: estela-verify {job.jid}"
            return JobStatus(
                jid=job.jid,
                state=JobState.ENDED,
                time=job.time,
                published=published,
                scraped=scraped,
                told=told,
            )
        return JobStatus(
            jid=job.jid,
            state=JobState.ARRIVING if _may_arrive(verdict) else _STATES[verdict.code],
            time=job.time,
            published=published,
            scraped=scraped,
            missing=verdict.total("missing"),
            told="" if verdict.code is ExitCode.OK else sentence(verdict),
        )


def _has_documents_of_its_own(job: JobHistory) -> bool:
    """Whether each of its messages has a document that can be counted as its own."""
    return not any(stream.unique or stream.key for record in job.records for stream in record.streams)


def _may_arrive(verdict: Verification) -> bool:
    """Whether nothing is wrong but that messages are missing, as many of which are still to be consumed."""
    missing = [stream for stream in verdict.streams if stream.missing]
    return bool(missing) and verdict.only_missing and all(each.missing <= (each.lag or 0) for each in missing)


def _rank(state: JobState) -> int:
    return _FIRST.index(state) if state in _FIRST else len(_FIRST)


def _sum(counts: Iterable[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if known else None
