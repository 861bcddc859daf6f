"""The documents say what the code does."""

from __future__ import annotations

import ast
import configparser
import dataclasses
import re
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path

import click

from estela_cli.doctor import command as doctor_command
from estela_cli.queue import command as queue_command
from estela_cli.queue import opened as queue_opened
from estela_consumer.cli import consume as consume_command
from estela_consumer.cli import data as data_command
from estela_consumer.cli import status as status_command
from estela_consumer.cli import verify as verify_command
from estela_consumer.cli.dead_letters import command as dead_letters_command
from estela_consumer.errors import EXIT_MEANINGS, Reason
from estela_demo import command as demo_command
from estela_queue_adapter.platforms.embedded.platform import EmbeddedSettings
from estela_queue_adapter.platforms.kafka.settings import KafkaSettings
from estela_queue_adapter.settings import settings_of, variable
from estela_queue_adapter.subscription import Subscription
from estela_scrapy.cli import outbox as outbox_command
from estela_terminal.exit_codes import ExitCode
from tests.consumer.monitoring import tables as metric_tables
from tests.faults.run import FAULTS
from tests.rulebook import as_markdown, marked_up, rules

ROOT = Path(__file__).parent.parent
CONFIGURATION = (ROOT / "docs" / "configuration.md").read_text()
EXIT_CODES = (ROOT / "docs" / "exit-codes.md").read_text()


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
    documented = table(CONFIGURATION, "QUEUE_PLATFORM_")

    assert set(documented) == {variable(field.name) for field in fields}
    for field in fields:
        default = field.default if field.default not in (dataclasses.MISSING, "", None) else None
        assert documented[variable(field.name)][0] == ("" if default is None else f"`{default}`")


def test_the_extensions_settings_are_those_that_the_code_reads_with_their_defaults() -> None:
    from estela_scrapy.settings import ExtensionSettings

    documented = table(CONFIGURATION, "ESTELA_")
    fields = settings_of(ExtensionSettings)

    assert set(documented) == ExtensionSettings.variables()
    assert len(fields) == 24
    for name, field in fields.items():
        default = field.metadata["default"]
        shown = "" if default in ("", None) else f"`{default}`"
        assert documented[variable(name, "ESTELA")][0] == shown


def test_the_crawl_takes_no_variable_of_a_command_for_a_misspelt_one() -> None:
    from scrapy.settings import BaseSettings

    from estela_scrapy.settings import ExtensionSettings

    scripts = [point for point in entry_points(group="console_scripts") if point.name.startswith("estela-")]
    commands = [command for command, _ in COMMANDS.values()]
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
    documented = table(CONFIGURATION, "--")
    options = {max(o.opts, key=len): o for o in consume_command.consume.params if isinstance(o, click.Option)}

    assert set(documented) == set(options)
    for name, option in options.items():
        variables = [option.envvar] if isinstance(option.envvar, str) else list(option.envvar or ())
        assert documented[name][0] == (f"`{variables[0]}`" if variables else "")
        if isinstance(option.default, (int, float)) and not option.is_flag:
            assert documented[name][1] == f"`{option.default}`"


COMMANDS = {
    "estela-consume": (consume_command.consume, EXIT_MEANINGS),
    "estela-verify": (verify_command.verify, verify_command.MEANINGS),
    "estela-data": (data_command.data, data_command.MEANINGS),
    "estela-dead-letters": (dead_letters_command.dead_letters, dead_letters_command.MEANINGS),
    "estela-status": (status_command.status, status_command.MEANINGS),
    "estela-queue": (queue_command.queue, queue_opened.MEANINGS),
    "estela-outbox": (outbox_command.outbox, outbox_command.MEANINGS),
    "estela-scrapy doctor": (doctor_command.doctor, doctor_command.MEANINGS),
    "estela-scrapy demo": (demo_command.demo, demo_command.MEANINGS),
}


def test_the_exit_codes_are_those_of_the_code_and_each_command_tells_its_own() -> None:
    first, *others = tables = [list(rows) for rows in exit_code_tables()]

    assert [(row["code"], row["name"]) for row in first] == [(str(int(c)), f"`{c.name}`") for c in ExitCode]
    documented = {command for table in tables for command in table[0]} - {"code", "name"}
    assert documented == set(COMMANDS)
    for name, (command, meanings) in COMMANDS.items():
        [found] = [table for table in (first, *others) if name in table[0]]
        rows = {row["code"]: row[name] for row in found}
        for code in ExitCode:
            assert rows.get(str(int(code)), "") == marked_up(meanings.get(code, ""))
        told = re.findall(r"^ *(\d+)  ([A-Z_]+) ", command.epilog or "", re.MULTILINE)
        assert told == [(str(int(code)), code.name) for code in sorted(meanings)]


