"""Every error and what it leads to, as one table. `python -m tests.rulebook` prints it as Markdown.

The rows are made of what the code decides by; docs/reliability.md carries the same table.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from estela_consumer.errors import EXIT_MEANINGS, Reason
from estela_consumer.pipeline.refusals import WHILE
from estela_consumer.stores.mongodb.rules import (
    BAD_DATASET,
    BAD_DOCUMENT,
    DUPLICATE_KEY,
    WAIT,
    WAIT_LABELS,
    WAIT_WHERE,
)
from estela_terminal.exit_codes import ExitCode

WAITING, DEAD_LETTER, STOP, SKIP = "wait", "dead letter", "stop", "skip"


class Rule(NamedTuple):
    """One row: what is met, what it leads to, and with which word or exit code."""

    error: str
    verdict: str
    word: str = ""


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
        yield Rule(f'MongoDB {code}, where it says "{words}"', WAITING)
    for label in WAIT_LABELS:
        yield Rule(f"MongoDB, any error with the label `{label}`", WAITING)
    yield Rule("the embedded store: any error of its file (locked, disk full, no permission)", WAITING)
    yield Rule("the queue is unreachable, refuses the login, or denies access to the topic or group", WAITING)
    yield Rule("the dead-letter topic takes no letters, whatever the reason", WAITING)
    yield Rule("the topic does not exist yet (without `--drain`)", WAITING)
    yield Rule(
        f"MongoDB, any other code: tried again for {WHILE:.0f} s for all of a batch together, as it may pass",
        f"{WAITING}, then {DEAD_LETTER}",
        Reason.REFUSED.value,
    )
    for reason in Reason:
        yield Rule(f"{reason.meaning}{_codes(reason)}", DEAD_LETTER, reason.value)
    yield Rule("a tombstone (no value)", SKIP, "counted")
    for code, meaning in EXIT_MEANINGS.items():
        if code not in (ExitCode.OK, ExitCode.DEAD_LETTERS):
            yield Rule(marked_up(meaning), STOP, f"{int(code)} {code.name}")


def marked_up(meaning: str) -> str:
    """The meaning of an exit code in Markdown: an option is code."""
    return re.sub(r"--\w+", r"`\g<0>`", meaning)


def _codes(reason: Reason) -> str:
    tables: tuple[Mapping[int, Reason], ...] = (BAD_DOCUMENT, BAD_DATASET)
    codes = [str(code) for table in tables for code, meant in table.items() if meant is reason]
    if reason in (Reason.DUPLICATE_ID, Reason.DUPLICATE_KEY):
        codes.append(str(DUPLICATE_KEY))
    return f" (MongoDB {', '.join(codes)})" if codes else ""


def as_markdown() -> str:
    """The table as it stands in docs/reliability.md."""
    rows = [
        f"| {rule.error} | {rule.verdict} | {f'`{rule.word}`' if rule.word else ''} |" for rule in rules()
    ]
    return "\n".join(["| met | leads to | word or exit code |", "|---|---|---|", *rows])


if __name__ == "__main__":
    print(as_markdown())  # noqa: T201  (this is what it is run for)
