"""What a run of hostile batches found, and its table in docs/reliability.md."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

_TITLES = {
    "seed": "seed",
    "seconds": "seconds",
    "batches": "batches sent",
    "refused": "refused by the broker",
    "messages": "messages in the topics",
    "stored": "stored",
    "present": "already there",
    "dead_letters": "dead letters",
    "joined": "further offsets that a letter of unreadable bytes stands for",
    "tombstones": "tombstones",
    "damaged_partitions": "damaged partitions read past the broker",
    "exits": "exits",
    "stalls": "stalls",
}


@dataclass(slots=True)
class Books:
    """The counts of one run."""

    seed: int
    seconds: int = 0
    batches: int = 0
    refused: int = 0
    messages: int = 0
    """That consumers of committed messages can see."""
    stored: int = 0
    present: int = 0
    dead_letters: int = 0
    joined: int = 0
    """Offsets beyond the first of letters that hold messages which cannot be told apart."""
    tombstones: int = 0
    markers: int = 0
    """Good messages between the hostile ones."""
    markers_stored: int = 0
    aborted_stored: int = 0
    letters_read_back: int = 0
    damaged_partitions: int = 0
    exits: int = 0
    """Of the consumer, by itself."""
    stalls: int = 0
    """Times without a step forward for a minute, and partitions that were not read to their end."""
    wrong: tuple[str, ...] = ()
    """Exit codes and counts that are not as they should be, in words."""

    @property
    def kept(self) -> bool:
        """Whether every promise was."""
        accounted = self.stored + self.present + self.dead_letters + self.joined + self.tombstones
        return (
            self.exits == self.stalls == self.aborted_stored == 0
            and not self.wrong
            and accounted == self.messages
            and self.markers_stored == self.markers
        )

    def as_json(self) -> dict[str, Any]:
        """For machines."""
        return {**asdict(self), "kept": self.kept}


def markdown(books: Mapping[str, Any]) -> str:
    """The table of docs/reliability.md."""
    lines = [f"| {title} | {books[name]:,} |" for name, title in _TITLES.items()]
    return "\n".join(["| hostile batches | |", "| --- | ---: |", *lines]).replace(
        f"{books['seed']:,}", str(books["seed"])
    )
