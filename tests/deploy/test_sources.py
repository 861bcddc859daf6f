"""The manifests as they stand in the repository: what they say of us is so."""

from __future__ import annotations

import configparser
import re
import shlex
from pathlib import Path
from typing import Any

import click
import yaml

from estela_consumer.cli.consume import consume
from estela_queue_adapter import open_platform
from estela_queue_adapter.subscription import Subscription
from tests.deploy.prometheus_rule import ROOT

KUBERNETES = ROOT / "deploy" / "kubernetes"
BASE = KUBERNETES / "base"
KEDA = KUBERNETES / "components" / "keda"
POLICIES = KUBERNETES / "components" / "network-policy"


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


def settings(path: Path) -> dict[str, str]:
    lines = (line for line in path.read_text().splitlines() if line and not line.startswith("#"))
    return {name: value for name, _, value in (line.partition("=") for line in lines)}


def variables(option: click.Parameter) -> list[str]:
    return [option.envvar] if isinstance(option.envvar, str) else list(option.envvar or [])


def consumer() -> dict[str, Any]:
    [container] = read(BASE / "consumer.yaml")["spec"]["template"]["spec"]["containers"]
    return dict(container)


def test_every_file_is_one_that_a_kustomization_names() -> None:
    for kustomization in KUBERNETES.rglob("kustomization.yaml"):
        parsed = read(kustomization)
        generated = [*parsed.get("configMapGenerator", []), *parsed.get("secretGenerator", [])]
        named = {
            *(name for name in parsed.get("resources", []) if not name.startswith("..")),
            *parsed.get("configurations", []),
            *(patch["path"] for patch in parsed.get("patches", []) if "path" in patch),
            *(file for each in generated for file in each.get("envs", [])),
            *(file.partition("=")[2] or file for each in generated for file in each.get("files", [])),
        }
        folder = kustomization.parent
        there = {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()}
        assert there - named == {"kustomization.yaml"} | ({"alerts.yaml"} & there), folder
        assert named <= there


