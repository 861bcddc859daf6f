"""Whether what was scraped is what is stored."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich.table import Table


@dataclass(frozen=True, slots=True)
class Comparison:
    """The counts on both sides, and what differs."""

    scraped: int
    stored: int
    missing: int
    """Items that were scraped and are not stored as they were."""
    surplus: int
    """Items that are stored and were not scraped, or not as often."""
    requests_made: int
    requests_stored: int
    dead_letters: int

    @property
    def complete(self) -> bool:
        """Whether everything is there, once, and as it was."""
        return (
            self.scraped > 0
            and not (self.missing or self.surplus or self.dead_letters)
            and self.requests_made == self.requests_stored
        )

    def table(self) -> Table:
        """For people."""
        table = Table(box=None, header_style="bold", pad_edge=False)
        for column in ("", "crawled", "stored", "missing", "too many"):
            table.add_column(column, justify="right" if column else "left")
        difference = self.requests_made - self.requests_stored
        table.add_row("items", *map(str, (self.scraped, self.stored, self.missing, self.surplus)))
        table.add_row(
            "requests",
            *map(str, (self.requests_made, self.requests_stored, max(0, difference), max(0, -difference))),
        )
        table.add_row("dead letters", "", str(self.dead_letters), "", "")
        return table


def changes_table(changes: Sequence[Any]) -> Table:
    """Tracked changes of prices for people."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in ("changed", "before", "after", "by job"):
        table.add_column(column, justify="right" if column in ("before", "after") else "left")
    for change in changes:
        prices = (change[side]["price"] for side in ("before", "after"))
        table.add_row(change["key"]["sku"], *map(str, prices), change["job"])
    return table


def compare(
    *,
    scraped: Sequence[Any],
    stored: Sequence[Any],
    requests_made: int,
    requests_stored: Sequence[Any],
    dead_letters: int,
) -> Comparison:
    """Compare the items one by one by their content, the requests by their number."""
    before, after = (
        Counter(json.dumps(item, sort_keys=True) for item in items) for items in (scraped, stored)
    )
    return Comparison(
        scraped=len(scraped),
        stored=len(stored),
        missing=(before - after).total(),
        surplus=(after - before).total(),
        requests_made=requests_made,
        requests_stored=len(requests_stored),
        dead_letters=dead_letters,
    )
