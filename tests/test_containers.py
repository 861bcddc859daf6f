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
from release.image import instructions, kept, stages_for
from tests.consumer.commands import publish

ROOT = Path(__file__).parent.parent
DOCKERFILE = (ROOT / "Dockerfile").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
# Variables that ours read, beside those of a Scrapy project.
READ = {
    "QUEUE_PLATFORM",
    "QUEUE_PLATFORM_LISTENERS",
    "QUEUE_PLATFORM_PORT",
    "DB_CONNECTION",
    "ESTELA_LISTEN",
    "ESTELA_LISTEN_NAMES",
    "ESTELA_OUTBOX_PATH",
}
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
    assert copied()
    for source in copied():
        assert (ROOT / source).exists(), source
        assert source in kept(ROOT), source


def test_every_path_of_a_command_is_one_that_was_copied_or_made_before() -> None:
    made = {"/opt/tools", "/opt/estela", "/src/consumer", "/src/wheels"}
    for one in instructions(DOCKERFILE):
        if one.name == "RUN":
            files = re.findall(r"(?<=-r )\S+", one.arguments)
            assert all((ROOT / name).exists() for name in files)
            for path in re.findall(r"(?<!\S)/(?:opt|src)/\S+", one.arguments):
                assert any(path.startswith(known) for known in made), path
            for module in re.findall(r"-m (release[.\w]*)", one.arguments):
                assert (ROOT / module.replace(".", "/")).with_suffix(".py").exists()


def test_hadolint_finds_nothing_in_the_dockerfile() -> None:
    hadolint = Path(sys.executable).parent / "hadolint"  # of the extra `dev`

    done = subprocess.run(
        [hadolint, ROOT / "Dockerfile"], capture_output=True, text=True, timeout=60, check=False
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout == ""


def test_the_base_image_is_an_exact_version_and_an_argument() -> None:
    [image] = re.findall(r"^ARG PYTHON_IMAGE=(\S+)$", DOCKERFILE, re.MULTILINE)

    assert re.fullmatch(r"python:3\.\d+\.\d+-slim-\w+(@sha256:[0-9a-f]{64})?", image)
    bases = [one.arguments.split()[0] for one in instructions(DOCKERFILE) if one.name == "FROM"]
    stages = {one.stage for one in instructions(DOCKERFILE)}
    assert set(bases) - stages == {"${PYTHON_IMAGE}"}


def test_what_is_installed_is_locked_or_was_built_here() -> None:
    """No line asks a registry for anything without a hash."""
    lines = [
        part
        for one in instructions(DOCKERFILE)
        if one.name == "RUN"
        for part in one.arguments.split("&&")
        if " pip " in part
    ]

    assert len(lines) == 6
    for line in lines:
        locked = "--require-hashes -r requirements/" in line
        assert locked or "--no-deps" in line, line
        assert ("--no-build-isolation" in line) == ("pip wheel" in line)


@pytest.mark.parametrize("target", ["consumer", "crawler"])
def test_a_target_runs_as_a_number_and_has_no_sample_project(target: str) -> None:
    stages = stages_for(target, DOCKERFILE)
    users = [one.arguments for one in instructions(DOCKERFILE) if one.name == "USER" and one.stage in stages]

    assert users == ["10001:10001"]
    assert "sample_project" not in copied()
    assert "sample_project" not in kept(ROOT)
    locks = {
        name
        for one in instructions(DOCKERFILE)
        if one.stage in stages
        for name in re.findall(r"requirements/(\w+)\.txt", one.arguments)
    }
    assert locks == {"build", target}


def test_the_default_target_has_all_that_there_is() -> None:
    assert list(instructions(DOCKERFILE))[-1].stage == "crawler"
    assert {OURS[name]["build"]["target"] for name in ("shop", "crawler")} == {"crawler"}
    assert OURS["consumer"]["build"]["target"] == "consumer"


def test_its_packages_are_those_of_the_project() -> None:
    packages = {path.parent.name for path in ROOT.glob("*/py.typed")}

    assert packages <= set(copied())


@pytest.mark.usefixtures("workdir")
@pytest.mark.processes
def test_what_estelas_chart_runs_is_in_the_image_and_consumes(tmp_path: Path) -> None:
    """`python consumer.py TOPIC` in the image's folder, with the variables of the chart but for servers."""
    assert "WORKDIR /home/estela\n" in DOCKERFILE
    assert "COPY --chown=10001:10001 consumer.py /home/estela/consumer.py\n" in DOCKERFILE
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
        assert importlib.util.find_spec(arguments[1]) is not None
    if program == "scrapy":
        assert (ROOT / "estela_demo" / "shop" / "spiders" / f"{arguments[1]}.py").exists()


@pytest.mark.parametrize("name", OURS)
def test_every_variable_of_a_service_is_one_that_we_read(name: str) -> None:
    environ = dict(OURS[name]["environment"])

    platform = open_platform(environ=environ)

    assert platform.describe() == "Kafka at kafka:9092"
    platform.consumer(Subscription(topic="items_topic")).close()
    settings = environ.pop("SCRAPY_SETTINGS_MODULE", None)
    assert settings is None or importlib.util.find_spec(settings) is not None
    assert environ.keys() - READ - {"XDG_STATE_HOME"} == set()  # that is Scrapy's


def test_ours_write_to_volumes_alone_and_have_no_rights() -> None:
    for service in OURS.values():
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
    crawler = OURS["crawler"]
    [volume] = crawler["volumes"]
    assert crawler["environment"]["ESTELA_OUTBOX_PATH"].startswith(volume.partition(":")[2] + "/")
    assert "install --directory --owner=10001 --group=10001 /var/lib/estela\n" in DOCKERFILE


def test_each_service_that_stays_has_a_health_check_and_each_volume_is_declared() -> None:
    for name, service in COMPOSE["services"].items():
        assert ("healthcheck" in service) == (name != "crawler"), name
        for volume in service.get("volumes", []):
            source = volume.partition(":")[0]
            assert (ROOT / source).exists() if source.startswith("./") else source in COMPOSE["volumes"]


def test_each_image_of_others_has_a_version_that_a_variable_changes() -> None:
    for service in COMPOSE["services"].values():
        if "image" in service:
            assert re.fullmatch(r"\$\{[A-Z]+_IMAGE:-[\w/]+:v?\d+\.\d+(\.\d+)?\}", service["image"])


def test_only_the_profile_adds_what_watches_and_nothing_is_open_to_other_machines() -> None:
    watching = {name for name, service in COMPOSE["services"].items() if service.get("profiles")}

    assert watching == {"prometheus", "grafana"}
    assert all(COMPOSE["services"][name]["profiles"] == ["monitoring"] for name in watching)
    ports = [port for service in COMPOSE["services"].values() for port in service.get("ports", [])]
    assert len(ports) == 2
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_services_wait_for_those_that_they_need() -> None:
    for service in COMPOSE["services"].values():
        for needed in service.get("depends_on", {}):
            assert needed in COMPOSE["services"]


def test_the_workflow_and_ci_run_the_test_command_of_contributors() -> None:
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "test.yml").read_text())
    steps = [step.get("run") for step in workflow["jobs"]["test"]["steps"]]

    assert "scripts/test" in steps
    assert workflow["jobs"]["deploy"]["steps"][-1] == {"run": "scripts/test --deploy"}
    ci = (ROOT / ".ci" / "run").read_text().splitlines()
    assert {"scripts/test", "scripts/test --deploy"} <= set(ci)
    assert "`scripts/test`" in (ROOT / "CONTRIBUTING.md").read_text()
