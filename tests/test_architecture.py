"""The house keeps its shape: who imports whom, and how large a room may be."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = (
    "estela_wire",
    "estela_terminal",
    "estela_pages",
    "estela_queue_adapter",
    "estela_config",
    "estela_scrapy",
    "estela_consumer",
    "estela_demo",
    "estela_cli",
    "devservers",
    "sample_project",
    "bench",
    "release",
    "tests",
)
INSTALLED = PACKAGES[:9]
MAX_LINES = 400
MAX_FILES = 14  # of a folder of the installed packages
MAX_ATTRIBUTES = 12  # of a class but plain data
# What ours do not use: CONTRIBUTING.md says what the first is for, and Scrapy finds the other.
FOR_OTHER_PACKAGES = {"LogPlatform", "PricesSpider", "ShopSpider"}
NAMELESS = {"utils", "util", "helpers", "helper", "common", "manager", "misc"}

# What may be imported by whom: module prefix -> the prefixes of the files that may.
OUTSIDE = ("devservers/", "sample_project/", "tests/", "bench/", "release/")  # what is not installed
ONLY_IN = {
    "kafka": ("estela_queue_adapter/platforms/kafka/", *OUTSIDE),
    "confluent_kafka": (
        "estela_queue_adapter/platforms/kafka/librdkafka/",
        *OUTSIDE,
    ),
    "pymongo": ("estela_consumer/stores/mongodb/", *OUTSIDE),
    "rich": (
        "estela_terminal/",
        "estela_consumer/verification/report.py",
        "estela_consumer/verification/listing.py",
        "estela_consumer/status/tables.py",
        "estela_consumer/cli/",
        "estela_demo/",
        "estela_cli/doctor/report.py",
        "estela_cli/queue/prune.py",
        *OUTSIDE,
    ),
    "scrapy": (
        "estela_scrapy/",
        "estela_config/scrapy_project.py",
        "estela_demo/shop/",
        *OUTSIDE,
    ),
    "itemadapter": ("estela_scrapy/", *OUTSIDE),
    "prometheus_client": ("estela_consumer/monitoring/collector.py", *OUTSIDE),
    "jinja2": ("estela_consumer/status/page.py", *OUTSIDE),
    "markupsafe": ("estela_consumer/status/", *OUTSIDE),
    "h11": ("estela_pages/server.py", *OUTSIDE),
    "dotenv": ("estela_config/env_file.py", *OUTSIDE),
    "estela_config": (
        "estela_config/",
        "estela_scrapy/",
        "estela_consumer/cli/",
        "estela_demo/",
        "estela_cli/",
        *OUTSIDE,
    ),
    "estela_pages": ("estela_pages/", "estela_consumer/", *OUTSIDE),
    "estela_scrapy": ("estela_scrapy/", "estela_cli/", *OUTSIDE),
    "estela_consumer": ("estela_consumer/", "estela_cli/", *OUTSIDE),
    "estela_cli": ("estela_cli/", *OUTSIDE),
    "estela_demo": ("estela_demo/", *OUTSIDE),  # `estela-scrapy` imports it when its demo is called
    "estela_wire": (
        "estela_wire/",
        "estela_config/",
        "estela_scrapy/",
        "estela_consumer/",
        "estela_cli/",
        *OUTSIDE,
    ),
    "estela_queue_adapter": (
        "estela_queue_adapter/",
        "estela_wire/",
        "estela_config/",
        "estela_scrapy/",
        "estela_consumer/",
        "estela_cli/",
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


def sources(root: Path, packages: tuple[str, ...]) -> dict[str, Path]:
    """The files of these packages by the names of their modules."""
    return {
        ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__"): path
        for package in packages
        for path in sorted((root / package).rglob("*.py"))
    }


def at_run_time(tree: ast.AST) -> Iterator[ast.AST]:
    """The nodes that run when the module is imported: neither for type checkers alone nor in functions."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            yield node
            yield from at_run_time(node)