def test_each_command_and_option_is_one_that_there_is() -> None:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    scripts = setup["options.entry_points"]["console_scripts"]

    container = consumer()
    assert container["command"] == ["estela-consume"]
    consume.make_context("estela-consume", list(container["args"]), resilient_parsing=True)
    [send] = read(BASE / "send-outbox.yaml")["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    assert shlex.split(send["args"][0].partition("exec ")[2]) == ["estela-outbox", "send"]
    assert {"estela-consume =", "estela-outbox ="} <= set(re.findall(r"estela-\w+ =", scripts))


def test_each_setting_is_one_that_we_read_and_opens_kafka(tmp_path: Path) -> None:
    environ = {**settings(BASE / "settings.env"), **settings(KUBERNETES / "example" / "settings.env")}
    [(name, value)] = settings(KUBERNETES / "example" / "secrets" / "queue.env").items()
    assert environ[f"{name}_FILE"] == f"/run/secrets/queue/{name}"
    (tmp_path / name).write_text(value)
    environ[f"{name}_FILE"] = str(tmp_path / name)
    options = {name for option in consume.params for name in variables(option)}
    own = {each["name"] for each in consumer()["env"]}

    platform = open_platform(environ=environ)
    platform.consumer(Subscription(topic="items_topic")).close()

    assert platform.describe().startswith("Kafka at kafka-bootstrap.kafka:9093")
    assert {name for name in environ if not name.startswith("QUEUE_PLATFORM")} <= options
    assert {name.removesuffix("_FILE") for name in own} <= options
    [store] = settings(KUBERNETES / "example" / "secrets" / "store.env")
    assert {"name": f"{store}_FILE", "value": f"/run/secrets/store/{store}"} in consumer()["env"]


def test_the_brokers_stand_with_their_ports_as_keda_wants_them() -> None:
    for path in (BASE / "settings.env", KUBERNETES / "example" / "settings.env"):
        for listener in settings(path)["QUEUE_PLATFORM_LISTENERS"].split(","):
            assert re.fullmatch(r"[\w.-]+:\d+", listener)


def test_the_probes_ask_the_server_that_the_container_has() -> None:
    container = consumer()
    [port] = container["ports"]
    [listen] = [each["value"] for each in container["env"] if each["name"] == "ESTELA_LISTEN"]

    assert listen == f"0.0.0.0:{port['containerPort']}"
    paths = {name: container[f"{name}Probe"]["httpGet"] for name in ("startup", "liveness", "readiness")}
    assert all(probe["port"] == port["name"] for probe in paths.values())
    assert {name: probe["path"] for name, probe in paths.items()} == {
        "startup": "/livez",
        "liveness": "/livez",
        "readiness": "/readyz",
    }


def test_a_pod_has_longer_to_end_than_the_consumer_takes() -> None:
    deployment = read(BASE / "consumer.yaml")["spec"]
    [grace] = [each["value"] for each in consumer()["env"] if each["name"] == "ESTELA_GRACE"]

    assert deployment["template"]["spec"]["terminationGracePeriodSeconds"] == 45 > float(grace) + 10
    assert deployment["strategy"]["rollingUpdate"] == {"maxSurge": 0, "maxUnavailable": 1}
    budget = read(BASE / "disruption-budget.yaml")["spec"]
    assert budget["unhealthyPodEvictionPolicy"] == "AlwaysAllow"
    assert budget["selector"]["matchLabels"].items() <= deployment["template"]["metadata"]["labels"].items()
    assert settings(BASE / "settings.env")["QUEUE_PLATFORM_PARTITION_ASSIGNMENT"] == "cooperative-sticky"


def test_the_crawl_and_what_sends_its_outbox_have_the_same_file_on_a_volume_that_outlives_them() -> None:
    paths = set()
    for name in ("crawl.yaml", "send-outbox.yaml"):
        job = read(BASE / name)["spec"]
        pod = job["jobTemplate"]["spec"]["template"]["spec"]
        [container] = pod["containers"]
        environ = {each["name"]: each["value"] for each in container["env"]}
        [mount] = [each["mountPath"] for each in container["volumeMounts"] if each["name"] == "outbox"]
        assert environ["ESTELA_OUTBOX_PATH"].startswith(f"{mount}/")
        assert {"name": "outbox", "persistentVolumeClaim": {"claimName": "estela-outbox"}} in pod["volumes"]
        assert job["concurrencyPolicy"] == "Forbid"
        paths.add(environ["ESTELA_OUTBOX_PATH"])
    assert len(paths) == 1
    assert read(BASE / "outbox-volume.yaml")["metadata"]["name"] == "estela-outbox"


def test_keda_looks_at_each_topic_that_the_consumer_reads() -> None:
    scaled = read(KEDA / "scaled-object.yaml")["spec"]
    watched = [trigger["metadata"] for trigger in scaled["triggers"]]

    assert [each["topic"] for each in watched] == consumer()["args"]
    for each in watched:
        assert each["consumerGroup"] == Subscription(topic=each["topic"]).group_id
        assert each["offsetResetPolicy"] == "earliest"
        assert each["bootstrapServersFromEnv"] in settings(BASE / "settings.env")
    assert scaled["minReplicaCount"] == 1
    assert scaled["maxReplicaCount"] >= 1


def test_by_default_no_pod_of_ours_may_talk_and_each_may_what_it_must() -> None:
    named = read(POLICIES / "kustomization.yaml")["resources"]
    policies = {name.removesuffix(".yaml"): read(POLICIES / name)["spec"] for name in named}
    deny = policies.pop("deny-all")

    assert set(deny["policyTypes"]) == {"Ingress", "Egress"}
    assert "ingress" not in deny
    assert "egress" not in deny
    assert deny["podSelector"]["matchLabels"] == {"app.kubernetes.io/part-of": "estela"}
    assert set(policies) == {"dns", "kafka", "mongodb", "monitoring", "web"}
    for name, policy in policies.items():
        component = {"mongodb": "consumer", "monitoring": "consumer", "web": "crawl"}.get(name)
        labels = policy["podSelector"]["matchLabels"]
        assert labels["app.kubernetes.io/part-of"] == "estela"
        assert labels.get("app.kubernetes.io/component") == component
        for rule in [*policy.get("ingress", []), *policy.get("egress", [])]:
            assert rule["ports"]
            assert rule.get("to") or rule.get("from")
    [web] = policies["web"]["egress"]
    assert "169.254.0.0/16" in web["to"][0]["ipBlock"]["except"]  # the cloud's metadata


def test_the_examples_secrets_are_no_secrets() -> None:
    for path in (KUBERNETES / "example" / "secrets").iterdir():
        assert "CHANGE-ME" in path.read_text()


def test_compose_scrapes_the_consumer_and_shows_the_dashboard() -> None:
    compose = read(ROOT / "compose.yaml")["services"]
    files = ROOT / "deploy" / "compose"
    scrape = read(files / "prometheus.yaml")
    [names] = scrape["scrape_configs"][0]["dns_sd_configs"]
    [source] = read(files / "grafana" / "datasources" / "prometheus.yaml")["datasources"]
    [provider] = read(files / "grafana" / "dashboards" / "estela.yaml")["providers"]

    assert names["names"] == ["consumer"]
    assert compose["consumer"]["environment"]["ESTELA_LISTEN"] == f"0.0.0.0:{names['port']}"
    assert source["url"] == "http://prometheus:9090"
    inside = {volume.split(":")[1] for volume in compose["grafana"]["volumes"]}
    assert any(path.startswith(provider["options"]["path"] + "/") for path in inside)
    [rules] = scrape["rule_files"]
    assert rules in {volume.split(":")[1] for volume in compose["prometheus"]["volumes"]}
