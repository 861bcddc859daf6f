"""The last quarter of an hour, and the last outages: what one look cannot tell."""

from __future__ import annotations

from typing import NamedTuple

from estela_consumer.monitoring.observation import Observation

INTERVAL = 10.0  # seconds between two samples
_SAMPLES = 90  # a quarter of an hour
_OUTAGES = 10


class Sample(NamedTuple):
    """One topic at one moment."""

    time: float
    """Seconds since the epoch."""
    read: int
    """Messages since the start."""
    rate: float
    """Messages read a second, since the sample before."""
    lag: int | None
    """None: not known."""


class PastOutage(NamedTuple):
    """An outage that is over. Times are seconds since the epoch, to the interval."""

    part: str
    topic: str
    began: float
    ended: float
    refused: bool
    error: str


class History:
    """Samples of each topic, and the outages that it has seen.

    One thread adds; any may read, as what they read is replaced in one step.
    """

    def __init__(self) -> None:
        self._samples: dict[str, tuple[Sample, ...]] = {}
        self._present: dict[tuple[str, str], PastOutage] = {}
        self.outages: tuple[PastOutage, ...] = ()
        """The latest, the oldest of them first."""

    def add(self, now: Observation) -> None:
        """Take a sample. To be called every `INTERVAL` seconds."""
        for topic, each in now.topics.items():
            samples = self._samples.get(topic, ())
            read = each.counts["read"]
            before = samples[-1] if samples else None
            elapsed = now.time - before.time if before else 0.0
            rate = (read - before.read) / elapsed if before and elapsed > 0 else 0.0
            sample = Sample(now.time, read, rate, each.lag.total if each.lag else None)
            self._samples[topic] = (*samples, sample)[-_SAMPLES:]
        for outage in now.outages:
            key = (outage.part, outage.topic)
            if outage.elapsed is not None:
                began = now.time - outage.elapsed
                self._present[key] = PastOutage(
                    outage.part, outage.topic, began, now.time, outage.refused, outage.error
                )
            elif key in self._present:
                part, topic, began, _, refused, error = self._present.pop(key)
                over = PastOutage(part, topic, began, now.time, refused, error)
                self.outages = (*self.outages, over)[-_OUTAGES:]

    def samples(self, topic: str) -> tuple[Sample, ...]:
        """The oldest first."""
        return self._samples.get(topic, ())

    def rate(self, topic: str) -> float | None:
        """Messages read a second, in the latest interval; None before there are two samples."""
        samples = self.samples(topic)
        return samples[-1].rate if len(samples) > 1 else None
