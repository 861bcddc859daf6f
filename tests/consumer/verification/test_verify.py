"""`estela-verify` as a user runs it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from devservers.kafka import create_topic, delete_records
from devservers.ports import wait_until
from estela_queue_adapter import open_platform
from tests.consumer.commands import command, drain, publish, run
from tests.consumer.verification.ended_jobs import EndedJob, counts, verified

pytestmark = pytest.mark.processes

BIG = {"n": 2**70}  # JSON, but no document


def payloads(count: int) -> list[dict[str, Any]]:
    return [{"n": n} for n in range(count)]


@pytest.fixture
def job(unique: str) -> EndedJob:
    return EndedJob(f"1.s.{unique}", f"jobs-{unique}")


@pytest.mark.usefixtures("surroundings")
class TestEverywhere:
    def test_a_job_whose_messages_are_all_stored_is_complete(self, job: EndedJob, unique: str) -> None:
        job.stream(f"{unique}-items", payloads(1_200))
        job.stream(f"{unique}-requests", payloads(34), "requests", db_name=unique, dataset_name="requests")
        job.close(scraped=1_200)
        drain(f"{unique}-items", f"{unique}-requests")

        result = verified(job)
        table = run("estela-verify", "1", "--jobs-topic", job.jobs_topic, COLUMNS="160")

        assert (result.code, table.code) == (0, 0), result.err
        assert counts(result, 0) == {"published": 1_200, "stored": 1_200}
        assert counts(result, 1) == {"published": 34, "stored": 34}
        assert result.summary["exit"] == "OK"
        assert [line.split() for line in table.out.splitlines()[:3]] == [
            ["stream", "topic", "scraped", "published", "stored", "dead", "letters", "failed", "missing"],
            ["items", f"{unique}-items", "1,200", "1,200", "1,200", "0", "0", "0"],
            ["requests", f"{unique}-requests", "34", "34", "0", "0", "0"],
        ]
        assert table.out.rstrip().endswith(f"complete: all 1,234 messages of job {job.jid} are stored")

    def test_what_is_not_consumed_yet_is_missing_and_said_to_be_on_its_way(
        self, job: EndedJob, unique: str
    ) -> None:
        job.stream(unique, payloads(7))
        job.close()

        result = verified(job)

        assert result.code == 7
        assert counts(result) == {"published": 7, "missing": 7}
        assert f"7 still to be consumed by group_{unique}" in result.summary["advice"][0]

    def test_what_never_came_to_the_queue_is_missing_and_the_outbox_is_named(
        self, job: EndedJob, unique: str
    ) -> None:
        job.stream(unique, payloads(5))
        job.close(published=8)
        drain(unique)

        result = verified(job)

        assert result.code == 7
        assert counts(result) == {"published": 8, "stored": 5, "missing": 3}
        assert "estela-outbox list" in result.summary["advice"][0]

    def test_what_the_crawl_never_published_keeps_the_job_from_being_complete(
        self, job: EndedJob, unique: str
    ) -> None:
        job.stream(unique, payloads(3))
        job.close(failed=2)
        drain(unique)

        result = verified(job)

        assert (result.code, result.summary["exit"]) == (7, "INCOMPLETE")
        assert result.summary["told"].endswith("2 more could not be published")

    def test_what_was_scraped_is_compared_with_what_became_of_it(self, job: EndedJob, unique: str) -> None:
        job.stream(unique, payloads(3))
        job.close(scraped=5, failed=1)
        drain(unique)

        result = verified(job)
        table = run("estela-verify", job.jid, "--jobs-topic", job.jobs_topic)

        assert (result.code, table.code, result.summary["exit"]) == (7, 7, "INCOMPLETE")
        assert counts(result) == {"published": 3, "stored": 3, "failed": 1, "unaccounted": 1}
        assert (result.summary["scraped"], result.summary["unaccounted"]) == (5, 1)
        assert "1 scraped but neither published nor counted as failed" in " ".join(table.out.split())

    def test_a_crawl_that_was_cut_short_is_not_complete_until_a_later_run_has_finished(
        self, job: EndedJob, unique: str
    ) -> None:
        """Given a crawl that was paused by a signal, and went on as the same job."""
        job.stream(unique, payloads(3))
        job.close(scraped=3, finish_reason="shutdown")
        drain(unique)
        paused = verified(job)
        table = run("estela-verify", job.jid, "--jobs-topic", job.jobs_topic)
        again = EndedJob(job.jid, job.jobs_topic)
        again.stream(unique, payloads(4))
        again.close(scraped=4, later=1)
        drain(unique)
        finished = verified(job)

        assert (paused.code, table.code, paused.summary["exit"]) == (14, 14, "CUT_SHORT")
        assert (paused.summary["cut_short"], paused.summary["finish_reason"]) == (True, "shutdown")
        assert "cut short: the crawl ended with shutdown" in " ".join(table.out.split())
        assert finished.code == 0, finished.out
        assert (finished.summary["cut_short"], finished.summary["scraped"]) == (False, 7)

    def test_dead_letters_are_counted_for_their_own_job_and_run_only(
        self, job: EndedJob, unique: str
    ) -> None:
        """Given bad messages of this run, of another run of the same job, of another job, and of nobody."""
        job.stream(unique, [*payloads(4), BIG, BIG])
        job.close()
        EndedJob(job.jid, job.jobs_topic).stream(unique, [BIG])
        EndedJob(f"2.s.{unique}", job.jobs_topic).stream(unique, [BIG])
        publish(unique, [b"rubbish", {"jid": job.jid, "payload": 1}, [], {"jid": [], "id": "f" * 24}])
        drain(unique)

        result = verified(job)

        assert (result.code, result.summary["exit"]) == (3, "DEAD_LETTERS")
        assert counts(result) == {"published": 6, "stored": 4, "dead_letters": 2}
        assert f"estela-dead-letters list {unique}" in result.summary["advice"][0]

    def test_documents_of_others_in_the_same_dataset_are_not_counted(
        self, job: EndedJob, unique: str
    ) -> None:
        """Given a crawl whose ids lie between the first and the last of another one's, in one collection."""
        names = {"db_name": unique, "dataset_name": "everything"}
        first = job.stream(unique, payloads(3), **names)
        EndedJob(f"2.s.{unique}", job.jobs_topic).stream(unique, payloads(10), **names)
        later = f"{int(first.last_id[:8], 16) + 60:08x}{first.last_id[8:]}"
        job.close(last_id=later, published=4)
        drain(unique)

        assert counts(verified(job)) == {"published": 4, "stored": 3, "missing": 1}

    def test_the_records_of_several_runs_add_up_and_copies_of_one_count_once(
        self, job: EndedJob, unique: str
    ) -> None:
        job.stream(unique, payloads(5))
        job.close(copies=3)
        again = EndedJob(job.jid, job.jobs_topic)
        again.stream(unique, payloads(6))
        again.close()
        drain(unique)

        result = verified(job)

        assert result.code == 0
        assert result.summary["runs"] == 2
        assert counts(result) == {"published": 11, "stored": 11}

    def test_more_than_was_published_is_told(self, job: EndedJob, unique: str) -> None:
        job.stream(unique, payloads(5))
        job.close(published=3)
        drain(unique)

        result = verified(job)

        assert result.code == 7
        assert counts(result) == {"published": 3, "stored": 5, "too_many": 2}

    def test_equal_items_stored_once_are_complete_when_the_group_has_passed_them(
        self, job: EndedJob, unique: str
    ) -> None:
        """Given a unique dataset, and messages of other jobs that nobody has consumed."""
        job.stream(unique, [*payloads(4), *payloads(4), BIG], unique=True, jid=f"scj7.s.{unique}")
        job.close()

        before = verified(job)
        drain(unique)
        publish(unique, payloads(3))
        after = verified(job)

        assert (before.code, after.code) == (7, 3)
        assert counts(before) == {"published": 9, "stored": None, "missing": 9}
        assert counts(after) == {"published": 9, "stored": None, "dead_letters": 1}
        assert "equal items are stored once" in after.summary["advice"][0]

    def test_of_equal_items_those_that_never_came_to_the_queue_are_missing(
        self, job: EndedJob, unique: str
    ) -> None:
        """Given a message that the crawl sent twice, since it never heard of the first."""
        record = job.stream(unique, payloads(4), unique=True)
        publish(unique, [{"jid": job.jid, "unique": "True", "id": record.last_id, "payload": {"n": 3}}])
        job.close(published=6)
        drain(unique)

        assert counts(verified(job)) == {"published": 6, "stored": None, "missing": 2}

    def test_what_nobody_has_counted_is_null(self, job: EndedJob, unique: str) -> None:
        """Given a unique dataset of a crawl without Scrapy's own counts, and a crawl without items."""
        job.stream(unique, payloads(2), unique=True)
        job.close()
        drain(unique)
        without = EndedJob(f"2.s.{unique}", job.jobs_topic)
        without.close(scraped=4)

        found, empty = verified(job).summary, verified(without).summary

        names = ("scraped", "stored", "unaccounted", "unscraped", "not_published", "responses", "missing")
        assert [found[name] for name in names] == [None, None, None, None, 0, None, 0]
        assert (empty["scraped"], empty["not_published"]) == (None, 4)

    def test_the_stats_of_a_job_are_one_document(self, job: EndedJob, unique: str) -> None:
        job.stream("job_stats", [{"item_scraped_count": 3}], "stats")
        job.close()

        before = verified(job)
        drain("job_stats")
        after = verified(job)

        assert (before.code, after.code) == (7, 0)
        assert counts(after) == {"published": 1, "stored": 1}

    def test_a_name_of_several_jobs_is_refused_and_each_is_named(self, job: EndedJob, unique: str) -> None:
        other = EndedJob(f"1.other.{unique}", job.jobs_topic)
        for one in (job, other):
            one.stream(unique, payloads(2))
            one.close()
        drain(unique)

        ambiguous = verified(job, name="1")

        assert ambiguous.code == 2
        assert f"1 is the name of 2 jobs; name one: 1.other.{unique}, 1.s.{unique}" in ambiguous.err
        assert verified(other).code == 0

    def test_without_a_closing_record_it_says_what_that_may_mean(self, job: EndedJob, unique: str) -> None:
        missing_topic = verified(job)
        publish(job.jobs_topic, [{"payload": {"job": "1"}}] * 2)
        EndedJob(f"2.s.{unique}", job.jobs_topic).close()
        no_record = run("estela-verify", job.jid, "--jobs-topic", job.jobs_topic)

        assert (missing_topic.code, missing_topic.summary["exit"]) == (8, "NO_CLOSING_RECORD")
        assert no_record.code == 8
        assert "it still runs" in no_record.out
        assert f"2 messages of {job.jobs_topic} are no closing records or heartbeats" in no_record.err
        assert "has no spider" in no_record.err

    def test_it_waits_for_the_crawl_and_for_the_consumer(
        self, job: EndedJob, unique: str, tmp_path: Path
    ) -> None:
        told, arguments = tmp_path / "told", [job.jid, "--jobs-topic", job.jobs_topic, "--wait", "100"]
        with told.open("wb") as log:
            waiting = subprocess.Popen(
                [*command("estela-verify"), *arguments, "--json"], stdout=subprocess.PIPE, stderr=log
            )

        wait_until(
            lambda: "estela-verify waits for the closing record of the crawl." in told.read_text(),
            "its first look",
        )
        job.stream(unique, payloads(500))
        job.close()
        wait_until(
            lambda: "waits for the consumer to store the rest." in told.read_text(),
            "the closing record to be seen",
        )
        drain(unique)
        out, _ = waiting.communicate(timeout=110)

        assert waiting.returncode == 0, told.read_text()
        assert json.loads(out)["stored"] == 500


