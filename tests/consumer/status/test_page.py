"""The page: what it shows, and that nothing in it can do anything."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from estela_consumer.status.model import OutageStatus, Sample, Status
from tests.consumer.status.browser import chromium, dom, screenshot
from tests.consumer.status.serving import PAGE, served
from tests.consumer.status.states import HOSTILE, NOW, STATES, WELL, hostile

_OF_THE_PAGE = {
    "html", "head", "meta", "title", "style", "body", "header", "main", "section", "p", "ul", "li", "h2",
    "small", "table", "thead", "tbody", "tr", "th", "td", "br", "span", "details", "summary", "code", "svg",
    "line", "polyline", "polygon", "b",
}  # fmt: skip


class _Tags(HTMLParser):
    """What a browser would make of the page: its elements, their attributes and its text."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes.update(name for name, _ in attrs)

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def rendered(status: Status) -> _Tags:
    parser = _Tags()
    parser.feed(PAGE.response(status).body.decode())
    return parser


@pytest.mark.parametrize("status", [*STATES.values(), hostile()], ids=[*STATES, "hostile"])
def test_it_is_made_of_its_own_elements_alone(status: Status) -> None:
    found = rendered(status)

    assert found.tags <= _OF_THE_PAGE
    assert not {
        name for name in found.attributes if name.startswith("on") or name in ("href", "src", "style")
    }


def test_what_comes_from_outside_is_text_that_can_be_looked_at() -> None:
    text = "".join(rendered(hostile()).text)

    assert "<script>document.title='owned'</script>" in text
    assert "{{ 7*7 }}" in text
    assert not set("\x1b\u202e\u2066\u200b\ud800\x00\x07") & set(text)
    assert "\\x1b[31m" in text
    assert len(PAGE.response(hostile()).body) < 40_000


@given(st.text(), st.text("<>&'\"{}%\x1b\u202e\ud800"))
def test_no_text_makes_an_element(name: str, error: str) -> None:
    status = replace(
        WELL,
        topics=(replace(WELL.topics[0], topic=name, group=error),),
        outages=(OutageStatus(part="store", topic=name, began=NOW, error=error),),
        settings={name: error},
    )

    assert rendered(status).tags <= _OF_THE_PAGE


def test_its_policy_permits_its_own_style_and_nothing_else() -> None:
    response = PAGE.response(WELL)
    [(name, policy)] = response.headers

    assert name == "Content-Security-Policy"
    assert re.fullmatch(
        r"default-src 'none'; style-src 'sha256-[\w+/=]{44}'; base-uri 'none'; form-action 'none'; "
        r"frame-ancestors 'none'",
        policy,
    )
    assert b'<meta http-equiv="refresh" content="10">' in response.body


def test_what_is_not_known_leaves_a_gap_in_the_line() -> None:
    samples = (Sample(NOW - 20, 5.0, 3), Sample(NOW - 10, None, None), Sample(NOW, 5.0, 3))
    status = replace(WELL, topics=(replace(WELL.topics[0], samples=samples),))

    assert PAGE.response(status).body.decode().count('<polyline class="lag"') == 2


def test_an_empty_status_says_what_it_does_not_know() -> None:
    text = "".join(rendered(Status(time=NOW, version="", queue="", store="", unknown=("Not yet",))).text)

    assert "Not yet." in text
    assert text.count("Not looked at yet.") == 2
    assert "None has been heard of" not in text


@pytest.mark.processes
@pytest.mark.skipif(chromium() is None, reason="Chromium is not installed")
class TestInABrowser:
    def test_a_dead_letter_full_of_script_stays_text(self) -> None:
        with served(hostile=hostile()) as url:
            document = dom(f"{url}/hostile")

        assert "<title>owned</title>" not in document
        assert "&lt;script&gt;document.title='owned'&lt;/script&gt;" in document
        assert "<script" not in document
        assert "<img" not in document
        assert HOSTILE not in document

    def test_it_has_its_style_in_light_and_in_dark(self, tmp_path: Path) -> None:
        with served(well=WELL) as url:
            screenshot(f"{url}/well", tmp_path / "light.png")
            screenshot(f"{url}/well", tmp_path / "dark.png", dark=True)

        light, dark = ((tmp_path / f"{name}.png").read_bytes() for name in ("light", "dark"))
        assert light != dark
        assert min(len(light), len(dark)) > 20_000  # a page without its style is smaller

    @pytest.mark.parametrize("width", [400, 1_180])
    def test_nothing_is_wider_than_the_window(self, width: int) -> None:
        with served(hostile=hostile(), dead_letters=STATES["dead-letters"]) as url:
            found = {name: dom(f"{url}/{name}/{width}") for name in ("hostile", "dead_letters")}

        for name, document in found.items():
            assert f"<title>{width} wide</title>" in document, name
