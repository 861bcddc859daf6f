"""A process that writes keyed messages into a store: `python -m tests.consumer.keyed.writing URL SEED`."""

from __future__ import annotations

import random
import sys

from estela_consumer.stores import StoreSettings, open_store
from estela_wire.dataset import Dataset
from tests.consumer.keyed.model import Scraped

DATASET = Dataset("keyed", "killed")
MESSAGES = [
    Scraped(number, "abc"[number % 3], {"price": number * number % 7 % 3, "text": "x" * 10_000})
    for number in range(45)
]


def main() -> None:
    """Write all, three at a time and in an order of its own; a line for each three that are written."""
    url, seed = sys.argv[1:]
    store = open_store(StoreSettings(url=url))
    order = random.Random(int(seed)).sample(MESSAGES, len(MESSAGES))
    for at in range(0, len(order), 3):
        store.write_keyed(DATASET, [one.document(DATASET, "track") for one in order[at : at + 3]])
        sys.stdout.write(f"{at}\n")
        sys.stdout.flush()
    store.close()


if __name__ == "__main__":
    main()