class TestOnServers:
    def test_where_retention_has_removed_what_was_consumed_the_groups_lag_decides(
        self, on_servers: None, kafka: str, job: EndedJob, unique: str
    ) -> None:
        """Given a unique dataset, whose messages are gone from the topic once they are stored."""
        create_topic(kafka, unique, 1)
        job.stream(unique, payloads(5), unique=True)
        job.close()
        drain(unique)
        delete_records(kafka, unique, 0, 4)

        consumed = verified(job)
        publish(unique, [{"jid": job.jid, "payload": {"n": 9}}])
        behind = verified(job)

        assert counts(consumed) == {"published": 5, "stored": None}
        assert counts(behind) == {"published": 5, "stored": None, "missing": 1}

    def test_a_letter_that_was_cut_short_is_known_by_its_beginning(
        self, on_servers: None, job: EndedJob, unique: str
    ) -> None:
        filling = "x" * (1_048_576 - 350)
        job.stream(unique, [{**BIG, "filling": filling}, {"n": 1}])
        job.close()
        drain(unique)

        [letter] = list(open_platform().read(f"{unique}_dead_letters"))
        assert len(letter.data or b"") < len(filling)
        assert counts(verified(job)) == {"published": 2, "stored": 1, "dead_letters": 1}


@pytest.mark.usefixtures("workdir")
class TestBadInput:
    def test_a_queue_that_is_away_is_told_in_one_line(self) -> None:
        result = run(
            "estela-verify", "1", QUEUE_PLATFORM="kafka", QUEUE_PLATFORM_LISTENERS="127.0.0.1:1",
        )  # fmt: skip

        assert result.code == 4
        assert "127.0.0.1:1" in result.err
        assert "Traceback" not in result.err

    def test_a_store_that_is_away_is_told_in_one_line(self, job: EndedJob, unique: str) -> None:
        job.stream(unique, payloads(1))
        job.close()

        result = verified(job, "--store", "mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=200")

        assert result.code == 5
        assert "MongoDB at 127.0.0.1:1" in result.err
        assert "Traceback" not in result.err

    @pytest.mark.parametrize(
        ("arguments", "told"),
        [
            (["1", "--store", "postgres://x"], "mongodb://"),
            (["1", "--wait", "-1"], "--wait"),
        ],
    )
    def test_a_wrong_argument_is_told_in_one_line(self, arguments: list[str], told: str) -> None:
        result = run("estela-verify", *arguments)

        assert result.code == 2
        assert told in result.err
        assert "Traceback" not in result.err
