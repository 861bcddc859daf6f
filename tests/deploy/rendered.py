"""What kustomize makes of deploy/kubernetes, and what definitions of others say of it."""

from __future__ import annotations

import functools
import subprocess
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import yaml

from tests.deploy import fetched
from tests.deploy.prometheus_rule import ROOT

KUBERNETES = ROOT / "deploy" / "kubernetes"
EXAMPLE = KUBERNETES / "example"

Resource = dict[str, Any]


def kustomize(folder: Path) -> str:
    """The resources of a folder, as YAML; an error of kustomize's is an AssertionError."""
    done = subprocess.run(
        [fetched.kustomize(), "build", folder],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@functools.cache
def _parsed(folder: Path) -> tuple[Resource, ...]:
    return tuple(yaml.safe_load_all(kustomize(folder)))


def resources(folder: Path, *kinds: str) -> Iterator[Resource]:
    """The resources of a folder, of some kinds if any are given; they may be changed."""
    return (deepcopy(each) for each in _parsed(folder) if not kinds or each["kind"] in kinds)


def pod_of(resource: Resource) -> Resource:
    """The specification of its pods."""
    spec = resource["spec"]
    template = spec["jobTemplate"]["spec"]["template"] if resource["kind"] == "CronJob" else spec["template"]
    found: Resource = template["spec"]
    return found


@functools.cache
def definitions() -> dict[str, Resource]:
    """The schemas of KEDA's and the operator's resources that we use, with no room for anything else."""
    keda = fetched.keda() / "config" / "crd" / "bases"
    operator = fetched.prometheus_operator() / "example" / "prometheus-operator-crd"
    found = {}
    for file in (
        keda / "keda.sh_scaledobjects.yaml",
        keda / "keda.sh_triggerauthentications.yaml",
        operator / "monitoring.coreos.com_podmonitors.yaml",
        operator / "monitoring.coreos.com_prometheusrules.yaml",
    ):
        definition = yaml.safe_load(file.read_text())["spec"]
        for version in definition["versions"]:
            key = f"{definition['group']}/{version['name']} {definition['names']['kind']}"
            found[key] = _closed(version["schema"]["openAPIV3Schema"])
    return found


def _closed(schema: Resource) -> Resource:
    """The same schema, that refuses a field it does not name, as the API server prunes one."""
    made = dict(schema)
    if "(?" in str(made.get("pattern", "")):  # in Go's syntax, which no validator here reads
        del made["pattern"]
    for name in ("items", "additionalProperties"):
        if isinstance(made.get(name), dict):
            made[name] = _closed(made[name])
    if "properties" in made:
        made["properties"] = {name: _closed(each) for name, each in made["properties"].items()}
        if not made.get("x-kubernetes-preserve-unknown-fields"):
            made["additionalProperties"] = made.get("additionalProperties", False)
    return made
