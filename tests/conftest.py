"""Fixtures that every test may use: the servers, and a working directory of one's own."""

from __future__ import annotations

import os
import signal
import uuid
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import HealthCheck, settings

from devservers.kafka import KafkaCluster
from devservers.mongodb import MongoReplicaSet
from devservers.process import ServerProcess
from tests.shared_servers import SharedServers
from tests.spreading import Spreading, place

pytest_plugins = ["tests.reruns"]

_SHARED_SERVERS = {"kafka", "mongodb"}  # the fixtures of this file
_SERVERS = pytest.StashKey[SharedServers]()

# How long an example takes depends on what else the machine does, and says nothing of what it shows.
settings.register_profile("steady", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("steady")
settings.register_profile("fast", max_examples=10)  # for `scripts/test --fast`


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--deploy`, which scripts/test gives once what these tests need is installed."""
    parser.addoption("--deploy", action="store_true", help="the tests of deployments, and no others")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark what needs servers, for `scripts/test --fast`; take one kind of tests; put what is long first.

    The tests of deployments are a kind, all others are one. What needs servers is each test that asks for a
    shared server, and each variant that is called `servers`. A module that starts its own says so by
    `pytestmark`.
    """
    wanted = bool(config.getoption("--deploy"))
    left_out = [item for item in items if (item.get_closest_marker("deploy") is not None) != wanted]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]
    for item in items:
        variant = getattr(item, "callspec", None)
        parameters = () if variant is None else variant.params.values()
        if _SHARED_SERVERS & set(getattr(item, "fixturenames", ())) or any(
            type(value) is str and value == "servers"
            for value in parameters  # others may be hostile
        ):
            item.add_marker("servers")
    if "PYTEST_XDIST_WORKER" in os.environ:
        items.sort(key=place)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    return Spreading(config, log) if config.getvalue("dist") == "loadscope" else None


_launch = ServerProcess.launch


_patch = pytest.MonkeyPatch()


def _refuse_to_launch(_: ServerProcess) -> None:
    pytest.fail("a test that starts a server needs the marker `servers`")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """A forgotten marker fails the test, here and not only on a machine without servers."""
    marked = item.get_closest_marker("servers") is not None
    _patch.setattr(ServerProcess, "launch", _launch if marked else _refuse_to_launch)


def pytest_configure(config: pytest.Config) -> None:
    """The folder of the run's servers is made by its first process, and named to those that it starts."""
    # It is ignored in the background of a shell, and so in each process that is started here.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    # Brokers of tests live for seconds: the better of Java's compilers takes three times what it saves.
    os.environ.setdefault("JAVA_TOOL_OPTIONS", "-XX:TieredStopAtLevel=1")
    given = getattr(config, "workerinput", None)
    config.stash[_SERVERS] = SharedServers(Path(given["servers"])) if given else SharedServers.of_a_new_run()


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    node.workerinput["servers"] = str(node.config.stash[_SERVERS].folder)


def pytest_unconfigure(config: pytest.Config) -> None:
    """The run's first process, which ends last, ends the servers."""
    if not hasattr(config, "workerinput"):
        config.stash[_SERVERS].kill()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for said in terminalreporter.config.stash[_SERVERS].ended():
        terminalreporter.section("A server of the tests")
        terminalreporter.line(said)


@pytest.fixture(scope="session")
def kafka(request: pytest.FixtureRequest) -> str:
    """The bootstrap servers of a real Kafka: KAFKA_BOOTSTRAP_SERVERS, or one started for this run."""
    if given := os.environ.get("KAFKA_BOOTSTRAP_SERVERS"):
        return given

    def start(folder: Path) -> tuple[str, list[ServerProcess]]:
        cluster = KafkaCluster(folder)
        cluster.start()
        return cluster.bootstrap_servers, [*cluster.brokers]

    with or_skip("Apache Kafka"):
        return request.config.stash[_SERVERS].address("kafka", start)


@pytest.fixture(scope="session")
def mongodb(request: pytest.FixtureRequest) -> str:
    """The URI of a real MongoDB replica set: MONGODB_URI, or one started for this run."""
    if given := os.environ.get("MONGODB_URI"):
        return given

    def start(folder: Path) -> tuple[str, list[ServerProcess]]:
        replica_set = MongoReplicaSet(folder)
        replica_set.start()
        return replica_set.uri, [*replica_set.members]

    with or_skip("mongod"):
        return request.config.stash[_SERVERS].address("mongodb", start)


@pytest.fixture
def workdir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory, and an environment in which nothing of ours is set."""
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.startswith(("QUEUE_PLATFORM", "ESTELA_", "DB_", "PRODUCTION", "COLUMNS")):
            monkeypatch.delenv(name)
    return tmp_path


@pytest.fixture
def unique() -> str:
    """A name that no other test uses: topics, groups and databases outlive a test."""
    return f"t{uuid.uuid4().hex[:12]}"


class or_skip:
    """A server that cannot be had skips the test with one line, and fails it in CI."""

    def __init__(self, what: str) -> None:
        self._what = what

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> Literal[False]:
        if isinstance(error, Exception) and not os.environ.get("CI"):
            pytest.skip(f"{self._what} cannot be had here: {error!s:.200}")
        return False
