"""The names that the examples of docs/items.md use."""

import collections
import dataclasses
import datetime
import decimal
import http
import ipaddress
import math
import pathlib
import re
import uuid

import bson
import numpy
import pydantic
import scrapy

__all__ = [
    "Price", "bson", "collections", "datetime", "decimal", "http", "ipaddress", "math", "numpy", "pathlib",
    "pydantic", "re", "scrapy", "uuid",
]  # fmt: skip


@dataclasses.dataclass
class Price:
    """A value with fields."""

    amount: int
    currency: str
