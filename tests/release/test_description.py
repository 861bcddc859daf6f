"""README.md as PyPI shows it: code stays, and no link is relative, whatever the README has."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from readme_renderer import markdown

from release.description import for_pypi, long_description
from release.metadata import relative_links
from release.project import Project

URL = "https://forge.example/o/p"
URLS = pytest.mark.parametrize("url", ["", URL])

PATHS = ["docs/a.md", "./docs/a.md#b", "/LICENSE", "docs/a_(b).md", "<docs/a.md>", "a%20b.svg"]
OUTSIDE = ["https://x.example/y", "mailto:a@x.example", "http://x.example/(z)"]
TITLES = ["", ' "a title"', " 'another'"]
WORDS = st.sampled_from(
    ["words", "`code`", "**bold**", "a [b] c", "``a ` b``", "\\[no link\\]", "*", "`", "é"]
)
IMAGES = st.sampled_from([*PATHS, *OUTSIDE])
TARGETS = st.sampled_from([*PATHS, *OUTSIDE, "#part"])
INLINE = st.one_of(
    WORDS,
    st.builds(
        "[{}]({}{})".format, WORDS.filter(lambda word: word not in "*`"), TARGETS, st.sampled_from(TITLES)
    ),
    st.builds("![{}]({})".format, st.sampled_from(["", "alt"]), IMAGES),
    st.builds("[![{}]({})]({})".format, st.just("alt"), IMAGES, TARGETS),
    st.builds('<a href="{}">{}</a>'.format, TARGETS, st.sampled_from(["x", "x y"])),
    st.builds('<img src="{}" alt="{}">'.format, IMAGES, st.sampled_from(["", "x"])),
    st.sampled_from(["[one]", "[text][one]", "[one][]", "[text][two]", "`[code](docs/a.md)`"]),
)
BLOCK = st.one_of(
    st.lists(INLINE, min_size=1, max_size=6).map(" ".join),
    st.builds("# {}".format, INLINE),
    st.builds("- {}\n- {}".format, INLINE, INLINE),
    st.builds("| a | b |\n|---|---|\n| {} | x |".format, INLINE),
    st.builds("```python\n{}\n```".format, INLINE),
    st.builds("~~~\n```\n{}\n~~~".format, INLINE),
    st.sampled_from(["[one]: docs/a.md", '[one]: <docs/a.md> "title"', "[two]: https://x.example/y"]),
)
PAGES = st.lists(BLOCK, max_size=6).map(lambda blocks: "\n\n".join(["A page.", *blocks]) + "\n")


@URLS
@settings(deadline=None)  # the first page loads the renderer
@given(page=PAGES)
def test_no_link_of_any_page_is_relative(url: str, page: str) -> None:
    assert relative_links(for_pypi(page, url, "1.2.3")) == []


@given(page=PAGES)
def test_a_page_whose_links_are_absolute_stays_as_it_is(page: str) -> None:
    once = for_pypi(page, URL, "1.2.3")

    assert for_pypi(once, URL, "1.2.3") == once
    assert for_pypi(once, "", "1.2.3") == once


@pytest.mark.parametrize(
    "code",
    [
        "```console\npip install . # [a](docs/a.md)\n```\n",
        "~~~~\n[a](b)\n~~~\n<img src=x>\n~~~~\n",
        "`[a](docs/a.md)`\n",
        "``a ` [a](b)``\n",
        "    ```\n",
        "```\n[a](b), not closed",
    ],
)
@URLS
def test_code_stays_as_it_is(url: str, code: str) -> None:
    assert for_pypi(code, url, "1.2.3") == code


@pytest.mark.parametrize(
    ("markdown_", "without", "with_url"),
    [
        ("[docs](docs/a.md#b)", "docs", f"[docs](<{URL}/blob/v1.2.3/docs/a.md#b>)"),
        ("[the `x`](./docs/../x.md)", "the `x`", f"[the `x`](<{URL}/blob/v1.2.3/x.md>)"),
        ("[up](../../etc)", "up", f"[up](<{URL}/blob/v1.2.3/etc>)"),
        ("[here](#part)", "[here](#part)", "[here](#part)"),
        ("![a film](docs/f.svg)", "a film", f"![a film](<{URL}/raw/v1.2.3/docs/f.svg>)"),
        ('<img alt="a film" src="f.svg">', "a film", f'<img alt="a film" src="{URL}/raw/v1.2.3/f.svg">'),
        ('<a href="LICENSE">MIT</a>', "MIT", f'<a href="{URL}/blob/v1.2.3/LICENSE">MIT</a>'),
        ("[x][a]\n\n[a]: b.md\n", "x\n\n", f"[x](<{URL}/blob/v1.2.3/b.md>)\n\n"),
        ("[A]\n\n[a]: b.md\n", "A\n\n", f"[A](<{URL}/blob/v1.2.3/b.md>)\n\n"),
        ("[x](https://x.example/a.md)", "[x](https://x.example/a.md)", "[x](https://x.example/a.md)"),
    ],
)  # fmt: skip
def test_a_link_becomes_text_or_absolute(markdown_: str, without: str, with_url: str) -> None:
    assert for_pypi(markdown_, "", "1.2.3") == without
    assert for_pypi(markdown_, URL, "1.2.3") == with_url


def test_a_development_version_links_to_the_newest_files() -> None:
    assert for_pypi("[a](b.md)", URL, "1.2.3.dev0") == f"[a](<{URL}/blob/HEAD/b.md>)"
    assert for_pypi("[a](b.md)", URL, "1.2.3rc1") == f"[a](<{URL}/blob/v1.2.3rc1/b.md>)"


def test_the_check_finds_a_relative_link() -> None:
    assert relative_links("[a](b.md) ![c](d.svg) [e](https://x.example)") == ["b.md", "d.svg"]


def test_the_readme_renders_and_says_there_what_it_says_here() -> None:
    page = long_description(Project.read())

    assert relative_links(page) == []
    rendered = markdown.render(page)
    assert rendered is not None
    for told in ("pip install", "EXTENSIONS", "scrapy crawl"):
        assert told in rendered
