"""What `kubectl apply -k` would send, against the definitions of those who receive it."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.fetched import KEDA, OPERATOR, keda
from tests.deploy.prometheus_rule import ROOT
from tests.deploy.rendered import EXAMPLE, KUBERNETES, definitions, pod_of, resources

pytestmark = [pytest.mark.deploy, pytest.mark.processes]

BIN = Path(sys.executable).parent
OLDEST, NEWEST = "1.27", "1.37"  # of Kubernetes; docs/deployment.md names them
FOLDERS = [KUBERNETES / "base", EXAMPLE]


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_kubernetes_own_definitions_take_every_resource(folder: Path, tmp_path: Path) -> None:
    """Those of the oldest version that the manifests are for, and of the newest that there are."""
    core = [each for each in resources(folder) if not is_custom(each)]
    file = tmp_path / "rendered.yaml"
    file.write_text(yaml.safe_dump_all(core))

    done = subprocess.run(
        [BIN / "kubernetes-validate", "--strict", "-k", OLDEST, "-k", NEWEST, file],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stdout + done.stderr
    said = done.stdout + done.stderr
    assert said.count(" passed for resource ") == 2 * len(core) >= 12
    assert "WARN" not in said


def test_the_definitions_of_keda_and_the_operator_take_theirs(tmp_path: Path) -> None:
    custom = [each for each in resources(EXAMPLE) if is_custom(each)]
    known = definitions()

    assert {each["kind"] for each in custom} == {
        "ScaledObject",
        "TriggerAuthentication",
        "PodMonitor",
        "PrometheusRule",
    }
    for each in custom:
        problems = problems_of(each, known[f"{each['apiVersion']} {each['kind']}"], tmp_path)
        assert problems == "", each["kind"]


def test_a_field_that_no_definition_knows_is_a_problem(tmp_path: Path) -> None:
    known = definitions()
    [monitor] = resources(EXAMPLE, "PodMonitor")
    [scaled] = resources(EXAMPLE, "ScaledObject")

    monitor["spec"]["podMetricsEndpoints"][0]["intervall"] = "15s"
    scaled["spec"]["maxReplicaCount"] = "four"

    assert "intervall" in problems_of(monitor, known["monitoring.coreos.com/v1 PodMonitor"], tmp_path)
    assert "four" in problems_of(scaled, known["keda.sh/v1alpha1 ScaledObject"], tmp_path)


def test_kedas_scaler_knows_each_value_of_the_triggers() -> None:
    """They are text to the definition; the scaler's own source names them."""
    source = (keda() / "pkg" / "scalers" / "kafka_scaler.go").read_text()
    known = dict(re.findall(r'keda:"name=(\w+),order=([^"]*)"', source))
    [scaled] = resources(EXAMPLE, "ScaledObject")
    [login] = resources(EXAMPLE, "TriggerAuthentication")

    for trigger in scaled["spec"]["triggers"]:
        for name, value in trigger["metadata"].items():
            rest = known[name.removesuffix("FromEnv")]
            assert ("resolvedEnv" if name.endswith("FromEnv") else "triggerMetadata") in rest
            if allowed := re.search(r"enum=([\w;]+)", rest):
                assert value in allowed[1].split(";")
    for each in [*login["spec"]["env"], *login["spec"]["secretTargetRef"]]:
        assert "authParams" in known[each["parameter"]]


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_each_pod_has_no_more_rights_than_it_needs(folder: Path) -> None:
    pods = [pod_of(each) for each in resources(folder, "Deployment", "CronJob")]

    assert len(pods) == 3
    for pod in pods:
        assert pod["automountServiceAccountToken"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] == 10001  # a number, as the kubelet cannot look up a name
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not pod.get("hostNetwork")
        assert not pod.get("hostPID")
        assert all("hostPath" not in volume for volume in pod["volumes"])
        for container in pod["containers"]:
            rights = container["securityContext"]
            assert rights["readOnlyRootFilesystem"] is True
            assert rights["allowPrivilegeEscalation"] is False
            assert rights["privileged"] is False
            assert rights["capabilities"] == {"drop": ["ALL"]}
            assert container["resources"]["limits"]["memory"]


