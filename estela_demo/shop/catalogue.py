"""What the shop sells: made up, and the same every time."""

from __future__ import annotations

import datetime
import random
from collections.abc import Iterator
from decimal import Decimal

from .items import Product, Stock

PRODUCTS = 1000
PRODUCTS_PER_PAGE = 20
PAGES = PRODUCTS // PRODUCTS_PER_PAGE
REPRICED = 33  # every 33rd product has another price each day: 30 of them

_WARES = ("kettle", "lamp", "chair", "notebook", "clock", "scarf", "mug", "radio", "basket", "mirror")
_LOOKS = ("blue", "small", "oak", "plain", "striped", "heavy", "folding", "quiet", "round", "Röstig")
_DEARER = Decimal("1.1")
_WAREHOUSES = ("Lima", "Oslo", "Pune")


def product(number: int, day: int = 1) -> Product:
    """Product `number`, from 1 to PRODUCTS, as it is on that day: every 33rd is dearer each day."""
    chance = random.Random(number)
    look, ware = chance.choice(_LOOKS), chance.choice(_WARES)
    return Product(
        sku=f"SKU-{number:04d}",
        name=f"{look} {ware}",
        price=_price(Decimal(chance.randrange(100, 20_000)) / 100, day if number % REPRICED == 0 else 1),
        added=datetime.date(2025, 1, 1) + datetime.timedelta(days=chance.randrange(365)),
        tags=sorted({look, ware, chance.choice(("sale", "new", "classic"))}),
        stock=Stock(chance.choice(_WAREHOUSES), chance.randrange(100)),
        url=f"/product/{number}",
    )


def on_page(page: int, day: int = 1) -> Iterator[Product]:
    """The products that listing page `page`, from 1 to PAGES, shows on that day."""
    first = (page - 1) * PRODUCTS_PER_PAGE + 1
    return (product(number, day) for number in range(first, first + PRODUCTS_PER_PAGE))


def repriced(pages: int = PAGES) -> int:
    """How many of the products on the first `pages` listings have another price each day."""
    return pages * PRODUCTS_PER_PAGE // REPRICED


def _price(first: Decimal, day: int) -> Decimal:
    return (first * _DEARER ** (day - 1)).quantize(Decimal("0.01"))
