"""What Prometheus gets: the closed list, from every state, with its labels."""

from __future__ import annotations

import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from devservers.prometheus import promtool
from estela_consumer.errors import Reason
from estela_consumer.monitoring.collector import exposition
from estela_consumer.monitoring.metrics import COUNTER, METRICS
from estela_consumer.monitoring.observation import Observer
from tests.conftest import or_skip
from tests.consumer.monitoring.watched import Watched


def scraped(observer: Observer) -> str:
    return exposition(observer.observe, "1.0")().decode()


def test_what_is_told_is_the_closed_list_in_every_state() -> None:
    observer = Watched("a", "b").observer

    families = {family.name: family for family in text_string_to_metric_families(scraped(observer))}

    assert set(families) == {metric.name.removesuffix("_total") for metric in METRICS}
    for metric in METRICS:
        family = families[metric.name.removesuffix("_total")]
        assert (family.type, family.documentation) == (metric.kind, metric.text)
        for sample in family.samples:
            assert set(sample.labels) - {"le"} == set(metric.labels)
        if metric.kind == COUNTER:
            assert metric.name.endswith("_total")


# What dashboards and alerts of others rely on: no release takes one away, or a label of it.
PROMISED = {
    "estela_consumer_messages_read_total": {"topic"},
    "estela_consumer_read_bytes_total": {"topic"},
    "estela_consumer_messages_gone_total": {"topic"},
    "estela_consumer_messages_done_total": {"topic", "outcome"},
    "estela_consumer_dead_letters_total": {"topic", "reason"},
    "estela_consumer_rebalances_total": {"topic", "event"},
    "estela_consumer_commits_total": {"topic", "result"},
    "estela_consumer_store_retries_total": set(),
    "estela_consumer_outage_seconds_total": {"part"},
    "estela_consumer_outage": {"part"},
    "estela_consumer_lag_messages": {"topic", "partition"},
    "estela_consumer_oldest_unread_timestamp_seconds": {"topic"},
    "estela_consumer_last_commit_timestamp_seconds": {"topic"},
    "estela_consumer_last_turn_timestamp_seconds": {"topic"},
    "estela_consumer_assigned_partitions": {"topic"},
    "estela_consumer_in_flight_batches": {"topic"},
    "estela_consumer_in_flight_bytes": {"topic"},
    "estela_consumer_info": {"topic", "group", "assignment"},
    "estela_build_info": {"version"},
    "estela_consumer_write_duration_seconds": {"topic"},
    "estela_consumer_latency_seconds": {"topic"},
    "estela_consumer_batch_messages": {"topic"},
    "estela_jobs_closed_total": {"spider", "finish_reason"},
    "estela_job_last_closed_timestamp_seconds": {"spider"},
}


def test_what_was_promised_is_in_the_list() -> None:
    labels = {metric.name: set(metric.labels) for metric in METRICS}

    assert PROMISED.keys() <= labels.keys()
    assert [name for name, promised in PROMISED.items() if not promised <= labels[name]] == []


def test_each_reason_is_there_before_its_first_dead_letter() -> None:
    text = scraped(Watched("t").observer)

    for reason in Reason:
        assert f'estela_consumer_dead_letters_total{{reason="{reason.value}",topic="t"}} 0.0' in text


@settings(deadline=None)
@given(st.text(min_size=1, max_size=30))
def test_whatever_a_topic_is_called_its_metrics_can_be_read_back(topic: str) -> None:
    try:
        topic.encode()
    except UnicodeEncodeError:
        return  # no option of a command can be that
    families = text_string_to_metric_families(scraped(Watched(topic).observer))

    labels = [sample.labels for family in families for sample in family.samples]

    assert {each["topic"] for each in labels if "topic" in each} == {topic, ""}


def test_promtool_finds_nothing_wrong_with_them() -> None:
    with or_skip("promtool"):
        checker = promtool()
    watched = Watched("t")
    watched.retry.outage("Store").failed(OSError("away"))

    done = subprocess.run(
        [checker, "check", "metrics"],
        input=scraped(watched.observer),
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@pytest.mark.parametrize(("server", "used_for", "part"), [
    ("Store", "", 'part="store",topic=""'),
    ("Queue", "dead letters", 'part="dead_letters",topic=""'),
    ("Queue", "t", 'part="queue",topic="t"'),
])  # fmt: skip
def test_an_outage_is_told_while_it_lasts_and_its_seconds_stay(server: str, used_for: str, part: str) -> None:
    now = [100.0]
    watched = Watched("t", clock=lambda: now[0])
    outage = watched.retry.outage(server, used_for)
    outage.failed(OSError("away"))
    now[0] += 7.0
    during = scraped(watched.observer)
    outage.succeeded()
    now[0] += 5.0
    after = scraped(watched.observer)

    assert f"estela_consumer_outage{{{part}}} 1.0" in during
    assert f"estela_consumer_outage{{{part}}} 0.0" in after
    for text in (during, after):
        assert f"estela_consumer_outage_seconds_total{{{part}}} 7.0" in text