def graph(files: dict[str, Path]) -> dict[str, set[str]]:
    """Which of these modules each of them imports."""
    edges: dict[str, set[str]] = {}
    for name, path in files.items():
        found: set[str] = set()
        for node in at_run_time(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found.update(alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module:
                inner = {f"{node.module}.{alias.name}" for alias in node.names}
                found |= inner & files.keys() or {node.module}
        edges[name] = (found & files.keys()) - {name}
    return edges


def circles(edges: dict[str, set[str]]) -> list[list[str]]:
    """The circles that a walk along the imports runs into, one for each place it closes."""
    done: set[str] = set()
    found: list[list[str]] = []

    def walk(name: str, way: list[str]) -> None:
        if name in way:
            found.append([*way[way.index(name) :], name])
        elif name not in done:
            for other in sorted(edges[name]):
                walk(other, [*way, name])
            done.add(name)

    for name in edges:
        walk(name, [])
    return found


def attributes(class_: ast.ClassDef) -> set[str]:
    """What `__init__` sets on `self`."""
    return {
        node.attr
        for method in class_.body
        if isinstance(method, ast.FunctionDef) and method.name == "__init__"
        for node in ast.walk(method)
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)
        if isinstance(node.value, ast.Name) and node.value.id == "self"
    }


def test_the_house_keeps_its_rules() -> None:
    assert list(violations(ROOT, PACKAGES)) == []


# The rooms of the consumer from the top to the ground: each may import those behind it.
CONSUMER = (
    "cli",
    "service",
    "monitoring",
    "status",
    "verification",
    "pipeline",
    "stores",
    "adoption",
    "dead_letters",
    "decoding",
)


def test_no_arrow_of_the_consumer_runs_back_up() -> None:
    floors = {f"estela_consumer.{room}": floor for floor, room in enumerate(CONSUMER)}

    def floor(module: str) -> int | None:
        return floors.get(".".join(module.split(".")[:2]))

    up = [
        f"{module} imports {other}"
        for module, others in graph(sources(ROOT, ("estela_consumer",))).items()
        for other in others
        if (here := floor(module)) is not None and (there := floor(other)) is not None and there < here
    ]

    assert up == []


def test_imports_run_in_no_circle(tmp_path: Path) -> None:
    for name, source in {
        "a": "import b",
        "b": "def f():\n    import a\nimport c",
        "c": "from b import x",
    }.items():
        (tmp_path / f"{name}.py").write_text(source)
    small = {path.stem: path for path in sorted(tmp_path.glob("*.py"))}

    assert circles(graph(small)) == [["b", "c", "b"]]
    assert circles(graph(sources(ROOT, PACKAGES))) == []


def test_the_longest_files_are_listed() -> None:
    lengths = sorted(
        ((len(path.read_text().splitlines()), name) for name, path in sources(ROOT, PACKAGES).items()),
        reverse=True,
    )
    print("the longest files:", *(f"{lines:4} {name}" for lines, name in lengths[:10]), sep="\n")  # noqa: T201

    assert lengths[0][0] <= MAX_LINES


def test_no_folder_has_more_files_than_a_glance_takes_in() -> None:
    files = [path for path in sources(ROOT, INSTALLED).values() if path.name != "__init__.py"]
    counts = Counter(path.parent.relative_to(ROOT).as_posix() for path in files)
    print("the largest folders:", *counts.most_common(5), sep="\n")  # noqa: T201

    assert {folder: count for folder, count in counts.items() if count > MAX_FILES} == {}


def test_no_class_has_more_attributes_than_a_reader_keeps_in_mind() -> None:
    found = {
        f"{module}.{node.name}": len(attributes(node))
        for module, path in sources(ROOT, (*INSTALLED, "devservers")).items()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef)
    }
    print("the largest classes:", *Counter(found).most_common(10), sep="\n")  # noqa: T201

    assert {name: count for name, count in found.items() if count > MAX_ATTRIBUTES} == {}


def test_nothing_that_is_installed_only_makes_documentation() -> None:
    """What a module of ours defines at its top is used by it, or by another that is installed."""
    texts = {name: path.read_text() for name, path in sources(ROOT, INSTALLED).items()}
    everything = "\n".join([*texts.values(), (ROOT / "setup.cfg").read_text()])
    words = Counter(re.findall(r"\w+", everything))

    assert [
        f"{name}.{node.name}"
        for name, text in texts.items()
        for node in ast.parse(text).body
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and words[node.name] < 2
        if node.name not in FOR_OTHER_PACKAGES
    ] == []


def test_what_prints_or_logs_foreign_text_does_so_through_what_makes_it_printable() -> None:
    may_print = {
        "estela_terminal/output.py",
        "estela_consumer/cli/__init__.py",  # says that the modules of ours may be somebody else's
        "estela_cli/__init__.py",  # the same
        "estela_demo/shop/server.py",  # a program of its own
        "estela_pages/healthcheck.py",  # the same; what it was answered is shown by ascii()
    }
    for package in INSTALLED[2:]:
        for path in sorted((ROOT / package).rglob("*.py")):
            name, source = path.relative_to(ROOT).as_posix(), path.read_text()
            if re.search(r"\b(?:click\.s?echo|sys\.std(?:out|err)\.write)\(", source):
                assert name in may_print
            # A crawl's log is Scrapy's, whose handlers are not ours; those of our commands are.
            if (
                package in ("estela_queue_adapter", "estela_scrapy")
                and "logger = logging.getLogger(__name__)" in source
            ):
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
