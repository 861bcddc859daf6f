"""`estela-verify` without a job, and what heartbeats are to it."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from estela_wire.heartbeat import Heartbeat
from estela_wire.jid import new_job_id
from tests.consumer.commands import Result, drain, envelope, publish, run
from tests.consumer.verification.ended_jobs import EndedJob, verified

pytestmark = pytest.mark.processes

_OPENED_TO_NOW = int(
    (datetime.now(timezone.utc) - datetime(2026, 1, 31, 9, 30, tzinfo=timezone.utc)).total_seconds()
)
_NOW = _OPENED_TO_NOW // 60 - 1
"""Minutes after which a job of this test has ended now, as `EndedJob.close` counts them."""


def payloads(count: int) -> list[dict[str, Any]]:
    return [{"n": n} for n in range(count)]


def beat(jobs_topic: str, jid: str, ago: float, **counts: int) -> None:
    """Put a heartbeat that was sent `ago` seconds before now."""
    sent = datetime.now(timezone.utc) - timedelta(seconds=ago)
    heartbeat = Heartbeat(sent=sent, opened=sent - timedelta(minutes=5), interval=30.0, **counts)
    publish(jobs_topic, [envelope(heartbeat.to_payload(), jid)])


def listed(jobs_topic: str, *arguments: str) -> Result:
    return run("estela-verify", "--jobs-topic", jobs_topic, "--json", *arguments)


@pytest.mark.usefixtures("surroundings")
def test_the_jobs_of_the_last_day_are_listed_with_the_verdict_that_each_has_alone(unique: str) -> None:
    topic, jobs_topic = f"{unique}-items", f"jobs-{unique}"
    complete, missing, paused, bad, old = (
        EndedJob(f"{number}.s.{unique}", jobs_topic) for number in ("1", "2", new_job_id(), "4", "5")
    )
    complete.stream(topic, payloads(7))
    missing.stream(topic, payloads(3))
    paused.stream(topic, payloads(2))
    bad.stream(topic, [{"n": 2**70}])
    complete.close(scraped=7, later=_NOW)
    missing.close(published=5, later=_NOW)
    paused.close(scraped=2, finish_reason="shutdown", later=_NOW)
    bad.close(scraped=1, later=_NOW)
    old.stream(topic, payloads(1))
    old.close(published=9)  # it ended long ago
    beat(jobs_topic, complete.jid, 600.0, published=1)  # it has ended since
    beat(jobs_topic, f"6.s.{unique}", 10.0, published=40, scraped=20)
    beat(jobs_topic, f"7.s.{unique}", 600.0, published=50)
    publish(jobs_topic, [envelope({"kind": "of a later version"}), b"not JSON"])
    drain(topic)

    result = listed(jobs_topic)
    failed = listed(jobs_topic, "--failed")
    table = run("estela-verify", "--jobs-topic", jobs_topic, "--failed", COLUMNS="200")

    assert (result.code, failed.code, table.code) == (7, 7, 7), result.err
    jobs = {job["jid"].partition(".")[0]: job for job in result.summary["jobs"]}
    states = {name: job["state"] for name, job in jobs.items()}
    own = paused.jid.partition(".")[0]
    assert states == {
        "1": "complete", "2": "incomplete", own: "cut short", "4": "dead letters", "6": "running",
        "7": "silent",
    }  # fmt: skip
    for job in (complete, missing, paused, bad):
        alone = verified(job)
        of_list = jobs[job.jid.partition(".")[0]]
        assert {name: of_list[name] for name in alone.summary} == alone.summary
        assert of_list["exit_code"] == alone.code
    assert [job["jid"].partition(".")[0] for job in failed.summary["jobs"]] == [
        job["jid"].partition(".")[0] for job in result.summary["jobs"] if job["state"] != "complete"
    ]
    assert not any(line.startswith(complete.jid) for line in table.out.splitlines())
    assert f"7.s.{unique}" in table.out
    assert f"1 messages of {jobs_topic} are no closing records or heartbeats" in result.err


@pytest.mark.usefixtures("workdir")
class TestEmbedded:
    def test_a_job_is_verified_over_all_of_its_runs_also_if_the_first_was_long_ago(self, unique: str) -> None:
        first, last = (EndedJob(f"a.s.{unique}", "jobs") for _ in range(2))
        first.stream(unique, payloads(3))
        first.close(published=4)
        last.stream(unique, payloads(2))
        last.close(later=_NOW)
        drain(unique)

        result = listed("jobs")

        [job] = result.summary["jobs"]
        assert (job["runs"], job["published"], job["missing"]) == (2, 6, 1)
        assert result.code == 7

    def test_the_exit_code_is_0_only_if_each_is_complete(self, unique: str) -> None:
        nothing = listed("jobs")
        job = EndedJob(f"a.s.{unique}", "jobs")
        job.stream(unique, payloads(3))
        job.close(later=_NOW)
        drain(unique)
        complete = listed("jobs", "--failed")
        beat("jobs", f"b.s.{unique}", 1.0)
        running = listed("jobs")

        assert (nothing.code, complete.code, running.code) == (8, 0, 8)
        assert complete.summary["jobs"] == []
        assert "1 complete" in complete.summary["told"]
        assert "1 running" in running.summary["told"]

    def test_a_job_that_runs_is_told_from_one_that_was_killed(self, unique: str) -> None:
        beat("jobs", "a.s.p", 10.0, published=40, scraped=20)
        beat("jobs", "b.s.p", 500.0, published=40)

        running, killed, unknown = (run("estela-verify", job, "--jobs-topic", "jobs") for job in "abc")

        assert [running.code, killed.code, unknown.code] == [8, 8, 8]
        assert "running: its last heartbeat came 1" in running.out
        assert "40 messages published, 20 items scraped" in running.out
        assert "silent: its last heartbeat came 5" in killed.out
        assert "no such job" in unknown.out

    @pytest.mark.parametrize(
        ("arguments", "told"), [(["--wait", "1"], "--wait needs a JOB"), (["1", "--failed"], "leave JOB out")]
    )
    def test_what_makes_no_sense_is_refused(self, arguments: list[str], told: str) -> None:
        result = run("estela-verify", *arguments)

        assert result.code == 2
        assert told in result.err
