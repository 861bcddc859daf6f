"""Each alert can be raised, says what to do, and asks for metrics that there are."""

from __future__ import annotations

import configparser
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from devservers.prometheus import promtool
from estela_consumer.monitoring.metrics import METRICS
from tests.conftest import or_skip
from tests.deploy.dashboard import metrics_of
from tests.deploy.prometheus_rule import ALERTS, PROMETHEUS_RULE, ROOT, alerts, groups, prometheus_rule

HERE = Path(__file__).parent
CASES = sorted(HERE.glob("*.test.yaml"))
RUNBOOKS = (ROOT / "docs" / "runbooks.md").read_text()


def project_url() -> str:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    return setup["estela:project"]["url"].strip().rstrip("/")


def run_promtool(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    with or_skip("promtool"):
        program = promtool()
    return subprocess.run(
        [program, *arguments], cwd=HERE, capture_output=True, text=True, timeout=120, check=False
    )


@pytest.mark.processes
def test_prometheus_takes_the_rules() -> None:
    done = run_promtool("check", "rules", ALERTS)

    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{sum(len(group['rules']) for group in groups())} rules found" in done.stdout


@pytest.mark.processes
def test_each_alert_is_raised_if_it_should_be_and_not_otherwise() -> None:
    done = run_promtool("test", "rules", *CASES)

    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("SUCCESS") == len(CASES) == 2


def test_there_is_a_case_for_each_alert_that_raises_it_and_one_that_does_not() -> None:
    cases = [
        case
        for file in CASES
        for test in yaml.safe_load(file.read_text())["tests"]
        for case in test["alert_rule_test"]
    ]

    assert {case["alertname"] for case in cases if case["exp_alerts"]} == set(alerts())
    assert {case["alertname"] for case in cases if not case["exp_alerts"]} == set(alerts())


def test_the_operators_rules_are_the_same() -> None:
    assert PROMETHEUS_RULE.read_text() == prometheus_rule()


def test_the_rules_ask_for_metrics_that_there_are() -> None:
    known = {metric.name for metric in METRICS}

    for group in groups():
        for rule in group["rules"]:
            recorded = metrics_of(rule["expr"]) - known
            assert not recorded, rule


@pytest.mark.parametrize("name", alerts())
def test_an_alert_has_a_runbook_that_says_what_to_do(name: str) -> None:
    rule = alerts()[name]
    prefix = f"{project_url()}/blob/HEAD/" if project_url() else ""

    assert rule["annotations"]["runbook_url"] == f"{prefix}docs/runbooks.md#{name.lower()}"
    assert rule["labels"]["severity"] in {"critical", "warning"}
    [runbook] = re.findall(rf"^## {name}$\n(.*?)(?=^## |\Z)", RUNBOOKS, re.MULTILINE | re.DOTALL)
    assert f"**{rule['labels']['severity']}**" in runbook
    assert "What it means" in runbook
    assert "What to do" in runbook


def test_each_runbook_is_that_of_an_alert() -> None:
    assert set(re.findall(r"^## (Estela\w+)$", RUNBOOKS, re.MULTILINE)) == set(alerts())


def test_whoever_must_be_woken_is_for_what_is_lost_or_does_not_end_by_itself() -> None:
    critical = {name for name, rule in alerts().items() if rule["labels"]["severity"] == "critical"}

    assert critical == {"EstelaMessagesGone", "EstelaAccessRefused", "EstelaNoConsumer"}
