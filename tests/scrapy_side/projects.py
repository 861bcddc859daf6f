"""A Scrapy project in the working directory, for the commands that ask for one."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Mapping
from pathlib import Path

_SPIDER = """
    import scrapy

    class Shop(scrapy.Spider):
        name = "shop"
        start_urls = ["data:text/html,<h1>hello</h1>"]

        def parse(self, response):
            '''
            @url data:text/html,<h1>hello</h1>
            @returns items 1
            '''
            yield {"title": response.css("h1::text").get()}
"""
_SETTINGS = """
    BOT_NAME = "market"
    SPIDER_MODULES = ["market"]
    EXTENSIONS = {"estela_scrapy.QueueExtension": 500}
"""


def make_project(folder: Path, settings: str = "") -> None:
    """A project `market` with a spider `shop`, the extension and these settings."""
    package = folder / "market"
    package.mkdir(parents=True)
    (folder / "scrapy.cfg").write_text("[settings]\ndefault = market.settings\n")
    (package / "__init__.py").touch()
    (package / "settings.py").write_text(textwrap.dedent(_SETTINGS) + settings)
    (package / "shop.py").write_text(textwrap.dedent(_SPIDER))


def scrapy(
    folder: Path, *arguments: str, environ: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """`scrapy` with these arguments in the project, as a process."""
    return subprocess.run(
        [sys.executable, "-m", "scrapy", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        cwd=folder,
        env={**os.environ, **(environ or {})},
    )
