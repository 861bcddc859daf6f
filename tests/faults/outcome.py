"""What a row found, and the table of all rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

COLUMNS = {
    "produced": "produced",
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
    stored: int
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


def markdown(outcomes: Mapping[str, Mapping[str, Any]]) -> str:
    """The table of docs/reliability.md, from each fault's description and its books."""
    rows = [
        f"| {told} | " + " | ".join(cell(books[name]) for name in COLUMNS) + " |"
        for told, books in outcomes.items()
    ]
    head = f"| fault | {' | '.join(COLUMNS.values())} |"
    return "\n".join([head, "|---|" + "---:|" * len(COLUMNS), *rows])


def cell(value: Any) -> str:
    """A figure of the table."""
    return "" if value is None else f"{value:,}"