def exit_code_tables() -> Iterator[Iterator[dict[str, str]]]:
    """The rows of the tables of exit codes, by the titles of their columns."""
    for found in re.findall(r"^\| code \|.*\n(?:\|.*\n)+", EXIT_CODES, re.MULTILINE):
        head, _, *rows = found.splitlines()
        titles = [title.strip("`") for title in cells(head)]
        yield (dict(zip(titles, cells(row), strict=True)) for row in rows)


def cells(line: str) -> list[str]:
    """The cells of a row of a Markdown table."""
    return [cell.strip() for cell in line.split("|")[1:-1]]


def test_the_table_of_rules_is_the_one_that_the_code_decides_by() -> None:
    assert as_markdown() in (ROOT / "docs" / "reliability.md").read_text()


def test_the_table_of_metrics_is_the_closed_list_of_the_code() -> None:
    operations = (ROOT / "docs" / "operations.md").read_text()
    begin, end = operations.index("<!-- metrics -->"), operations.index("<!-- /metrics -->")

    assert operations[begin:end].strip().endswith(metric_tables.as_markdown())


def test_every_reason_of_a_dead_letter_is_in_the_table_of_rules() -> None:
    assert {reason.value for reason in Reason} <= {rule.name for rule in rules()}


def test_the_table_of_faults_has_every_row_and_every_promise_was_kept() -> None:
    text = (ROOT / "docs" / "reliability.md").read_text()
    _, by_kafka_python, by_librdkafka = (
        part.partition("<!-- /faults -->")[0].splitlines() for part in text.split("<!-- faults: made by ")
    )

    for name, fault in FAULTS.items():
        begins = f"| `{name}` | {fault.told} |"
        [row] = [line for line in by_kafka_python if line.startswith(begins)]
        for line in (row, *(line for line in by_librdkafka if line.startswith(begins))):
            check_books(line)
    assert all(any(f"| `{name}` |" in line for name in FAULTS) for line in by_librdkafka[3:])


def check_books(row: str) -> None:
    cells = row.strip("|").split("|")[2:9]
    numbers = (int(cell.replace(",", "").strip() or 0) for cell in cells)
    produced, not_promised, stored, missing, twice, expected, found = numbers
    assert (missing, twice) == (0, 0)
    assert produced >= 100_000
    assert (stored, found) == (produced - not_promised - expected, expected)


def rows_of_values(section: str) -> list[list[str]]:
    """The cells of a table of docs/items.md, code without its backticks, but for the name of the kind."""
    page = (ROOT / "docs" / "items.md").read_text()
    lines = page.partition(f"\n## {section}\n")[2].partition("\n## ")[0].splitlines()
    rows = [line.strip("| ").split(" | ")[1:] for line in lines if line.startswith("| ")]
    return [[cell.strip("`") for cell in row] for row in rows[1:]]


def test_the_table_of_values_says_what_is_written() -> None:
    from estela_scrapy.payloads import ItemSerializer
    from tests import values_of_items

    rows = rows_of_values("Values")

    assert len(rows) >= 20
    for value, written in rows:
        item = {"field": eval(value, vars(values_of_items))}
        assert ItemSerializer().serialize(item) == f'{{"field":{written}}}'.encode(), value


def test_the_table_of_types_says_what_is_written_and_stored() -> None:
    from estela_consumer.decoding.decoder import decode
    from estela_queue_adapter import Message
    from estela_scrapy.payloads import ItemSerializer
    from tests import values_of_items

    codes = {"objectId": 7, "date": 9, "regex": 11, "timestamp": 17, "long": 18, "decimal": 19, "binData": 5}
    codes["minKey"] = 255  # as MongoDB's documents number its types
    rows = rows_of_values("Types")

    assert len(rows) >= 15
    for value, stored, written, as_json in rows:
        item = {"field": eval(value, vars(values_of_items))}
        payload = ItemSerializer(types="bson").serialize(item)
        envelope = b'{"jid":"1.s.p","types":"bson","payload":%b}' % payload
        document = decode(Message("t", 0, 0, 0.0, None, envelope, ()))
        assert payload == f'{{"field":{written}}}'.encode(), value
        assert ItemSerializer(types="json").serialize(item) == f'{{"field":{as_json}}}'.encode(), value
        assert document is not None
        assert document.bson[document.bson.index(b"field") - 1] == codes[stored], value


