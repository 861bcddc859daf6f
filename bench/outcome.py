"""What a bench found: each side with its spread, and the ratios with their goals."""

from __future__ import annotations

import statistics
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Side:
    """One thing that was measured, once in each round."""

    name: str
    unit: str
    values: list[float]

    @property
    def median(self) -> float:
        """Of the rounds."""
        return statistics.median(self.values)


@dataclass(frozen=True, slots=True)
class Ratio:
    """One goal and what came of it."""

    told: str
    value: float
    goal: float
    at_least: bool = True
    """Whether the goal is a floor, or else a ceiling."""
    unit: str = ""
    why: str = ""
    """What stands in the way, for where the goal is missed."""

    @property
    def met(self) -> bool:
        """Whether the goal is reached."""
        return self.value >= self.goal if self.at_least else self.value <= self.goal

    @property
    def goal_text(self) -> str:
        """The goal for people."""
        return f"{'>=' if self.at_least else '<='} {self.goal:g}{self.unit}"

    @property
    def miss(self) -> str:
        """By how much it is missed, and why; empty where it is met."""
        if self.met:
            return ""
        by = f"missed by {abs(self.value / self.goal - 1):.0%}"
        return f"{by}: {self.why}" if self.why else by


@dataclass(frozen=True, slots=True)
class Outcome:
    """One bench's findings."""

    bench: str
    messages: int
    sides: list[Side]
    ratios: list[Ratio]
    facts: dict[str, float] = field(default_factory=dict)
    """Other figures that belong to it, by name."""

    def as_json(self) -> dict[str, Any]:
        """For machines; `from_json` reads it."""
        return asdict(self)

    @staticmethod
    def from_json(told: dict[str, Any]) -> Outcome:
        """What `as_json` gave."""
        return Outcome(
            told["bench"],
            told["messages"],
            [Side(**side) for side in told["sides"]],
            [Ratio(**ratio) for ratio in told["ratios"]],
            told["facts"],
        )


def rounds_of(sides: dict[str, list[float]], unit: str) -> list[Side]:
    """The sides of a bench from what each round gave."""
    return [Side(name, unit, [round(value, 3) for value in values]) for name, values in sides.items()]


def quotient(one: Side, other: Side) -> float:
    """The medians' ratio."""
    return one.median / other.median
