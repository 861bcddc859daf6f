"""What the doctor has found."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

from estela_terminal.exit_codes import ExitCode

DEFAULT = "default"
NOT_SHOWN = "(set, not shown)"


class State(enum.Enum):
    """How it is with one thing."""

    OK = "ok"
    NOTE = "note"  # worth to know, and well
    PROBLEM = "PROBLEM"


@dataclass(frozen=True, slots=True)
class Value:
    """A setting, what it is, and where it is set."""

    name: str
    shown: str
    origin: str


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was checked."""

    state: State
    subject: str
    told: str
    advice: str = ""
    """What to do; a problem has one."""


@dataclass(slots=True)
class Report:
    """All of it."""

    versions: dict[str, str] = field(default_factory=dict)
    values: list[Value] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    next_steps: list[str] = field(default_factory=list)
    """Commands, the first to be run first."""

    @property
    def problems(self) -> list[Finding]:
        """What must be corrected."""
        return [finding for finding in self.findings if finding.state is State.PROBLEM]

    @property
    def code(self) -> ExitCode:
        """What the command ends with."""
        return ExitCode.PROBLEMS_FOUND if self.problems else ExitCode.OK


def ok(subject: str, told: str) -> Finding:
    """Something that is well."""
    return Finding(State.OK, subject, told)


def note(subject: str, told: str, advice: str = "") -> Finding:
    """Something to know."""
    return Finding(State.NOTE, subject, told, advice)


def problem(subject: str, told: object, advice: str) -> Finding:
    """Something to correct."""
    return Finding(State.PROBLEM, subject, str(told), advice)
