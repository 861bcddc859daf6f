"""Prometheus itself, and promtool: Debian's package."""

from __future__ import annotations

import json
import urllib.parse
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from devservers.debian import program
from devservers.ports import free_port, wait_until
from devservers.process import ServerProcess

PACKAGE = "prometheus"


def promtool() -> Path:
    """The program that checks metrics, rules and queries; raises FileNotFoundError."""
    return program("promtool", PACKAGE)


class Prometheus(ServerProcess):
    """A server that each second scrapes `targets` (HOST:PORT), and evaluates the files of `rules`."""

    def __init__(self, folder: Path, targets: Sequence[str], rules: Sequence[Path] = ()) -> None:
        super().__init__(folder)
        self.address = f"127.0.0.1:{free_port()}"
        self._configuration = folder / "prometheus.yml"
        configuration = {
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "scrape_configs": [{"job_name": "estela", "static_configs": [{"targets": list(targets)}]}],
            "rule_files": [str(file.resolve()) for file in rules],
        }
        self._configuration.write_text(yaml.safe_dump(configuration))

    def command(self) -> list[str]:
        return [
            str(program("prometheus", PACKAGE)),
            f"--config.file={self._configuration}",
            f"--storage.tsdb.path={self.folder / 'data'}",
            f"--web.listen-address={self.address}",
        ]

    def wait_ready(self) -> None:
        wait_until(self._answers, f"Prometheus at {self.address}")

    def query(self, expression: str) -> list[tuple[dict[str, str], float]]:
        """Each series of an expression that gives a vector: its labels and its value now.

        Raises urllib.error.HTTPError if Prometheus does not take the expression.
        """
        found = self._get(f"/api/v1/query?{urllib.parse.urlencode({'query': expression})}")
        return [(each["metric"], float(each["value"][1])) for each in found["data"]["result"]]

    def targets(self) -> list[dict[str, Any]]:
        """What it scrapes, with `health` and `lastError`."""
        return list(self._get("/api/v1/targets")["data"]["activeTargets"])

    def _get(self, path: str) -> Any:
        with urllib.request.urlopen(f"http://{self.address}{path}", timeout=10) as response:
            return json.load(response)

    def _answers(self) -> bool:
        self.check_alive()
        try:
            self.targets()
        except OSError:
            return False
        return True
