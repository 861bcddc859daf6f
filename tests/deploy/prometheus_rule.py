"""The alerts for the Prometheus operator. `python -m tests.deploy.prometheus_rule` writes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parent.parent.parent
MONITORING = ROOT / "deploy" / "kubernetes" / "components" / "monitoring"
ALERTS = MONITORING / "alerts.yaml"
PROMETHEUS_RULE = MONITORING / "prometheus-rule.yaml"
_HEAD = "# Written by `python -m tests.deploy.prometheus_rule` from alerts.yaml: change it there.\n"


def groups() -> list[dict[str, Any]]:
    """The groups of rules, as Prometheus has them."""
    parsed: list[dict[str, Any]] = yaml.safe_load(ALERTS.read_text())["groups"]
    return parsed


def alerts() -> dict[str, dict[str, Any]]:
    """The alerts by name."""
    return {rule["alert"]: rule for group in groups() for rule in group["rules"] if "alert" in rule}


def prometheus_rule() -> str:
    """The same for the operator."""
    resource = {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": "estela"},
        "spec": {"groups": groups()},
    }
    return _HEAD + yaml.safe_dump(resource, sort_keys=False, width=120)


if __name__ == "__main__":
    PROMETHEUS_RULE.write_text(prometheus_rule())
