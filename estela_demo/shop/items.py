"""What the spider scrapes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal


@dataclass
class Stock:
    """How many there are, and where."""

    warehouse: str
    pieces: int


@dataclass
class Price:
    """What a thing costs, as the listing says."""

    sku: str
    name: str
    price: Decimal


@dataclass
class Product:
    """One thing for sale."""

    sku: str
    name: str
    price: Decimal
    added: date
    tags: list[str]
    stock: Stock
    url: str
