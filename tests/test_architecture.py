"""The house keeps its shape: who imports whom, and how large a room may be."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = (
    "estela_wire",
    "estela_terminal",
    "estela_queue_adapter",
    "estela_scrapy",
    "estela_consumer",
    "devservers",
    "sample_project",
    "bench",
    "tests",
)
MAX_LINES = 400
NAMELESS = {"utils", "util", "helpers", "helper", "common", "manager", "misc"}

# What may be imported by whom: module prefix -> the prefixes of the files that may.
OUTSIDE = ("devservers/", "sample_project/", "tests/", "bench/")  # what is not installed
ONLY_IN = {
    "kafka": ("estela_queue_adapter/platforms/kafka/", *OUTSIDE),
    "pymongo": ("estela_consumer/stores/mongodb/", *OUTSIDE),
    "rich": (
        "estela_terminal/",
        "estela_consumer/verification/report.py",
        "estela_consumer/cli/",
        *OUTSIDE,
    ),
    "scrapy": ("estela_scrapy/", *OUTSIDE),
    "estela_scrapy": ("estela_scrapy/", *OUTSIDE),
    "estela_consumer": ("estela_consumer/", *OUTSIDE),
    "estela_wire": ("estela_wire/", "estela_scrapy/", "estela_consumer/", *OUTSIDE),
    "estela_queue_adapter": (
        "estela_queue_adapter/",
        "estela_wire/",
        "estela_scrapy/",
        "estela_consumer/",
        *OUTSIDE,
    ),
    "devservers": OUTSIDE,
}


def imports(source: str) -> Iterator[str]:
    """The absolute module names that a source imports."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module


def violations(root: Path, packages: tuple[str, ...]) -> Iterator[str]:
    """What in this tree breaks the house rules."""
    for package in packages:
        for path in sorted((root / package).rglob("*.py")):
            name, source = path.relative_to(root).as_posix(), path.read_text()
            for module in imports(source):
                allowed = ONLY_IN.get(module.partition(".")[0])
                if allowed is not None and not name.startswith(allowed):
                    yield f"{name} imports {module}"
            if path.stem in NAMELESS:
                yield f"{name} is named after nothing"
            if (lines := len(source.splitlines())) > MAX_LINES:
                yield f"{name} has {lines} lines"


def test_the_house_keeps_its_rules() -> None:
    assert list(violations(ROOT, PACKAGES)) == []


def test_what_prints_or_logs_foreign_text_does_so_through_what_makes_it_printable() -> None:
    may_print = {
        "estela_terminal/output.py",
        "estela_consumer/cli/__init__.py",  # says that the modules of ours may be somebody else's
    }
    for package in ("estela_queue_adapter", "estela_scrapy", "estela_consumer"):
        for path in sorted((ROOT / package).rglob("*.py")):
            name, source = path.relative_to(ROOT).as_posix(), path.read_text()
            if re.search(r"\b(?:click\.s?echo|sys\.std(?:out|err)\.write)\(", source):
                assert name in may_print
            # A crawl's log is Scrapy's, whose handlers are not ours; those of our commands are.
            if package != "estela_consumer" and "logger = logging.getLogger(__name__)" in source:
                assert name == "estela_terminal/logs.py"


@pytest.mark.parametrize(
    ("name", "source", "told"),
    [
        (
            "estela_consumer/x.py",
            "from estela_scrapy.delivery.publisher import Publisher",
            "imports estela_scrapy.delivery.publisher",
        ),
        ("estela_scrapy/x.py", "def f():\n    import estela_consumer", "imports estela_consumer"),
        ("estela_queue_adapter/x.py", "import scrapy", "imports scrapy"),
        ("estela_consumer/x.py", "from kafka import KafkaConsumer", "imports kafka"),
        ("estela_consumer/decoding/decoder.py", "import pymongo", "imports pymongo"),
        ("estela_consumer/utils.py", "", "named after nothing"),
        ("estela_consumer/x.py", "\n" * 401, "401 lines"),
    ],
)
def test_a_breach_is_seen(tmp_path: Path, name: str, source: str, told: str) -> None:
    file = tmp_path / name
    file.parent.mkdir(parents=True)
    file.write_text(source)

    [violation] = violations(tmp_path, PACKAGES)

    assert told in violation
