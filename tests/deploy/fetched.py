"""What the tests of deployments fetch: `python -m tests.deploy.fetched`, which says what it could not get."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable
from pathlib import Path

from devservers import go_modules
from tests.deploy.prometheus_rule import ROOT

KUSTOMIZE = ("sigs.k8s.io/kustomize/kustomize/v5", "v5.8.1")
KEDA = ("github.com/kedacore/keda/v2", "v2.21.0", "h1:R6z2HZvstK4RLUMxroNACzBj74xGxt3kG59b5Xc+Xps=")
OPERATOR = (
    "github.com/prometheus-operator/prometheus-operator",
    "v0.92.1",
    "h1:rHWuFo6SVya4FBSCNg2DCzyc4xAv54zk3eDTzp5mQZc=",
)


def kustomize() -> Path:
    """The program."""
    return go_modules.program(*KUSTOMIZE)


def actionlint() -> Path:
    """The program, of the version that pre-commit runs."""
    hooks = (ROOT / ".pre-commit-config.yaml").read_text()
    [(package, version)] = re.findall(r'"(github\.com/rhysd/actionlint/\S+)@(\S+)"', hooks)
    return go_modules.program(package, version)


def keda() -> Path:
    """The folder of its source."""
    return go_modules.module(*KEDA)


def prometheus_operator() -> Path:
    """The folder of its source."""
    return go_modules.module(*OPERATOR)


def main() -> int:
    """Fetch all of it; 1 if something is missing."""
    wanted: tuple[Callable[[], Path], ...] = (actionlint, kustomize, keda, prometheus_operator)
    missing = 0
    for fetch in wanted:
        begun = time.monotonic()
        try:
            fetch()
        except go_modules.FetchError as error:
            missing += 1
            _say(f"{fetch.__name__} is missing: {error}")
        else:
            _say(f"{fetch.__name__} is here ({time.monotonic() - begun:.0f} s)")
    return 1 if missing else 0


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")


if __name__ == "__main__":
    sys.exit(main())
