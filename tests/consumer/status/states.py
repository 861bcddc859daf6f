"""Statuses to look at: what the page has to show of each state that matters."""

from __future__ import annotations

import math
from dataclasses import replace

from estela_consumer.status.model import (
    DatasetStatus,
    DeadLetterStatus,
    JobState,
    JobStatus,
    OutageStatus,
    PartitionStatus,
    Sample,
    Status,
    TopicStatus,
)
from estela_queue_adapter.members import GroupMember

NOW = 1_790_000_000.0

HOSTILE = (
    "<script>document.title='owned'</script>"
    '"><img src=x onerror=alert(1)>{{ 7*7 }}{% raw %}&lt;'
    "\x1b[31m\x1b]0;owned\x07\u202eevil\u2066\u200b\ud800\x00\r\n" + "long" * 500
)
"""Everything that a page or a terminal could obey."""


def topic(name: str, *, lag: int, rate: float, incoming: float, members: int = 2) -> TopicStatus:
    """One of two partitions, with a quarter of an hour behind it."""
    partitions = tuple(PartitionStatus.between(number, 500_000, 500_000 + lag // 2) for number in range(2))
    samples = tuple(
        Sample(
            NOW - 5 * (180 - n),
            rate * (1 + 0.15 * math.sin(n / 7)),
            int(lag * n / 180 + 40 * math.sin(n / 5) ** 2),
        )
        for n in range(181)
    )
    return TopicStatus(
        topic=name,
        group=f"group_{name}",
        exists=True,
        partitions=partitions,
        asked_at=NOW - 2,
        rate=rate,
        incoming=incoming,
        members=tuple(GroupMember(f"consumer-{n}", f"10.0.0.{n + 4}", (n,)) for n in range(members)),
        samples=samples,
    )


def job(state: JobState, number: int, told: str, missing: int = 0, ago: float = 600.0) -> JobStatus:
    return JobStatus(
        jid=f"20260921T08{number:02}00000-7f{number:02}.books.shop",
        state=state,
        time=NOW - ago,
        published=1_204 * number,
        scraped=1_000 * number,
        missing=missing,
        told=told,
    )


WELL = Status(
    time=NOW,
    version="0.2.0",
    queue="Kafka at kafka-1:9092,kafka-2:9092",
    store="MongoDB at mongo-1:27017",
    store_answers=True,
    topics=(
        topic("items_topic", lag=0, rate=1_210, incoming=1_210),
        topic("requests_topic", lag=0, rate=1_460, incoming=1_460),
        topic("job_logs", lag=0, rate=31, incoming=31),
    ),
    jobs=(
        job(JobState.RUNNING, 9, "for 12 min", ago=14),
        job(JobState.COMPLETE, 8, "complete: all 9,632 messages of the job are stored", ago=1_200),
        job(JobState.COMPLETE, 7, "complete: all 8,428 messages of the job are stored", ago=4_800),
    ),
    datasets=(
        DatasetStatus(dataset="shop/books", documents=80_420, time=NOW - 3),
        DatasetStatus(dataset="shop/books.requests", documents=91_330, time=NOW - 3),
    ),
    datasets_of="messages published by jobs that ended within a day",
    settings={"group": "group_<topic>", "topics": "items_topic, requests_topic, job_logs"},
)
LAG = replace(
    WELL,
    topics=(topic("items_topic", lag=184_220, rate=1_900, incoming=1_210), *WELL.topics[1:]),
)
OUTAGE = replace(
    LAG,
    store_answers=False,
    topics=(topic("items_topic", lag=217_800, rate=0, incoming=1_210), *WELL.topics[1:]),
    outages=(
        OutageStatus(
            part="store",
            began=NOW - 185,
            error="MongoDB at mongo-1:27017: nothing listens there (connection refused)",
        ),
    ),
    past_outages=(
        OutageStatus(
            part="queue", began=NOW - 90_000, ended=NOW - 89_958, error="Kafka at kafka-1:9092: no answer"
        ),
    ),
)
DEAD_LETTERS = replace(
    WELL,
    dead_letters=(
        DeadLetterStatus(
            topic="items_topic",
            reason="bad_value",
            letters=318,
            latest="2026-09-21T13:50:12.120+00:00",
            place="1:500231",
            error="price: an integer beyond 64 bits cannot be stored",
            sample='{"jid":"20260921T080900000-7f09.books.shop","payload":{"title":"Emma","price":1180591620717411303424}}',
            replay="estela-dead-letters replay items_topic --reason bad_value",
        ),
        DeadLetterStatus(
            topic="items_topic",
            reason="undecodable",
            letters=2,
            latest="2026-09-21T11:02:00.000+00:00",
            place="0:499870",
            error="not JSON: unexpected end of data",
            sample='{"jid":"20260921',
            replay="estela-dead-letters replay items_topic --reason undecodable",
        ),
    ),
)
SILENT = replace(
    WELL,
    jobs=(
        job(
            JobState.INCOMPLETE,
            6,
            "incomplete: of the 7,224 messages that the job published, 412 missing",
            412,
        ),
        job(JobState.SILENT, 9, "no heartbeat for 25 min: killed, or cut off from the queue", ago=1_500),
        *WELL.jobs[1:],
    ),
)
STATES = {"well": WELL, "lag": LAG, "outage": OUTAGE, "dead-letters": DEAD_LETTERS, "silent": SILENT}


def hostile() -> Status:
    """One in which every text that comes from outside is hostile."""
    return replace(
        WELL,
        queue=HOSTILE,
        store=HOSTILE,
        topics=(
            replace(
                WELL.topics[0], topic=HOSTILE, group=HOSTILE, members=(GroupMember(HOSTILE, HOSTILE, (0,)),)
            ),
        ),
        outages=(OutageStatus(part="store", topic=HOSTILE, began=NOW - 5, error=HOSTILE),),
        past_outages=(
            OutageStatus(part="queue", topic=HOSTILE, began=NOW - 9, ended=NOW - 8, error=HOSTILE),
        ),
        dead_letters=(
            DeadLetterStatus(
                topic=HOSTILE, reason=HOSTILE, letters=1, latest=HOSTILE, place=HOSTILE, error=HOSTILE,
                sample=HOSTILE, replay=HOSTILE,
            ),
        ),
        jobs=(JobStatus(jid=HOSTILE, state=JobState.SILENT, time=NOW, published=1, scraped=1, told=HOSTILE),),
        datasets=(DatasetStatus(dataset=HOSTILE, documents=1, time=NOW),),
        datasets_of=HOSTILE,
        settings={HOSTILE: HOSTILE},
        unknown=(HOSTILE,),
    )  # fmt: skip
