"""How it stands, in one sentence that never says more than is so."""

from __future__ import annotations

import enum
from typing import NamedTuple

from estela_consumer.status.model import JobState, OutageStatus, Status, TopicStatus

_SOON = 60.0  # seconds: what is done by then is no backlog

_LONGEST_NAME = 60  # characters of a topic's name in a sentence


class Level(enum.Enum):
    """How much it matters."""

    WELL = "well"
    BUSY = "busy"  # nothing to be done
    LOOK = "look"  # somebody should look
    TROUBLE = "trouble"


class Sentence(NamedTuple):
    """The sentence, and what else there is to say."""

    level: Level
    text: str
    more: tuple[str, ...] = ()


def sentence(status: Status) -> Sentence:
    """The worst first; what else is not as it should be in `more`."""
    found = [*_outages(status), *_gone(status), *_topics(status), *_jobs(status), *_dead_letters(status)]
    found += [(Level.BUSY, text) for text in status.unknown]
    if not found:
        return Sentence(Level.WELL, "All well")
    order = list(Level)
    found.sort(key=lambda each: -order.index(each[0]))
    (level, first), *rest = found
    return Sentence(level, first, tuple(text for _, text in rest))


def summary(status: Status) -> str:
    """The figures that one wants whatever the sentence is."""
    rates = [each.rate for each in status.topics if each.rate is not None]
    lags = [0 if each.exists is False else each.lag for each in status.topics]
    running = sum(each.state is JobState.RUNNING for each in status.jobs)
    known = [lag for lag in lags if lag is not None]
    parts = [f"{sum(rates):,.0f} messages a second"] if rates else []
    parts += [f"{sum(known):,} to come{'' if len(known) == len(lags) else ' or more'}"] if known else []
    parts += [f"{running:,} {'job' if running == 1 else 'jobs'} running"] if running else []
    return ", ".join(parts)


def duration(seconds: float) -> str:
    """`45 s`, `3 min`, `2 h`, `5 d`."""
    seconds = max(0.0, seconds)
    for size, unit, until in ((1, "s", 90), (60, "min", 5_400), (3_600, "h", 172_800)):
        if seconds < until:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds / 86_400:.0f} d"


def _outages(status: Status) -> list[tuple[Level, str]]:
    return [(Level.TROUBLE, _outage(each, status)) for each in status.outages]


def _outage(outage: OutageStatus, status: Status) -> str:
    name = outage.part.capitalize() + (f" ({_name(outage.topic)})" if outage.topic else "")
    elapsed = duration(status.time - outage.began)
    what = "refuses us" if outage.refused else "unavailable"
    kept = "" if status.gone else ", nothing lost"
    return f"{name} {what} for {elapsed}{kept}"


def _gone(status: Status) -> list[tuple[Level, str]]:
    if not status.gone:
        return []
    return [(Level.TROUBLE, f"{status.gone:,} messages were removed from the queue before they were read")]


def _topics(status: Status) -> list[tuple[Level, str]]:
    found = []
    for each in status.topics:
        if each.exists is False:
            found.append((Level.BUSY, f"{_name(each.topic)} does not exist yet"))
        elif each.lag:
            found.append(_lag(each, each.lag))
    return found


def _lag(topic: TopicStatus, lag: int) -> tuple[Level, str]:
    text = f"{_name(topic.topic)}: {lag:,} {'message' if lag == 1 else 'messages'} to come"
    if topic.members == ():
        return Level.LOOK, f"{text}, and no consumer reads it"
    if topic.rate is None:
        return Level.BUSY, text
    if not topic.rate:
        return Level.LOOK, f"{text}, and none was committed in the last seconds"
    remaining = topic.seconds_to_go
    if remaining is None:
        return Level.LOOK, f"{text}, and they become no fewer"
    level = Level.BUSY if remaining <= _SOON else Level.LOOK
    return level, f"{text}, done in about {duration(remaining)}"


def _jobs(status: Status) -> list[tuple[Level, str]]:
    found = []
    for state, text in (
        (JobState.INCOMPLETE, "incomplete"),
        (JobState.SILENT, "silent: killed, or cut off from the queue"),
        (JobState.CUT_SHORT, "cut short"),
    ):
        if count := sum(each.state is state for each in status.jobs):
            found.append((Level.LOOK, f"{count:,} {'job' if count == 1 else 'jobs'} {text}"))
    return found


def _dead_letters(status: Status) -> list[tuple[Level, str]]:
    letters = sum(each.letters for each in status.dead_letters)
    if not letters:
        return []
    more = " or more" if any(each.at_least for each in status.dead_letters) else ""
    return [(Level.LOOK, f"{letters:,}{more} {'dead letter' if letters == 1 else 'dead letters'}")]


def _name(topic: str) -> str:
    return topic if len(topic) <= _LONGEST_NAME else f"{topic[:_LONGEST_NAME]}…"
