"""The table of metrics as docs/operations.md has it: `python -m tests.consumer.monitoring.tables`."""

from __future__ import annotations

from estela_consumer.monitoring.metrics import METRICS


def as_markdown() -> str:
    """The metrics that the code makes."""
    rows = []
    for metric in METRICS:
        labels = " ".join(f"`{label}`" for label in metric.labels)
        rows.append(f"| `{metric.name}` | {metric.kind} | {labels} | {metric.text} |")
    return "\n".join(["| metric | kind | labels | what it is |", "|---|---|---|---|", *rows])


if __name__ == "__main__":
    print(as_markdown())  # noqa: T201
