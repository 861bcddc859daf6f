"""The spider that comes back every day."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import scrapy
from scrapy.http import Response

from ..items import Price


class PricesSpider(scrapy.Spider):
    """Reads all prices off the listings: `scrapy crawl prices -a url=http://127.0.0.1:8000/`.

    Its items are one document for each sku, and each change of one is a document in `prices_changes`.
    """

    name = "prices"
    custom_settings = {"ESTELA_KEY": "sku", "ESTELA_ON_EXISTING": "track"}  # noqa: RUF012  (as Scrapy has it)

    def __init__(self, url: str = "http://127.0.0.1:8000/", **kwargs: Any) -> None:
        super().__init__(start_urls=[url], **kwargs)

    def parse(self, response: Response) -> Iterator[Price | scrapy.Request]:
        """A listing: its prices, and the next one."""
        for ware in response.css("li[data-sku]"):
            yield Price(
                sku=ware.attrib["data-sku"],
                name=ware.css("a::text").get(""),
                price=Decimal(ware.css(".price::text").get("")),
            )
        yield from response.follow_all(response.css("a.next::attr(href)").getall(), self.parse)
