"""The documents say what the code does."""

from __future__ import annotations

import configparser
import dataclasses
import re
from collections.abc import Iterator
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path

import click

from estela_consumer.cli.consume import consume
from estela_consumer.cli.verify import MEANINGS, verify
from estela_consumer.errors import ExitCode, Reason
from estela_queue_adapter.interfaces import Subscription
from estela_queue_adapter.platforms.embedded.platform import EmbeddedSettings
from estela_queue_adapter.platforms.kafka.settings import KafkaSettings
from estela_queue_adapter.settings import variable
from estela_wire.topics import JOBS_TOPIC
from tests.faults.run import FAULTS
from tests.rulebook import as_markdown, rules

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def table(text: str, prefix: str) -> dict[str, list[str]]:
    """The rows of Markdown tables whose first cell is code that begins with `prefix`."""
    found = {}
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if match := re.fullmatch(rf"`({re.escape(prefix)}[^`]*)`", cells[0]):
            found[match[1]] = cells[1:]
    return found


def test_the_queues_settings_are_those_of_the_code_with_their_defaults() -> None:
    fields = [
        field
        for settings in (EmbeddedSettings, KafkaSettings, Subscription)
        for field in dataclasses.fields(settings)
    ]
    documented = table(README, "QUEUE_PLATFORM_")

    assert set(documented) == {variable(field.name) for field in fields}
    for field in fields:
        default = field.default if field.default not in (dataclasses.MISSING, "", None) else None
        assert documented[variable(field.name)][0] == ("" if default is None else f"`{default}`")


def test_the_extensions_settings_are_those_that_the_code_reads_with_their_defaults() -> None:
    from estela_scrapy import settings

    documented = table(README, "ESTELA_")

    assert set(documented) == settings.ExtensionSettings.variables()
    defaults = {name: value for name, value in vars(settings).items() if f"ESTELA_{name}" in documented}
    assert len(defaults) == 11
    for name, default in {**defaults, "JOBS_TOPIC": JOBS_TOPIC}.items():
        assert documented[f"ESTELA_{name}"][0] == f"`{default}`"


def test_the_crawl_takes_no_variable_of_a_command_for_a_misspelt_one() -> None:
    from scrapy.settings import BaseSettings

    from estela_scrapy.settings import ExtensionSettings

    scripts = [point for point in entry_points(group="console_scripts") if point.name.startswith("estela-")]
    commands = [value for point in scripts for value in vars(import_module(point.module)).values()]
    variables = {
        name
        for command in commands
        if isinstance(command, click.Command)
        for name in variables_of(command)
        if name.startswith("ESTELA_")
    }

    assert len(scripts) >= 5
    assert "ESTELA_CHUNK_COUNT" in variables
    assert ExtensionSettings.misspelt(BaseSettings(), dict.fromkeys(variables, "1")) == []


def variables_of(command: click.Command) -> Iterator[str]:
    """The environment variables of a command's options, and of the commands in it."""
    for parameter in command.params:
        yield from [parameter.envvar] if isinstance(parameter.envvar, str) else parameter.envvar or ()
    for inner in getattr(command, "commands", {}).values():
        yield from variables_of(inner)


def test_the_consumers_options_are_those_of_the_command_with_their_variables_and_defaults() -> None:
    documented = table(README, "--")
    options = {max(o.opts, key=len): o for o in consume.params if isinstance(o, click.Option)}

    assert set(documented) == set(options)
    for name, option in options.items():
        variables = [option.envvar] if isinstance(option.envvar, str) else list(option.envvar or ())
        assert documented[name][0] == f"`{variables[0]}`"
        if isinstance(option.default, (int, float)) and not option.is_flag:
            assert documented[name][1] == f"`{option.default}`"


def test_the_exit_codes_are_those_of_the_code_and_each_command_tells_its_own() -> None:
    rows = re.findall(r"^\| (\d+) \| `([A-Z_]+)` \| *(.*?) *\| *(.*?) *\|$", README, re.MULTILINE)
    columns = {consume: [row[2] for row in rows], verify: [row[3] for row in rows]}

    assert [row[:2] for row in rows] == [(str(int(code)), code.name) for code in ExitCode]
    for command, meanings in columns.items():
        told = re.findall(r"^ +(\d+)  ([A-Z_]+) ", command.epilog or "", re.MULTILINE)
        assert told == [row[:2] for row, meaning in zip(rows, meanings, strict=True) if meaning]
    assert columns[verify] == [MEANINGS.get(code, "") for code in ExitCode]


def test_the_table_of_rules_is_the_one_that_the_code_decides_by() -> None:
    assert as_markdown() in (ROOT / "docs" / "reliability.md").read_text()


def test_every_reason_of_a_dead_letter_is_in_the_table_of_rules() -> None:
    assert {reason.value for reason in Reason} <= {rule.word for rule in rules()}


def test_the_table_of_faults_has_every_row_and_every_promise_was_kept() -> None:
    text = (ROOT / "docs" / "reliability.md").read_text()

    for name, fault in FAULTS.items():
        [row] = [line for line in text.splitlines() if line.startswith(f"| `{name}` | {fault.told} |")]
        cells = row.strip("|").split("|")[2:9]
        numbers = (int(cell.replace(",", "").strip() or 0) for cell in cells)
        produced, not_promised, stored, missing, twice, expected, found = numbers
        assert (missing, twice) == (0, 0)
        assert produced >= 100_000
        assert (stored, found) == (produced - not_promised - expected, expected)


def test_the_table_of_values_says_what_is_written() -> None:
    from estela_scrapy.payloads import ItemSerializer
    from tests import values_of_items

    page = (ROOT / "docs" / "items.md").read_text()
    rows = re.findall(r"^\| [^|]+ \| `(.+)` \| `(.+)` \|$", page, re.MULTILINE)

    assert len(rows) == page.count("\n| ") - 1
    for value, written in rows:
        item = {"field": eval(value, vars(values_of_items))}
        assert ItemSerializer().serialize(item) == f'{{"field":{written}}}'.encode(), value


def test_links_lead_somewhere() -> None:
    for page in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")):
        for target in re.findall(r"\]\((?!http)([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_lowest_versions_are_those_that_a_job_of_the_workflow_installs() -> None:
    parsed = configparser.ConfigParser()
    parsed.read(ROOT / "setup.cfg")
    floors = re.findall(
        r"^([\w-]+)(?:\[[\w,]+\])? >= ([\d.]+)$", parsed["options"]["install_requires"], re.MULTILINE
    )
    lowest = dict(line.split("==") for line in (ROOT / "tests" / "lowest.txt").read_text().split())

    assert set(dict(floors)) == set(lowest)
    for name, floor in floors:
        assert f"{lowest[name]}.".startswith(f"{floor}.")
    assert "PIP_CONSTRAINT: tests/lowest.txt" in (ROOT / ".github" / "workflows" / "test.yml").read_text()
