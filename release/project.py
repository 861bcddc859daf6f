"""What setup.cfg says of the project, for setup.py, the locks, the second distribution and the checks.

Runs while a wheel is built, so it needs nothing but Python.
"""

from __future__ import annotations

import ast
import configparser
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_URLS = {
    "Homepage": "",
    "Documentation": "/blob/HEAD/docs/architecture.md",
    "Changelog": "/blob/HEAD/CHANGELOG.md",
    "Issues": "/issues",
}


@dataclass(frozen=True)
class Project:
    """A folder with a setup.cfg."""

    root: Path
    config: configparser.ConfigParser

    @classmethod
    def read(cls, root: Path = ROOT) -> Project:
        """Raises ValueError if the folder has no setup.cfg, or one that does not parse."""
        config = configparser.ConfigParser(interpolation=None, delimiters=("=",))
        try:
            if not config.read(root / "setup.cfg", encoding="utf-8"):
                raise ValueError(f"{root} has no setup.cfg")
        except configparser.Error as error:
            raise ValueError(f"{root / 'setup.cfg'} cannot be read: {error}") from error
        return cls(root, config)

    @property
    def name(self) -> str:
        """The distribution's."""
        return self.config["metadata"]["name"]

    @property
    def version(self) -> str:
        """`__version__`, read and not imported: its package may need what is not installed yet."""
        module = self.config["metadata"]["version"].removeprefix("attr:").strip().rpartition(".")[0]
        source = (self.root / module.replace(".", "/") / "__init__.py").read_text(encoding="utf-8")
        for node in ast.parse(source).body:
            if isinstance(node, ast.Assign) and "__version__" in map(ast.unparse, node.targets):
                return str(ast.literal_eval(node.value))
        raise ValueError(f"{module} has no __version__")

    @property
    def url(self) -> str:
        """The address of the repository, without a slash at its end; empty while there is none.

        Raises ValueError if it is something else than an address.
        """
        url = self.config["estela:project"]["url"].strip().rstrip("/")
        if url and not re.fullmatch(r"https://[^\s/]+(/[^\s/?#]+)+", url):
            raise ValueError(
                f"`url` in [estela:project] of setup.cfg is no address like https://host/owner/name: {url}"
            )
        return url

    def urls(self) -> dict[str, str]:
        """What PyPI shows in its margin: none without an address."""
        return {name: self.url + path for name, path in _URLS.items()} if self.url else {}

    def requirements(self) -> list[str]:
        """What the distribution needs, as setup.cfg spells it."""
        return lines(self.config["options"]["install_requires"])

    def extras(self) -> dict[str, list[str]]:
        """What each extra adds."""
        return {name: lines(value) for name, value in self.config["options.extras_require"].items()}

    def packages(self) -> list[str]:
        """The folders at the top that are installed."""
        patterns = lines(self.config["options.packages.find"]["include"])
        return [pattern.removesuffix("*") for pattern in patterns]

    def entry_points(self) -> dict[str, list[str]]:
        """The lines of each group, such as `estela-data = estela_consumer.cli.data:main`."""
        return {group: lines(value) for group, value in self.config["options.entry_points"].items()}


def lines(value: str) -> list[str]:
    """The lines of a list in setup.cfg."""
    return [line.strip() for line in value.splitlines() if line.strip()]


def as_list(values: Iterable[str]) -> str:
    """The reverse of `lines`."""
    return "".join(f"\n{value}" for value in values)


def distribution_of(requirement: str) -> str:
    """The normalised name in a requirement: `kafka-python` of `kafka-python[zstd] >= 3`."""
    found = re.match(r"[A-Za-z0-9._-]+", requirement.strip())
    return re.sub(r"[-_.]+", "-", found[0]).lower() if found else ""


def package_of(entry_point: str) -> str:
    """The top package that an entry point's line leads to."""
    return entry_point.partition("=")[2].strip().partition(":")[0].partition(".")[0]
