"""The names that the examples of docs/items.md use."""

import collections
import dataclasses
import datetime
import decimal
import http
import ipaddress
import math
import pathlib
import uuid

import numpy
import pydantic
import scrapy

__all__ = [
    "Price", "collections", "datetime", "decimal", "http", "ipaddress", "math", "numpy", "pathlib",
    "pydantic", "scrapy", "uuid",
]  # fmt: skip


@dataclasses.dataclass
class Price:
    """A value with fields."""

    amount: int
    currency: str
