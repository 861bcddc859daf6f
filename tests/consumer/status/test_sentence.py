"""The sentence never says more than is so."""

from __future__ import annotations

from dataclasses import replace

import pytest

from estela_consumer.status.model import JobState, Status
from estela_consumer.status.sentence import Level, duration, sentence, summary
from tests.consumer.status import states


@pytest.mark.parametrize(
    ("status", "level", "text", "more"),
    [
        (states.WELL, Level.WELL, "All well", ()),
        (states.LAG, Level.LOOK, "items_topic: 184,220 messages to come, done in about 4 min", ()),
        (
            states.OUTAGE,
            Level.TROUBLE,
            "Store unavailable for 3 min, nothing lost",
            ("items_topic: 217,800 messages to come, and none was committed in the last seconds",),
        ),
        (
            replace(states.OUTAGE, topics=(), gone=7),
            Level.TROUBLE,
            "Store unavailable for 3 min",
            ("7 messages were removed from the queue before they were read",),
        ),
        (states.DEAD_LETTERS, Level.LOOK, "320 dead letters", ()),
        (states.SILENT, Level.LOOK, "1 job incomplete", ("1 job silent: killed, or cut off from the queue",)),
        (
            replace(states.WELL, topics=(states.topic("t", lag=100, rate=50, incoming=10),)),
            Level.BUSY,
            "t: 100 messages to come, done in about 2 s",
            (),
        ),
        (
            replace(states.WELL, topics=(states.topic("t", lag=100, rate=50, incoming=60),)),
            Level.LOOK,
            "t: 100 messages to come, and they become no fewer",
            (),
        ),
        (
            replace(states.WELL, topics=(states.topic("t", lag=100, rate=0, incoming=0, members=0),)),
            Level.LOOK,
            "t: 100 messages to come, and no consumer reads it",
            (),
        ),
        (
            replace(states.WELL, topics=(replace(states.WELL.topics[0], exists=False, topic="t"),)),
            Level.BUSY,
            "t does not exist yet",
            (),
        ),
        (
            replace(states.WELL, unknown=("Jobs were not looked at yet",)),
            Level.BUSY,
            "Jobs were not looked at yet",
            (),
        ),
    ],
)
def test_the_worst_comes_first(status: Status, level: Level, text: str, more: tuple[str, ...]) -> None:
    assert sentence(status) == (level, text, more)


def test_a_job_whose_messages_are_on_their_way_is_no_alarm() -> None:
    arriving = replace(states.WELL, jobs=(states.job(JobState.ARRIVING, 1, "incomplete"),))

    assert sentence(arriving).text == "All well"


def test_the_summary_leaves_out_what_is_not_known() -> None:
    unknown = replace(states.WELL, topics=(replace(states.WELL.topics[0], asked_at=None, rate=None),))

    assert summary(states.WELL) == "2,701 messages a second, 0 to come, 1 job running"
    assert summary(unknown) == "1 job running"


def test_durations() -> None:
    assert [duration(seconds) for seconds in (-1, 4.4, 185, 7_200, 400_000)] == [
        "0 s",
        "4 s",
        "3 min",
        "2 h",
        "5 d",
    ]
