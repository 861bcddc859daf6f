"""`__version__`, CHANGELOG.md and the tag go together, and what does not is told with what to do."""

from __future__ import annotations

import re

import pytest

from release.project import ROOT, Project
from release.versions import relation

COMING = (
    "# Changelog\n\n## [Unreleased]\n\nVersion 0.2.0. Read this.\n\n### Added\n\n## [0.1.0] - 2026-01-02\n"
)
RELEASED = "# Changelog\n\n## [0.2.0] - 2026-03-04\n\n### Added\n\n## [0.1.0] - 2026-01-02\n"


def test_those_of_this_repository_go_together() -> None:
    project = Project.read()

    told = relation(project.version, (ROOT / "CHANGELOG.md").read_text())

    assert project.version in told


@pytest.mark.parametrize(
    ("version", "changelog", "tag", "told"),
    [
        ("0.2.0.dev0", COMING, "", "on the way to 0.2.0, which CHANGELOG.md announces"),
        ("0.2.0", RELEASED, "", "not tagged yet"),
        ("0.2.0", RELEASED, "v0.2.0", "a release, of 2026-03-04 by CHANGELOG.md, tag v0.2.0"),
        ("0.2.0rc1", RELEASED.replace("0.2.0", "0.2.0rc1"), "v0.2.0rc1", "tag v0.2.0rc1"),
    ],
)  # fmt: skip
def test_what_goes_together_is_a_sentence(version: str, changelog: str, tag: str, told: str) -> None:
    assert told in relation(version, changelog, tag)


@pytest.mark.parametrize(
    ("version", "changelog", "tag", "advice"),
    [
        ("0.2.0.dev0", COMING, "v0.2.0", "set it to 0.2.0 before the tag"),
        ("0.2.0.dev0", RELEASED, "", "its first section should be `## [Unreleased]`"),
        ("0.3.0.dev0", COMING, "", "a line of it should begin with `Version 0.3.0.`"),
        ("0.2.0.dev0", COMING.replace("Version 0.2.0.", "Soon."), "", "announces no version"),
        ("0.2.0", COMING, "", "its first section should be `## [0.2.0] - YYYY-MM-DD`"),
        ("0.2.0", RELEASED.replace(" - 2026-03-04", ""), "", "YYYY-MM-DD"),
        ("0.2.0", RELEASED, "v0.2.1", "the tag should be v0.2.0"),
        ("0.1.0", RELEASED, "", "begins with 0.2.0"),
        ("2", RELEASED, "", "should be X.Y.Z"),
        ("0.2.0", "", "", "no section"),
    ],
)
def test_what_contradicts_says_what_to_do(version: str, changelog: str, tag: str, advice: str) -> None:
    with pytest.raises(ValueError, match=re.escape(advice)):
        relation(version, changelog, tag)
