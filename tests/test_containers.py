"""What can be checked of the container files without an engine to build them."""

from __future__ import annotations

import configparser
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from estela_queue_adapter import open_platform
from estela_queue_adapter.subscription import Subscription
from tests.consumer.commands import publish

ROOT = Path(__file__).parent.parent
DOCKERFILE = (ROOT / "Dockerfile").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
OURS = {name: service for name, service in COMPOSE["services"].items() if service.get("build")}


def console_scripts() -> set[str]:
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg")
    return {
        line.partition("=")[0].strip()
        for line in parser["options.entry_points"]["console_scripts"].splitlines()
    }


def copied() -> list[str]:
    lines = re.findall(r"^COPY (?!--from)(.*)$", DOCKERFILE, re.MULTILINE)
    return [source for line in lines for source in line.split()[:-1] if not source.startswith("--")]


def test_every_path_that_is_copied_exists_and_is_not_ignored() -> None:
    kept = {
        line.removeprefix("!") for line in (ROOT / ".dockerignore").read_text().splitlines() if line[0] == "!"
    }

    assert copied()
    for source in copied():
        assert (ROOT / source).exists(), source
        assert source in kept, source


def test_it_installs_with_the_line_that_the_scripts_use() -> None:
    line = re.search(r"python -m (pip install) --no-cache-dir \.$", DOCKERFILE, re.MULTILINE)

    assert line is not None
    assert re.search(r"python -m pip install .* -e \"\.\$extra\"", (ROOT / "scripts" / "venv").read_text())


def test_it_does_not_run_as_root() -> None:
    users = re.findall(r"^USER (\S+)", DOCKERFILE, re.MULTILINE)

    assert users == ["estela"]


def test_its_packages_are_those_of_the_project() -> None:
    packages = {path.parent.name for path in ROOT.glob("*/py.typed")}

    assert packages <= set(copied())


@pytest.mark.usefixtures("workdir")
@pytest.mark.processes
def test_what_estelas_chart_runs_is_in_the_image_and_consumes(tmp_path: Path) -> None:
    """`python consumer.py TOPIC` in the image's folder, with the variables of the chart but for servers."""
    assert "WORKDIR /home/estela\n" in DOCKERFILE
    assert "COPY --chown=estela consumer.py /home/estela/consumer.py\n" in DOCKERFILE
    folder = tmp_path / "home"
    folder.mkdir()
    shutil.copy(ROOT / "consumer.py", folder)
    publish("job_items", [{"jid": "1.s.p", "payload": {"n": n}, "unique": "False"} for n in range(3)])
    environ = {"PRODUCTION": "", "WORKER_POOL": "10", "HEARTBEAT_TICK": "300", "MAX_RETRIES": "5"}

    done = subprocess.run(
        [sys.executable, "consumer.py", "job_items"],
        cwd=folder,
        env={
            **os.environ, **environ, "ESTELA_DRAIN": "1", "ESTELA_JSON": "1", "PYTHONPATH": str(ROOT),
            "QUEUE_PLATFORM_PATH": str(tmp_path / ".estela" / "queue.db"),
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["topics"]["job_items"]["stored"] == 3


@pytest.mark.parametrize("name", OURS)
def test_every_command_of_a_service_is_there(name: str) -> None:
    program, *arguments = OURS[name]["command"]

    assert program in console_scripts() | {"scrapy", "python"}
    if program == "python":
        folder = ROOT / OURS[name]["working_dir"].removeprefix("/home/estela/")
        assert folder.is_dir()
        assert importlib.util.find_spec(arguments[1]) is not None
    if program == "scrapy":
        assert (ROOT / "estela_demo" / "shop" / "spiders" / f"{arguments[1]}.py").exists()


@pytest.mark.parametrize("name", OURS)
def test_every_variable_of_a_service_is_one_that_we_read(name: str) -> None:
    environ = dict(OURS[name]["environment"])

    platform = open_platform(environ=environ)

    assert platform.describe() == "Kafka at kafka:9092"
    platform.consumer(Subscription(topic="items_topic")).close()
    assert set(environ) == {
        "QUEUE_PLATFORM",
        "QUEUE_PLATFORM_LISTENERS",
        "QUEUE_PLATFORM_PORT",
        "DB_CONNECTION",
    }


def test_services_wait_for_those_that_they_need() -> None:
    for service in COMPOSE["services"].values():
        for needed in service.get("depends_on", {}):
            assert needed in COMPOSE["services"]


def test_the_workflow_and_ci_run_the_readmes_test_command() -> None:
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "test.yml").read_text())
    steps = [step.get("run") for step in workflow["jobs"]["test"]["steps"]]

    assert "scripts/test" in steps
    assert "scripts/test" in (ROOT / ".ci" / "run").read_text()
    assert "scripts/test" in (ROOT / "README.md").read_text()
