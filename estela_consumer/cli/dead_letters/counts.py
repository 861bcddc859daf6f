"""How many letters there are of each kind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, TypeAlias

from estela_consumer.dead_letters.replay import DeadLetter
from estela_terminal.output import data_table, print_table

Counts: TypeAlias = "Counter[tuple[str, str, str | None]]"


def counted(letters: Iterable[DeadLetter]) -> Counts:
    """By reason, dataset, and why they were discarded, if they were."""
    return Counter((letter.reason, str(letter.dataset or "-"), letter.discarded) for letter in letters)


def rows_of(counts: Counts) -> Iterator[dict[str, Any]]:
    """For machines."""
    for (reason, dataset, discarded), count in sorted(
        counts.items(), key=lambda row: tuple(map(str, row[0]))
    ):
        because = {} if discarded is None else {"discarded": discarded}
        yield {"reason": reason, "dataset": dataset, **because, "letters": count}


def print_counts(counts: Counts) -> None:
    """As a table."""
    because = ("discarded because",) if any(discarded is not None for _, _, discarded in counts) else ()
    table = data_table("reason", "dataset", *because, numbers=("letters",))
    for row in rows_of(counts):
        told = (row.get("discarded", ""),) if because else ()
        table.add_data_row(row["reason"], row["dataset"], *told, f"{row['letters']:,}")
    print_table(table)
