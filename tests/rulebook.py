"""Every error and what it leads to, as one table. `python -m tests.rulebook` prints it as Markdown.

The rows are made of what the code decides by; docs/reliability.md carries the same table, and
tests/test_documents.py compares the two. A row that changes: print the table, and paste it there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from estela_consumer.errors import EXIT_MEANINGS, Reason
from estela_consumer.pipeline.refusals import RETRY_SECONDS
from estela_consumer.stores.mongodb.rules import (
    BAD_DATASET,
    BAD_DOCUMENT,
    DUPLICATE_KEY,
    WAIT,
    WAIT_LABELS,
    WAIT_WHERE,
)
from estela_terminal.exit_codes import ExitCode

# When each reason of a dead letter is given.
_REASONS = {
    Reason.UNDECODABLE: "the bytes are not UTF-8 JSON",
    Reason.BAD_ENVELOPE: "JSON, but not an envelope: no payload, a payload that is not an object, an "
    "`id` that is not 24 hex digits, a `key` that is not a list of field names, an unknown `on_existing`, "
    "`types` that are not `bson`",
    Reason.BAD_NAME: "the jid, `db_name` or `dataset_name` give no name that MongoDB takes, or one that is "
    "the server's (`admin`, `config`, `local`, `system.`)",
    Reason.UNREADABLE: "the queue's own bytes are not a message: damaged, or written so; the letter "
    "holds them raw",
    Reason.BAD_KEY: "a field of the key is missing, null, a list, an object or no finite number, or the "
    "whole key is empty text",
    Reason.KEY_MISMATCH: "the dataset holds documents of another kind: without a key, with another key, or "
    "without the message's having one; or somebody has edited the document's `_estela`",
    Reason.BAD_VALUE: "an integer beyond 64 bits, a NUL in a key, a lone surrogate, Extended JSON that is "
    'not what it says, such as `{"$date": "x"}` under `"types": "bson"`, too deep a nesting',
    Reason.TOO_LARGE: "over 16 MiB as a document",
    Reason.DUPLICATE_ID: "another document with another content has this `_id`",
    Reason.DUPLICATE_KEY: "a unique index of the collection has these values already",
    Reason.INVALID: "the collection's own validation refuses it",
    Reason.NOT_PERMITTED: "the login has no permission on that one database",
    Reason.REFUSED: "the store refuses this one document for another reason, which the letter names",
}

WAITING, DEAD_LETTER, STOP, SKIP = "wait", "dead letter", "stop", "skip"


class Rule(NamedTuple):
    """One row: what is met, what it leads to, and the reason or exit code that says so."""

    error: str
    verdict: str
    name: str = ""


def rules() -> Iterator[Rule]:
    """All of them."""
    yield Rule(
        "MongoDB: no primary, a network error, a timeout, no TLS, a host name that is not found", WAITING
    )
    yield Rule(
        "MongoDB: a write concern error, whatever its code: written, but not known to be safe", WAITING
    )
    for code, name in WAIT.items():
        yield Rule(f"MongoDB {code} `{name}`", WAITING)
    for code, words in WAIT_WHERE.items():
        yield Rule(f'MongoDB {code} that says "{words}"', WAITING)
    for label in WAIT_LABELS:
        yield Rule(f"MongoDB, any error with the label `{label}`", WAITING)
    yield Rule("the embedded store: any error of its file (locked, disk full, no permission)", WAITING)
    yield Rule("the queue is unreachable, refuses the login, or denies access to the topic or group", WAITING)
    yield Rule("the dead-letter topic takes no letters, whatever the reason", WAITING)
    yield Rule("the topic does not exist yet (without `--drain`)", WAITING)
    yield Rule(
        f"MongoDB, any other code: tried again for {RETRY_SECONDS:.0f} s for all of a batch together, as it "
        "may pass",
        f"{WAITING}, then {DEAD_LETTER}",
        Reason.REFUSED.value,
    )
    for reason in Reason:
        yield Rule(f"{_REASONS[reason]}{_codes(reason)}", DEAD_LETTER, reason.value)
    yield Rule("a tombstone (no value)", SKIP, "counted")
    for code, meaning in EXIT_MEANINGS.items():
        if code not in (ExitCode.OK, ExitCode.DEAD_LETTERS):
            yield Rule(marked_up(meaning), STOP, f"{int(code)} {code.name}")


def marked_up(meaning: str) -> str:
    """The meaning of an exit code in Markdown: an option is code."""
    return re.sub(r"--[\w-]+", r"`\g<0>`", meaning)


def _codes(reason: Reason) -> str:
    tables: tuple[Mapping[int, Reason], ...] = (BAD_DOCUMENT, BAD_DATASET)
    codes = [str(code) for table in tables for code, meant in table.items() if meant is reason]
    if reason in (Reason.DUPLICATE_ID, Reason.DUPLICATE_KEY):
        codes.append(str(DUPLICATE_KEY))
    return f" (MongoDB {', '.join(codes)})" if codes else ""


def as_markdown() -> str:
    """The table as it stands in docs/reliability.md."""
    rows = [
        f"| {rule.error} | {rule.verdict} | {f'`{rule.name}`' if rule.name else ''} |" for rule in rules()
    ]
    return "\n".join(["| met | leads to | word or exit code |", "|---|---|---|", *rows])


if __name__ == "__main__":
    print(as_markdown())  # noqa: T201  (this is what it is run for)
