"""The metrics as Prometheus takes them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from estela_consumer.errors import Reason
from estela_consumer.monitoring import metrics
from estela_consumer.monitoring.metrics import Metric
from estela_consumer.monitoring.observation import Observation, TopicObservation
from estela_consumer.pipeline.activity.histogram import HistogramSnapshot

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_render: Callable[[CollectorRegistry], bytes] = generate_latest
_Value = tuple[tuple[str, ...], float]
_OUTCOMES = {
    "stored": "stored",
    "present": "present",
    "superseded": "superseded",
    "dead_lettered": "dead_lettered",
    "tombstone": "tombstones",
}


def exposition(observe: Callable[[], Observation], version: str) -> Callable[[], bytes]:
    """What makes the metrics of the moment, in Prometheus' text format."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(ConsumerCollector(observe, version))

    return lambda: _render(registry)


class ConsumerCollector(Collector):
    """Makes the metrics of what is counted anyway, when they are asked for."""

    def __init__(self, observe: Callable[[], Observation], version: str) -> None:
        self._observe = observe
        self._version = version

    def collect(self) -> Iterator[Family]:
        """Each metric of the list, in its order."""
        now = self._observe()
        yield from _counters(now)
        yield from _gauges(now)
        yield _family(metrics.BUILD_INFO, [((self._version,), 1)])
        yield _family(metrics.JOBS_CLOSED, list(now.closed_jobs.counts.items()))
        yield _family(
            metrics.JOB_LAST_CLOSED, [((spider,), at) for spider, at in now.closed_jobs.last.items()]
        )
        activities = {name: topic.activity for name, topic in now.topics.items()}
        yield _histograms(
            metrics.WRITE_DURATION, {name: each.write_duration for name, each in activities.items()}
        )
        yield _histograms(metrics.LATENCY, {name: each.latency for name, each in activities.items()})
        yield _histograms(
            metrics.BATCH_MESSAGES, {name: each.batch_messages for name, each in activities.items()}
        )


def _counters(now: Observation) -> Iterator[Family]:
    for metric, name in ((metrics.MESSAGES_READ, "read"), (metrics.MESSAGES_GONE, "gone")):
        yield _family(metric, [((topic,), each.counts[name]) for topic, each in now.topics.items()])
    yield _family(
        metrics.READ_BYTES, [((topic,), each.activity.read_bytes) for topic, each in now.topics.items()]
    )
    yield _family(
        metrics.MESSAGES_DONE,
        [
            ((topic, outcome), each.counts[name])
            for topic, each in now.topics.items()
            for outcome, name in _OUTCOMES.items()
        ],
    )
    for metric, of in (
        (metrics.DEAD_LETTER_REASONS, _reasons),
        (metrics.REBALANCES, lambda topic: topic.activity.rebalances),
        (metrics.COMMITS, lambda topic: topic.activity.commits),
    ):
        yield _family(
            metric,
            [
                ((topic, kind), count)
                for topic, each in now.topics.items()
                for kind, count in of(each).items()
            ],
        )
    failures = sum(outage.failures for outage in now.outages if outage.part == "store")
    yield _family(metrics.STORE_RETRIES, [((), failures)])
    yield _family(metrics.OUTAGE_SECONDS, [((each.part, each.topic), each.total) for each in now.outages])


def _reasons(topic: TopicObservation) -> dict[str, int]:
    """Each, also those that no message had yet: a rate needs to see the first one come."""
    return {reason.value: topic.activity.dead_letters.get(reason.value, 0) for reason in Reason}


def _gauges(now: Observation) -> Iterator[Family]:
    outages = [((each.part, each.topic), each) for each in now.outages]
    yield _family(metrics.OUTAGE, [(labels, float(each.elapsed is not None)) for labels, each in outages])
    yield _family(
        metrics.ACCESS_REFUSED,
        [(labels, float(each.elapsed is not None and each.refused)) for labels, each in outages],
    )
    yield _family(
        metrics.LAG,
        [
            ((topic, str(partition)), messages)
            for topic, each in now.topics.items()
            if each.lag is not None
            for partition, messages in sorted(each.lag.partitions.items())
        ],
    )
    for metric, of in (
        (metrics.OLDEST_UNREAD, lambda topic: topic.lag.oldest if topic.lag else None),
        (metrics.LAST_COMMIT, lambda topic: topic.activity.last_commit),
        (metrics.LAST_TURN, lambda topic: topic.activity.last_turn),
        (metrics.ASSIGNED, lambda topic: len(topic.activity.partitions)),
        (metrics.IN_FLIGHT_BATCHES, lambda topic: topic.activity.in_flight_batches),
        (metrics.IN_FLIGHT_BYTES, lambda topic: topic.activity.in_flight_bytes),
    ):
        values = ((topic, of(each)) for topic, each in now.topics.items())
        yield _family(metric, [((topic,), value) for topic, value in values if value is not None])
    yield _family(
        metrics.INFO, [((topic, each.group, now.assignment), 1) for topic, each in now.topics.items()]
    )


def _family(metric: Metric, values: list[_Value]) -> Family:
    kind = CounterMetricFamily if metric.kind == metrics.COUNTER else GaugeMetricFamily
    family = kind(metric.name, metric.text, labels=metric.labels)
    for labels, value in values:
        family.add_metric(labels, value)
    return family


def _histograms(metric: Metric, values: dict[str, HistogramSnapshot]) -> Family:
    family = HistogramMetricFamily(metric.name, metric.text, labels=metric.labels)
    for topic, histogram in values.items():
        buckets = [
            ("+Inf" if math.isinf(bound) else str(float(bound)), count) for bound, count in histogram.buckets
        ]
        family.add_metric((topic,), buckets, histogram.sum)
    return family
