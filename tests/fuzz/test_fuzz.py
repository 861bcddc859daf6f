"""A short run of hostile batches, the same each time; `scripts/fuzz` is a long one."""

from __future__ import annotations

import os
from pathlib import Path

from tests.fuzz.campaign import Campaign


def test_no_message_ends_or_stalls_the_consumer_and_each_is_accounted_for(
    kafka: str, mongodb: str, workdir: Path, unique: str
) -> None:
    seed = int(os.environ.get("FUZZ_SEED", "12"))

    books = Campaign(kafka, mongodb, workdir, unique, seed).run(0)

    assert books.kept, f"FUZZ_SEED={seed}: {books}"
    assert books.dead_letters == books.letters_read_back > 0
    assert books.markers > 0
