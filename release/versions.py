"""How `__version__`, CHANGELOG.md and a tag go together.

Between releases `__version__` is `X.Y.Z.devN`. CHANGELOG.md begins with `## [Unreleased]`,
which says "Version X.Y.Z."
A release is `X.Y.Z`, its section begins with `## [X.Y.Z] - <date>`, and its tag is `vX.Y.Z`.
"""

from __future__ import annotations

import re

_SECTION = re.compile(
    r"^## \[(?P<name>[^\]]+)\](?: - (?P<date>\S+))?[ \t]*$(?P<text>(?:\n(?!## ).*)*)", re.MULTILINE
)
_VERSION = re.compile(r"(?P<next>\d+\.\d+\.\d+(?:rc\d+)?)(?P<dev>\.dev\d+)?")


def relation(version: str, changelog: str, tag: str = "") -> str:
    """How they relate, in a sentence. Raises ValueError, with what to do, if they contradict each other."""
    parts = _VERSION.fullmatch(version)
    if not parts:
        raise ValueError(f"__version__ is {version}; it should be X.Y.Z, X.Y.ZrcN or X.Y.Z.devN")
    sections = list(_SECTION.finditer(changelog))
    if not sections:
        raise ValueError("CHANGELOG.md has no section `## [...]`")
    if parts["dev"]:
        return _unreleased(version, parts["next"], sections, tag)
    return _released(version, sections[0], tag)


def _unreleased(version: str, upcoming: str, sections: list[re.Match[str]], tag: str) -> str:
    if tag:
        raise ValueError(
            f"the tag is {tag} and __version__ is {version}: set it to {upcoming} before the tag"
        )
    first = sections[0]
    if first["name"] != "Unreleased":
        raise ValueError(
            f"__version__ is {version}, and CHANGELOG.md begins with {first['name']}: "
            "its first section should be `## [Unreleased]`"
        )
    announced = re.search(r"^Version (\S+)\.(?: |$)", first["text"], re.MULTILINE)
    if not announced or announced[1] != upcoming:
        said = announced[1] if announced else "no version"
        raise ValueError(
            f"__version__ is {version}, and [Unreleased] in CHANGELOG.md announces {said}: "
            f"a line of it should begin with `Version {upcoming}.`"
        )
    last = sections[1]["name"] if len(sections) > 1 else "none"
    return (
        f"{version} is a development version on the way to {upcoming}, which CHANGELOG.md announces; "
        f"its last released version is {last}"
    )


def _released(version: str, first: re.Match[str], tag: str) -> str:
    if first["name"] != version or not re.fullmatch(r"\d{4}-\d\d-\d\d", first["date"] or ""):
        raise ValueError(
            f"__version__ is {version}, and CHANGELOG.md begins with {first['name']}: "
            f"its first section should be `## [{version}] - YYYY-MM-DD`"
        )
    if tag and tag != f"v{version}":
        raise ValueError(f"the tag is {tag}, and __version__ is {version}: the tag should be v{version}")
    return f"{version} is a release, of {first['date']} by CHANGELOG.md" + (
        f", tag {tag}" if tag else ", not tagged yet"
    )
