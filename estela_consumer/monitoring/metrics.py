"""Every metric there is: the closed list, which docs/operations.md repeats."""

from __future__ import annotations

from typing import NamedTuple

PREFIX = "estela_consumer_"

COUNTER, GAUGE, HISTOGRAM = "counter", "gauge", "histogram"


class Metric(NamedTuple):
    """One metric, as Prometheus knows it."""

    name: str
    """In full, with `_total` if it is a counter."""
    kind: str
    labels: tuple[str, ...]
    text: str


def _of_a_topic(name: str, kind: str, text: str, *labels: str) -> Metric:
    return Metric(PREFIX + name, kind, ("topic", *labels), text)


MESSAGES_READ = _of_a_topic("messages_read_total", COUNTER, "Messages taken off the queue.")
READ_BYTES = _of_a_topic(
    "read_bytes_total", COUNTER, "Bytes of their keys, their values and the values of their headers."
)
MESSAGES_GONE = _of_a_topic(
    "messages_gone_total", COUNTER, "Messages that the queue removed before they were read."
)
MESSAGES_DONE = _of_a_topic(
    "messages_done_total",
    COUNTER,
    "Messages that are safe, by what became of them: stored, present, superseded, dead_lettered, tombstone.",
    "outcome",
)
DEAD_LETTER_REASONS = _of_a_topic("dead_letters_total", COUNTER, "Dead letters, by their reason.", "reason")
REBALANCES = _of_a_topic(
    "rebalances_total", COUNTER, "Changes of the partitions: assigned, revoked, lost.", "event"
)
COMMITS = _of_a_topic(
    "commits_total",
    COUNTER,
    "Commits: committed, refused while partitions move, failed. What is not committed is committed later.",
    "result",
)
STORE_RETRIES = Metric(
    f"{PREFIX}store_retries_total", COUNTER, (), "Writes and checks that failed as the store was unavailable."
)
OUTAGE_SECONDS = Metric(
    f"{PREFIX}outage_seconds_total",
    COUNTER,
    ("part", "topic"),
    "Seconds of outages, the present one included: of the queue by topic, of store and dead_letters without.",
)
OUTAGE = Metric(
    f"{PREFIX}outage", GAUGE, ("part", "topic"), "1 while that part is unavailable or refuses us, else 0."
)
ACCESS_REFUSED = Metric(
    f"{PREFIX}access_refused",
    GAUGE,
    ("part", "topic"),
    "1 while that part refuses the login or a permission, else 0: waiting alone does not change it.",
)
LAG = _of_a_topic(
    "lag_messages",
    GAUGE,
    "Messages that the group has not committed. Every consumer tells all partitions: take the maximum.",
    "partition",
)
OLDEST_UNREAD = _of_a_topic(
    "oldest_unread_timestamp_seconds",
    GAUGE,
    "The time of the oldest message that the group has not committed; missing if there is none.",
)
LAST_COMMIT = _of_a_topic("last_commit_timestamp_seconds", GAUGE, "When positions were committed last.")
LAST_TURN = _of_a_topic("last_turn_timestamp_seconds", GAUGE, "When the loop of the topic went round last.")
ASSIGNED = _of_a_topic("assigned_partitions", GAUGE, "Partitions that this consumer reads.")
IN_FLIGHT_BATCHES = _of_a_topic("in_flight_batches", GAUGE, "Batches that are being written.")
IN_FLIGHT_BYTES = _of_a_topic("in_flight_bytes", GAUGE, "Bytes of these.")
INFO = _of_a_topic("info", GAUGE, "1, with the consumer group and how it shares partitions.",
                   "group", "assignment")  # fmt: skip
BUILD_INFO = Metric("estela_build_info", GAUGE, ("version",), "1, with the version.")
WRITE_DURATION = _of_a_topic(
    "write_duration_seconds", HISTOGRAM, "From the end of a batch's gathering until all of it is safe."
)
LATENCY = _of_a_topic("latency_seconds", HISTOGRAM, "From each message's own time until it is safe.")
BATCH_MESSAGES = _of_a_topic("batch_messages", HISTOGRAM, "Messages of a batch.")

JOBS_CLOSED = Metric(
    "estela_jobs_closed_total",
    COUNTER,
    ("spider", "finish_reason"),
    "Closing records of crawls. Each is counted by one consumer: sum over them.",
)
JOB_LAST_CLOSED = Metric(
    "estela_job_last_closed_timestamp_seconds",
    GAUGE,
    ("spider",),
    "When a crawl of that spider ended last, as its closing record says: take the maximum.",
)

METRICS = tuple(value for value in list(globals().values()) if isinstance(value, Metric))
