"""docs/demo.svg: what a terminal shows of the demo, from a real run. `scripts/record` makes it anew."""

from __future__ import annotations

import io
import os
import re
import subprocess
import tempfile
from pathlib import Path
from xml.etree import ElementTree

from rich.console import Console
from rich.text import Text

from tests.pages.runner import COMMANDS, ROOT

FILE = ROOT / "docs" / "demo.svg"
SHOWN = ("estela-scrapy demo",)

_WIDTH = 120  # characters
_TERMINAL = {"FORCE_COLOR": "1", "TTY_INTERACTIVE": "0", "COLUMNS": str(_WIDTH), "PYTHONIOENCODING": "utf-8"}
_CURSOR = re.compile(r"\x1b\[\?25[hl]")  # shown and hidden around what is animated
_FONTS = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)  # of another host: an image loads nothing
_TEXT = "{http://www.w3.org/2000/svg}text"


def record() -> str:
    """Run the commands in a new folder; the picture of the terminal, as SVG."""
    console = Console(record=True, width=_WIDTH, file=io.StringIO(), force_terminal=True)
    with tempfile.TemporaryDirectory() as folder:
        for command in SHOWN:
            console.print(Text.assemble(("$ ", "bold green"), (command, "bold")), soft_wrap=True)
            console.print(Text.from_ansi(_CURSOR.sub("", _output(command, Path(folder)))))
    return _FONTS.sub("", console.export_svg(title="estela-scrapy", unique_id="demo"))


def structure(svg: str) -> list[str]:
    """What the picture says, line by line, with every number as 0, every run of spaces as one.

    Without the documents that `data show` prints: which a crawl stores first, chance decides.
    """
    told, is_data = [], False
    for line in _lines(svg):
        is_command = line.startswith("$")
        if is_command or not is_data:
            told.append(re.sub(r"\d[\d,.]*", "0", line))
        is_data = " data show " in line if is_command else is_data
    return told


def _lines(svg: str) -> list[str]:
    rows: dict[float, list[tuple[float, str]]] = {}
    for element in ElementTree.fromstring(svg).iter(_TEXT):
        words = rows.setdefault(float(element.get("y", "0")), [])
        words.append((float(element.get("x", "0")), "".join(element.itertext())))
    texts = ("".join(word for _, word in sorted(words)).strip() for _, words in sorted(rows.items()))
    return [" ".join(text.split()) for text in texts if text]  # its spaces are none that breaks a line


def _output(command: str, folder: Path) -> str:
    ours = ("ESTELA_", "QUEUE_PLATFORM", "DB_")
    environ = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    environ |= {**_TERMINAL, "PATH": f"{COMMANDS}{os.pathsep}{os.environ['PATH']}"}
    return subprocess.run(
        ["/bin/sh", "-c", command], cwd=folder, env=environ, capture_output=True, text=True, check=True
    ).stdout


if __name__ == "__main__":
    FILE.write_text(record())
