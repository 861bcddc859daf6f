"""The queries of the dashboard."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from tests.deploy.prometheus_rule import MONITORING

DASHBOARD = MONITORING / "dashboard.json"
# What Grafana puts in the place of its variables if all is shown, and Prometheus scrapes each second.
VARIABLES = {"$namespace": ".*", "$topic": ".*", "$__rate_interval": "10s"}


class Query(NamedTuple):
    """One query of one panel."""

    panel: str
    expression: str
    """As Prometheus gets it."""


def dashboard() -> dict[str, Any]:
    """The dashboard as it is imported."""
    parsed: dict[str, Any] = json.loads(DASHBOARD.read_text())
    return parsed


def queries() -> Iterator[Query]:
    """All of them."""
    for panel in dashboard()["panels"]:
        for target in panel.get("targets", []):
            expression = target["expr"]
            for name, value in VARIABLES.items():
                expression = expression.replace(name, value)
            assert "$" not in expression, "a variable that this module does not know"
            yield Query(panel["title"], expression)


def metrics_of(expression: str) -> set[str]:
    """The names of metrics in an expression of PromQL, as the consumer's list has them."""
    names = set(re.findall(r"(?<![\w:])estela_[a-z_]+(?![\w:])", expression))
    return {re.sub(r"_(bucket|sum|count)$", "", name) for name in names}
