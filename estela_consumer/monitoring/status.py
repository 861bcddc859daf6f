"""The state of a consumer for machines: all that a page would show of it, ready to be shown."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from estela_consumer.monitoring.health import stalled, unready
from estela_consumer.monitoring.history import History
from estela_consumer.monitoring.observation import Observation, PartOutage, TopicObservation


def status(now: Observation, history: History, settings: Mapping[str, Any], version: str) -> dict[str, Any]:
    """Everything as one JSON object. Times are seconds since the epoch, durations seconds.

    What is not known is null. Datasets are in the order of their latest writes, and reasons in that of their
    dead letters, the first one first. All text is data: some of it comes from servers and messages.
    """
    not_ready = unready(now)
    return {
        "version": version,
        "time": now.time,
        "started": now.started_at,
        "sentence": sentence(now, not_ready),
        "ready": not not_ready,
        "not_ready": not_ready,
        "live": not stalled(now),
        "queue": now.queue or None,
        "store": now.store or None,
        "topics": {topic: _topic(topic, each, history) for topic, each in now.topics.items()},
        "outages": {
            "now": [_outage(each, now.time) for each in now.outages if each.elapsed is not None],
            "latest": [each._asdict() for each in history.outages],
            "seconds": {_name(each): each.total for each in now.outages},
        },
        "datasets": dict(reversed(now.progress.datasets.items())),
        "other_datasets": now.progress.other_datasets,
        "settings": dict(settings),
    }


def sentence(now: Observation, not_ready: list[str]) -> str:
    """How it stands, in one sentence."""
    outages = [each for each in now.outages if each.elapsed is not None]
    if now.stopping:
        return "Stopping: what is in hand is finished."
    if outages:
        worst = max(outages, key=lambda each: (each.refused, each.elapsed or 0.0))
        what = "refuses us" if worst.refused else "unavailable"
        return f"{_name(worst)} {what} for {_duration(worst.elapsed or 0.0)}, nothing lost."
    if not_ready:
        return f"Not ready: {not_ready[0]}."
    lag = sum(each.lag.total for each in now.topics.values() if each.lag)
    unknown = any(each.lag is None for each in now.topics.values())
    dead_letters = sum(each.counts["dead_lettered"] for each in now.topics.values())
    gone = sum(each.counts["gone"] for each in now.topics.values())
    parts = [f"messages to come: {lag:,}"] if lag else []
    parts += ["how many messages are to come is not known"] if unknown else []
    parts += [f"dead letters: {dead_letters:,}"] if dead_letters else []
    parts += [f"messages gone before they were read: {gone:,}"] if gone else []
    if not parts:
        return "All well."
    start = "Messages were lost" if gone else "Working"
    return f"{start}: {', '.join(parts)}."


def _topic(name: str, topic: TopicObservation, history: History) -> dict[str, Any]:
    activity, lag = topic.activity, topic.lag
    return {
        "group": topic.group,
        "joined": activity.joined,
        "partitions": list(activity.partitions),
        "counts": {**topic.counts, "bytes": activity.read_bytes},
        "rate": history.rate(name),
        "lag": None
        if lag is None
        else {
            "total": lag.total,
            "partitions": lag.partitions,
            "oldest": lag.times,
            "asked": lag.asked_at,
        },
        "oldest_unread": lag.oldest if lag else None,
        "last_commit": activity.last_commit,
        "last_turn": activity.last_turn,
        "in_flight": {"batches": activity.in_flight_batches, "bytes": activity.in_flight_bytes},
        "dead_letters": activity.dead_letters,
        "dead_letter_samples": {
            reason: {
                **activity.samples[reason]._asdict(),
                "replay": _replay(name, reason),
            }
            for reason in sorted(activity.samples, key=activity.dead_letters.__getitem__, reverse=True)
        },
        "commits": activity.commits,
        "rebalances": activity.rebalances,
        "history": [sample._asdict() for sample in history.samples(name)],
    }


def _replay(topic: str, reason: str) -> str:
    """The command, for a shell. A name may begin with a dash."""
    end_of_options = "-- " if topic.startswith("-") else ""
    return f"estela-dead-letters replay --reason {reason} {end_of_options}{shlex.quote(topic)}"


def _outage(outage: PartOutage, now: float) -> dict[str, Any]:
    elapsed = outage.elapsed or 0.0
    return {
        "part": outage.part,
        "topic": outage.topic or None,
        "began": now - elapsed,
        "seconds": elapsed,
        "refused": outage.refused,
        "error": outage.error,
    }


def _name(outage: PartOutage) -> str:
    part = outage.part.replace("_", " ").capitalize()
    return f"{part} ({outage.topic})" if outage.topic else part


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7_200 else f"{seconds / 3_600:.0f} h"