def test_every_room_stands_in_the_table_of_rooms_and_every_row_is_there() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text()
    rows = set(re.findall(r"`([\w/]+/)`", page[page.index("## Rooms") : page.index("One contract suite")]))
    installed = (
        ROOT / name
        for name in (
            "estela_wire",
            "estela_terminal",
            "estela_pages",
            "estela_queue_adapter",
            "estela_config",
            "estela_scrapy",
            "estela_consumer",
            "estela_demo",
            "estela_cli",
        )
    )
    rooms = {f"{init.parent.relative_to(ROOT)}/" for top in installed for init in top.rglob("__init__.py")}

    assert rooms <= rows
    assert [row for row in rows if not (ROOT / row).is_dir()] == []


def test_every_lock_and_every_thread_stands_in_its_table() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text()
    table_of_locks = page[page.index("## Locks") : page.index("## Dependencies")]
    documented = set(re.findall(r"`(\w+\.\w+)`", table_of_locks))
    locks, threads = set(), set()
    for package in (
        "estela_wire",
        "estela_terminal",
        "estela_pages",
        "estela_queue_adapter",
        "estela_config",
        "estela_scrapy",
        "estela_consumer",
        "estela_demo",
        "estela_cli",
    ):
        for path in (ROOT / package).rglob("*.py"):
            text = path.read_text()
            threads |= set(re.findall(r'name=f?"(estela-[a-z-]*)', text))
            for node in ast.walk(ast.parse(text)):
                if isinstance(node, ast.ClassDef):
                    found = re.findall(r"self\.(\w+) = threading\.R?Lock\(", ast.unparse(node))
                    locks |= {f"{node.name}.{name}" for name in found}

    assert documented == locks
    assert len(threads) >= 4
    assert [name for name in threads if f"`{name}" not in page] == []


def test_links_lead_somewhere() -> None:
    for page in (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")):
        for target, place in re.findall(r"\]\((?!http)([^)#]*)(?:#([^)]*))?\)", page.read_text()):
            path = page.parent / target if target else page
            assert path.exists(), f"{page.name}: {target}"
            assert not place or place in places(path.read_text()), f"{page.name}: {target}#{place}"


def places(page: str) -> set[str]:
    """What a link to a heading of the page has behind its #."""
    headings = re.findall(r"^#+ (.*)", page, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


def test_the_scrapys_that_are_supported_are_those_of_the_code_the_script_and_the_workflow() -> None:
    from estela_scrapy.compat import LOWEST

    script = (ROOT / "scripts" / "test-scrapy-versions").read_text()
    workflow = (ROOT / ".github" / "workflows" / "test.yml").read_text()
    [tried] = re.findall(r"versions=\((2\.[\d. ]+) \"\$TOO_OLD\"\)", script)
    [too_old] = re.findall(r"TOO_OLD=(\S+)", script)
    [matrix] = re.findall(r"scrapy: \[(.+)\]", workflow)
    page = (ROOT / "docs" / "compatibility.md").read_text()

    lowest, newest = tried.split()[0], tried.split()[-1]
    assert tried.split() == [f"2.{minor}" for minor in range(LOWEST[1], int(newest[2:]) + 1)]
    assert re.findall(r"2\.\d+", matrix) == [too_old, *tried.split()]
    assert too_old == f"2.{LOWEST[1] - 1}"
    assert f"| up to {too_old} |" in page
    assert f"\nScrapy {lowest} and later." in page
    assert re.findall(r"\| 2\.\d+ to (2\.\d+) \|", page) == [newest]


def test_the_lowest_versions_are_those_that_a_job_of_the_workflow_installs() -> None:
    parsed = configparser.ConfigParser()
    parsed.read(ROOT / "setup.cfg")
    floors = re.findall(
        r"^([\w-]+)(?:\[[\w,]+\])? >= ([\d.]+)(?:, < [\d.]+)?$",
        parsed["options"]["install_requires"] + parsed["options.extras_require"]["librdkafka"],
        re.MULTILINE,
    )
    lowest = dict(line.split("==") for line in (ROOT / "tests" / "lowest.txt").read_text().split())

    del lowest["w3lib"]  # Scrapy's: the lowest Scrapy cannot run with the newest, and pip does not know that
    assert set(dict(floors)) == set(lowest)
    for name, floor in floors:
        assert f"{lowest[name]}.".startswith(f"{floor}.")
    assert "PIP_CONSTRAINT: tests/lowest.txt" in (ROOT / ".github" / "workflows" / "test.yml").read_text()
