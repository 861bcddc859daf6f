"""A message's value as somebody has changed it, in an editor or a file of their own."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import click

from estela_queue_adapter.errors import SerializationError
from estela_queue_adapter.serialization import deserialize
from estela_terminal.exit_codes import ExitCode
from estela_terminal.output import say

_EDITORS = ("sensible-editor", "nano", "vim", "vi")  # if neither $VISUAL nor $EDITOR is set
_STRINGS_OR_SPACE = re.compile(rb'("(?:[^"\\]|\\.)*")|[ \t\r\n]+')


@dataclass(frozen=True, slots=True)
class EditedValue:
    """What the file has now."""

    data: bytes
    """As it is sent: without the white space that is for the eye."""
    problem: str = ""
    """Why it cannot be sent; empty if it can."""
    code: ExitCode = ExitCode.USAGE
    """What the command ends with then."""
    draft: Path | None = None
    """The file that the editor had, in a folder of its own; None if the file is its owner's."""
    failed: bool = False
    """Whether the editor says that it has failed: what is in the draft may be half of something."""

    @classmethod
    def from_file(cls, path: str) -> EditedValue:
        """Of a file of somebody's own, or standard input. Raises UsageError if it cannot be read."""
        try:
            text = sys.stdin.buffer.read() if path == "-" else Path(path).read_bytes()
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or error
            raise click.UsageError(f"--value {path} cannot be read: {why}") from None
        return cls(_compact(text), _problem(text, "--value"))

    @classmethod
    def from_editor(cls, data: bytes) -> EditedValue:
        """Of a draft that is opened in an editor. Blocks until that ends.

        Raises UsageError if there is no editor, or if the value is no text to be edited.
        """
        try:
            shown = laid_out(data).decode()
        except UnicodeDecodeError:
            raise click.UsageError(
                "the value is not UTF-8 text, which no editor can show: give a whole one by --value FILE"
            ) from None
        command = _editor()
        draft = Path(tempfile.mkdtemp(prefix="estela-edit-")) / "message.json"
        draft.touch(0o600)
        draft.write_bytes(f"{shown}\n".encode())
        try:
            ended = subprocess.run([*command, str(draft)], check=False).returncode
        except KeyboardInterrupt:
            say(f"What was written is in {draft}. Nothing is sent, and the dead letter stays as it is.")
            raise
        except OSError as error:
            _remove(draft)
            raise click.UsageError(
                f"the editor {command[0]!r} ($VISUAL, $EDITOR) cannot be started: {error.strerror}; set "
                "EDITOR, or give the value by --value FILE"
            ) from None
        try:
            text = draft.read_bytes()
        except OSError as error:
            problem = f"The draft {draft} is gone: {error.strerror}"
            return cls(b"", problem, ExitCode.DEAD_LETTERS, failed=True)
        how = f"exit code {ended}" if ended >= 0 else f"signal {-ended}"
        problem = f"The editor {command[0]} ended with {how}" if ended else _problem(text, "The draft")
        return cls(_compact(text), problem, ExitCode.DEAD_LETTERS, draft, failed=bool(ended))

    @property
    def kept(self) -> str:
        """Where what was written still is, for people; empty if that is its owner's business."""
        if self.draft is None:
            return ""
        return f". What was written is in {self.draft}: correct it, and give it by --value"

    def is_like(self, data: bytes) -> bool:
        """Whether it is what `data` is, but for white space."""
        return self.data == _compact(data)

    def remove(self) -> None:
        """Remove the draft, as it is not needed any more."""
        if self.draft is not None:
            _remove(self.draft)


def laid_out(data: bytes) -> bytes:
    """JSON in lines, if that changes nothing but its white space; else as it is."""
    try:
        pretty = json.dumps(json.loads(data), ensure_ascii=False, indent=2).encode()
    except (ValueError, RecursionError):
        return data
    return pretty if _compact(pretty) == _compact(data) else data


def _compact(data: bytes) -> bytes:
    """Without the white space between what JSON consists of; its strings and numbers stay as written."""
    return _STRINGS_OR_SPACE.sub(lambda found: found[1] or b"", data)


def _problem(text: bytes, name: str) -> str:
    if not text.strip():
        return f"{name} is empty"
    try:
        deserialize(text)
    except SerializationError as error:
        return f"{name} is {error}"
    return ""


def _editor() -> list[str]:
    given = os.environ.get("VISUAL") or os.environ.get("EDITOR")
    if given:
        try:
            command = shlex.split(given)
        except ValueError as error:
            raise click.UsageError(f"$VISUAL or $EDITOR, {given!r}, is no command: {error}") from None
        if command:
            return command
    for name in _EDITORS:
        if shutil.which(name):
            return [name]
    raise click.UsageError("there is no editor: set EDITOR, or give the value by --value FILE")


def _remove(draft: Path) -> None:
    shutil.rmtree(draft.parent, ignore_errors=True)
