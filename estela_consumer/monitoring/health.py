"""Whether a consumer is alive, and whether it does its work."""

from __future__ import annotations

from collections.abc import Iterator

from estela_consumer.monitoring.observation import Observation

STALLED_AFTER = 300.0  # seconds without a turn, after which only a restart can help


def stalled(now: Observation) -> list[str]:
    """Why it should be started again: each pipeline that has stopped going round. Empty: it is alive.

    An outage is none: its attempts are turns, and a restart would not end it.
    """
    return [
        f"{topic}: no turn for {seconds:.0f} s"
        for topic, each in now.topics.items()
        if (seconds := each.activity.seconds_since_turn) is not None and seconds >= STALLED_AFTER
    ]


def unready(now: Observation) -> list[str]:
    """Why messages are not being moved now, or could not be. Empty: it is ready."""
    return list(_reasons(now))


def _reasons(now: Observation) -> Iterator[str]:
    if now.stopping:
        yield "stopping"
    for outage in now.outages:
        if outage.elapsed is not None:
            what = "access refused" if outage.refused else "unavailable"
            name = f"{outage.part} ({outage.topic})" if outage.topic else outage.part
            yield f"{name}: {what} for {outage.elapsed:.0f} s: {outage.error}"
    if not now.store_checked:
        yield "store: not checked yet"
    for topic, each in now.topics.items():
        if not each.activity.joined:
            yield f"{topic}: group {each.group} not joined yet"
    yield from stalled(now)
