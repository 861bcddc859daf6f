"""The workflows ask for no more than they need, and a release publishes what was checked."""

from __future__ import annotations

import configparser
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from devservers.cpython import VERSION

ROOT = Path(__file__).parent.parent
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
RELEASE: dict[str, Any] = yaml.safe_load((ROOT / ".github" / "workflows" / "release.yml").read_text())


def test_zizmor_finds_nothing_in_the_workflows() -> None:
    zizmor = Path(sys.executable).parent / "zizmor"  # of the extra `dev`

    done = subprocess.run(
        [zizmor, "--offline", ".github"], cwd=ROOT, capture_output=True, text=True, timeout=120
    )

    assert done.returncode == 0, done.stdout
    for path in WORKFLOWS:
        assert f"completed {path.relative_to(ROOT)}" in done.stderr


def steps(job: str) -> Iterator[dict[str, Any]]:
    yield from RELEASE["jobs"][job].get("steps", [])


def test_each_action_is_named_by_a_hash_with_its_version_beside_it() -> None:
    used = [
        line.partition("uses:")[2].strip()
        for path in WORKFLOWS
        for line in path.read_text().splitlines()
        if "uses:" in line and "uses: ./" not in line
    ]

    assert len(used) >= 8
    for action in used:
        assert re.fullmatch(r"[\w.-]+/[\w.-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action), action


def test_only_the_job_that_publishes_may_ask_for_a_token_and_it_builds_nothing() -> None:
    assert RELEASE["permissions"] == {"contents": "read"}
    asking = [
        name for name, job in RELEASE["jobs"].items() if job.get("permissions", {}).get("id-token") == "write"
    ]

    assert asking == ["publish"]
    assert RELEASE["jobs"]["publish"]["environment"]["name"] == "pypi"
    assert not any("run" in step or "checkout" in step["uses"] for step in steps("publish"))
    assert not any("password" in step.get("with", {}) for step in steps("publish"))


def test_what_is_published_was_tested_checked_and_built_once() -> None:
    assert set(RELEASE["jobs"]["publish"]["needs"]) == {"test", "build"}
    assert RELEASE["jobs"]["attach"]["needs"] == "publish"
    checks = [
        step["run"]
        for job in RELEASE["jobs"]
        for step in steps(job)
        if "release-check" in step.get("run", "")
    ]
    assert len(checks) == 1
    assert '--tag "$GITHUB_REF_NAME"' in checks[0]
    downloads = [
        step["with"] for job in RELEASE["jobs"] for step in steps(job) if "download" in step.get("uses", "")
    ]
    uploads = [
        step["with"] for job in RELEASE["jobs"] for step in steps(job) if "upload" in step.get("uses", "")
    ]
    assert {one["name"] for one in downloads} == {one["name"] for one in uploads} == {"release"}


def test_each_python_that_the_package_names_is_tested_here_and_there() -> None:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    named = re.findall(r"Python :: (3\.\d+)$", setup["metadata"]["classifiers"], re.MULTILINE)
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "test.yml").read_text())
    [default] = re.findall(r"versions=\((3[\d. ]+)\)", (ROOT / "scripts" / "test-matrix").read_text())

    assert len(named) == 5
    assert workflow["jobs"]["test"]["strategy"]["matrix"]["python"] == named
    assert default.split() == named
    assert named[-1] == VERSION
    assert setup["options"]["python_requires"] == f">= {named[0]}"
