"""The spider."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import scrapy
from scrapy.http import Response

from ..items import Product, Stock


class ShopSpider(scrapy.Spider):
    """Crawls every product of the shop: `scrapy crawl shop -a url=http://127.0.0.1:8000/`."""

    name = "shop"

    def __init__(self, url: str = "http://127.0.0.1:8000/", **kwargs: Any) -> None:
        super().__init__(start_urls=[url], **kwargs)

    def parse(self, response: Response) -> Iterator[scrapy.Request]:
        """A listing: its products, the next listing, and whatever else it links."""
        yield from response.follow_all(response.css("a.product::attr(href)").getall(), self.parse_product)
        yield from response.follow_all(response.css("a.next::attr(href)").getall(), self.parse)
        # One of these is gone, the other never answers: neither is worth a second try.
        yield from response.follow_all(
            response.css("a.odd::attr(href)").getall(),
            self.parse_product,
            meta={"download_timeout": 2, "dont_retry": True},
        )

    def parse_product(self, response: Response) -> Iterator[Product]:
        """A product's own page."""
        yield Product(
            sku=response.css("h1::attr(data-sku)").get(""),
            name=response.css("h1::text").get(""),
            price=Decimal(response.css(".price::text").get("")),
            added=datetime.date.fromisoformat(response.css("time::text").get("")),
            tags=response.css(".tags li::text").getall(),
            stock=Stock(
                warehouse=response.css(".stock::attr(data-warehouse)").get(""),
                pieces=int(response.css(".stock::text").get("0")),
            ),
            url=response.url,
        )
