"""What we use of kafka-python that is not public: it is as we know it, or is done without."""

from __future__ import annotations

import ast
import configparser
import importlib
import json
import logging
import re
import subprocess
import sys
from pathlib import Path

import pytest

from estela_queue_adapter.platforms.kafka.interface import choice
from estela_queue_adapter.platforms.kafka.interface.parts import PARTS, Part, changed_parts
from estela_queue_adapter.platforms.kafka.settings import KafkaSettings

ROOT = Path(__file__).parents[3]
PLATFORM = ROOT / "estela_queue_adapter" / "platforms" / "kafka"
PRIVATE = {PLATFORM / "interface" / "private.py", PLATFORM / "connections" / "connections.py"}
PUBLIC_MODULES = {"kafka", "kafka.errors", "kafka.future", "kafka.net.sasl.oauth"}
"""What kafka-python's own documentation of its clients names, and its assignors."""
RECORDS = "kafka.consumer.fetcher:Fetcher.PartitionRecords"

_ROUND_TRIP = """
import json, logging, sys
import kafka
from kafka.consumer.fetcher import Fetcher

listeners, topic, change = json.loads(sys.argv[1])
if change == "series":
    kafka.__version__ = "3.1.0"
elif change == "parameters":
    parse = Fetcher._parse_fetched_data
    Fetcher._parse_fetched_data = lambda self, fetch, hurry=False: parse(self, fetch)
logging.basicConfig(format="%(name)s: %(message)s", level=logging.WARNING)
logging.getLogger("kafka").setLevel(logging.CRITICAL)
from estela_queue_adapter import Subscription, open_platform

platform = open_platform(platform="kafka", listeners=listeners)
with platform.producer() as producer:
    for number in range(3):
        producer.send(topic, number)
    producer.flush()
consumer, values = platform.consumer(Subscription(topic=topic)), []
while len(values) < 3:
    messages = consumer.poll(1.0, 10)
    values += [message.value for message in messages]
    consumer.commit(message.next for message in messages)
consumer.close()
private = "estela_queue_adapter.platforms.kafka.interface.private" in sys.modules
print(json.dumps([sorted(values), sorted(message.value for message in platform.read(topic)), private]))
"""


def test_no_part_has_changed_even_where_ours_has_taken_its_place() -> None:
    importlib.import_module("estela_queue_adapter.platforms.kafka.interface.private")

    assert changed_parts() == []


@pytest.mark.parametrize(
    ("part", "told"),
    [
        (Part(f"{RECORDS}.peek", "function"), "PartitionRecords.peek is missing"),
        (Part("kafka.consumer.fetcher:Gatherer.take", "function"), "fetcher.Gatherer.take is missing"),
        (Part("kafka.gatherer:Gatherer", "class"), "kafka.gatherer.Gatherer is missing"),
        (Part(f"{RECORDS}.bytes_written", "attribute"), "bytes_written is missing"),
        (Part(f"{RECORDS}.take", "coroutine", "self, n="), "PartitionRecords.take is no coroutine"),
        (Part(f"{RECORDS}.take", "function", "self, n"), r"take takes \(self, n=\), not \(self, n\)"),
        (Part(f"{RECORDS}.take", "function", "self, limit="), r"takes \(self, n=\), not \(self, limit=\)"),
    ],
)
def test_what_has_changed_is_told_by_its_name(part: Part, told: str) -> None:
    [change] = changed_parts((part,))

    assert re.search(told, change), change


@pytest.mark.parametrize(
    ("version", "usable"),
    [("3.0", True), ("3.0.12", True), ("3.0.99", True), ("3.1.0", False), ("2.3.3", False), ("30.0", False)],
)
def test_only_the_series_whose_parts_we_know_is_used_by_them(version: str, usable: bool) -> None:
    assert (choice.why_public(version) == "") is usable


def test_the_series_is_the_one_that_the_package_asks_for() -> None:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    [bound] = [line for line in setup["options"]["install_requires"].splitlines() if "kafka-python" in line]
    major, minor = choice.SERIES.split(".")

    assert f">= {choice.SERIES}." in bound
    assert bound.endswith(f"< {major}.{int(minor) + 1}")


def test_the_public_way_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    settings = KafkaSettings(listeners="localhost", public_interface=True)
    choice._interface.cache_clear()

    with caplog.at_level(logging.WARNING):
        interfaces = {choice.interface_for(settings) for _ in range(3)}

    assert len(interfaces) == 1
    [line] = [record.getMessage() for record in caplog.records]
    assert "public interface alone" in line


@pytest.mark.processes
@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("series", "kafka-python 3.1.0 is used by its public interface alone"),
        (
            "parameters",
            "Fetcher._parse_fetched_data takes (self, fetch, hurry=), not (self, completed_fetch)",
        ),
        ("", ""),
    ],
)
def test_another_kafka_python_is_used_by_its_public_interface_with_one_line(
    kafka: str, unique: str, change: str, told: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _ROUND_TRIP, json.dumps([kafka, unique, change])],
        capture_output=True,
        text=True,
        timeout=120,
    )

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [[0, 1, 2], [0, 1, 2], not change]
    lines = [line for line in done.stderr.splitlines() if "public interface" in line]
    assert len(lines) == bool(change)
    assert told in done.stderr


def _modules() -> list[Path]:
    return sorted(PLATFORM.rglob("*.py"))


@pytest.mark.parametrize("path", _modules(), ids=lambda path: str(path.relative_to(PLATFORM)))
def test_only_the_rooms_of_private_parts_touch_any(path: Path) -> None:
    tree = ast.parse(path.read_text())
    private = path in PRIVATE or path.parent.name == "records"
    known = {part.at.rpartition(":")[2].rpartition(".")[2] for part in PARTS}

    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "kafka":
            public = node.module in PUBLIC_MODULES or node.module.startswith("kafka.coordinator.assignors.")
            assert public or private, f"line {node.lineno} imports {node.module}"
        if isinstance(node, ast.Attribute) and node.attr.startswith("_") and not node.attr.startswith("__"):
            of_ours = isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")
            assert of_ours or (private and node.attr in known) or _is_ours(node), (
                f"line {node.lineno} touches {node.attr}"
            )


def _is_ours(node: ast.Attribute) -> bool:
    """A public name that begins with an underscore: of tuples, or one of librdkafka's errors."""
    is_error = isinstance(node.value, ast.Name) and node.value.id == "KafkaError" and node.attr.isupper()
    return is_error or node.attr in ("_asdict", "_replace")