def test_secrets_are_files_in_the_pods_that_need_them() -> None:
    """Whoever changes a password changes the Secret's name, so that the pods are replaced."""
    by_name = {each["metadata"]["name"]: pod_of(each) for each in resources(EXAMPLE, "Deployment", "CronJob")}
    secrets = {each["metadata"]["name"] for each in resources(EXAMPLE, "Secret")}
    mounted = {
        name: {volume["secret"]["secretName"] for volume in pod["volumes"] if "secret" in volume}
        for name, pod in by_name.items()
    }
    [login] = resources(EXAMPLE, "TriggerAuthentication")

    for each in resources(EXAMPLE, "Secret"):
        for value in each["data"].values():
            assert b"\n" not in base64.b64decode(value)  # KEDA would log in with it
    store, queue = sorted(secrets, reverse=True)
    assert re.fullmatch(r"estela-store-\w{10}", store)
    assert re.fullmatch(r"estela-queue-\w{10}", queue)
    assert mounted == {
        "estela-consumer": {store, queue},
        "estela-crawl": {queue},
        "estela-send-outbox": {queue},
    }
    assert login["spec"]["secretTargetRef"][0]["name"] == queue
    for pod in by_name.values():
        for container in pod["containers"]:
            assert "secretRef" not in json.dumps(container)
            assert "secretKeyRef" not in json.dumps(container)


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_no_secret_is_in_a_config_map(folder: Path) -> None:
    for each in resources(folder, "ConfigMap"):
        for name, value in each["data"].items():
            secret = re.search(r"PASSWORD|SECRET|TOKEN|DB_CONNECTION", name) and not name.endswith("_FILE")
            assert not secret, name
            assert not re.search(r"://[^/\s]*:[^/\s]*@", value), name


def test_each_image_of_the_example_is_pinned() -> None:
    for each in resources(EXAMPLE, "Deployment", "CronJob"):
        for container in pod_of(each)["containers"]:
            assert re.search(r":\d+\.\d+\.\d+$|@sha256:[0-9a-f]{64}$", container["image"])


def test_keda_alone_says_how_many_consumers_there_are() -> None:
    [with_keda] = resources(EXAMPLE, "Deployment")
    [without] = resources(KUBERNETES / "base", "Deployment")

    assert "replicas" not in with_keda["spec"]
    assert without["spec"]["replicas"] >= 1


@pytest.mark.parametrize("name", ["keda", "monitoring", "network-policy"])
def test_each_component_can_stand_alone(name: str, tmp_path: Path) -> None:
    base, component = (
        os.path.relpath(KUBERNETES / folder, tmp_path.resolve()) for folder in ("base", f"components/{name}")
    )
    (tmp_path / "kustomization.yaml").write_text(f"resources: [{base}]\ncomponents: [{component}]\n")

    added = {each["kind"] for each in resources(tmp_path)} - {
        each["kind"] for each in resources(KUBERNETES / "base")
    }

    assert added == {
        "keda": {"ScaledObject"},
        "monitoring": {"PodMonitor", "PrometheusRule"},
        "network-policy": {"NetworkPolicy"},
    }[name]  # fmt: skip


def test_the_document_names_the_versions_and_its_patch_applies(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "deployment.md").read_text()
    [patches] = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    example = os.path.relpath(EXAMPLE, tmp_path.resolve())
    (tmp_path / "kustomization.yaml").write_text(f"resources: [{example}]\n{patches}")

    [patched] = (
        each
        for each in resources(tmp_path, "NetworkPolicy")
        if each["metadata"]["name"] == "estela-to-mongodb"
    )

    assert patched["spec"]["egress"][0]["to"] == [{"ipBlock": {"cidr": "203.0.113.0/24"}}]
    of_keda, of_operator = (each[1].removeprefix("v").rpartition(".")[0] for each in (KEDA, OPERATOR))
    kubernetes = f"Kubernetes {OLDEST} and {NEWEST}, KEDA {of_keda}"
    assert f"{kubernetes} and version {of_operator} of the Prometheus operator" in " ".join(page.split())


def is_custom(resource: dict[str, Any]) -> bool:
    return bool(re.search(r"\.(sh|com)/", resource["apiVersion"]))


def problems_of(resource: dict[str, Any], schema: dict[str, Any], folder: Path) -> str:
    (folder / "schema.json").write_text(json.dumps(schema))
    (folder / "resource.yaml").write_text(yaml.safe_dump(resource))
    done = subprocess.run(
        [
            BIN / "check-jsonschema", "--disable-formats", "*",
            "--schemafile", folder / "schema.json", folder / "resource.yaml",
        ],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    return "" if done.returncode == 0 else done.stdout + done.stderr
