"""The Dockerfile is read as an engine reads it."""

from __future__ import annotations

from pathlib import Path

import pytest

from release.image import Image, Instruction, instructions, stages_for
from release.report import CheckFailed

DOCKERFILE = """\
ARG BASE=python:3.12.1-slim
# a comment
FROM ${BASE} AS tools
RUN one \\
    && two
FROM tools AS left-out
RUN never
FROM ${BASE} AS last
COPY --from=tools /a /a
"""


def test_lines_are_joined_and_belong_to_their_stage() -> None:
    found = list(instructions(DOCKERFILE))

    assert found[:3] == [
        Instruction("", "ARG", "BASE=python:3.12.1-slim"),
        Instruction("tools", "FROM", "${BASE} AS tools"),
        Instruction("tools", "RUN", "one && two"),
    ]
    assert stages_for("last", DOCKERFILE) == {"last", "tools"}
    assert stages_for("left-out", DOCKERFILE) == {"left-out", "tools"}


def test_what_cannot_be_followed_is_refused() -> None:
    with pytest.raises(ValueError, match="no stage nothing"):
        stages_for("nothing", DOCKERFILE)
    with pytest.raises(ValueError, match="has no name"):
        list(instructions("FROM python:3.12\n"))


def image(context: Path, *lines: str) -> Image:
    (context / "Dockerfile").write_text("\n".join(["FROM x AS a", *lines, ""]))
    (context / ".dockerignore").write_text("*\n!kept\n")
    (context / "kept").write_text("text")
    (context / "other").write_text("text")
    return Image(context, "a", context / "root")


def test_its_lines_are_run_in_a_folder(tmp_path: Path) -> None:
    made = image(
        tmp_path,
        "WORKDIR /src",
        "COPY kept ./",
        "RUN mkdir -p /opt && cp kept /opt/copied",
        "ENV NAME=/opt/copied",
        'CMD ["cat", "kept"]',
    )

    assert (tmp_path / "root" / "opt" / "copied").read_text() == "text"
    assert made.run(*made.command) == "text"
    assert made.run("sh", "-c", "cat $NAME") == "text"


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("COPY other ./", "COPY other: it is not there, or .dockerignore leaves it out"),
        ("COPY nothing ./", "COPY nothing: it is not there"),
        ("RUN false", "ended with 1"),
        ("VOLUME /x", "does not know VOLUME"),
    ],
)
def test_a_line_that_would_fail_in_an_engine_fails(tmp_path: Path, line: str, told: str) -> None:
    with pytest.raises(CheckFailed, match=told):
        image(tmp_path, "WORKDIR /src", line)
