"""Log lines for machines."""

from __future__ import annotations

import json
import logging
import sys

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from estela_cli.doctor import command as doctor
from estela_consumer.cli import consume, data, verify
from estela_consumer.cli.dead_letters import command as dead_letters
from estela_scrapy.cli import outbox
from estela_terminal.json_log import JsonFormatter
from tests.consumer.commands import envelope, publish, run

hostile = st.text(st.characters(), max_size=60)


def record(message: object, *arguments: object, **extra: object) -> logging.LogRecord:
    made = logging.LogRecord("a.b", logging.WARNING, "path", 1, message, arguments, None)
    made.__dict__.update(extra)
    return made


@given(hostile, hostile)
def test_whatever_is_logged_is_one_line_of_ascii_that_reads_back(text: str, topic: str) -> None:
    line = JsonFormatter().format(record("%s", text, topic=topic, partition=3, offset=7))

    assert line.isascii()
    assert line.isprintable()
    read = json.loads(line)
    assert (read["message"], read["topic"], read["partition"], read["offset"]) == (text, topic, 3, 7)
    assert (read["level"], read["logger"]) == ("WARNING", "a.b")
    assert read["time"].endswith("Z")


def test_what_cannot_be_formatted_is_told_as_it_is_and_a_traceback_is_a_field() -> None:
    bad = json.loads(JsonFormatter().format(record("%d", "no number")))
    try:
        raise ValueError("broken")
    except ValueError:
        failed = record("failed")
        failed.exc_info = sys.exc_info()

    assert bad["message"] == "'%d' ('no number',)"
    assert "ValueError: broken" in json.loads(JsonFormatter().format(failed))["exception"]


@pytest.mark.parametrize(
    "command",
    [consume.consume, verify.verify, data.data, dead_letters.dead_letters, outbox.outbox, doctor.doctor],
)
def test_every_command_that_logs_has_the_option(command: click.Command) -> None:
    [option] = [each for each in command.params if each.name == "log_format"]

    assert option.envvar == "ESTELA_LOG_FORMAT"


@pytest.mark.processes
@pytest.mark.usefixtures("workdir")
class TestCommands:
    @pytest.mark.parametrize(
        "arguments",
        [
            ("estela-consume", "t", "--drain"),
            ("estela-verify", "1.s.p"),
            ("estela-data", "list"),
            ("estela-dead-letters", "list", "t"),
            ("estela-scrapy", "doctor"),
        ],
    )
    def test_each_line_of_each_commands_log_is_json(self, arguments: tuple[str, ...], unique: str) -> None:
        publish("t", [envelope({"n": 1}), b"rubbish"])

        result = run(*arguments, ESTELA_LOG_FORMAT="json")

        for line in result.err.splitlines():
            assert {"time", "level", "logger", "message"} <= json.loads(line).keys()

    def test_topic_and_offsets_are_fields(self) -> None:
        publish("t", [envelope({"n": n}) for n in range(5)])

        result = run("estela-consume", "t", "--drain", "--json", "--verbose", "--log-format", "json")

        lines = [json.loads(line) for line in result.err.splitlines()]
        assert [(line["topic"], line["offsets"]) for line in lines if "offsets" in line] == [("t", {"0": 5})]
        assert result.summary["topics"]["t"]["stored"] == 5

    def test_another_format_is_a_usage_error(self) -> None:
        result = run("estela-consume", "t", "--log-format", "xml")

        assert result.code == 2
        assert "--log-format" in result.err
