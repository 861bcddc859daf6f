"""What a row found, and the table of all rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

COLUMNS = {
    "produced": "produced",
    "not_promised": "not promised",
    "stored": "stored",
    "missing": "missing",
    "twice": "twice",
    "dead_letters_expected": "dead letters expected",
    "dead_letters_found": "found",
    "seconds_to_recover": "seconds until lag 0",
    "reactor_pause": "longest pause of the reactor, ms",
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """The books of one row."""

    produced: int
    not_promised: int
    """What the fault itself removed, by retention, or may have removed, with the database."""
    stored: int
    """Of those that are promised."""
    missing: int
    twice: int
    dead_letters_expected: int
    dead_letters_found: int
    reasons_right: bool
    """Whether each dead letter says what was wrong with its message."""
    seconds_to_recover: float
    """From the end of the fault, and of feeding, until the lag was 0."""
    reactor_pause: float | None
    """Milliseconds; None where there was no crawl, or it was killed."""

    @property
    def promises_kept(self) -> bool:
        """Nothing missing, nothing twice, each bad message accounted for."""
        return (
            self.missing == self.twice == 0
            and self.dead_letters_expected == self.dead_letters_found
            and self.reasons_right
        )

    def as_json(self) -> dict[str, Any]:
        """For machines."""
        return {**asdict(self), "promises_kept": self.promises_kept}


def markdown(before: str, outcomes: Mapping[str, Mapping[str, Any]], order: Iterable[str]) -> str:
    """The table of docs/reliability.md: the rows of `before`, those of `outcomes` in their place, in `order`.

    A row whose outcome has no books (it broke before there were any) is left out.
    """
    titles = ["row", "fault", *COLUMNS.values(), "seed"]
    rows = _rows(before)
    for name, books in outcomes.items():
        rows.pop(name, None)
        if "produced" in books:
            cells = [f"`{name}`", books["told"], *(cell(books[column]) for column in COLUMNS), books["seed"]]
            rows[name] = dict(zip(titles, map(str, cells), strict=True))
    lines = [[rows[name].get(title, "") for title in titles] for name in order if name in rows]
    rule = ["---", "---", *["---:"] * (len(titles) - 2)]
    return "\n".join(f"| {' | '.join(line)} |" for line in (titles, rule, *lines))


def _rows(table: str) -> dict[str, dict[str, str]]:
    """The rows of a table in Markdown, by name, each from title to cell: columns may come and go."""
    lines = [
        [found.strip() for found in line.strip().strip("|").split("|")] for line in table.strip().splitlines()
    ]
    return {line[0].strip("`"): dict(zip(lines[0], line, strict=False)) for line in lines[2:]}


def cell(value: Any) -> str:
    """A figure of the table."""
    return "" if value is None else f"{value:,}"
