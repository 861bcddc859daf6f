"""Runs a page of the documents: its code blocks, one after the other, in a new Scrapy project.

What a block is, its language and its first line say:

- `python` that begins with `# PATH`: a file of the project; what PATH `settings.py` names is added to it;
- other `python`: a script;
- `console`: commands, each of which has to end with 0, or as the comment `# exit code N` behind it says;
- `text`: what the block before it has printed;
- `jsonc` that begins with `// DATABASE.COLLECTION`: a document that has to be there, in Extended JSON.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from bson import json_util
from bson.objectid import ObjectId
from pymongo import MongoClient

from tests.pages.sites import Sites

ROOT = Path(__file__).parent.parent.parent
PROJECT = "myproject"
MONGODB = "mongodb://localhost:27017"
COMMANDS = Path(sys.executable).parent

_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_EXIT_CODE = re.compile(r"# exit code (\d+)$")
_OF_ONE_RUN = {"id", "job"}  # in `_estela`, and in a change


class Block(NamedTuple):
    """One code block."""

    language: str
    text: str

    @property
    def name(self) -> str:
        """What its first line says if that is nothing but a comment: a path, or a collection."""
        found = re.match(r"(?:#|//) (\S+)\n", self.text)
        return found[1] if found else ""


def blocks(page: str) -> list[Block]:
    """The code blocks of a page, in their order."""
    return [Block(*found) for found in _BLOCK.findall(page)]


def settings_of(page: str) -> str:
    """Of the blocks of a page, those that go into settings.py."""
    found = (block.text for block in blocks(page) if block.name == "settings.py")
    return "".join(f"```python\n{text}```\n" for text in found)


@dataclass
class Runner:
    """A new project, and what its pages' names stand for here."""

    folder: Path
    sites: Sites
    mongodb: str
    project: str
    """Instead of `myproject`: databases outlive a test."""
    ran: set[str] = field(default_factory=set)
    """The languages of the blocks that did something."""
    printed: str = ""
    """By the last block, with the names of the page."""
    _crawls: int = 0

    def start(self) -> None:
        """Make the project, as the tutorial does."""
        self.shell(f"scrapy startproject {self.project} .")
        settings = self.folder / self.project / "settings.py"
        settings.write_text(settings.read_text().replace("DOWNLOAD_DELAY = 1", ""))

    def run(self, page: str) -> None:
        """Run all blocks; AssertionError where one does not do what the page says."""
        for block in blocks(page):
            match block.language, block.name:
                case "python", "":
                    self.printed = self.script(block.text)
                case "python", path:
                    self.write(path, block.text)
                case "console", _:
                    self.printed = "".join(self.command(line) for line in block.text.splitlines() if line)
                case "text", _:
                    assert squeezed(self.printed) == squeezed(block.text)
                case "jsonc", collection:
                    self.find(collection, block.text.partition("\n")[2])
                case _:
                    continue
            self.ran.add(block.language)

    def write(self, path: str, text: str) -> None:
        """A file of the project; settings are added to those that are there."""
        text = self.here(text)
        if path == "settings.py":
            with (self.folder / self.project / path).open("a") as settings:
                settings.write(f"\n{text}")
        else:
            (self.folder / self.here(path)).write_text(text)

    def command(self, line: str) -> str:
        """One line of a console; a second crawl meets other prices."""
        if line.startswith("scrapy crawl"):
            self.sites.round = self._crawls
            self._crawls += 1
        expected = _EXIT_CODE.search(line)
        return self.shell(line, int(expected[1]) if expected else 0)

    def script(self, text: str) -> str:
        """What a Python script prints."""
        script = self.folder / "script.py"
        script.write_text(self.here(text))
        return self.shell(f"python {script.name}")

    def shell(self, line: str, expected: int = 0) -> str:
        """What the command prints on standard output, in the words of the page."""
        done = subprocess.run(
            ["/bin/sh", "-c", self.here(line)],
            cwd=self.folder,
            env={**os.environ, "PATH": f"{COMMANDS}{os.pathsep}{os.environ['PATH']}", "COLUMNS": "110"},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == expected, f"{line}: {done.returncode}\n{done.stdout}{done.stderr}"
        return self.there(done.stdout)

    def find(self, collection: str, document: str) -> None:
        """The document is in the collection, but for what differs from run to run."""
        wanted = _comparable(json_util.loads(self.here(document)))
        database, _, name = self.here(collection).partition(".")
        found = [_comparable(each) for each in self.documents(database, name)]
        assert wanted in found, f"{wanted}\nis none of the {len(found)} of {collection}, such as\n{found[:3]}"

    def documents(self, database: str, collection: str) -> list[dict[str, Any]]:
        """All that a collection holds."""
        with MongoClient[dict[str, Any]](self.mongodb, tz_aware=True) as client:
            return list(client[database][collection].find())

    def drop(self) -> None:
        """Leave nothing in MongoDB."""
        with MongoClient[dict[str, Any]](self.mongodb) as client:
            for name in client.list_database_names():
                if name.startswith(self.project):
                    client.drop_database(name)

    def here(self, text: str) -> str:
        """What stands on a page, as it is on this machine."""
        return self.sites.here(text).replace(MONGODB, self.mongodb).replace(PROJECT, self.project)

    def there(self, text: str) -> str:
        """The reverse."""
        return self.sites.there(text).replace(self.mongodb, MONGODB).replace(self.project, PROJECT)


def squeezed(text: str) -> list[str]:
    """The lines that say something, without the space around their words."""
    return [" ".join(line.split()) for line in text.splitlines() if line.strip()]


def _comparable(document: dict[str, Any]) -> dict[str, Any]:
    """The document with what one run differs in from the next replaced by its type."""
    made = _of_any_run(document)
    made["_id"] = _kind(document["_id"])
    if isinstance(origin := made.get("_estela"), dict):
        made["_estela"] = _of_any_run(origin)
    return made


def _of_any_run(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: _kind(value) if name in _OF_ONE_RUN else _undated(value) for name, value in fields.items()}


def _undated(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _undated(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_undated(inner) for inner in value]
    return _kind(value) if isinstance(value, (datetime, ObjectId)) else value


def _kind(value: Any) -> str:
    return f"<{type(value).__name__}>"
