"""README.md as PyPI shows it: no link there is relative to a repository.

With an address in setup.cfg the links become absolute. Without one they become plain text, as there is no
page yet that they could lead to. Runs while a wheel is built, so it needs nothing but Python.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator

from release.project import Project

# The parts of Markdown that matter here. Code comes first in a pattern, so that what looks like a link in it
# is passed over. The tests ask PyPI's own renderer whether a relative link is left.
_FENCE = re.compile(r"^ {0,3}(?P<fence>`{3,}|~{3,}).*?(?:^ {0,3}(?P=fence)[`~]*[ \t]*$\n?|\Z)", re.M | re.S)
_CODE = r"(?<!`)(?P<ticks>`+)(?!`).+?(?<!`)(?P=ticks)(?!`)"
_SPAN = re.compile(_CODE, re.S)
_TITLE = r"(?:\s+(?:\"[^\"]*\"|'[^']*'|\([^()]*\)))?"
_TARGET = rf"\(\s*(?:<(?P<angled>[^<>\n]*)>|(?P<plain>(?:[^\s()]|\([^\s()]*\))*)){_TITLE}\s*\)"
_TEXT = r"(?P<text>(?:\\.|[^\[\]`\\]|``(?:(?!``).)+``|`[^`]+`|!?\[[^\[\]]*\](?:\([^()]*\))?)*)"
_INLINE = re.compile(rf"{_CODE}|\\[\\`!\[]|(?P<bang>!?)\[{_TEXT}\]{_TARGET}", re.S)
_DEFINITION = re.compile(r"^ {0,3}\[(?P<label>[^\[\]\n]+)\]:[ \t]*<?(?P<target>[^\s<>]+)>?.*$\n?", re.M)
_REFERENCE = re.compile(
    rf"{_CODE}|(?P<bang>!?)\[(?P<text>(?:[^\[\]`]|`[^`]*`)+)\](?:\[(?P<label>[^\[\]]*)\])?(?![\[(:])", re.S
)
_ANCHOR = re.compile(
    r"<a\b[^>]*?\shref\s*=\s*[\"'](?P<target>[^\"']*)[\"'][^>]*>(?P<text>.*?)</a\s*>", re.S | re.I
)
_IMAGE = re.compile(
    r"<(?:img|source)\b[^>]*?\s(?:src|srcset)\s*=\s*[\"'](?P<target>[^\"']*)[\"'][^>]*>", re.S | re.I
)
_ALT = re.compile(r"\salt\s*=\s*[\"'](?P<alt>[^\"']*)[\"']", re.I)
_ONE_LINE = re.compile(r"[ \t]*(?:#{1,6}[ \t]|\||\n)")
_BEGINS = re.compile(r"[ \t]*(?:#{1,6}[ \t]|\||[-*+][ \t]|\d+[.)][ \t]|>)")
_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:|//")


def long_description(project: Project) -> str:
    """What PyPI shows of this project."""
    readme = (project.root / "README.md").read_text(encoding="utf-8")
    return for_pypi(readme, project.url, project.version)


def for_pypi(markdown: str, url: str, version: str) -> str:
    """Markdown without a relative link; what stands in code stays as it is.

    `url` is the repository's, or empty. A release's links lead to the files of its tag, others to the newest.
    """
    tag = "HEAD" if "dev" in version else f"v{version}"
    links = _Links(url, tag)
    found = _DEFINITION.finditer(_FENCE.sub("", markdown))
    relative = {
        _label(match["label"]): match["target"] for match in found if links.is_relative(match["target"])
    }
    return _outside(_FENCE, markdown, lambda text: links.in_text(text, relative))


class _Links:
    def __init__(self, url: str, tag: str) -> None:
        self._url = url
        self._tag = tag

    def is_relative(self, target: str) -> bool:
        """Whether it leads to a file of the repository; `#part` leads to a heading of the page itself."""
        return not target.startswith("#") and not _ABSOLUTE.match(target)

    def in_text(self, text: str, relative: dict[str, str]) -> str:
        if relative:
            text = _DEFINITION.sub(lambda match: "" if _label(match["label"]) in relative else match[0], text)
        return "".join(self._in_block(block, relative) for block in _blocks(text))

    def _in_block(self, text: str, relative: dict[str, str]) -> str:
        text = _REFERENCE.sub(lambda match: self._inlined(match, relative), text)
        text = _INLINE.sub(self._inline, text)
        return _outside(_SPAN, text, lambda part: _IMAGE.sub(self._image, _ANCHOR.sub(self._anchor, part)))

    def _inlined(self, match: re.Match[str], relative: dict[str, str]) -> str:
        """A link by a label, written as one that names its target."""
        target = relative.get(_label(match["label"] or match["text"] or ""))
        return match[0] if target is None else f"{match['bang']}[{match['text']}](<{target}>)"

    def _inline(self, match: re.Match[str]) -> str:
        if match["text"] is None:
            return match[0]  # code, or something escaped
        text = _INLINE.sub(self._inline, match["text"])
        target = match["plain"] if match["angled"] is None else match["angled"]
        if not self.is_relative(target):
            shown = f"{match['bang']}[{text}]"
            return shown + match[0][len(match["bang"]) + len(match["text"]) + 2 :]
        if not self._url:
            return text
        return f"{match['bang']}[{text}](<{self._absolute(target, image=bool(match['bang']))}>)"

    def _anchor(self, match: re.Match[str]) -> str:
        if not self.is_relative(match["target"]):
            return match[0]
        return self._replaced(match, image=False) if self._url else match["text"]

    def _image(self, match: re.Match[str]) -> str:
        if not self.is_relative(match["target"]):
            return match[0]
        alt = _ALT.search(match[0])
        return self._replaced(match, image=True) if self._url else alt["alt"] if alt else ""

    def _replaced(self, match: re.Match[str], *, image: bool) -> str:
        start, end = (place - match.start() for place in match.span("target"))
        return match[0][:start] + self._absolute(match["target"], image=image) + match[0][end:]

    def _absolute(self, target: str, *, image: bool) -> str:
        path, hash_, fragment = target.partition("#")
        path = posixpath.normpath(f"/{path}")
        return f"{self._url}/{'raw' if image else 'blob'}/{self._tag}{path}{hash_}{fragment}"


def _blocks(text: str) -> Iterator[str]:
    """The text in parts that no code and no link reaches across: paragraphs, headings, items, rows."""
    block = ""
    for line in text.splitlines(keepends=True):
        if block and (not line.strip() or _BEGINS.match(line) or _ONE_LINE.match(block)):
            yield block
            block = ""
        block += line
    yield block


def _label(text: str) -> str:
    return " ".join(text.split()).casefold()


def _outside(kept: re.Pattern[str], text: str, change: Callable[[str], str]) -> str:
    """The text changed, but for the parts that match `kept`."""
    done, parts = 0, []
    for match in kept.finditer(text):
        parts += [change(text[done : match.start()]), match[0]]
        done = match.end()
    return "".join([*parts, change(text[done:])])
