"""Items of several kinds, and what a project would have for its entries of ESTELA_ITEMS."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import attrs
import pydantic
import scrapy
from itemadapter import ItemAdapter
from scrapy.extensions.feedexport import ItemFilter


@dataclass
class Product:
    sku: str | None
    price: float = 1.0
    name: str = ""


@dataclass
class Book(Product):
    isbn: str = ""


class Review(scrapy.Item):
    id = scrapy.Field()
    text = scrapy.Field()


@attrs.define
class Author:
    name: str


class Shop(pydantic.BaseModel):
    url: str


class Open(pydantic.BaseModel, extra="allow"):
    url: str


class ADict(dict[str, Any]):
    """An item with a class of its own that is a dict."""


def is_cheap(item: Any) -> bool:
    """A predicate or a filter."""
    return bool(ItemAdapter(item).get("price", 1) < 1)


def raises(item: Any) -> bool:
    """One with a fault."""
    raise ZeroDivisionError("no price")


async def later(item: Any) -> bool:
    """One that cannot be called here."""
    return True


class Cheap(ItemFilter):
    """A filter as FEEDS have it."""

    def accepts(self, item: Any) -> bool:
        assert self.feed_options is not None
        return super().accepts(item) and is_cheap(item)


class NoFilter:
    """A class that is none."""


class Picky:
    """A filter that cannot be made."""

    def __init__(self, options: Any) -> None:
        raise LookupError("no such shop")

    def accepts(self, item: Any) -> bool:
        return True


HERE = __name__
