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

_WARES = ("kettle", "lamp", "chair", "notebook", "clock", "scarf", "mug", "radio", "basket", "mirror")
_LOOKS = ("blue", "small", "oak", "plain", "striped", "heavy", "folding", "quiet", "round", "Röstig")
_WAREHOUSES = ("Lima", "Oslo", "Pune")


def product(number: int) -> Product:
    """Product `number`, from 1 to PRODUCTS."""
    chance = random.Random(number)
    look, ware = chance.choice(_LOOKS), chance.choice(_WARES)
    return Product(
        sku=f"SKU-{number:04d}",
        name=f"{look} {ware}",
        price=Decimal(chance.randrange(100, 20_000)) / 100,
        added=datetime.date(2025, 1, 1) + datetime.timedelta(days=chance.randrange(365)),
        tags=sorted({look, ware, chance.choice(("sale", "new", "classic"))}),
        stock=Stock(chance.choice(_WAREHOUSES), chance.randrange(100)),
        url=f"/product/{number}",
    )


def on_page(page: int) -> Iterator[Product]:
    """The products that listing page `page`, from 1 to PAGES, shows."""
    first = (page - 1) * PRODUCTS_PER_PAGE + 1
    return (product(number) for number in range(first, first + PRODUCTS_PER_PAGE))
