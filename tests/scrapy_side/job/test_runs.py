"""The number of a job's run."""

from __future__ import annotations

from pathlib import Path

import pytest

from estela_scrapy.job.runs import count_run, keep_stats_published, why_no_stats

pytestmark = pytest.mark.processes


def test_the_runs_of_a_job_are_counted_in_its_jobdir(tmp_path: Path) -> None:
    jobdir = str(tmp_path / "new" / "crawl-1")

    assert [count_run(jobdir, "1.s.p") for _ in range(3)] == [1, 2, 3]
    assert count_run(jobdir, "2.s.p") == 1  # another job with the same folder
    assert count_run(None, "1.s.p") is None


@pytest.mark.parametrize("kept", [b"1.s.p", b"1.s.p x", b"\xff"])
def test_a_number_that_cannot_be_kept_is_told_and_costs_nothing_else(
    tmp_path: Path, kept: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "estela-job-runs").write_bytes(kept)

    assert count_run(str(tmp_path), "1.s.p") is None
    assert "the number of this run cannot be kept" in caplog.text


def test_of_a_jobs_runs_the_first_that_finishes_publishes_its_stats(tmp_path: Path) -> None:
    jobdir = str(tmp_path / "new" / "crawl-1")

    for reason in ("shutdown", "closespider_itemcount", "forced", ""):
        assert "the run that finishes" in why_no_stats(jobdir, "1.s.p", reason)
        assert why_no_stats(None, "1.s.p", reason) == ""
    assert why_no_stats(jobdir, "1.s.p", "finished") == ""
    keep_stats_published(jobdir, "1.s.p")
    assert "an earlier run" in why_no_stats(jobdir, "1.s.p", "finished")
    assert why_no_stats(jobdir, "2.s.p", "finished") == ""  # another job with the same folder
    keep_stats_published(None, "1.s.p")


def test_that_stats_are_published_and_it_cannot_be_kept_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "estela-job-stats").mkdir()

    assert why_no_stats(str(tmp_path), "1.s.p", "finished") == ""
    keep_stats_published(str(tmp_path), "1.s.p")

    assert "its stats become a dead letter" in caplog.text
