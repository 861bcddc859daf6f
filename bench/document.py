"""docs/performance.md: its tables and its chart, from the outcomes that docs/performance.json keeps."""

from __future__ import annotations

import json
from pathlib import Path

from bench import chart, sizing
from bench.outcome import Outcome
from bench.table import goals, markdown

DOCUMENT = Path("docs/performance.md")
CHART = Path("docs/performance.svg")
RECORD = Path("docs/performance.json")
ORDER = (
    "drain",
    "wide",
    "unique",
    "memory",
    "trickle",
    "scale",
    "extension",
    "embedded",
    "iteration",
    "typed",
    "keyed",
    "dots",
    "listen",
    "profile",
)


def write(outcomes: list[Outcome]) -> None:
    """Put these in the place of what was found before, and leave the others as they are."""
    kept = {outcome.bench: outcome for outcome in recorded()}
    kept.update({outcome.bench: outcome for outcome in outcomes})
    ordered = [kept[name] for name in ORDER if name in kept]
    RECORD.write_text(json.dumps([outcome.as_json() for outcome in ordered], indent=1) + "\n")
    text = section(DOCUMENT.read_text(), "goals", goals(ordered))
    for name, outcome in kept.items():
        text = section(text, name, markdown(outcome))
    if "drain" in kept:
        text = section(text, "sizing", sizing.markdown(kept["drain"]))
        CHART.write_text(chart.svg(kept["drain"]))
    DOCUMENT.write_text(text)


def recorded() -> list[Outcome]:
    """What was found when the document was written last."""
    return [Outcome.from_json(told) for told in json.loads(RECORD.read_text())] if RECORD.exists() else []


def section(text: str, name: str, content: str) -> str:
    """The text with what is between the markers of `name` replaced; ValueError where there are none."""
    begin, end = f"<!-- bench {name} -->", f"<!-- /bench {name} -->"
    before, found, rest = text.partition(begin)
    _, ended, after = rest.partition(end)
    if not (found and ended):
        raise ValueError(f"{DOCUMENT} has no markers for {name}: {begin} ... {end}")
    return f"{before}{begin}\n{content}\n{end}{after}"
