"""README.md: a stranger's first ten minutes run as printed."""

from __future__ import annotations

import re

import pytest

from tests.pages.runner import ROOT, Runner, blocks, settings_of
from tests.pages.test_recipes import spider_of_books

README = (ROOT / "README.md").read_text()
INSTALL = "pip install estela-scrapy"


def test_it_is_a_screen_and_a_half() -> None:
    assert len(README.splitlines()) <= 100


def test_every_block_runs_as_printed_and_the_document_stands_in_mongodb(project: Runner) -> None:
    """What is installed here is this checkout, and the demo has a test of its own."""
    use = README.partition("## Use it")[2].partition("## When not")[0]
    project.run(spider_of_books())

    project.run(use.partition("To use Kafka")[0])

    assert {"python", "console", "jsonc"} <= project.ran
    for command in re.findall(r"`(estela-scrapy [^`]*)`", use):
        project.command(command.replace("JOB", job(project)))


@pytest.mark.processes
def test_the_demo_needs_no_server(project: Runner) -> None:
    [commands] = [block.text.splitlines() for block in blocks(README) if INSTALL in block.text]

    assert commands[0].startswith(INSTALL)
    for command in commands[1:]:
        assert "Complete" in project.command(command)


def test_kafka_takes_two_lines(project: Runner, kafka: str) -> None:
    """The spider and the settings of before, with the queue on Kafka."""
    use = README.partition("## Use it")[2].partition("## When not")[0]
    settings, others = use.split("To use Kafka")
    project.run(spider_of_books() + settings_of(settings))
    topics = {f"ESTELA_{kind}_TOPIC": f"{project.project}_{kind}" for kind in ("ITEMS", "REQUESTS", "JOBS")}
    project.write("settings.py", "\n".join(f"{name} = {topic!r}" for name, topic in topics.items()))
    assert "localhost:9092" in others

    project.run(others.replace("localhost:9092", kafka))
    for command in ("scrapy crawl books", "estela-scrapy consume --drain"):
        project.command(command)

    assert len(project.documents(project.project, "books")) == 12


def job(project: Runner) -> str:
    """The name of the last job, as MongoDB has it."""
    [one] = {each["_estela"]["job"] for each in project.documents(project.project, "books")}
    return f"{one}.books.{project.project}"
