"""The recipes: every block of each runs, and what they say of MongoDB stands there."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pytest

from tests.pages.runner import ROOT, Runner, blocks, settings_of

RECIPES = sorted((ROOT / "docs" / "recipes").glob("*.md"))
PIPELINE = (ROOT / "docs" / "recipes" / "from-a-mongodb-pipeline.md").read_text()
SPIDER = "# myproject/spiders/books.py"
USED = {"python", "console", "text", "jsonc"}  # languages of blocks that are run
TYPED = """
import datetime
import scrapy

WHEN = datetime.datetime(2026, 1, 31, 9, 30, 15, 123000, tzinfo=datetime.timezone.utc)

class Typed(scrapy.Spider):
    name = "typed"
    start_urls = ["https://quotes.toscrape.com/page/1/"]

    def parse(self, response):
        yield {"when": WHEN, "whole": 7, "large": 2**40, "real": 7.0, "yes": True, "none": None, "text": "7"}
        yield {"bytes": bytes(range(256)), "list": [1, [2.5, None]], "object": {"when": WHEN, "deep": {}}}
"""


def spider_of_books() -> str:
    """The block that the other recipes build on."""
    page = (ROOT / "docs" / "recipes" / "one-document-per-product.md").read_text()
    [block] = [block for block in blocks(page) if block.text.startswith(SPIDER)]
    return f"```python\n{block.text}```\n"


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_every_block_of_a_recipe_runs(path: Any, project: Runner) -> None:
    page = path.read_text()
    if "scrapy crawl books" in page and SPIDER not in page:
        project.run(spider_of_books())

    project.run(page)

    project.command(f"scrapy crawl {'books' if 'crawl books' in page else 'quotes'}")  # the last settings too
    assert {"python", "console"} <= project.ran
    assert {block.language for block in blocks(page)} <= USED


def test_what_the_pipeline_stored_is_what_is_stored_without_it(project: Runner) -> None:
    """The tutorial's items, and items with every type that the pipeline can store."""
    before, after = PIPELINE.split("## After")
    project.run(before)
    project.write("myproject/spiders/typed.py", TYPED)
    project.command("scrapy crawl typed")
    by_pipeline = contents(project)
    project.drop()

    project.run(settings_of(after))
    for command in ("scrapy crawl quotes", "scrapy crawl typed", "estela-scrapy consume --drain"):
        project.command(command)

    assert contents(project) == by_pipeline
    assert len(by_pipeline) == 11


def contents(project: Runner) -> list[str]:
    """All documents, with the type of each value, in an order of their own."""
    found = project.documents(f"{project.project}_items", "scrapy_items")
    return sorted(
        repr({name: told(value) for name, value in each.items() if name != "_id"}) for each in found
    )


def told(value: Any) -> Any:
    """The value with its type, at any depth."""
    if isinstance(value, dict):
        return {name: told(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [told(inner) for inner in value]
    if isinstance(value, datetime):
        return value.astimezone(timezone.utc).isoformat()
    return type(value).__name__, value
