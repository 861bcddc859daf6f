"""A foreign Scrapy project, and the installed commands in it without a variable set."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from importlib.metadata import entry_points
from pathlib import Path

_SPIDER = """
import scrapy

class Things(scrapy.Spider):
    name = "things"
    start_urls = ["data:text/html,<h1>cup</h1>"]

    def parse(self, response):
        for n in range(20):
            yield {"name": response.css("h1::text").get(), "n": n}
"""


def make_project(folder: Path, name: str, settings: str) -> Path:
    """The project `name` with a spider `things`, and these lines at the end of its settings."""
    package = folder / name
    package.mkdir(parents=True)
    (folder / "scrapy.cfg").write_text(f"[settings]\ndefault = {name}.settings\n")
    (package / "__init__.py").touch()
    (package / "things.py").write_text(_SPIDER)
    (package / "settings.py").write_text(f"BOT_NAME = {name!r}\nSPIDER_MODULES = [{name!r}]\n{settings}\n")
    return folder


def run(
    folder: Path, command: str, *arguments: str, powerless: Sequence[str] = (), **environ: str
) -> subprocess.CompletedProcess[str]:
    """A console script of this environment, with these variables and no other that configures anything.

    `powerless` is a command that runs it with fewer permissions.
    """
    [script] = entry_points(group="console_scripts", name=command)
    name = script.attr.partition(".")[0]
    program = f"import sys; sys.argv[0] = {command!r}; from {script.module} import {name}; {name}()"
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "COVERAGE_PROCESS_START")}
    return subprocess.run(
        [*powerless, sys.executable, "-c", program, *arguments],
        cwd=folder,
        env={**kept, "HOME": str(folder), **environ},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
