"""What PyPI and its readers see: metadata, the page, the names and versions."""

from __future__ import annotations

import re
import sys
import sysconfig
import zipfile
from email.message import Message
from email.parser import BytesParser
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urlsplit

from readme_renderer import markdown

from release.building import Built
from release.project import Project
from release.report import CheckFailed, Report, run

_SCRIPTS = Path(sysconfig.get_path("scripts"))

# What pyroma finds and stays: the beginning of its line -> why. The second goes when `url` is set.
EXPLAINED = {
    "Your package does not have author-email data": "there is none; SECURITY.md says how to report",
    "Your package should have a 'url' field": "there is none yet: `url` in [estela:project] of setup.cfg",
}


def check_metadata(built: Built, report: Report) -> None:
    """Twine, check-wheel-contents and pyroma, and the page's links."""
    name, files = built.project.name, [built.wheel, built.sdist]
    with report.check(f"{name}: twine check --strict"):
        run([sys.executable, "-m", "twine", "check", "--strict", *files], built.wheel.parent)
    with report.check(f"{name}: check-wheel-contents"):
        packages = ",".join(built.project.packages())
        run([_SCRIPTS / "check-wheel-contents", "--toplevel", packages, built.wheel], built.wheel.parent)
    with report.check(f"{name}: pyroma") as notes:
        notes += _pyroma(built)
    with report.check(f"{name}: the page on PyPI") as notes:
        page = str(metadata_of(built.wheel).get_payload())
        if bad := relative_links(page):
            raise CheckFailed(f"these links lead nowhere on PyPI: {', '.join(bad)}")
        notes.append(f"{len(page):,} characters, every link is absolute")


def _pyroma(built: Built) -> list[str]:
    """What it finds, each explained; CheckFailed with what is not."""
    output = run([_SCRIPTS / "pyroma", "--min", "1", built.sdist], built.sdist.parent)
    findings = re.findall(r"^(?:Your|The|You|This) .*?(?=\.?$)", output, re.MULTILINE)
    rating = re.search(r"^Final rating: (\d+/10)", output, re.MULTILINE)
    if not rating:
        raise CheckFailed(f"pyroma gave no rating:\n{output}")
    notes, unexplained = [f"rating {rating[1]}"], list[str]()
    for finding in findings:
        why = [why for begin, why in EXPLAINED.items() if finding.startswith(begin)]
        (notes if why else unexplained).append(f"{finding}. It stays: {why[0]}" if why else finding)
    if rating[1] != "10/10" and not findings:
        unexplained.append(output)
    if unexplained:
        raise CheckFailed("\n".join(unexplained))
    return notes


def metadata_of(wheel: Path) -> Message:
    """The METADATA of a wheel; its payload is the page."""
    with zipfile.ZipFile(wheel) as archive:
        [path] = [name for name in archive.namelist() if re.fullmatch(r"[^/]+\.dist-info/METADATA", name)]
        return BytesParser().parsebytes(archive.read(path))


_HEADING = (
    "#user-content-"  # the link to itself that the renderer gives each heading; "#" if it has no letters
)


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value or "" for name, value in attrs if name in {"href", "src", "srcset"}]


def relative_links(page: str) -> list[str]:
    """Those of a page in Markdown, as PyPI renders it. CheckFailed if it cannot be rendered."""
    rendered = markdown.render(page)
    if rendered is None:
        raise CheckFailed("PyPI cannot render the long description")
    links = _Links()
    links.feed(rendered)
    ours = [link for link in links.found if link != "#" and not link.startswith(_HEADING)]
    return [link for link in ours if not urlsplit(link).scheme]


_ADDRESS = re.compile(
    r"https?://(?:github|gitlab)\.[a-z]+/([\w.-]+/[\w.-]+)|https?://[\w.-]*(?:readthedocs|github)\.io[\w./-]*"
)
OTHERS = {"bitmakerla/estela"}  # the repositories of others that the documents may name


def invented_addresses(project: Project) -> list[str]:
    """Places of the documents and the metadata that name a repository or a site that is not there."""
    allowed = project.url.partition("://")[2].partition("/")[2]
    found = []
    patterns = ("*.md", "docs/*.md", ".github/**/*.md", ".github/**/*.yml", "setup.cfg", "compose.yaml")
    for path in sorted(path for pattern in patterns for path in project.root.glob(pattern)):
        for match in _ADDRESS.finditer(path.read_text(encoding="utf-8")):
            name = (match[1] or "").rstrip(".").removesuffix(".git")
            if name not in OTHERS | ({allowed} if allowed else set()):
                found.append(f"{path.name}: {match[0]}")
    return found
